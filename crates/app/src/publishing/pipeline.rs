//! The publishing pipeline: fetch, build, test, push, stage, promote. A failure in any stage leaves the live version
//! live, and says which stage failed, why, and what to do.

use csw_core::{
    build::{Build, BuildState, Stage},
    ids::VersionId,
    masking::Masks,
    model::{Artifact, CachedSchema, Described, Model, Version, VersionState},
    ports::{BuildError, BuildLog, BuildOptions, Built, Checkout, OfBuild},
    secret::Secrets,
};
use serde_json::json;

use super::{
    MAINTAINERS_PROMOTE,
    log::ChannelLog,
    tested::{TAKES_DEFAULTS, TESTED_WITH, conditions},
};
use crate::{
    App,
    conformance::{CheckReport, Conformance, Subject, both, merge, second_attempt},
    error::{AppError, AppResult},
    models::check,
    new_id,
    schemas::{limits_of, sharing_of},
};

/// The state of secrets that foreign code is not given.
const WITHHELD: &str = "withheld";

/// What came of the tests of a build.
enum Tested {
    /// It is a version that passed them before.
    Before(Box<Version>, Built),
    /// It is of another commit, and has the same files as this version, which passed them.
    Alike(Box<Version>, Built),
    Now(Box<TestedNow>),
}

/// What a build made, and why it is not live although that was asked for.
struct Staged {
    version: Version,
    held: Option<String>,
}

struct TestedNow {
    version: VersionId,
    built: Built,
    report: CheckReport,
}

/// Something that is built, and what its tests get.
pub(super) struct Job {
    pub(super) model: Model,
    pub(super) secrets: Secrets,
    /// Tells one state of the secrets from another.
    pub(super) mark: Option<String>,
}

impl App {
    /// What a build is of.
    pub(super) async fn job(&self, build: &Build) -> AppResult<Job> {
        let model = self.model_by_id(build.model).await?;
        let mark = self.mark_of_secrets(&model).await?;
        if build.order.is_foreign() {
            let mark = mark.map(|_| WITHHELD.to_owned());
            return Ok(Job { secrets: Secrets::new(), model, mark });
        }
        Ok(Job { secrets: self.secrets_of(&model).await?, model, mark })
    }

    /// Takes a build through its stages; how it ended, in a word and a sentence.
    pub(super) async fn carry_out(
        &self,
        build: &mut Build,
        job: AppResult<Job>,
        log: &ChannelLog,
    ) -> (BuildState, String) {
        let mut job = match job {
            Ok(job) => job,
            Err(AppError::NotFound { .. }) => return (BuildState::Failed, "The model was removed.".to_owned()),
            Err(error) => return (BuildState::Failed, error.to_string()),
        };
        match self.stages(build, &mut job, log).await {
            Ok(Staged { version, held: None }) => {
                build.version = Some(version.id);
                if build.order.promote
                    && let Some(told) = self.exemplify(build, &version).await
                {
                    log.write(&format!("{told}\n"));
                }
                (BuildState::Succeeded, self.success(build, &job.model, &version))
            }
            Ok(Staged { version, held: Some(why) }) => {
                build.version = Some(version.id);
                let sentence = format!(
                    "Version {} is staged and not live: {why}. See {}/{}/versions/{}/comparison/, and promote it if that \
                     is meant.",
                    version.reported,
                    self.inner.config.public_url,
                    job.model.name(),
                    version.id
                );
                (BuildState::Succeeded, sentence)
            }
            Err(error) => {
                build.stage = error.stage;
                (BuildState::Failed, log.masks.text(&error.sentence))
            }
        }
    }

    fn success(&self, build: &Build, model: &Model, version: &Version) -> String {
        if build.order.promote {
            return format!("Version {} is live.", version.reported);
        }
        let next = if model.live_version == Some(version.id) {
            return format!("Version {} is the one that is live.", version.reported);
        } else if build.order.pull.is_some() {
            "Merging its pull request makes it live."
        } else if self.waits_for_approval(build, model) {
            MAINTAINERS_PROMOTE
        } else {
            "Try it, and promote it."
        };
        format!("Version {} is staged. {next}", version.reported)
    }

