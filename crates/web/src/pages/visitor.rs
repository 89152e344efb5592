//! Who looks at a page, and from where.

use std::{collections::HashMap, convert::Infallible, net::IpAddr};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderName, Method, Uri, header, request::Parts},
};
use csw_app::{App, AppError};
use csw_core::access::Caller;
use serde::de::DeserializeOwned;

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
    /// What the browser calls itself.
    pub(crate) agent: String,
    path: String,
}

impl Visitor {
    /// The frame of a page for this visitor.
    pub(crate) fn page(&self) -> Page {
        let done = self.query.get("done").map_or("", String::as_str);
        Page::new(&self.caller, &self.path, &self.app.config().public_url, done)
    }

    /// A failure, as a page for this visitor.
    pub(crate) fn fail(&self, error: AppError) -> PageError {
        PageError::new(self.page(), error)
    }

    /// Takes an app's answer, or fails with a page.
    pub(crate) fn take<T>(&self, answer: Result<T, AppError>) -> Result<T, PageError> {
        answer.map_err(|error| self.fail(error))
    }

    /// A parameter of the query; empty where it is not there.
    pub(crate) fn asked(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
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
            agent: parts
                .headers
                .get(header::USER_AGENT)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            path: place(parts),
        })
    }
}

/// Where the visitor is, for the way back after signing in. What a form is sent to can mostly not be opened: there it
/// is the page that has the form.
fn place(parts: &Parts) -> String {
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let path = |uri: &Uri| uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return path(&parts.uri);
    }
    let form = text(header::REFERER).and_then(|referer| referer.parse::<Uri>().ok());
    let form = form.filter(|uri| uri.authority().map(axum::http::uri::Authority::as_str) == text(header::HOST));
    form.as_ref().map_or_else(|| "/".to_owned(), path)
}

/// What the path names. A path that can't be read, such as one with a word for a number, leads nowhere.
pub(crate) struct Place<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<WebState> for Place<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, PageError> {
        if let Ok(Path(place)) = Path::<T>::from_request_parts(parts, state).await {
            return Ok(Self(place));
        }
        let Ok(visitor) = Visitor::from_request_parts(parts, state).await;
        Err(visitor.fail(AppError::missing("the page")))
    }
}

/// The fields of a form that a browser sent; of a repeated name the last one counts.
pub(crate) struct Fields(pub(crate) HashMap<String, String>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Whether a box was ticked.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.get(name) == "1"
    }
}

impl FromRequest<WebState> for Fields {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &WebState) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let Ok(visitor) = Visitor::from_request_parts(&mut parts, state).await;
        let read = Bytes::from_request(Request::from_parts(parts, body), state).await;
        let bytes = read.ok().filter(|bytes| bytes.len() <= FORM_LIMIT);
        // Half a form would mean something else.
        let fields = bytes.as_deref().and_then(|bytes| serde_urlencoded::from_bytes(bytes).ok());
        fields.map(Self).ok_or_else(|| {
            let sentence = format!("What was sent can't be read, or has more than {} MB.", FORM_LIMIT >> 20);
            visitor.fail(AppError::field("non_field_errors", sentence))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(method: &str, referer: Option<&str>) -> String {
        let mut request = axum::http::Request::builder().method(method).uri("/a/b/1/fork/?x=1").header("host", "here");
        if let Some(referer) = referer {
            request = request.header("referer", referer);
        }
        place(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_way_back_can_be_opened() {
        assert_eq!(back("GET", None), "/a/b/1/fork/?x=1");
        assert_eq!(back("POST", Some("https://here/a/b/1/?y=2")), "/a/b/1/?y=2");
        assert_eq!(back("POST", Some("https://elsewhere/a/b/1/")), "/");
        assert_eq!(back("POST", None), "/");
    }
}
