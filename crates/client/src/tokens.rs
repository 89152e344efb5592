//! Tokens of an account.

use serde::Deserialize;
use serde_json::json;

use crate::{
    client::Client,
    error::ClientResult,
    types::{NewToken, Token},
};

#[derive(Deserialize)]
struct Issued {
    token: String,
}

#[derive(Deserialize)]
struct Status {
    username: Option<String>,
}

impl Client {
    /// The name of the account whose token this client has, if it is good for one.
    pub async fn own_name(&self) -> ClientResult<Option<String>> {
        Ok(self.get::<Status>("/users/status/").await?.username)
    }

    /// A token for a name and password, as clients of 1.6 ask for it.
    pub async fn log_in(&self, name: &str, password: &str) -> ClientResult<String> {
        let body = json!({ "username": name, "password": password });
        Ok(self.post::<Issued>("/api-token-auth/", &body).await?.token)
    }

    /// The caller's tokens.
    pub async fn tokens(&self) -> ClientResult<Vec<Token>> {
        self.get("/api/v1/tokens/").await
    }

    /// Makes a named token; its text is in the answer and never shown again.
    pub async fn create_token(&self, name: &str, days: Option<u32>) -> ClientResult<NewToken> {
        self.post("/api/v1/tokens/", &json!({ "name": name, "days": days })).await
    }

    /// Revokes a token.
    pub async fn delete_token(&self, id: &str) -> ClientResult<()> {
        self.delete(&format!("/api/v1/tokens/{id}/")).await
    }
}
