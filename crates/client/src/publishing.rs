//! Builds: starting one, following it, stopping it.

use std::path::Path;

use bytes::Bytes;
use reqwest::{Body, Method, header, multipart};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use crate::{
    client::{Client, broken},
    error::{ClientError, ClientResult},
    types::{Build, Page},
};

/// What to build a version from.
#[derive(Debug, Clone, Copy)]
pub enum Upload<'a> {
    /// A repository that the server fetches.
    Repository {
        /// Its URL; empty takes the model's own.
        url: &'a str,
        /// Branch, tag or commit; empty takes the default branch.
        reference: &'a str,
    },
    /// A tar of the source on this machine.
    Archive {
        /// Where it is.
        tar: &'a Path,
        /// The commit its files are of; empty where they are of none.
        commit: &'a str,
        /// When they were committed; empty where that is not known.
        committed_at: &'a str,
        /// The URL of their repository, by which references to it are recognised; empty takes the model's own.
        origin: &'a str,
    },
}

/// How to publish it.
#[derive(Debug, Clone, Copy)]
pub struct BuildChoices<'a> {
    /// Resolve packages as they were at this time; empty takes the newest ones.
    pub as_of: &'a str,
    /// Whether a model without simulations gets one of its default inputs, as an example.
    pub example: bool,
    /// Whether its version becomes live where every stage succeeds.
    pub promote: bool,
    /// Leave the model's own tests out.
    pub skip_tests: bool,
    /// Run no simulations of the live version again before its version becomes live.
    pub skip_comparison: bool,
}

impl Default for BuildChoices<'_> {
    fn default() -> Self {
        Self { as_of: "", example: true, promote: true, skip_tests: false, skip_comparison: false }
    }
}

impl Client {
    /// What is found in a repository, before anything of it is run.
    pub async fn look(&self, url: &str, reference: &str) -> ClientResult<Value> {
        self.post("/publish/api/look/", &json!({ "repo_url": url, "repo_tag": reference })).await
    }

    /// Asks for a build.
    pub async fn build(&self, name: &str, upload: Upload<'_>, choices: BuildChoices<'_>) -> ClientResult<Build> {
        let path = format!("/publish/api/{name}/builds/");
        let BuildChoices { as_of, example, promote, skip_tests, skip_comparison } = choices;
        match upload {
            Upload::Repository { url, reference } => {
                let as_of = Some(as_of).filter(|text| !text.is_empty());
                let body = json!({
                    "repo_url": url, "repo_tag": reference, "as_of": as_of, "example": example,
                    "promote": promote, "skip_tests": skip_tests,
                    "skip_comparison": skip_comparison,
                });
                self.post(&path, &body).await
            }
            Upload::Archive { tar, commit, committed_at, origin } => {
                let file_error = |cause| ClientError::File { path: tar.display().to_string(), cause };
                let file = tokio::fs::File::open(tar).await.map_err(file_error)?;
                let length = file.metadata().await.map_err(file_error)?.len();
                let body = Body::wrap_stream(ReaderStream::with_capacity(file, 1 << 16));
                let part = multipart::Part::stream_with_length(body, length)
                    .file_name("source.tar")
                    .mime_str("application/x-tar")
                    .map_err(|error| broken(&path, &error))?;
                let form = multipart::Form::new()
                    .text("commit", commit.to_owned())
                    .text("committed_at", committed_at.to_owned())
                    .text("repo_url", origin.to_owned())
                    .text("as_of", as_of.to_owned())
                    .text("example", example.to_string())
                    .text("promote", promote.to_string())
                    .text("skip_tests", skip_tests.to_string())
                    .text("skip_comparison", skip_comparison.to_string())
                    .part("source", part);
                self.json(self.request(Method::POST, &path).multipart(form)).await
            }
        }
    }

    /// How a build stands.
    pub async fn build_state(&self, name: &str, build: &str) -> ClientResult<Build> {
        self.get(&format!("/publish/api/{name}/builds/{build}/")).await
    }

    /// Stops a build.
    pub async fn cancel_build(&self, name: &str, build: &str) -> ClientResult<Build> {
        self.post(&format!("/publish/api/{name}/builds/{build}/cancel/"), &json!({})).await
    }

    /// The builds of a model, newest first.
    pub async fn builds(&self, name: &str) -> ClientResult<Page<Build>> {
        self.get(&format!("/publish/api/{name}/builds/")).await
    }

    /// Text of a build's log from byte `offset` on.
    pub async fn build_log(&self, name: &str, build: &str, offset: u64) -> ClientResult<Bytes> {
        self.log_text(&format!("/publish/api/{name}/builds/{build}/log/"), offset).await
    }

    /// Text of any log from byte `offset` on; empty where there is no more.
    pub(crate) async fn log_text(&self, path: &str, offset: u64) -> ClientResult<Bytes> {
        let request = self.request(Method::GET, path).query(&[("offset", offset)]).header(header::ACCEPT, "text/plain");
        let response = self.send(request).await?;
        response.bytes().await.map_err(|error| broken(path, &error))
    }
}
