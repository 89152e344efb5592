//! The side of the pod: it asks what is wanted, carries it out by a publisher of its own, and keeps what it has to tell
//! until the server has it.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use csw_core::{
    build::{Source, Stage},
    ports::{BuildError, BuildOptions, Built, Checkout, ELSEWHERE, Publisher},
    secret::SecretValue,
};
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

pub use super::line::Line;
use super::wire::{Answer, Command, Progress};
use crate::{job::JobError, pace::Pauses};

/// What is tried again waits at most so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Carries out what the server at the other end of the line wants, until nothing more is wanted.
pub async fn serve(line: Arc<Line>, publisher: Arc<dyn Publisher>, folder: PathBuf) -> Result<(), JobError> {
    let (state, changes) = (Mutex::default(), watch::Sender::new(0));
    let work = Arc::new(Work { line: Arc::clone(&line), publisher, folder, state, changes });
    tokio::select! {
        served = Arc::clone(&work).take_commands() => served,
        () = work.until(|state| state.finished.then_some(())) => Ok(()),
        () = line.send_log() => Err(JobError::Gone),
    }
}

/// What this process has done so far.
struct Work {
    line: Arc<Line>,
    publisher: Arc<dyn Publisher>,
    folder: PathBuf,
    state: Mutex<State>,
    /// Counts what was found out.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// Keys of commands.
    known: Vec<String>,
    answers: HashMap<String, Answer>,
    /// Keys of answers that are on their way.
    telling: HashSet<String>,
    /// The source, or why there is none.
    fetched: Option<Result<Checkout, (Stage, String)>>,
    /// What was built, by digests.
    built: HashMap<String, Built>,
    /// Builds that are being carried out, or wait for it.
    building: usize,
    /// Nothing more is wanted.
    finished: bool,
}

