//! Where the credential of a remote store comes from.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use csw_core::{
    ports::{SecretError, SecretResult},
    secret::SecretValue,
};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::http::{self, Answer};

/// Before the end of its life a token is asked for anew.
const MARGIN: Duration = Duration::from_mins(1);

/// A token of a command is used so long: those of `gcloud` live for an hour.
const OF_COMMAND: Duration = Duration::from_mins(10);

/// A way to get a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// The content of a file, read for each request: whoever writes it may renew it.
    File(PathBuf),
    /// An environment variable of the server.
    Environment(String),
    /// What a program prints, such as `gcloud auth print-access-token`.
    Command(Vec<String>),
    /// Google's metadata server, at this address.
    Metadata(String),
}

/// Tokens of one source, kept while they are good.
pub(crate) struct Tokens {
    source: TokenSource,
    kept: Mutex<Option<(SecretValue, Instant)>>,
}

impl Tokens {
    pub(crate) fn new(source: TokenSource) -> Self {
        Self { source, kept: Mutex::default() }
    }

    /// A token; `renewed` where the last one was refused.
    pub(crate) async fn get(&self, client: &Client, renewed: bool) -> SecretResult<SecretValue> {
        let mut kept = self.kept.lock().await;
        if let Some((token, until)) = kept.as_ref()
            && !renewed
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let (token, life) = self.fetch(client).await?;
        *kept = Some((token.clone(), Instant::now() + life.saturating_sub(MARGIN)));
        Ok(token)
    }

    /// Sends a request with a token, once more with a new one where the old one is refused.
    pub(crate) async fn ask(
        &self,
        client: &Client,
        what: &str,
        (method, url): (Method, &str),
        body: Option<&Value>,
    ) -> SecretResult<Answer> {
        let mut renewed = false;
        loop {
            let token = self.get(client, renewed).await?;
            let request = || {
                let request = client.request(method.clone(), url).bearer_auth(token.expose());
                match body {
                    Some(body) => request.json(body),
                    None => request,
                }
            };
            let answer = http::send(what, request).await?;
            if answer.status != StatusCode::UNAUTHORIZED || renewed {
                return Ok(answer);
            }
            renewed = true;
        }
    }

    async fn fetch(&self, client: &Client) -> SecretResult<(SecretValue, Duration)> {
        let (text, life) = match &self.source {
            TokenSource::File(path) => {
                let read = tokio::fs::read_to_string(path).await;
                (read.map_err(|error| self.refused(&format!("{}: {error}", path.display())))?, Duration::ZERO)
            }
            TokenSource::Environment(name) => {
                (std::env::var(name).map_err(|_| self.refused(&format!("{name} is not set")))?, Duration::ZERO)
            }
            TokenSource::Command(words) => (self.printed(words).await?, OF_COMMAND),
            TokenSource::Metadata(address) => self.of_metadata(client, address).await?,
        };
        let token = text.trim();
        if token.is_empty() || token.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(self.refused("what it gives is no token"));
        }
        Ok((SecretValue::from(token), life))
    }

    async fn printed(&self, words: &[String]) -> SecretResult<String> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(self.refused("the command is empty"));
        };
        let run = tokio::process::Command::new(program).args(arguments).kill_on_drop(true).output();
        let done = tokio::time::timeout(Duration::from_secs(30), run).await;
        let output = match done {
            Ok(Ok(output)) if output.status.success() => output,
            // What it printed may hold a credential.
            Ok(Ok(output)) => return Err(self.refused(&format!("`{program}` ended with {}", output.status))),
            Ok(Err(error)) => return Err(self.refused(&format!("`{program}`: {error}"))),
            Err(_) => return Err(self.refused(&format!("`{program}` did not end within 30 s"))),
        };
        String::from_utf8(output.stdout).map_err(|_| self.refused(&format!("`{program}` printed no text")))
    }

    async fn of_metadata(&self, client: &Client, address: &str) -> SecretResult<(String, Duration)> {
        let url = format!("{address}/computeMetadata/v1/instance/service-accounts/default/token");
        let what = "a token of the metadata server";
        let answer = http::send(what, || client.get(&url).header("Metadata-Flavor", "Google")).await?;
        let token = answer.body["access_token"].as_str().filter(|_| answer.status == StatusCode::OK);
        let token = token.ok_or_else(|| self.refused(&format!("the metadata server answers {}", answer.status)))?;
        let life = Duration::from_secs(answer.body["expires_in"].as_u64().unwrap_or(0));
        Ok((token.to_owned(), life))
    }

    fn refused(&self, cause: &str) -> SecretError {
        let (way_out, place) = match &self.source {
            TokenSource::File(_) => ("Name a file that holds a token as `token_file`", "its file"),
            TokenSource::Environment(_) => ("Set the variable that `token_env` names", "the environment"),
            TokenSource::Command(_) => ("Try `token_command` by hand, as the user of the server", "its command"),
            TokenSource::Metadata(_) => {
                ("Give this machine a service account, or configure `token_command` or `token_file`", "this machine")
            }
        };
        SecretError::Refused {
            what: format!("no token for the secret store from {place}"),
            cause: cause.to_owned(),
            way_out: way_out.to_owned(),
        }
    }
}
