//! The publishing pipeline: fetch, build, test, push, stage, promote. A failure in any stage leaves the live version
//! live, and says which stage failed, why, and what to do.

use std::sync::Arc;

use bytes::Bytes;
use csw_core::{
    access::Caller,
    ids::{BuildId, VersionId},
    masking::{Masker, Masks},
    model::{Build, BuildState, CachedSchema, Model, Stage, Version, VersionState},
    page::{Page, PageRequest},
    ports::{BuildError, BuildLog, BuildOptions, Built, Checkout, Mail, Source},
    run::LogOf,
    secret::Secrets,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    App,
    access_rules::{active, writer},
    conformance::{CheckReport, Conformance, Subject, both, merge, second_attempt},
    error::{AppError, AppResult},
    models::ModelView,
    new_id,
    patience::Patience,
    schemas::{limits_of, sharing_of},
};

/// How to publish.
#[derive(Debug, Clone)]
pub struct PublishOptions {
    /// How to build.
    pub build: BuildOptions,
    /// Whether a model that has no simulation yet gets one of its default inputs, as an example.
    pub example: bool,
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self { build: BuildOptions::default(), example: true }
    }
}

/// Facts of a version: the conditions of its tests, and whether it takes its own default inputs.
const TESTED_WITH: &str = "tested_with";
const TAKES_DEFAULTS: &str = "takes_defaults";

/// What came of the tests of a build.
enum Tested {
    /// It is a version that passed them before.
    Before(Box<Version>),
    Now(Box<TestedNow>),
}

struct TestedNow {
    version: VersionId,
    built: Built,
    report: CheckReport,
}

/// What decides what the tests of a model find: some of its settings, and the state of its secrets, of which nothing
/// else is told.
fn conditions(job: &Job) -> Value {
    let (model, limits) = (&job.model, limits_of(&job.model));
    json!({
        "cpus": limits.cpus,
        "memory_bytes": limits.memory_bytes,
        "deadline_seconds": limits.deadline_seconds,
        "network": model.settings.network,
        "warm_up": model.settings.warm_up,
        "secrets": job.mark,
    })
}

/// A build's log, on its way to the database through a channel, without the model's secrets.
struct ChannelLog {
    sender: mpsc::UnboundedSender<String>,
    masks: Arc<Masks>,
    masker: std::sync::Mutex<Masker>,
}

impl ChannelLog {
    fn new(sender: mpsc::UnboundedSender<String>, secrets: &Secrets) -> Self {
        let masks = Arc::new(Masks::of(secrets.values()));
        Self { sender, masker: std::sync::Mutex::new(masks.stream()), masks }
    }

    fn masker(&self) -> std::sync::MutexGuard<'_, Masker> {
        self.masker.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn send(&self, text: &[u8]) {
        if !text.is_empty() {
            // The writer ends with the build; what comes later is of no interest.
            let _ = self.sender.send(String::from_utf8_lossy(text).into_owned());
        }
    }
}

impl BuildLog for ChannelLog {
    fn write(&self, text: &str) {
        let text = self.masker().push(text.as_bytes());
        self.send(&text);
    }
}

impl Drop for ChannelLog {
    fn drop(&mut self) {
        let rest = self.masker().finish();
        self.send(&rest);
    }
}

/// Something that is built, and what its tests get.
struct Job {
    model: Model,
    secrets: Secrets,
    /// Tells one state of the secrets from another.
    mark: Option<String>,
}

impl App {
    /// Begins a build of a model and returns at once; a build of the same model that is at work is cancelled, for the
    /// newest wins. The version it makes becomes live.
    pub async fn publish(
        &self,
        caller: &Caller,
        view: &ModelView,
        source: Source,
        options: PublishOptions,
    ) -> AppResult<Build> {
        let requested_by = writer(caller, view.role)?;
        let first = view.model.live_version.is_none();
        if first && self.inner.config.approval_required && !caller.is_maintainer() {
            return Err(AppError::forbidden("A maintainer of this site has to publish the first version of a model."));
        }
        self.inner.submission_limit.check(&requested_by)?;
        let (older, others): (Vec<_>, Vec<_>) =
            self.store().running_builds().await?.into_iter().partition(|build| build.model == view.model.id);
        let limit = self.inner.config.builds_per_account;
        if others.iter().filter(|build| build.requested_by == requested_by).count() >= limit {
            return Err(AppError::TooMany {
                sentence: format!("You have {limit} builds at work, which is the most; wait for one or cancel it."),
                retry_after_seconds: 30,
            });
        }
        for build in older {
            self.cancel_token(build.id);
        }
        let build = Build {
            id: new_id!(self, BuildId),
            model: view.model.id,
            requested_by,
            source: describe(&source),
            stage: Stage::Fetch,
            state: BuildState::Running,
            message: None,
            version: None,
            created_at: self.now(),
            finished_at: None,
        };
        self.store().insert_build(&build).await?;
        let stop = CancellationToken::new();
        self.build_tokens().insert(build.id, stop.clone());
        let (app, model, started) = (self.clone(), view.model.clone(), build.clone());
        tokio::spawn(async move { app.carry_out(started, model, source, options, stop).await });
        Ok(build)
    }

