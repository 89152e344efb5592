//! Who looks at a page, and from where.

use std::{collections::HashMap, convert::Infallible, net::IpAddr};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
};
use csw_app::{App, AppError};
use csw_core::access::Caller;

use super::page::{Page, PageError};
use crate::{auth::Identity, state::WebState};

/// Bytes of a form that a browser may send.
const FORM_LIMIT: usize = 8 << 20;

/// The visitor of a page.
pub(crate) struct Visitor {
    pub(crate) app: App,
    pub(crate) caller: Caller,
    pub(crate) from: IpAddr,
    pub(crate) session: Option<String>,
    pub(crate) query: HashMap<String, String>,
    path: String,
}

impl Visitor {
    /// The frame of a page for this visitor.
    pub(crate) fn page(&self) -> Page {
        Page::new(&self.caller, &self.path, &self.app.config().public_url)
    }

    /// A failure, as a page for this visitor.
    pub(crate) fn fail(&self, error: AppError) -> PageError {
        PageError::new(self.page(), error)
    }

    /// Takes an app's answer, or fails with a page.
    pub(crate) fn take<T>(&self, answer: Result<T, AppError>) -> Result<T, PageError> {
        answer.map_err(|error| self.fail(error))
    }
}

impl FromRequestParts<WebState> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Infallible> {
        // A credential that is not good is no reason to hide a public page.
        let identity =
            Identity::from_request_parts(parts, state).await.unwrap_or_else(|_| Identity::anonymous(parts, state));
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self {
            app: state.app.clone(),
            caller: identity.caller,
            from: identity.from,
            session: identity.session,
            query: serde_urlencoded::from_str::<Vec<(String, String)>>(query).unwrap_or_default().into_iter().collect(),
            path: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

/// The fields of a form that a browser sent; of a repeated name the last one counts.
pub(crate) struct Fields(pub(crate) HashMap<String, String>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl FromRequest<WebState> for Fields {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &WebState) -> Result<Self, Infallible> {
        let bytes = Bytes::from_request(request, state).await.unwrap_or_default();
        let fields = if bytes.len() > FORM_LIMIT {
            Vec::new()
        } else {
            serde_urlencoded::from_bytes(&bytes).unwrap_or_default()
        };
        Ok(Self(fields.into_iter().collect()))
    }
}
