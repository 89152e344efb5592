//! The publisher of a server whose builds are Jobs.

use std::{fs::File, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    build::{Source, Stage},
    ids::BuildId,
    look::Found,
    names::ModelName,
    ports::{BuildError, BuildLog, BuildOptions, Built, Checkout, Publisher, TestReport},
    secret::Secrets,
};
use kube::Client;
use tokio_util::sync::CancellationToken;

use super::{
    BuildsConfig,
    follow::follow,
    memory::Memory,
    session::Session,
    sessions::Sessions,
    wire::{Answer, Command},
};
use crate::{
    cluster::{Cluster, Refused},
    pace::Pauses,
    standing,
    token::RunKey,
};

/// Jobs of a former process that nobody has asked for after so long are nobody's.
const ADOPTION: Duration = Duration::from_mins(1);

/// A Job whose build is over may take so long to finish by itself.
const LINGER: Duration = Duration::from_secs(30);

/// What is tried again waits at most so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Has the stages of builds carried out in Jobs.
pub struct JobPublisher {
    inner: Arc<Inner>,
    /// What needs no Job is done here.
    here: Arc<dyn Publisher>,
}

pub(super) struct Inner {
    pub(super) config: BuildsConfig,
    pub(super) cluster: Cluster,
    pub(super) key: RunKey,
    pub(super) sessions: Arc<Sessions>,
    memory: Memory,
    closing: CancellationToken,
}

impl JobPublisher {
    /// Begins to watch the namespace; `here` looks at repositories, and gets source that only this server has.
    pub fn new(client: Client, config: BuildsConfig, key: RunKey, here: Arc<dyn Publisher>) -> Self {
        let closing = CancellationToken::new();
        let sessions = Sessions::watch(&client, &config.jobs, &closing);
        let cluster = Cluster::new(client, &config.jobs);
        let memory = Memory::of(config.memory.clone());
        let inner = Arc::new(Inner { config, cluster, key, sessions, memory, closing });
        let tending = Arc::clone(&inner);
        tokio::spawn(inner.closing.clone().run_until_cancelled_owned(async move {
            tokio::time::sleep(ADOPTION).await;
            for name in tending.sessions.orphans().await {
                tracing::info!(job = name, "the Job of a build that nobody waits for is deleted");
                tending.delete(&name).await;
            }
        }));
        Self { inner, here }
    }

    /// What the processes of builds call.
    pub fn callbacks(&self) -> axum::Router {
        super::callbacks::router(Arc::clone(&self.inner))
    }

    fn session(&self, checkout: &Checkout, stage: Stage) -> Result<Arc<Session>, BuildError> {
        let session = checkout.build.and_then(|build| self.inner.sessions.of(build));
        session.ok_or_else(|| failed(stage, "The build is over already: publish again.".to_owned()))
    }

    /// Source as the process of a build gets it: what only this server has waits here in a tar.
    async fn portable(&self, source: &Source, session: &Session) -> Result<Command, BuildError> {
        let (file, commit, committed_at, url) = match source {
            Source::Git { url, .. } if !is_local(url) => {
                return Ok(Command::Fetch { source: source.clone(), archive: false });
            }
            Source::Archive { file, commit, committed_at, url } => {
                let copy = self.inner.source_of(session.build);
                tokio::fs::copy(file, &copy).await.map_err(|error| lost_source(&error))?;
                (copy, commit.clone(), *committed_at, url.clone())
            }
            Source::Git { .. } | Source::Own { .. } | Source::Folder(_) => {
                let checkout = self.here.fetch(source, &BuildOptions::default(), &Silence).await?;
                let (file, folder) = (self.inner.source_of(session.build), checkout.folder.clone());
                let to = file.clone();
                let packed = tokio::task::spawn_blocking(move || pack(&folder, &to)).await;
                let (commit, committed_at, url) =
                    (checkout.commit.clone(), checkout.committed_at, checkout.url.clone());
                self.here.discard(checkout).await;
                packed
                    .unwrap_or_else(|error| Err(std::io::Error::other(error)))
                    .map_err(|error| lost_source(&error))?;
                (file, commit, committed_at, url)
            }
        };
        session.keep_source(file);
        // The process has its own place for it.
        let source = Source::Archive { file: Path::new("source.tar").to_owned(), commit, committed_at, url };
        Ok(Command::Fetch { source, archive: true })
    }
}

