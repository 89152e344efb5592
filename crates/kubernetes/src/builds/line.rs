//! The line from the process of a build to the server that made its Job.

use std::{path::Path, time::Duration};

use csw_core::{causes::chain, ports::BuildLog};
use futures::StreamExt;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::wire::{Answer, Answered, Next, Order, Progress};
use crate::{
    job::{JobError, http, log::Log},
    pace::Pauses,
    wire::{PROCESS, Received},
};

/// What is tried again waits at most so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Bytes of a log that are sent at once.
const PIECE: usize = 256 * 1024;

/// Speaks with the server that made the Job of a build.
pub struct Line {
    http: reqwest::Client,
    url: String,
    token: String,
    process: Uuid,
    log: Log,
}

impl Line {
    /// A line for the build of a token.
    pub fn new(url: &str, token: String) -> Result<Self, JobError> {
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { http: http()?, url, token, process: Uuid::new_v4(), log: Log::default() })
    }

    /// What the build is to use of the site, however long it takes to be told.
    pub async fn site(&self) -> Result<Value, JobError> {
        let Order { site } = self.insist("the order", || self.request(Method::GET, "/build/order")).await?;
        Ok(site)
    }

    /// What is wanted of a process that has come so far.
    pub(super) async fn next(&self, progress: &Progress) -> Result<Next, JobError> {
        self.insist("what is next", || self.request(Method::POST, "/build/next").json(progress)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.bearer_auth(&self.token).header(PROCESS, self.process.to_string())
    }

    /// Asks until there is an answer.
    async fn insist<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, JobError> {
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        loop {
            let cause = match self.heard(request().send().await)? {
                Ok(answer) if answer.status().is_success() => match answer.json::<T>().await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => chain(&error),
                },
                Ok(answer) => format!("the server answered {}", answer.status()),
                Err(cause) => cause,
            };
            tracing::warn!(cause, what, "something can't be had yet");
            pauses.pause(None).await;
        }
    }

    /// An answer, whatever it is, unless it says that nothing more is to be asked. The inner error is for another time.
    fn heard(&self, answer: reqwest::Result<Response>) -> Result<Result<Response, String>, JobError> {
        match answer {
            Ok(answer) if answer.status() == StatusCode::GONE => Err(JobError::Gone),
            Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED => {
                Err(JobError::Stranger { url: self.url.clone() })
            }
            Ok(answer) => Ok(Ok(answer)),
            Err(error) => Ok(Err(chain(&error.without_url()))),
        }
    }

    /// Sends the log as it grows; returns where nobody wants it.
    pub(super) async fn send_log(&self) {
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        loop {
            let (offset, piece) = self.log.next(PIECE).await;
            let request = self.request(Method::POST, "/build/log").query(&[("offset", offset)]).body(piece);
            let cause = match self.heard(request.send().await) {
                Err(_) => return self.log.abandon(),
                Ok(Ok(answer)) if answer.status().is_success() => match answer.json::<Received>().await {
                    Ok(Received { received }) => {
                        self.log.sent(received);
                        pauses = Pauses::up_to(LONGEST_PAUSE);
                        continue;
                    }
                    Err(error) => chain(&error),
                },
                Ok(Ok(answer)) => format!("the server answered {}", answer.status()),
                Ok(Err(cause)) => cause,
            };
            tracing::warn!(cause, "the log waits to be sent");
            pauses.pause(None).await;
        }
    }

    /// Tells an answer until it counts.
    pub(super) async fn tell(&self, key: &str, answer: &Answer) -> Result<(), JobError> {
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        loop {
            let log = self.log.length();
            self.log.all_sent().await;
            let told = Answered { key: key.to_owned(), answer: answer.clone(), log };
            match self.heard(self.request(Method::POST, "/build/answer").json(&told).send().await)? {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) if answer.status() == StatusCode::CONFLICT => {
                    // A server that was restarted is told the log again.
                    if let Ok(Received { received }) = answer.json().await {
                        self.log.sent(received);
                        continue;
                    }
                }
                Ok(answer) => tracing::warn!(status = %answer.status(), "an answer waits to be taken"),
                Err(cause) => tracing::warn!(cause, "an answer waits to be taken"),
            }
            pauses.pause(None).await;
        }
    }

    /// Gets the source that only the server has.
    pub(super) async fn download(&self, to: &Path) -> Result<(), String> {
        let answer = self.request(Method::GET, "/build/source").send().await;
        let answer = answer.and_then(Response::error_for_status).map_err(|error| chain(&error.without_url()))?;
        let mut file = tokio::fs::File::create(to).await.map_err(|error| error.to_string())?;
        let mut parts = answer.bytes_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| chain(&error.without_url()))?;
            file.write_all(&part).await.map_err(|error| error.to_string())?;
        }
        file.flush().await.map_err(|error| error.to_string())
    }
}

impl BuildLog for Line {
    fn write(&self, text: &str) {
        self.log.push(text.as_bytes());
    }
}
