//! The connection: address, token, and how answers become values or errors.

use std::{sync::Once, time::Duration};

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use reqwest::{Method, RequestBuilder, Response, header};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::{ClientError, ClientResult, sentence_of},
    workflow::Workflow,
};

static PROVIDER: Once = Once::new();

/// A server and the token to ask it with. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    workflow: Option<Workflow>,
}

impl Client {
    /// A client of the server at `url`; without a token it asks as anybody.
    pub fn new(url: &str, token: Option<&str>) -> ClientResult<Self> {
        let wrong = || ClientError::Address { url: url.to_owned() };
        let parsed = reqwest::Url::parse(url).map_err(|_| wrong())?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
            return Err(wrong());
        }
        // Another provider may be installed already; any will do.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::limited(3))
            .user_agent(concat!("csw/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError::Unreachable { url: url.to_owned(), cause: chain(&error) })?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned(), token: token.map(str::to_owned), workflow: None })
    }

    /// The server's address, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// What its requests say of who asks, as the value of the header `Authorization`.
    pub fn authorization(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Token {token}"))
    }

    /// The same server, asked with another token.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    /// The same server, asked in the name of a job of a GitHub workflow.
    #[must_use]
    pub fn for_workflow(&self, workflow: Workflow) -> Self {
        Self { token: None, workflow: Some(workflow), ..self.clone() }
    }

    /// Whether it asks for a workflow, and for no account of its own.
    pub fn is_workflow(&self) -> bool {
        self.workflow.is_some()
    }

    /// A request to `path`, which begins with a slash.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match self.authorization() {
            Some(value) => request.header(header::AUTHORIZATION, value),
            None => request,
        }
    }

    /// Sends; an answer that is no success becomes [`ClientError::Refused`].
    pub(crate) async fn send(&self, request: RequestBuilder) -> ClientResult<Response> {
        let request = match &self.workflow {
            Some(workflow) => request.bearer_auth(workflow.token(&self.http, &self.base).await?),
            None => request,
        };
        let request = request
            .build()
            .map_err(|error| ClientError::Address { url: format!("{}: {}", self.base, chain(&error)) })?;
        let (method, url) = (request.method().to_string(), request.url().clone());
        let response = self
            .http
            .execute(request)
            .await
            .map_err(|error| ClientError::Unreachable { url: url.to_string(), cause: chain(&error) })?;
        if response.status().is_success() || response.status() == reqwest::StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let text = response.text().await.unwrap_or_default();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        Err(ClientError::Refused {
            method,
            path: url.path().to_owned(),
            status,
            sentence: sentence_of(&body, &text),
            body: Box::new(body),
            retry_after,
        })
    }

    /// Sends, and reads the JSON of the answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> ClientResult<T> {
        read_json(self.send(request).await?).await
    }

    /// `GET` of a JSON document.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> ClientResult<T> {
        self.json(self.request(Method::GET, path)).await
    }

    /// `GET` with a query.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> ClientResult<T> {
        self.json(self.request(Method::GET, path).query(query)).await
    }

    /// `POST` of a JSON document.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> ClientResult<T> {
        self.json(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT` of a JSON document.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> ClientResult<T> {
        self.json(self.request(Method::PUT, path).json(body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> ClientResult<()> {
        self.send(self.request(Method::DELETE, path)).await.map(drop)
    }

    /// The status code and text of a `GET`, whatever they are.
    pub async fn probe(&self, path: &str) -> ClientResult<(u16, String)> {
        match self.send(self.request(Method::GET, path)).await {
            Ok(response) => {
                let status = response.status().as_u16();
                Ok((status, response.text().await.map_err(|error| broken(path, &error))?))
            }
            Err(ClientError::Refused { status, sentence, .. }) => Ok((status, sentence)),
            Err(error) => Err(error),
        }
    }

    /// The bytes behind a path, in parts.
    pub(crate) async fn stream(
        &self,
        path: &str,
    ) -> ClientResult<impl Stream<Item = ClientResult<Bytes>> + Unpin + use<>> {
        let response = self.send(self.request(Method::GET, path)).await?;
        let path = path.to_owned();
        Ok(response.bytes_stream().map_err(move |error| broken(&path, &error)))
    }
}

pub(crate) async fn read_json<T: DeserializeOwned>(response: Response) -> ClientResult<T> {
    let path = response.url().path().to_owned();
    let bytes = response.bytes().await.map_err(|error| broken(&path, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| ClientError::Unexpected { path, cause: error.to_string() })
}

pub(crate) fn broken(path: &str, error: &reqwest::Error) -> ClientError {
    ClientError::Unreachable { url: path.to_owned(), cause: chain(error) }
}

/// An error and all its causes on one line: the cause of a failed connection is in the third.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let sentence = cause.to_string();
        if !text.contains(&sentence) {
            text.push_str(": ");
            text.push_str(&sentence);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_servers() {
        assert!(Client::new("http://127.0.0.1:8080/", None).is_ok_and(|client| client.url().ends_with("8080")));
        assert!(matches!(Client::new("127.0.0.1:8080", None), Err(ClientError::Address { .. })));
        assert!(matches!(Client::new("file:///etc", None), Err(ClientError::Address { .. })));
    }
}