    fn build_tokens(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<BuildId, CancellationToken>> {
        self.inner.builds.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn cancel_token(&self, build: BuildId) {
        if let Some(stop) = self.build_tokens().get(&build) {
            stop.cancel();
        }
    }

    pub(crate) fn stop_builds(&self) {
        for stop in self.build_tokens().values() {
            stop.cancel();
        }
    }

    /// Stops a build; says whether it was at work.
    pub async fn cancel_build(&self, caller: &Caller, view: &ModelView, id: BuildId) -> AppResult<bool> {
        writer(caller, view.role)?;
        let build = self.build(view, id).await?;
        self.cancel_token(id);
        Ok(build.state == BuildState::Running)
    }

    /// A build of this model.
    pub async fn build(&self, view: &ModelView, id: BuildId) -> AppResult<Build> {
        let build = self.store().build(id).await?.filter(|build| build.model == view.model.id);
        match build {
            Some(build) if view.may_write() => Ok(build),
            _ => Err(AppError::missing("the build")),
        }
    }

    /// The builds of a model, newest first, for its writers.
    pub async fn builds(&self, caller: &Caller, view: &ModelView, page: PageRequest) -> AppResult<Page<Build>> {
        writer(caller, view.role)?;
        Ok(self.store().builds(view.model.id, page).await?)
    }

    /// Text of a build's log from `offset`, and the length of the whole.
    pub async fn build_log(&self, view: &ModelView, id: BuildId, offset: u64, limit: u64) -> AppResult<(Bytes, u64)> {
        let build = self.build(view, id).await?;
        let log = LogOf::Build(build.id);
        Ok((self.store().read_log(log, offset, limit).await?, self.store().log_length(log).await?))
    }

    /// Makes a version live: a pointer moves, nothing is built. Simulations keep their versions.
    pub async fn promote(&self, caller: &Caller, view: &ModelView, version: VersionId) -> AppResult<Model> {
        writer(caller, view.role)?;
        if self.inner.config.approval_required && !caller.is_maintainer() {
            return Err(AppError::forbidden("On this site a maintainer promotes versions."));
        }
        let found = self.version_by_id(version).await?;
        if found.model != view.model.id {
            return Err(AppError::missing("the version"));
        }
        Ok(self.store().promote(view.model.id, version).await?)
    }

    async fn carry_out(
        self,
        mut build: Build,
        model: Model,
        source: Source,
        options: PublishOptions,
        stop: CancellationToken,
    ) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let writer = tokio::spawn(self.clone().write_log(build.id, receiver));
        let job = self.job(&model).await;
        let log = ChannelLog::new(sender, job.as_ref().map_or(&Secrets::new(), |job| &job.secrets));
        let outcome = tokio::select! {
            outcome = self.stages(&mut build, &job, &source, &options.build, &log) => Some(outcome),
            () = stop.cancelled() => None,
        };
        build.finished_at = Some(self.now());
        match outcome {
            Some(Ok((version, takes_defaults))) => {
                if options.example {
                    self.exemplify(&build, takes_defaults, &log).await;
                }
                build.state = BuildState::Succeeded;
                build.version = Some(version.id);
                build.message = Some(format!("Version {} is live.", version.reported));
            }
            Some(Err(error)) => {
                build.state = BuildState::Failed;
                build.stage = error.stage;
                build.message = Some(log.masks.text(&error.sentence));
            }
            None => {
                build.state = BuildState::Cancelled;
                build.message = Some("Cancelled: a newer build or somebody asked for it.".to_owned());
            }
        }
        if let Some(message) = &build.message {
            log.write(&format!("{}: {message}\n", build.state.as_str()));
        }
        drop(log);
        if writer.await.is_err() {
            tracing::warn!(build = %build.id, "the log of a build is not complete");
        }
        self.end_build(&build, &model).await;
        // Until its end is stored it is no orphan.
        self.build_tokens().remove(&build.id);
    }

    async fn job(&self, model: &Model) -> AppResult<Job> {
        let mark = self.mark_of_secrets(model).await?;
        Ok(Job { model: model.clone(), secrets: self.secrets_of(model).await?, mark })
    }

    async fn end_build(&self, build: &Build, model: &Model) {
        let mut patience = Patience::new();
        while let Err(error) = self.store().update_build(build).await {
            tracing::warn!(build = %build.id, %error, "the end of a build waits to be stored");
            patience.pause().await;
        }
        if let Some(to) = self.address_of(build.requested_by).await {
            let message = build.message.clone().unwrap_or_default();
            self.mail(Mail {
                to,
                subject: format!("Build of {} {}", model.name(), build.state.as_str()),
                body: format!("{message}\n\n{}/{}/\n", self.inner.config.public_url, model.name()),
            });
        }
    }

    async fn write_log(self, build: BuildId, mut lines: mpsc::UnboundedReceiver<String>) {
        let mut offset = 0_u64;
        while let Some(mut text) = lines.recv().await {
            while let Ok(more) = lines.try_recv() {
                text.push_str(&more);
            }
            let bytes = Bytes::from(text);
            let mut patience = Patience::new();
            while let Err(error) = self.store().append_log(LogOf::Build(build), offset, bytes.clone(), self.now()).await
            {
                tracing::warn!(%build, %error, "the log of a build waits to be stored");
                patience.pause().await;
            }
            offset += bytes.len() as u64;
        }
    }

    async fn stages(
        &self,
        build: &mut Build,
        job: &AppResult<Job>,
        source: &Source,
        options: &BuildOptions,
        log: &ChannelLog,
    ) -> Result<(Version, bool), BuildError> {
        let publisher = &self.inner.ports.publisher;
        self.enter(build, Stage::Fetch, log).await?;
        let job = job.as_ref().map_err(|error| stopped(Stage::Fetch, error))?;
        let checkout = publisher.fetch(source, log).await?;
        let attempt = match self.build_and_test(build, job, &checkout, options, log).await {
            Err(error) => match second_attempt(&error, &checkout, options, log) {
                Some(then) => {
                    let again = self.build_and_test(build, job, &checkout, &then, log).await;
                    again.map_err(|again| both(error, &again, &then))
                }
                None => Err(error),
            },
            done => done,
        };
        let commit = checkout.commit.clone();
        publisher.discard(checkout).await;
        let (version, takes_defaults) = match attempt? {
            Tested::Before(version) => {
                let takes_defaults = version.facts.get(TAKES_DEFAULTS) != Some(&json!(false));
                (*version, takes_defaults)
            }
            Tested::Now(tested) => {
                let takes_defaults = tested.report.takes_defaults;
                (self.push_and_stage(build, job, commit, *tested, log).await?, takes_defaults)
            }
        };
        self.enter(build, Stage::Promote, log).await?;
        self.store()
            .promote(job.model.id, version.id)
            .await
            .map_err(|error| stopped(Stage::Promote, &AppError::from(error)))?;
        Ok((version, takes_defaults))
    }

    async fn push_and_stage(
        &self,
        build: &mut Build,
        job: &Job,
        commit: String,
        tested: TestedNow,
        log: &ChannelLog,
    ) -> Result<Version, BuildError> {
        self.enter(build, Stage::Push, log).await?;
        for (key, bytes) in self.inner.ports.publisher.assets(&tested.built).await? {
            let stored = self.inner.ports.objects.put(&key, bytes).await;
            stored.map_err(|error| BuildError { stage: Stage::Push, sentence: error.to_string() })?;
        }
        self.enter(build, Stage::Stage, log).await?;
        self.stage(job, &log.masks, commit, tested).await.map_err(|error| stopped(Stage::Stage, &error))
    }

    /// A version of this model with the same digest that passed its tests under the same conditions: building it again
    /// made the same files, and testing them again would tell nothing new.
    async fn tested_before(&self, job: &Job, built: &Built) -> Result<Option<Version>, BuildError> {
        let versions = self.store().versions(job.model.id).await;
        let versions = versions.map_err(|error| stopped(Stage::Test, &AppError::from(error)))?;
        let passed = |version: &Version| {
            version.state != VersionState::Failed
                && version.facts.get("tests").is_some_and(Value::is_object)
                && version.facts.get(TESTED_WITH) == Some(&conditions(job))
        };
        Ok(versions.into_iter().find(|version| version.digest == built.digest && passed(version)))
    }

    async fn enter(&self, build: &mut Build, stage: Stage, log: &ChannelLog) -> Result<(), BuildError> {
        build.stage = stage;
        log.write(&format!("== {}\n", stage.as_str()));
        self.store().update_build(build).await.map_err(|error| stopped(stage, &AppError::from(error)))
    }

    async fn build_and_test(
        &self,
        build: &mut Build,
        job: &Job,
        checkout: &Checkout,
        options: &BuildOptions,
        log: &ChannelLog,
    ) -> Result<Tested, BuildError> {
        let (publisher, model) = (&self.inner.ports.publisher, &job.model);
        self.enter(build, Stage::Build, log).await?;
        let built = publisher.build(&model.name(), checkout, options, log).await?;
        self.enter(build, Stage::Test, log).await?;
        if let Some(version) = self.tested_before(job, &built).await? {
            log.write(&format!(
                "version {} of {} passed its tests; nothing is different\n",
                version.reported, version.created_at
            ));
            return Ok(Tested::Before(Box::new(version)));
        }
        let version = new_id!(self, VersionId);
        let subject = Subject {
            model: model.name(),
            version,
            artifact: built.artifact.clone(),
            limits: limits_of(model),
            network: model.settings.network,
            sharing: sharing_of(model),
            warm_up: model.settings.warm_up,
            secrets: job.secrets.clone(),
        };
        let ports = &self.inner.ports;
        let conformance =
            Conformance { executor: &*ports.executor, clock: &*ports.clock, randomness: &*ports.randomness };
        let mut report = conformance.examine(&subject, log).await?;
        let tests = publisher.test(&model.name(), checkout, &built, &job.secrets, log).await?;
        log.write(&format!("{}\n", tests.summary));
        report.tests = Some(tests);
        Ok(Tested::Now(Box::new(TestedNow { version, built, report })))
    }

    async fn stage(&self, job: &Job, masks: &Masks, commit: String, tested: TestedNow) -> AppResult<Version> {
        let TestedNow { version: id, built, report } = tested;
        let mut facts = report.facts;
        merge(&mut facts, &built.facts);
        merge(&mut facts, &json!({ TESTED_WITH: conditions(job), TAKES_DEFAULTS: report.takes_defaults }));
        if let Some(tests) = &report.tests {
            merge(&mut facts, &json!({ "tests": tests }));
        }
        // Warnings quote what the model wrote.
        masks.json(&mut facts);
        let wanted = Version {
            id,
            model: job.model.id,
            digest: built.digest,
            commit,
            reported: report.version,
            artifact: built.artifact,
            strategy: report.strategy,
            state: VersionState::Staged,
            facts,
            created_at: self.now(),
        };
        let mut version = self.store().insert_version(&wanted).await?;
        if version.id != id {
            // The same version was built before: keep it, with what was measured now.
            version = Version { strategy: wanted.strategy, facts: wanted.facts, reported: wanted.reported, ..version };
            self.store().update_version(&version).await?;
        }
        let schema = CachedSchema {
            version: version.id,
            meta_values: json!({}),
            meta_parameters: report.schema.0,
            model_parameters: report.schema.1,
            created_at: self.now(),
        };
        self.store().insert_schema("{}", &schema).await?;
        Ok(version)
    }

    /// A build that a former process left.
    pub(crate) async fn fail_orphan_build(&self, mut build: Build) -> AppResult<()> {
        if self.build_tokens().contains_key(&build.id) {
            return Ok(());
        }
        build.state = BuildState::Failed;
        build.message = Some("The server was restarted during this build; publish again.".to_owned());
        build.finished_at = Some(self.now());
        Ok(self.store().update_build(&build).await?)
    }

    /// Whether the caller may publish at all, for faces that take an upload before they ask.
    pub fn may_publish(&self, caller: &Caller, view: &ModelView) -> AppResult<()> {
        active(caller)?;
        writer(caller, view.role).map(|_| ())
    }
}

fn describe(source: &Source) -> String {
    match source {
        Source::Git { url, reference } => {
            let shown = match url.split_once("://") {
                Some((scheme, rest)) => match rest.split_once('@') {
                    Some((_, host)) => format!("{scheme}://{host}"),
                    None => url.clone(),
                },
                None => url.clone(),
            };
            if reference.is_empty() { shown } else { format!("{shown} at {reference}") }
        }
        Source::Archive { commit, .. } if commit.is_empty() => "uploaded files".to_owned(),
        Source::Archive { commit, .. } => format!("uploaded files of commit {commit}"),
        Source::Folder(folder) => folder.display().to_string(),
    }
}

fn stopped(stage: Stage, error: &AppError) -> BuildError {
    BuildError { stage, sentence: error.to_string() }
}
