//! The side of a Job: it gets its order, and tells what becomes of it until the server has heard.
//!
//! [`Carrier`] is both: where an order comes from ([`Orders`]), and the receiver of the run's events. It keeps log,
//! outputs and end until they are acknowledged, so that a server that is restarted meanwhile gets them again.

pub(crate) mod log;

use std::{collections::HashSet, path::PathBuf, sync::Mutex, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    causes::chain,
    ids::RunId,
    ports::{ReportError, RunEvents},
    run::{OutputBody, OutputDraft, RunEnd, RunOrder},
};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode};
use thiserror::Error;
use uuid::Uuid;

use self::log::Log;
use crate::{
    pace::Pauses,
    wire::{End, Head, LOG_BASE, Missing, OUTPUT, Order, OutputPlace, PROCESS, Received},
};

/// The variable with the address of the server.
pub const CALLBACK_URL: &str = "CSW_CALLBACK_URL";

/// The variable with the run's token.
pub const RUN_TOKEN: &str = "CSW_RUN_TOKEN";

/// The variable with the folder of the version's environment, which images set themselves.
pub const ENVIRONMENT: &str = "CSW_ENVIRONMENT";

/// The variable with the folder of the version's code.
pub const CODE: &str = "CSW_CODE";

/// What is tried again waits at most so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Bytes of a log that are sent at once.
const PIECE: usize = 256 * 1024;

/// Why a Job's process can't do its work.
#[derive(Debug, Error)]
pub enum JobError {
    /// The run is somebody else's, or over: there is nothing to do.
    #[error("the run is somebody else's now, or over")]
    Gone,
    /// The server does not take the token.
    #[error("the server at {url} does not take the token of this run")]
    Stranger {
        /// Which server.
        url: String,
    },
    /// The request could not even be made.
    #[error("{0}")]
    Client(String),
}

/// Where a Job finds out what it is to do.
#[async_trait]
pub trait Orders: Send + Sync {
    /// The order, however long it takes to get it.
    async fn order(&self) -> Result<RunOrder, JobError>;
}

/// A client of the server that made the Job.
pub(crate) fn http() -> Result<Client, JobError> {
    let builder = Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_mins(1))
        // A redirect would carry the token to whoever is named in it.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("csw-job/", env!("CARGO_PKG_VERSION")));
    builder.build().map_err(|error| JobError::Client(chain(&error)))
}

/// Speaks with the server that made the Job.
pub struct Carrier {
    http: Client,
    url: String,
    token: String,
    process: Uuid,
    /// Where outputs are kept until the end counts.
    folder: PathBuf,
    log: Log,
    kept: Mutex<Vec<OutputDraft>>,
}

