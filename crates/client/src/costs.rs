//! Costs and sponsors.

use reqwest::Method;
use serde_json::json;

use crate::{
    client::{Client, broken},
    error::ClientResult,
    types::{Costs, Sponsor},
};

fn query(month: Option<&str>, account: Option<&str>) -> Vec<(&'static str, String)> {
    let month = month.map(|month| ("month", month.to_owned()));
    month.into_iter().chain(account.map(|account| ("account", account.to_owned()))).collect()
}

impl Client {
    /// Costs of a month: the caller's, or for admins another account's, or all with `*`.
    pub async fn costs(&self, month: Option<&str>, account: Option<&str>) -> ClientResult<Costs> {
        self.find("/api/v1/costs/", &query(month, account)).await
    }

    /// The same as comma-separated values.
    pub async fn costs_csv(&self, month: Option<&str>, account: Option<&str>) -> ClientResult<String> {
        let mut query = query(month, account);
        query.push(("format", "csv".to_owned()));
        let path = "/api/v1/costs/";
        let answer = self.send(self.request(Method::GET, path).query(&query)).await?;
        answer.text().await.map_err(|error| broken(path, &error))
    }

    /// Who pays for everybody's runs of a model.
    pub async fn sponsor(&self, name: &str) -> ClientResult<Sponsor> {
        self.get(&format!("/publish/api/{name}/sponsor/")).await
    }

    /// Sets who does, with a note of theirs, or takes them away.
    pub async fn set_sponsor(&self, name: &str, sponsor: Option<&str>, note: Option<&str>) -> ClientResult<Sponsor> {
        let body = json!({ "sponsor": sponsor, "message": note });
        self.put(&format!("/publish/api/{name}/sponsor/"), &body).await
    }
}
