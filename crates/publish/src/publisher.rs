//! The adapter itself: the stages in their order.

use std::{collections::BTreeSet, path::PathBuf, time::Instant};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    build::{Source, Stage},
    look::Found,
    model::Artifact,
    names::ModelName,
    ports::{BuildError, BuildLog, BuildOptions, Built, Checkout, Publisher, TestReport},
    secret::Secrets,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    asked::{
        Own, Plan,
        plan::{canonical_name, is_unpinned, package_name},
        shim::{self, Pass},
        standard,
    },
    assets, background,
    code::{self, Code},
    config::PublishConfig,
    environment::{self, Environment},
    failure::Failure,
    fetch,
    interpreter::{self, Interpreter},
    jail::Jail,
    look,
    mask::{Log, mask},
    suite, system, tree,
    uv::{Lock, NEWEST, Uv, Wanted},
};

/// Builds versions on this machine with uv; see the crate.
#[derive(Debug, Clone)]
pub struct UvPublisher {
    config: PublishConfig,
}

impl UvPublisher {
    /// A publisher with these settings. Nothing is touched before the first stage.
    pub fn new(config: PublishConfig) -> Self {
        Self { config }
    }

    /// Its settings.
    pub(crate) fn config(&self) -> &PublishConfig {
        &self.config
    }

    /// Leftovers of builds that were interrupted take room, and nothing else.
    async fn sweep(&self) {
        let data = self.config.data.clone();
        let swept = background(move || {
            let left =
                [("work", ""), ("checkouts", ""), ("cache/locks", ""), ("envs", ".staging-"), ("code", ".staging-")];
            for (name, prefix) in left {
                tree::sweep(&data.join(name), prefix);
            }
            Ok(())
        });
        // Tried again with the next build.
        let _ = swept.await;
    }
}

#[async_trait]
impl Publisher for UvPublisher {
    async fn fetch(&self, source: &Source, options: &BuildOptions, log: &dyn BuildLog) -> Result<Checkout, BuildError> {
        self.sweep().await;
        let fetched = fetch::fetch(&self.config, source, &Log::new(log)).await;
        let checkout = fetched.map_err(|failure| failure.during(Stage::Fetch))?;
        Ok(Checkout { build: options.build.as_ref().map(|build| build.id), ..checkout })
    }

    async fn look(&self, source: &Source, log: &dyn BuildLog) -> Result<Found, BuildError> {
        let found = look::look(&self.config, source, &Log::new(log)).await;
        found.map_err(|failure| failure.during(Stage::Fetch))
    }

    async fn build(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        options: &BuildOptions,
        log: &dyn BuildLog,
    ) -> Result<Built, BuildError> {
        let log = Log::new(log);
        log.line(&format!("Building {model}"));
        let config = self.config.within(options.limits);
        let build = Build { config: &config, checkout, options, log: &log };
        build.run().await.map_err(|failure| failure.during(Stage::Build))
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
        let log = Log::new(log);
        log.line(&format!("Testing {model} at {}", checkout.commit));
        let config = self.config.within(options.limits);
        test(&config, built, secrets, &log).await.map_err(|failure| failure.during(Stage::Test))
    }

    async fn assets(&self, _: &Checkout, built: &Built) -> Result<Vec<(String, Bytes)>, BuildError> {
        let Artifact::Environment { environment, .. } = &built.artifact else { return Ok(Vec::new()) };
        let environment = Environment::at(&self.config.data, environment);
        let packages = environment.packages().map_err(|failure| failure.during(Stage::Push))?;
        let found = background(move || Ok(assets::bokeh(&packages))).await;
        found
            .map_err(Failure::at("Reading BokehJS", &environment.folder))
            .map_err(|failure| failure.during(Stage::Push))
    }

    async fn discard(&self, checkout: Checkout) {
        let config = self.config.clone();
        let discarded = background(move || {
            fetch::discard(&config, &checkout);
            Ok(())
        });
        // It logs what it could not do.
        let _ = discarded.await;
    }
}

async fn test(config: &PublishConfig, built: &Built, secrets: &Secrets, log: &Log<'_>) -> Result<TestReport, Failure> {
    let Artifact::Environment { environment, code } = &built.artifact else {
        return Err(Failure::Unusable("The version is an image; its tests run where images run".to_owned()));
    };
    let environment = Environment::at(&config.data, environment);
    let code = code::find(&config.data, code)
        .ok_or_else(|| Failure::Unusable(format!("The code folder {code} is gone: build the version again")))?;
    let requests = built.facts.get("python").and_then(Value::as_str).map(|version| format!("=={version}"));
    let (interpreter, _) = interpreter::choose(config, requests.as_slice(), log).await?;
    let jail = Jail::new(config, log)?;
    jail.hand_over().await?;
    let uv = Uv { config, jail: &jail, interpreter: &interpreter, log };
    suite::run(config, &jail, &uv, &environment, &code, secrets, log).await
}