impl Work {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
    }

    /// Waits until something can be found.
    async fn until<T>(&self, find: impl Fn(&State) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let found = find(&self.lock());
            if let Some(found) = found {
                return found;
            }
            // The sender lives as long as this.
            let _ = changes.changed().await;
        }
    }

    fn progress(&self) -> Progress {
        let state = self.lock();
        let answered = state.answers.keys().filter(|key| !state.telling.contains(*key)).cloned().collect();
        Progress { known: state.known.clone(), answered }
    }

    /// Takes what is wanted, as long as the build is ours.
    async fn take_commands(self: Arc<Self>) -> Result<(), JobError> {
        let mut tasks = JoinSet::new();
        loop {
            let next = self.line.next(&self.progress()).await?;
            for command in next.commands {
                self.change(|state| {
                    state.known.push(command.key());
                    state.building += usize::from(matches!(command, Command::Build { .. }));
                });
                tasks.spawn(Arc::clone(&self).carry_out(command));
            }
            for key in next.untold {
                self.change(|state| {
                    state.telling.insert(key.clone());
                });
                tasks.spawn(Arc::clone(&self).tell(key));
            }
            while tasks.try_join_next().is_some() {}
        }
    }

    async fn carry_out(self: Arc<Self>, command: Command) {
        let failed = |BuildError { stage, sentence }| Answer::Failed { stage, sentence };
        let answer = self.perform(&command).await.unwrap_or_else(failed);
        let key = command.key();
        self.change(|state| {
            state.building -= usize::from(matches!(command, Command::Build { .. }));
            state.telling.insert(key.clone());
            state.answers.insert(key.clone(), answer);
        });
        Arc::clone(&self).tell(key).await;
        if matches!(command, Command::Discard) {
            self.change(|state| state.finished = true);
        }
    }

    /// Tells an answer that is here until it counts, or nobody wants it.
    async fn tell(self: Arc<Self>, key: String) {
        let answer = self.lock().answers.get(&key).cloned();
        if let Some(answer) = answer
            && let Err(error) = self.line.tell(&key, &answer).await
        {
            tracing::warn!(%error, "an answer is not wanted");
        }
        self.change(|state| {
            state.telling.remove(&key);
        });
    }

    async fn perform(&self, command: &Command) -> Result<Answer, BuildError> {
        let (publisher, log) = (&self.publisher, &*self.line);
        match command {
            Command::Fetch { source, archive } => self.fetch(source, *archive).await,
            Command::Build { model, as_of, limits } => {
                let options = BuildOptions { as_of: *as_of, limits: *limits, ..BuildOptions::default() };
                let built = publisher.build(model, &self.checkout().await?, &options, log).await?;
                self.change(|state| {
                    state.built.insert(built.digest.clone(), built.clone());
                });
                let Built { artifact, digest, facts } = built;
                Ok(Answer::Built { artifact, digest, facts })
            }
            Command::Test { model, built, limits, secrets } => {
                let (checkout, built) = self.built(built, Stage::Test).await?;
                let secrets =
                    secrets.iter().map(|(name, value)| (name.clone(), SecretValue::from(value.clone()))).collect();
                let options = BuildOptions { limits: *limits, ..BuildOptions::default() };
                publisher.test(model, &checkout, &built, &options, &secrets, log).await.map(Answer::Tested)
            }
            Command::Deliver { model, built, elsewhere } => {
                let (checkout, mut built) = self.built(built, Stage::Push).await?;
                if let Some(facts) = built.facts.as_object_mut() {
                    facts.insert(ELSEWHERE.to_owned(), json!(elsewhere));
                }
                publisher.deliver(model, &checkout, &built, log).await.map(|()| Answer::Done)
            }
            Command::Keep { model, built } => {
                let (checkout, built) = self.built(built, Stage::Push).await?;
                publisher.keep(model, &checkout, &built, log).await.map(|()| Answer::Done)
            }
            Command::Assets { built } => {
                let (checkout, built) = self.built(built, Stage::Push).await?;
                let found = publisher.assets(&checkout, &built).await?;
                Ok(Answer::Assets(found.into_iter().map(|(key, bytes)| (key, hex::encode(bytes))).collect()))
            }
            Command::Discard => {
                if let Ok(checkout) = self.checkout().await {
                    publisher.discard(checkout).await;
                }
                Ok(Answer::Done)
            }
        }
    }

    async fn fetch(&self, source: &Source, archive: bool) -> Result<Answer, BuildError> {
        let fetched = match self.here(source, archive).await {
            Ok(source) => self.publisher.fetch(&source, &BuildOptions::default(), &*self.line).await,
            Err(error) => Err(error),
        };
        let kept = fetched.as_ref().map(Clone::clone).map_err(|error| (error.stage, error.sentence.clone()));
        self.change(|state| state.fetched = Some(kept));
        let Checkout { commit, committed_at, url, described, .. } = fetched?;
        Ok(Answer::Fetched { commit, committed_at, url, described })
    }

    /// Source as a publisher on this machine gets it.
    async fn here(&self, source: &Source, archive: bool) -> Result<Source, BuildError> {
        let Source::Archive { file, commit, committed_at, url } = source else { return Ok(source.clone()) };
        if !archive {
            return Ok(source.clone());
        }
        let file = self.folder.join(file);
        let mut pauses = Pauses::up_to(LONGEST_PAUSE);
        while let Err(cause) = self.line.download(&file).await {
            tracing::warn!(cause, "the source can't be had yet");
            pauses.pause(None).await;
        }
        Ok(Source::Archive { file, commit: commit.clone(), committed_at: *committed_at, url: url.clone() })
    }

    /// The source, once it is here.
    async fn checkout(&self) -> Result<Checkout, BuildError> {
        let fetched = self.until(|state| state.fetched.clone()).await;
        fetched.map_err(|(stage, sentence)| BuildError { stage, sentence })
    }

    /// What was built with this digest, once it is here.
    async fn built(&self, digest: &str, stage: Stage) -> Result<(Checkout, Built), BuildError> {
        let found = self.until(|state| match state.built.get(digest) {
            None if state.building > 0 => None,
            found => Some(found.cloned()),
        });
        let missing = || BuildError {
            stage,
            sentence: "The pod of this build was replaced, and what it built again is different: publish again."
                .to_owned(),
        };
        let built = found.await.ok_or_else(missing)?;
        Ok((self.checkout().await?, built))
    }
}
