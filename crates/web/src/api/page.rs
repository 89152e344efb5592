//! Parts of long lists, in the envelope that clients know.

use std::collections::HashMap;

use axum::{
    Json,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use csw_core::page::{Page, PageRequest};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Query;
use crate::{
    error::{ApiError, ApiResult},
    state::WebState,
};

/// Items a page, where the client says nothing.
const SIZE: u32 = 50;

/// Items a page at most.
const LARGEST: u32 = 200;

/// What is written as it is in a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Envelope<T> {
    /// Length of the whole list.
    count: u64,
    /// URL of the next part.
    next: Option<String>,
    /// URL of the part before.
    previous: Option<String>,
    /// This part.
    results: Vec<T>,
}

/// What a query string asks of a list.
pub(crate) struct ListQuery {
    /// Which part.
    pub(crate) page: PageRequest,
    query: HashMap<String, String>,
    url: String,
}

impl FromRequestParts<WebState> for ListQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> ApiResult<Self> {
        let Query(query) = Query::<HashMap<String, String>>::from_request_parts(parts, state).await?;
        let number = match query.get("page") {
            None => 1,
            Some(text) => text.parse().ok().filter(|number| *number > 0).ok_or_else(invalid_page)?,
        };
        let size = query.get("page_size").and_then(|text| text.parse().ok()).unwrap_or(SIZE).clamp(1, LARGEST);
        let url = format!("{}{}", state.app.config().public_url, parts.uri.path());
        Ok(Self { page: PageRequest { number, size }, query, url })
    }
}

fn invalid_page() -> ApiError {
    ApiError::detail(StatusCode::NOT_FOUND, "Invalid page.")
}

impl ListQuery {
    /// A parameter that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A parameter that says yes or no.
    pub(crate) fn flag(&self, name: &str) -> ApiResult<Option<bool>> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("1" | "true" | "yes" | "on") => Ok(Some(true)),
            Some("0" | "false" | "no" | "off") => Ok(Some(false)),
            Some(_) => Err(ApiError::field(name, "Must be a valid boolean.")),
        }
    }

    /// The same for a list that has one part only.
    pub(crate) fn whole(self) -> Self {
        Self { page: PageRequest { number: 1, size: LARGEST }, ..self }
    }

    fn url_of(&self, number: u32) -> String {
        let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let mut others: Vec<_> = self.query.iter().filter(|(key, _)| *key != "page").collect();
        others.sort();
        let mut query: Vec<_> =
            others.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
        query.push(format!("page={number}"));
        format!("{}?{}", self.url, query.join("&"))
    }

    /// URLs of the next part and the one before.
    pub(crate) fn links(&self, total: u64) -> (Option<String>, Option<String>) {
        let end = self.page.offset() + u64::from(self.page.size);
        let next = (end < total).then(|| self.url_of(self.page.number + 1));
        (next, (self.page.number > 1).then(|| self.url_of(self.page.number - 1)))
    }

    /// Puts a part into its envelope. A part behind the end does not exist.
    pub(crate) fn envelope<T>(&self, page: Page<T>) -> ApiResult<Json<Envelope<T>>> {
        if page.items.is_empty() && self.page.number > 1 {
            return Err(invalid_page());
        }
        let (next, previous) = self.links(page.total);
        Ok(Json(Envelope { count: page.total, next, previous, results: page.items }))
    }
}