struct Build<'a> {
    config: &'a PublishConfig,
    checkout: &'a Checkout,
    options: &'a BuildOptions,
    log: &'a Log<'a>,
}

/// Seconds of each step, for the facts.
struct Watch(Instant, Map<String, Value>);

impl Watch {
    fn lap(&mut self, name: &str) {
        let seconds = (self.0.elapsed().as_secs_f64() * 100.0).round() / 100.0;
        self.1.insert(name.to_owned(), json!(seconds));
        self.0 = Instant::now();
    }
}

impl Build<'_> {
    async fn run(&self) -> Result<Built, Failure> {
        let mut watch = Watch(Instant::now(), Map::new());
        let jail = self.jail().await?;
        let (mut interpreter, mut warning) =
            interpreter::choose(self.config, &self.declared_python(), self.log).await?;
        let url = self.checkout.url.as_deref();
        let mut plan = shim::run(self.config, &jail, &interpreter, url, Pass::Record, self.log).await?;
        if !plan.python.is_empty() {
            (interpreter, warning) = interpreter::choose(self.config, &plan.python, self.log).await?;
        }
        plan.warnings.extend(warning);
        plan.add_own(Own { path: "cs-config".into(), extras: vec![], editable: false, with_dependencies: true });
        watch.lap("install_script");
        let uv = Uv { config: self.config, jail: &jail, interpreter: &interpreter, log: self.log };
        let digest = code::digest(&uv, &self.checkout.folder, &plan).await?;
        let mut code = match code::find(&self.config.data, &digest) {
            Some(code) => code,
            None => code::stage(&uv, &digest, &plan).await?,
        };
        watch.lap("own_packages");
        let lock = self.resolve(&uv, &plan, &code).await?;
        watch.lap("resolve");
        let environment = environment::build(&uv, &lock, self.former().as_ref()).await?;
        watch.lap("environment");
        if plan.replay && code.staging.is_some() {
            code = self.replay(&interpreter, &plan, &environment, &code).await?;
            watch.lap("waiting_steps");
        }
        let facts = self.facts(&interpreter, &plan, &lock, &environment, &code);
        let (place, own) = (code.place.clone(), code.own.clone());
        code.finish(&uv).await?;
        watch.lap("code");
        self.built(facts, watch, &environment, &digest, place, own.warnings).await
    }

    /// The environment of an earlier version.
    fn former(&self) -> Option<Environment> {
        // Equal packages must give equal bytes wherever an image is made.
        let Some(Artifact::Environment { environment, .. }) = &self.options.former else { return None };
        self.config.place.is_none().then(|| Environment::at(&self.config.data, environment))
    }

    /// A fresh room with the repository in it.
    async fn jail(&self) -> Result<Jail<'_>, Failure> {
        let jail = Jail::new(self.config, self.log)?;
        let (from, to) = (self.checkout.folder.clone(), jail.room.join("source"));
        let room = tree::Room { bytes: u64::MAX, entries: u64::MAX };
        background(move || tree::copy(&from, &to, None, room)).await.map_err(Failure::io("Copying the checkout"))?;
        Ok(jail)
    }

    fn declared_python(&self) -> Vec<String> {
        standard::requires_python(&self.checkout.folder).into_iter().collect()
    }

    async fn resolve(&self, uv: &Uv<'_>, plan: &Plan, code: &Code) -> Result<Lock, Failure> {
        let mut wanted = Wanted {
            requirements: plan
                .requirements
                .iter()
                .chain(&code.own.requires)
                .filter(|line| !is_own(line, code))
                .cloned()
                .collect(),
            constraints: plan.constraints.iter().filter(|line| !is_own(line, code)).cloned().collect(),
            indexes: plan.indexes.clone(),
            prereleases: plan.prereleases,
            as_of: self.options.as_of,
        };
        // What a package of the repository needs of the repository itself is there.
        wanted
            .requirements
            .retain(|line| line.split_once('@').is_none_or(|(_, place)| !self.is_this_repository(place)));
        let has_setuptools = wanted.requirements.iter().any(|line| package_name(line).as_deref() == Some("setuptools"));
        if wanted.requirements.is_empty() || has_setuptools {
            return uv.resolve_within(NEWEST, &wanted).await;
        }
        // Every environment of conda or pip had it, so that nobody declared it; from 81 on `pkg_resources` is gone.
        let plain = wanted.clone();
        wanted.requirements.push("setuptools<81".to_owned());
        match uv.resolve_within(NEWEST, &wanted).await {
            Err(Failure::Unresolvable { .. }) => uv.resolve_within(NEWEST, &plain).await,
            other => other,
        }
    }

    fn is_this_repository(&self, place: &str) -> bool {
        let place = place.trim();
        let reference = crate::repository::GitReference::parse(place);
        let known = self.checkout.url.as_deref().map(crate::repository::identity);
        reference.is_some_and(|reference| known == Some(crate::repository::identity(&reference.url)))
    }

    /// Runs the script again, now with the packages, on a fresh copy, and stages what comes of it.
    async fn replay(
        &self,
        interpreter: &Interpreter,
        plan: &Plan,
        environment: &Environment,
        code: &Code,
    ) -> Result<Code, Failure> {
        let jail = self.jail().await?;
        let path = code::search_path(code.folder())?;
        let path = path.iter().map(|entry| entry.display().to_string()).collect::<Vec<_>>().join(":");
        let shown = vec![environment.folder.clone(), code.folder().to_path_buf()];
        let python = environment.python();
        let pass = Pass::Replay { python: &python, python_path: &path, shown };
        shim::run(self.config, &jail, interpreter, self.checkout.url.as_deref(), pass, self.log).await?;
        let uv = Uv { config: self.config, jail: &jail, interpreter, log: self.log };
        code::stage(&uv, &code.digest, plan).await
    }

    fn facts(
        &self,
        interpreter: &Interpreter,
        plan: &Plan,
        lock: &Lock,
        environment: &Environment,
        code: &Code,
    ) -> Map<String, Value> {
        let mut warnings = plan.warnings.clone();
        let unpinned = unpinned(plan, code);
        if !unpinned.is_empty() {
            warnings
                .push(format!("Any version is taken of: {}. A later build may get other ones", unpinned.join(", ")));
        }
        warnings.extend(system::warning(&plan.system));
        if !interpreter.compiled {
            warnings
                .push("The standard library of this Python has no byte code: every start compiles it again".to_owned());
        }
        for warning in &warnings {
            self.log.line(warning);
        }
        let packages: Vec<Value> = lock.packages().map(package_fact).collect();
        json!({
            "python": interpreter.version(),
            "packages": packages,
            "lock": mask(&lock.text),
            "as_of": self.options.as_of,
            "committed_at": self.checkout.committed_at,
            "built_in_sandbox": lock.confined,
            "environment_reused": environment.found,
            "system_packages": plan.system,
            "warnings": warnings,
        })
        .as_object()
        .cloned()
        .unwrap_or_default()
    }

    async fn built(
        &self,
        mut facts: Map<String, Value>,
        watch: Watch,
        environment: &Environment,
        code: &str,
        place: PathBuf,
        warnings: Vec<String>,
    ) -> Result<Built, Failure> {
        let folder = environment.folder.clone();
        let sizes = background(move || Ok((tree::size(&folder)?, tree::size(&place)?)));
        let (environment_bytes, code_bytes) = sizes.await.map_err(Failure::io("Measuring the version"))?;
        facts.insert("environment_bytes".to_owned(), json!(environment_bytes));
        facts.insert("code_bytes".to_owned(), json!(code_bytes));
        self.log.line(&format!("Built: {}", Value::Object(watch.1.clone())));
        facts.insert("seconds".to_owned(), Value::Object(watch.1));
        if let Some(Value::Array(all)) = facts.get_mut("warnings") {
            all.extend(warnings.iter().map(|warning| json!(mask(warning))));
        }
        let digest = Sha256::digest(format!("version 1\n{}\n{code}\n{}\n", self.checkout.commit, environment.digest));
        Ok(Built {
            artifact: Artifact::Environment { environment: environment.digest.clone(), code: code.to_owned() },
            digest: hex::encode(digest),
            facts: Value::Object(facts),
        })
    }
}

/// Names of which every version would do, whoever asks.
fn unpinned(plan: &Plan, code: &Code) -> Vec<String> {
    let all = || plan.requirements.iter().chain(&code.own.requires).chain(&plan.constraints);
    let limited: BTreeSet<String> =
        all().filter(|line| !is_unpinned(line)).filter_map(|line| package_name(line)).collect();
    let open: BTreeSet<String> =
        all().filter(|line| is_unpinned(line) && !is_own(line, code)).filter_map(|line| package_name(line)).collect();
    open.difference(&limited).cloned().collect()
}

fn is_own(requirement: &str, code: &Code) -> bool {
    package_name(requirement).is_some_and(|name| code.own.names.contains(&name))
}

/// Name and version of a line of the lock.
fn package_fact(line: &str) -> Value {
    let line = line.split(';').next().unwrap_or(line).trim();
    let (name, version) = line.split_once("==").or_else(|| line.split_once(" @ ")).unwrap_or((line, ""));
    json!({ "name": canonical_name(name.trim()), "version": mask(version.trim()) })
}