impl Drop for JobPublisher {
    fn drop(&mut self) {
        self.inner.closing.cancel();
    }
}

impl Inner {
    fn source_of(&self, build: BuildId) -> std::path::PathBuf {
        self.config.folder.join(format!("{build}.tar"))
    }

    /// Deletes a Job, however often the server has to be asked.
    pub(super) async fn delete(&self, name: &str) {
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        loop {
            match self.cluster.delete_job(name).await {
                Ok(()) | Err(Refused::Missing) => return,
                Err(error) => {
                    tracing::warn!(job = name, ?error, "the Job of a build waits to be deleted");
                    pauses.pause(None).await;
                }
            }
        }
    }

    /// Sees that nothing is left of a build that is over. A Job that finishes by itself stays as long as the operator wants.
    async fn clean_up(self: Arc<Self>, session: Arc<Session>) {
        if let Some(file) = session.end()
            && let Err(error) = tokio::fs::remove_file(&file).await
        {
            tracing::warn!(file = %file.display(), %error, "the source of a build could not be removed");
        }
        let linger = if session.was_asked(&Command::Discard) { LINGER } else { Duration::ZERO };
        let mut seen = session.seen.subscribe();
        let left = seen.wait_for(|seen| seen.gone || seen.job.as_ref().is_some_and(|job| standing::is_settled(job)));
        if !matches!(tokio::time::timeout(linger, left).await, Ok(Ok(_))) {
            self.delete(&session.job()).await;
        }
    }
}

/// Asks the process of a build, and writes its log until it has answered.
async fn ask(
    session: &Session,
    command: Command,
    stage: Stage,
    log: Option<&dyn BuildLog>,
) -> Result<Answer, BuildError> {
    let mut changes = session.changes();
    let key = session.ask(command);
    loop {
        changes.mark_unchanged();
        let (answer, trouble) = (session.answer_to(&key), session.trouble());
        if let Some(log) = log
            && let text = session.take_log()
            && !text.is_empty()
        {
            log.write(&text);
        }
        match (answer, trouble) {
            (Some(Answer::Failed { stage, sentence }), _) => return Err(failed(stage, sentence)),
            (Some(answer), _) => return Ok(answer),
            (None, Some(sentence)) => {
                let sentence = format!(
                    "The build could not be carried out in the cluster: {sentence}. Publish again when that is mended."
                );
                return Err(failed(stage, sentence));
            }
            (None, None) => {}
        }
        // The session lives as long as this.
        let _ = changes.changed().await;
    }
}

fn failed(stage: Stage, sentence: String) -> BuildError {
    BuildError { stage, sentence }
}

fn lost_source(error: &std::io::Error) -> BuildError {
    let sentence =
        format!("The source can't be kept for the build's Job: {error}. Check the free space, and publish again.");
    failed(Stage::Fetch, sentence)
}

fn strange(stage: Stage) -> BuildError {
    let sentence = "The build's process answered something else than was asked: is its image of this release? Set \
                    kubernetes.image to that of the server.";
    failed(stage, sentence.to_owned())
}

/// Whether a repository is on the disk of this server.
fn is_local(url: &str) -> bool {
    url.starts_with("file://") || url.starts_with('/') || url.starts_with('.')
}

/// Packs a folder of plain files.
fn pack(folder: &Path, to: &Path) -> std::io::Result<()> {
    let mut tar = tar::Builder::new(File::create(to)?);
    tar.follow_symlinks(false);
    tar.append_dir_all(".", folder)?;
    tar.into_inner()?.sync_all()
}

/// A log that nobody reads: the process of the build tells the same.
struct Silence;

impl BuildLog for Silence {
    fn write(&self, _: &str) {}
}

