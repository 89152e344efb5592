//! Pull requests. A repository is named `OWNER/TITLE` where it is a model's, and `publish` where all models are published from
//! it.

use serde_json::{Value, json};

use crate::{
    client::Client,
    error::ClientResult,
    types::{Page, Pull},
};

impl Client {
    /// The pull requests of a repository, newest first: the open ones, or those that are over.
    pub async fn pulls(&self, repository: &str, open: bool) -> ClientResult<Page<Pull>> {
        let state = if open { "open" } else { "closed" };
        self.find(&format!("/{repository}/api/v1/pulls/"), &[("state", state)]).await
    }

    /// The open one of a branch.
    pub async fn pull_of_branch(&self, repository: &str, branch: &str) -> ClientResult<Option<Pull>> {
        let found: Page<Pull> = self.find(&format!("/{repository}/api/v1/pulls/"), &[("branch", branch)]).await?;
        Ok(found.results.into_iter().next())
    }

    /// One of them, with what it changes.
    pub async fn pull(&self, repository: &str, number: u32) -> ClientResult<Pull> {
        self.get(&format!("/{repository}/api/v1/pulls/{number}/")).await
    }

    /// Proposes a branch. One that it has already is returned, unchanged.
    pub async fn open_pull(&self, repository: &str, branch: &str, title: &str, body: &str) -> ClientResult<Pull> {
        let wanted = json!({ "branch": branch, "title": title, "body": body });
        self.post(&format!("/{repository}/api/v1/pulls/"), &wanted).await
    }

    /// Changes what is given of `title`, `body` and `state`.
    pub async fn change_pull(&self, repository: &str, number: u32, changes: &Value) -> ClientResult<Pull> {
        self.put(&format!("/{repository}/api/v1/pulls/{number}/"), changes).await
    }

    /// Merges one.
    pub async fn merge_pull(
        &self,
        repository: &str,
        number: u32,
        anyway: bool,
        delete_branch: bool,
    ) -> ClientResult<Pull> {
        let wanted = json!({ "anyway": anyway, "delete_branch": delete_branch });
        self.post(&format!("/{repository}/api/v1/pulls/{number}/merge/"), &wanted).await
    }

    /// Closes one without merging it.
    pub async fn close_pull(&self, repository: &str, number: u32) -> ClientResult<Pull> {
        self.post(&format!("/{repository}/api/v1/pulls/{number}/close/"), &json!({})).await
    }
}
