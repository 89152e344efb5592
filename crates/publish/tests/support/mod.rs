//! A publisher over a folder of its own, and small models for it.
//!
//! Needs git, a system Python and uv (`CSW_UV`, `PATH`, or `.tools/bin/uv` of the repository).

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![allow(dead_code, reason = "not every test needs every helper")]

pub mod common;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use csw_core::{
    build::Source,
    model::Artifact,
    names::ModelName,
    ports::{BuildError, BuildOptions, Built, Checkout, Publisher},
    secret::Secrets,
};
use csw_publish::{PATH_FILE, PublishConfig, UvPublisher};

use common::{Kept, cache, helper, lend, uv};

/// A publisher, its folder, and what it said.
pub struct Bench {
    pub place: tempfile::TempDir,
    pub publisher: UvPublisher,
    pub log: Kept,
}

impl Bench {
    /// With what builds and tests packages installed, once for all tests: it takes longer than most of them.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn with(change: impl FnOnce(&mut PublishConfig)) -> Self {
        let bench = Self::bare(change);
        lend("tools", &bench.data(), async |made| {
            let first = Self::bare(|_| {});
            let tests = "def test_nothing():\n    pass\n";
            let folder = first.model(&[("cs-config/cs_config/tests/test_functions.py", tests)]);
            let checkout = first.fetch(Source::Folder(folder)).await.unwrap();
            let built = first.build(&checkout).await.unwrap_or_else(|error| panic!("{error}\n{}", first.said()));
            let (options, secrets) = (BuildOptions::default(), Secrets::new());
            let tested = first.publisher.test(&name(), &checkout, &built, &options, &secrets, &first.log).await;
            tested.unwrap_or_else(|error| panic!("{error}\n{}", first.said()));
            fs::rename(first.data().join("envs"), made).unwrap();
        })
        .await;
        bench
    }

    /// With a folder that has nothing yet.
    pub fn bare(change: impl FnOnce(&mut PublishConfig)) -> Self {
        let place = tempfile::Builder::new().prefix("publish-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut config = PublishConfig::new(place.path().canonicalize().unwrap().join("data"), helper());
        config.uv = uv();
        config.cache = cache();
        config.allow_local_repositories = true;
        change(&mut config);
        let publisher = UvPublisher::new(config);
        Self { place, publisher, log: Kept::default() }
    }

    pub fn data(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap().join("data")
    }

    pub fn said(&self) -> String {
        self.log.0.lock().unwrap().clone()
    }

    /// Writes a small model; each file can be replaced or added.
    pub fn model(&self, files: &[(&str, &str)]) -> PathBuf {
        let root = self.place.path().join(format!("model-{}", fs::read_dir(self.place.path()).unwrap().count()));
        let functions = "def get_version():\n    return '1'\n";
        let setup = "from setuptools import setup\nsetup(name='cs-config', version='1', packages=['cs_config'])\n";
        let base = [
            ("cs-config/cs_config/functions.py", functions),
            ("cs-config/cs_config/__init__.py", ""),
            ("cs-config/setup.py", setup),
            ("cs-config/install.sh", "true\n"),
        ];
        for (name, text) in base.iter().chain(files) {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    pub async fn fetch(&self, source: Source) -> Result<Checkout, BuildError> {
        self.publisher.fetch(&source, &BuildOptions::default(), &self.log).await
    }

    pub async fn build(&self, checkout: &Checkout) -> Result<Built, BuildError> {
        self.publisher.build(&name(), checkout, &BuildOptions::default(), &self.log).await
    }

    pub async fn publish(&self, folder: &Path) -> Built {
        let checkout = self.fetch(Source::Folder(folder.to_path_buf())).await.unwrap();
        let built = self.build(&checkout).await;
        built.unwrap_or_else(|error| panic!("{error}\n{}", self.said()))
    }

    pub async fn build_error(&self, folder: &Path) -> BuildError {
        let checkout = self.fetch(Source::Folder(folder.to_path_buf())).await.unwrap();
        self.build(&checkout).await.map(|built| built.facts).unwrap_err()
    }

    pub fn folders(&self, built: &Built) -> (PathBuf, PathBuf) {
        let Artifact::Environment { environment, code } = &built.artifact else { panic!("no folders") };
        (self.data().join("envs").join(environment), self.data().join("code").join(code))
    }

    /// Runs Python of the version, as a run does.
    pub fn python(&self, built: &Built, script: &str) -> String {
        let (environment, code) = self.folders(built);
        let lines = fs::read_to_string(code.join(PATH_FILE)).unwrap();
        let path: Vec<String> = lines.lines().map(|line| code.join(line).display().to_string()).collect();
        let ended = Command::new(environment.join("bin/python"))
            .args(["-c", script])
            .env("PYTHONPATH", path.join(":"))
            .current_dir("/")
            .output()
            .unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap().trim().to_owned()
    }
}

/// The model of all tests.
pub fn name() -> ModelName {
    "tests/Model".parse().unwrap()
}

/// Runs git, which must succeed.
pub fn git(folder: &Path, args: &[&str]) -> String {
    let ended = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=master"])
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(ended.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap().trim().to_owned()
}
