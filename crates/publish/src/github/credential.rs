//! What we ask GitHub with.

use csw_core::ports::ForgeResult;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{
    app::App,
    request::{Answer, Requests, Secret},
};

/// A token that somebody made, or a GitHub App, which gets its own.
pub enum Credential {
    /// A token, for all that it may.
    Token(Secret),
    /// An App, for the repositories it is installed in.
    App(Box<App>),
}

impl Credential {
    /// A token that somebody made.
    pub fn token(text: &str) -> Self {
        Self::Token(Secret::new(text.to_owned()))
    }

    async fn bearer(&self, requests: &Requests, owner: &str, name: &str) -> ForgeResult<Secret> {
        match self {
            Self::Token(token) => Ok(token.clone()),
            Self::App(app) => app.token(requests, owner, name).await,
        }
    }
}

/// Requests about one repository, with what lets us in.
pub(super) struct Repository<'a> {
    pub(super) requests: &'a Requests,
    pub(super) credential: &'a Credential,
    pub(super) owner: &'a str,
    pub(super) name: &'a str,
}

impl Repository<'_> {
    /// Sends until GitHub answers for good; `path` is what follows the repository.
    pub(super) async fn send(
        &self,
        what: &str,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> ForgeResult<Answer> {
        let path = format!("/repos/{}/{}{path}", self.owner, self.name);
        let bearer = self.credential.bearer(self.requests, self.owner, self.name).await?;
        let answer = self.requests.send(what, &bearer, method.clone(), &path, query, body).await?;
        let Credential::App(app) = self.credential else { return Ok(answer) };
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // Somebody ended the token before its time.
        app.forget(self.owner, self.name).await;
        let bearer = app.token(self.requests, self.owner, self.name).await?;
        self.requests.send(what, &bearer, method, &path, query, body).await
    }
}