impl Carrier {
    /// A carrier for the run of a token; it keeps outputs in `folder`.
    pub fn new(url: &str, token: String, folder: PathBuf) -> Result<Self, JobError> {
        let http = http()?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { http, url, token, process: Uuid::new_v4(), folder, log: Log::default(), kept: Mutex::default() })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .header(PROCESS, self.process.to_string())
            .header(LOG_BASE, self.log.base())
    }

    /// Sends the log as it grows, until it is dropped; returns where nobody wants it.
    pub async fn send_log(&self) {
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        loop {
            let (offset, piece) = self.log.next(PIECE).await;
            match self.send_piece(offset, piece).await {
                Ok(()) => pauses = Pauses::up_to(LONGEST_PAUSE),
                Err(ReportError::Stale { .. }) => return self.log.abandon(),
                Err(error) => {
                    tracing::warn!(%error, "the log waits to be sent");
                    pauses.pause(None).await;
                }
            }
        }
    }

    async fn send_piece(&self, offset: u64, piece: Bytes) -> Result<(), ReportError> {
        let request = self.request(Method::POST, "/run/log").query(&[("offset", offset)]).body(piece);
        let answer = self.heard(request.send().await)?;
        let Received { received } = answer.json().await.map_err(|error| later(&chain(&error)))?;
        self.log.sent(received);
        Ok(())
    }

    /// Sends an output.
    async fn send_output(&self, draft: &OutputDraft) -> Result<(), ReportError> {
        let body = match &draft.body {
            OutputBody::Bytes(bytes) => Body::from(bytes.clone()),
            OutputBody::File(path) => {
                let file = tokio::fs::File::open(path).await.map_err(|error| later(&error.to_string()))?;
                Body::wrap_stream(tokio_util::io::ReaderStream::new(file))
            }
        };
        let request = self.request(Method::PUT, "/run/output").header(OUTPUT, head(draft).encode()).body(body);
        self.heard(request.send().await).map(drop)
    }

    /// An answer that is a yes.
    #[allow(clippy::unused_self, reason = "the answers of this carrier's server")]
    fn heard(&self, answer: reqwest::Result<Response>) -> Result<Response, ReportError> {
        let answer = answer.map_err(|error| later(&chain(&error.without_url())))?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            // A token that is good for nothing any more is one of a run that is over.
            StatusCode::GONE | StatusCode::UNAUTHORIZED => Err(ReportError::Stale { run: nobody() }),
            status => Err(later(&format!("the server answered {status}"))),
        }
    }

    /// Tells the end once; false where something has to be sent again.
    async fn tell(&self, end: &RunEnd) -> Result<bool, ReportError> {
        let drafts = self.kept().clone();
        let outputs: Vec<OutputPlace> = drafts.iter().map(|draft| head(draft).place()).collect();
        let request = self.request(Method::POST, "/run/end").json(&End::new(end.clone(), outputs, self.log.length()));
        match request.send().await {
            Ok(answer) if answer.status() == StatusCode::CONFLICT => {
                let Missing { missing, received } = answer.json().await.map_err(|error| later(&chain(&error)))?;
                self.log.sent(received);
                let missing: HashSet<OutputPlace> = missing.into_iter().collect();
                for draft in drafts.iter().filter(|draft| missing.contains(&head(draft).place())) {
                    self.send_output(draft).await?;
                }
                Ok(false)
            }
            answer => self.heard(answer).map(|_| true),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<OutputDraft>> {
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// An output that stays until the end counts: its file would be removed with whoever made it.
    fn keep(&self, draft: &OutputDraft) -> std::io::Result<OutputDraft> {
        let mut kept = draft.clone();
        if let OutputBody::File(path) = &draft.body {
            let own = self.folder.join(format!("kept-{}", Uuid::new_v4()));
            std::fs::rename(path, &own)?;
            kept.body = OutputBody::File(own);
        }
        self.kept().push(kept.clone());
        Ok(kept)
    }
}

fn head(draft: &OutputDraft) -> Head {
    Head {
        id: draft.id,
        kind: draft.kind,
        position: draft.position,
        title: draft.title.clone(),
        media_type: draft.media_type,
        size: draft.size,
        sha256: draft.sha256.clone(),
    }
}

/// A carrier has one run, and whoever reads its errors knows which.
fn nobody() -> RunId {
    RunId::from_uuid(Uuid::nil())
}

fn later(cause: &str) -> ReportError {
    ReportError::Unavailable { run: nobody(), cause: cause.to_owned() }
}

#[async_trait]
impl Orders for Carrier {
    async fn order(&self) -> Result<RunOrder, JobError> {
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        loop {
            let cause = match self.request(Method::GET, "/run/order").send().await {
                Ok(answer) if answer.status() == StatusCode::GONE => return Err(JobError::Gone),
                Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED => {
                    return Err(JobError::Stranger { url: self.url.clone() });
                }
                Ok(answer) if answer.status().is_success() => match answer.json::<Order>().await {
                    Ok(order) => {
                        self.log.begin(order.log_base);
                        return Ok(order.into());
                    }
                    Err(error) => chain(&error),
                },
                Ok(answer) => format!("the server answered {}", answer.status()),
                Err(error) => chain(&error),
            };
            tracing::warn!(cause, "the order can't be had yet");
            pauses.pause(None).await;
        }
    }
}

#[async_trait]
impl RunEvents for Carrier {
    async fn log(&self, _: &RunOrder, text: Bytes) {
        self.log.push(&text);
    }

    async fn output(&self, order: &RunOrder, draft: OutputDraft) -> Result<(), ReportError> {
        let same = |kept: &&OutputDraft| (kept.kind, kept.position) == (draft.kind, draft.position);
        let known = self.kept().iter().find(same).cloned();
        let kept = match known {
            Some(kept) => kept,
            None => self.keep(&draft).map_err(|error| later(&error.to_string()))?,
        };
        self.send_output(&kept).await.map_err(|error| of(error, order.run))
    }

    async fn ended(&self, order: &RunOrder, end: RunEnd) -> Result<(), ReportError> {
        loop {
            self.log.all_sent().await;
            match self.tell(&end).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => return Err(of(error, order.run)),
            }
        }
    }
}

fn of(error: ReportError, run: RunId) -> ReportError {
    match error {
        ReportError::Stale { .. } => ReportError::Stale { run },
        ReportError::Unavailable { cause, .. } => ReportError::Unavailable { run, cause },
    }
}