#[async_trait]
impl Publisher for JobPublisher {
    async fn fetch(&self, source: &Source, options: &BuildOptions, log: &dyn BuildLog) -> Result<Checkout, BuildError> {
        let task = options.build.as_ref().ok_or_else(|| strange(Stage::Fetch))?;
        let (session, is_new) = self.inner.sessions.begin(task.id, &task.model, options.limits).await;
        let command = self.portable(source, &session).await?;
        if is_new {
            if session.seen.borrow().job.is_some() {
                log.write("[The build went on in its Job meanwhile. Its log, from the beginning:]\n");
            }
            let following = follow(Arc::clone(&self.inner), Arc::clone(&session));
            tokio::spawn(self.inner.closing.clone().run_until_cancelled_owned(following));
        }
        match ask(&session, command, Stage::Fetch, Some(log)).await? {
            Answer::Fetched { commit, committed_at, url, described } => Ok(Checkout {
                // There is nothing of it here.
                folder: std::path::PathBuf::new(),
                commit,
                committed_at,
                url,
                described,
                build: Some(task.id),
            }),
            _ => Err(strange(Stage::Fetch)),
        }
    }

    async fn look(&self, source: &Source, log: &dyn BuildLog) -> Result<Found, BuildError> {
        self.here.look(source, log).await
    }

    async fn build(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        options: &BuildOptions,
        log: &dyn BuildLog,
    ) -> Result<Built, BuildError> {
        let session = self.session(checkout, Stage::Build)?;
        let command = Command::Build { model: model.clone(), as_of: options.as_of, limits: options.limits };
        match ask(&session, command, Stage::Build, Some(log)).await? {
            Answer::Built { artifact, digest, facts } => Ok(Built { artifact, digest, facts }),
            _ => Err(strange(Stage::Build)),
        }
    }

    async fn test(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        built: &Built,
        options: &BuildOptions,
        secrets: &Secrets,
        log: &dyn BuildLog,
    ) -> Result<TestReport, BuildError> {
        let session = self.session(checkout, Stage::Test)?;
        let secrets = secrets.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        let (model, limits) = (model.clone(), options.limits);
        let command = Command::Test { model, built: built.digest.clone(), limits, secrets };
        match ask(&session, command, Stage::Test, Some(log)).await? {
            Answer::Tested(report) => Ok(report),
            _ => Err(strange(Stage::Test)),
        }
    }

    async fn deliver(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        built: &Built,
        log: &dyn BuildLog,
    ) -> Result<(), BuildError> {
        let session = self.session(checkout, Stage::Push)?;
        let (model, elsewhere) = (model.clone(), self.inner.memory.places(built));
        let command = Command::Deliver { model, built: built.digest.clone(), elsewhere };
        ask(&session, command, Stage::Push, Some(log)).await?;
        self.inner.memory.remember(built);
        Ok(())
    }

    async fn keep(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        built: &Built,
        log: &dyn BuildLog,
    ) -> Result<(), BuildError> {
        let session = self.session(checkout, Stage::Push)?;
        let command = Command::Keep { model: model.clone(), built: built.digest.clone() };
        ask(&session, command, Stage::Push, Some(log)).await.map(drop)
    }

    async fn assets(&self, checkout: &Checkout, built: &Built) -> Result<Vec<(String, Bytes)>, BuildError> {
        let session = self.session(checkout, Stage::Push)?;
        let command = Command::Assets { built: built.digest.clone() };
        let Answer::Assets(found) = ask(&session, command, Stage::Push, None).await? else {
            return Err(strange(Stage::Push));
        };
        let decoded = found.into_iter().map(|(key, digits)| Ok((key, Bytes::from(hex::decode(digits)?))));
        decoded.collect::<Result<_, hex::FromHexError>>().map_err(|_| strange(Stage::Push))
    }

    async fn discard(&self, checkout: Checkout) {
        if let Ok(session) = self.session(&checkout, Stage::Stage) {
            // Nothing waits for it: its Job finishes by itself, or is deleted with the build.
            session.ask(Command::Discard);
        }
    }

    async fn release(&self, build: BuildId) {
        if let Some(session) = self.inner.sessions.forget(build) {
            let cleaning = Arc::clone(&self.inner).clean_up(session);
            tokio::spawn(self.inner.closing.clone().run_until_cancelled_owned(cleaning));
        }
    }
}