    async fn stages(&self, build: &mut Build, job: &mut Job, log: &ChannelLog) -> Result<Staged, BuildError> {
        let publisher = &self.inner.ports.publisher;
        self.enter(build, Stage::Fetch, log).await?;
        let former = self.live_artifact(&job.model).await.map_err(|error| stopped(Stage::Fetch, &error))?;
        let (as_of, limits) = (build.order.as_of, job.model.settings.build);
        let options =
            BuildOptions { as_of, limits, former, build: Some(OfBuild { id: build.id, model: job.model.name() }) };
        let checkout = publisher.fetch(&build.order.source, &options, log).await?;
        build.commit = Some(checkout.commit.clone());
        job.model = self.take_description(&job.model, &checkout.described, log).await?;
        let (proposed, settings) = (build.order.proposed, &mut job.model.settings);
        settings.cpus = proposed.cpus.unwrap_or(settings.cpus);
        settings.memory_gigabytes = proposed.memory_gigabytes.unwrap_or(settings.memory_gigabytes);
        let job = &*job;
        let made = self.make(build, job, &checkout, &options, log).await;
        publisher.discard(checkout).await;
        let version = made?;
        let held = self.compare_and_promote(build, job, &version, log).await?;
        Ok(Staged { version, held })
    }

    /// From source to a staged version.
    async fn make(
        &self,
        build: &mut Build,
        job: &Job,
        checkout: &Checkout,
        options: &BuildOptions,
        log: &ChannelLog,
    ) -> Result<Version, BuildError> {
        let attempt = match self.build_and_test(build, job, checkout, options, log).await {
            Err(error) => match second_attempt(&error, checkout, options, log) {
                Some(then) => {
                    let again = self.build_and_test(build, job, checkout, &then, log).await;
                    again.map_err(|again| both(error, &again, &then))
                }
                None => Err(error),
            },
            done => done,
        };
        match attempt? {
            Tested::Before(version, built) => {
                self.inner.ports.publisher.keep(&job.model.name(), checkout, &built, log).await?;
                Ok(*version)
            }
            Tested::Alike(like, built) => self.stage_alike(build, job, checkout, (*like, built), log).await,
            Tested::Now(tested) => self.push_and_stage(build, job, checkout, *tested, log).await,
        }
    }

    async fn live_artifact(&self, model: &Model) -> AppResult<Option<Artifact>> {
        let Some(live) = model.live_version else { return Ok(None) };
        Ok(self.store().version(live).await?.map(|version| version.artifact))
    }

    /// Makes a version live if that is asked for and nothing speaks against it; says what does.
    async fn compare_and_promote(
        &self,
        build: &mut Build,
        job: &Job,
        version: &Version,
        log: &ChannelLog,
    ) -> Result<Option<String>, BuildError> {
        // Since the build began another version may have become live.
        let model = self.model_by_id(job.model.id).await.map_err(|error| stopped(Stage::Stage, &error))?;
        if !build.order.promote {
            if !build.order.skip_comparison {
                self.compare_staged(build, &model, version, log).await;
            }
            return Ok(None);
        }
        let comparison = self.comparison_of_build(build, &model, version).await;
        if let Some(comparison) = comparison.map_err(|error| stopped(Stage::Compare, &error))? {
            self.enter(build, Stage::Compare, log).await?;
            self.make_room_for_builds(build.id);
            let held = self.compare_before_promotion(&comparison, log).await;
            if let Some(why) = held.map_err(|error| stopped(Stage::Compare, &error))? {
                return Ok(Some(why));
            }
        }
        self.enter(build, Stage::Promote, log).await?;
        let promoted = self.store().promote(job.model.id, version.id, build.requested_by, self.now()).await;
        promoted.map_err(|error| stopped(Stage::Promote, &AppError::from(error)))?;
        Ok(None)
    }

