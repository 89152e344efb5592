//! The side of a Job: it gets its order, and tells what becomes of it until the server has heard.
//!
//! [`Carrier`] is both: where an order comes from ([`Orders`]), and the receiver of the run's events. It keeps log,
//! outputs and end until they are acknowledged, so that a server that is restarted meanwhile gets them again.

pub(crate) mod log;
mod processor;

use std::{collections::HashSet, path::PathBuf, sync::Mutex, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    causes::chain,
    ids::RunId,
    ports::{ReportError, RunEvents},
    run::{OutputBody, OutputDraft, RunEnd, RunOrder, Task},
};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use thiserror::Error;
use tokio::{io::AsyncSeekExt, time::Instant};
use uuid::Uuid;

use self::{log::Log, processor::Processor};
use crate::{
    pace::Pauses,
    redis::{self, RedisAddress},
    wire::{End, Head, LOG_BASE, Missing, Next, OUTPUT, Order, OutputPlace, PROCESS, Received},
};

/// The variable with the address of the server.
pub const CALLBACK_URL: &str = "CSW_CALLBACK_URL";

/// The variable with the address of the outputs processor, where there is one.
pub const OUTPUTS_URL: &str = "CSW_OUTPUTS_URL";

/// The variable that is there where a Job whose run is over asks for another one.
pub const LINGER: &str = "CSW_LINGER";

/// The variable with the run's token.
pub const RUN_TOKEN: &str = "CSW_RUN_TOKEN";

/// The variable with the folder of the version's environment, which images set themselves.
pub const ENVIRONMENT: &str = "CSW_ENVIRONMENT";

/// The variable with the folder of the version's code.
pub const CODE: &str = "CSW_CODE";

/// What is tried again waits at most so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Whoever can't be asked for another run for so long has none.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// Another run for a Job whose own is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextRun {
    /// Which.
    pub run: RunId,
    /// What is asked of the model.
    pub task: Task,
    /// What it is known by.
    pub token: String,
}

/// Asks the server that made the Job for another run of its version, with the Job's own token; `None` where there is none.
pub async fn next_run(url: &str, token: &str) -> Result<Option<NextRun>, JobError> {
    let (http, url) = (http()?, format!("{}/run/next", url.trim_end_matches('/')));
    let mut pauses = Pauses::up_to(LONGEST_PAUSE);
    let mut since = Instant::now();
    loop {
        match http.get(&url).bearer_auth(token).send().await {
            Ok(answer) if answer.status() == StatusCode::ACCEPTED => {
                since = Instant::now();
                pauses = Pauses::up_to(LONGEST_PAUSE);
                continue;
            }
            Ok(answer) if answer.status() == StatusCode::OK => {
                if let Ok(Next { run, task, token }) = answer.json().await {
                    return Ok(Some(NextRun { run, task, token }));
                }
            }
            Ok(answer) if answer.status().is_success() || answer.status().is_client_error() => return Ok(None),
            Ok(_) | Err(_) => {}
        }
        if since.elapsed() > PATIENCE {
            return Ok(None);
        }
        pauses.pause(None).await;
    }
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
    /// Where the arguments may be.
    redis: Option<RedisAddress>,
    /// Where outputs and the end go, instead of the server.
    processor: Option<Processor>,
    /// Whether this process would take another run.
    lingers: bool,
}

impl Carrier {
    /// A carrier for the run of a token; it keeps outputs in `folder`.
    pub fn new(url: &str, token: String, folder: PathBuf) -> Result<Self, JobError> {
        let http = http()?;
        let url = url.trim_end_matches('/').to_owned();
        let process = Uuid::new_v4();
        let (log, kept) = (Log::default(), Mutex::default());
        Ok(Self { http, url, token, process, folder, log, kept, redis: None, processor: None, lingers: false })
    }

    /// The same, which looks for the arguments in a Redis first.
    #[must_use]
    pub fn with_redis(mut self, redis: Option<RedisAddress>) -> Self {
        self.redis = redis;
        self
    }

    /// The same, whose outputs and end go to an outputs processor.
    #[must_use]
    pub fn with_processor(mut self, url: Option<&str>) -> Self {
        self.processor = url.map(Processor::new);
        self
    }

    /// The same, whose process would take another run.
    #[must_use]
    pub fn lingering(mut self, lingers: bool) -> Self {
        self.lingers = lingers;
        self
    }

    /// The arguments, where they are not with the server.
    async fn arguments(&self) -> Option<Value> {
        let found = redis::fetch(self.redis.as_ref()?, &self.token).await;
        found.inspect_err(|cause| tracing::info!(cause, "the server is asked for the arguments")).ok()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_at(&self.url, method, path)
    }

    fn request_at(&self, url: &str, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{url}{path}"))
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
        if let Some(processor) = &self.processor
            && processor.store(self, draft).await?
        {
            return Ok(());
        }
        let body = body_from(draft, 0).await?;
        let request = self.request(Method::PUT, "/run/output").header(OUTPUT, Head::of(draft).encode()).body(body);
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
        let outputs: Vec<OutputPlace> = drafts.iter().map(|draft| Head::of(draft).place()).collect();
        let mut end = End::new(end.clone(), outputs, self.log.length());
        end.lingers = self.lingers;
        let request = match &self.processor {
            Some(processor) => {
                end.stored = processor.stored();
                self.request_at(&processor.url, Method::POST, "/push/")
            }
            None => self.request(Method::POST, "/run/end"),
        };
        match request.json(&end).send().await {
            Ok(answer) if answer.status() == StatusCode::CONFLICT => {
                let Missing { missing, received } = answer.json().await.map_err(|error| later(&chain(&error)))?;
                self.log.sent(received);
                let missing: HashSet<OutputPlace> = missing.into_iter().collect();
                for draft in drafts.iter().filter(|draft| missing.contains(&Head::of(draft).place())) {
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

impl Drop for Carrier {
    fn drop(&mut self) {
        for draft in self.kept().drain(..) {
            if let OutputBody::File(path) = draft.body {
                // The whole folder may be gone by now.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// The bytes of an output from an offset.
async fn body_from(draft: &OutputDraft, offset: u64) -> Result<Body, ReportError> {
    let failed = |error: std::io::Error| later(&error.to_string());
    match &draft.body {
        OutputBody::Bytes(bytes) => {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            Ok(Body::from(bytes.slice(offset..)))
        }
        OutputBody::File(path) => {
            let mut file = tokio::fs::File::open(path).await.map_err(failed)?;
            file.seek(std::io::SeekFrom::Start(offset)).await.map_err(failed)?;
            Ok(Body::wrap_stream(tokio_util::io::ReaderStream::new(file)))
        }
        OutputBody::Stored => Err(later("its bytes are not here")),
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
        let arguments = self.arguments().await;
        let path = if arguments.is_some() { "/run/order?without=arguments" } else { "/run/order" };
        loop {
            let cause = match self.request(Method::GET, path).send().await {
                Ok(answer) if answer.status() == StatusCode::GONE => return Err(JobError::Gone),
                Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED => {
                    return Err(JobError::Stranger { url: self.url.clone() });
                }
                Ok(answer) if answer.status().is_success() => match answer.json::<Order>().await {
                    Ok(order) => {
                        self.log.begin(order.log_base);
                        let order = RunOrder::from(order);
                        return Ok(match arguments {
                            Some(arguments) => RunOrder { arguments, ..order },
                            None => order,
                        });
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