    /// A model that nobody has described is what its repository says.
    async fn take_description(&self, model: &Model, said: &Described, log: &ChannelLog) -> Result<Model, BuildError> {
        let settings = model.settings.described_by(model.title.as_str(), said);
        if settings == model.settings {
            return Ok(model.clone());
        }
        if let Err(error) = check(&settings) {
            log.write(&format!("What the repository says of the model is left out: {error}\n"));
            return Ok(model.clone());
        }
        let changed = self.store().update_model(model.id, &model.settings, &settings).await;
        changed.map_err(|error| stopped(Stage::Fetch, &AppError::from(error)))
    }

    async fn push_and_stage(
        &self,
        build: &mut Build,
        job: &Job,
        checkout: &Checkout,
        tested: TestedNow,
        log: &ChannelLog,
    ) -> Result<Version, BuildError> {
        let publisher = &self.inner.ports.publisher;
        self.enter(build, Stage::Push, log).await?;
        for (key, bytes) in publisher.assets(checkout, &tested.built).await? {
            let stored = self.inner.ports.objects.put(&key, bytes).await;
            stored.map_err(|error| BuildError { stage: Stage::Push, sentence: error.to_string() })?;
        }
        publisher.keep(&job.model.name(), checkout, &tested.built, log).await?;
        self.enter(build, Stage::Stage, log).await?;
        self.stage(job, &log.masks, checkout.commit.clone(), tested)
            .await
            .map_err(|error| stopped(Stage::Stage, &error))
    }

    async fn enter(&self, build: &mut Build, stage: Stage, log: &ChannelLog) -> Result<(), BuildError> {
        build.enter(stage, self.now());
        log.write(&format!("== {}\n", stage.as_str()));
        self.store().update_build(build).await.map_err(|error| stopped(stage, &AppError::from(error)))?;
        Ok(())
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
            // It may have got lost where it was.
            publisher.deliver(&model.name(), checkout, &built, log).await?;
            return Ok(if version.digest == built.digest {
                Tested::Before(Box::new(version), built)
            } else {
                Tested::Alike(Box::new(version), built)
            });
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
        let name = model.name();
        let tests = async {
            if build.order.skip_tests {
                log.write("The model's own tests are left out, as was asked\n");
                return Ok(None);
            }
            publisher.test(&name, checkout, &built, options, &job.secrets, log).await.map(Some)
        };
        let delivery = publisher.deliver(&name, checkout, &built, log);
        let report = conformance.examine(&subject, delivery, tests, log).await?;
        if let Some(tests) = &report.tests {
            log.write(&format!("{}\n", tests.summary));
        }
        Ok(Tested::Now(Box::new(TestedNow { version, built, report })))
    }

    /// Stages a version of a commit with the same files as another one, with what was found out about that.
    async fn stage_alike(
        &self,
        build: &mut Build,
        job: &Job,
        checkout: &Checkout,
        (like, built): (Version, Built),
        log: &ChannelLog,
    ) -> Result<Version, BuildError> {
        // Its files are where executors find them already.
        self.enter(build, Stage::Push, log).await?;
        self.inner.ports.publisher.keep(&job.model.name(), checkout, &built, log).await?;
        self.enter(build, Stage::Stage, log).await?;
        let stored = async {
            let wanted = Version {
                id: new_id!(self, VersionId),
                digest: built.digest,
                artifact: built.artifact,
                commit: checkout.commit.clone(),
                state: VersionState::Staged,
                created_at: self.now(),
                ..like.clone()
            };
            let version = self.store().insert_version(&wanted).await?;
            if let Some(schema) = self.store().schema(like.id, "{}").await? {
                self.store().insert_schema("{}", &CachedSchema { version: version.id, ..schema }).await?;
            }
            AppResult::Ok(version)
        };
        stored.await.map_err(|error| stopped(Stage::Stage, &error))
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
}

pub(super) fn stopped(stage: Stage, error: &AppError) -> BuildError {
    BuildError { stage, sentence: error.to_string() }
}
