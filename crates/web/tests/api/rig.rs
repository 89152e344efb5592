//! A site with one live model and accounts that stand differently to it.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use bytes::Bytes;
use csw_app::{App, Background, Config, Ports};
use csw_core::{
    access::AccountRole,
    build::{Build, BuildOrder, BuildState, Source, Stage, Trigger},
    ids::{AccountId, BuildId, ModelId, VersionId},
    look::{Found, FoundFunction, Problem},
    model::{Artifact, Model, ModelSettings, ModelStatus, Strategy, Version, VersionState},
    names::ModelTitle,
    ports::{
        BuildError, BuildLog, BuildOptions, BuildStore, Built, Checkout, Clock, Illustrator, Mail, MailError, Mailer,
        ModelStore, Publisher, Randomness, TestReport,
    },
};
use csw_secrets::Embedded;
use csw_store::{FolderObjects, SqlStore};
use csw_web::{WebOptions, WebState};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{executor, pull_requests::Forge, repositories::Pushed, secrets::Moody, workflows::Words};

pub(crate) const OWNER: &str = "owner";
pub(crate) const WRITER: &str = "writer";
pub(crate) const READER: &str = "reader";
pub(crate) const STRANGER: &str = "stranger";
pub(crate) const OTHER: &str = "other";
pub(crate) const RETIRED: &str = "retired";
pub(crate) const ADMIN: &str = "chief";
pub(crate) const PASSWORD: &str = "correct horse";

/// The real time, and the hours a test lets pass.
#[derive(Default)]
struct MovedClock(AtomicI64);

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        Timestamp::now() + jiff::SignedDuration::from_hours(self.0.load(Ordering::Relaxed))
    }
}

struct RealRandomness;

impl Randomness for RealRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(16) {
            let random = uuid::Uuid::new_v4();
            part.copy_from_slice(&random.as_bytes()[..part.len()]);
        }
    }
}

/// Keeps what is sent.
#[derive(Default)]
struct Outbox(Mutex<Vec<Mail>>);

#[async_trait]
impl Mailer for Outbox {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.0.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

/// A publisher that fails at once, and takes uploads away; of a repository called `slow` it waits for ever.
struct NoPublisher;

#[async_trait]
impl Publisher for NoPublisher {
    async fn fetch(&self, source: &Source, _: &BuildOptions, log: &dyn BuildLog) -> Result<Checkout, BuildError> {
        if let Source::Archive { file, commit, .. } = source {
            let bytes = std::fs::read(file).unwrap();
            log.write(&format!("{} bytes of commit {commit}\n", bytes.len()));
        }
        if matches!(source, Source::Git { url, .. } if url.ends_with("/slow")) {
            std::future::pending::<()>().await;
        }
        Err(BuildError { stage: Stage::Fetch, sentence: "There is no network here.".to_owned() })
    }

    async fn look(&self, source: &Source, _: &dyn BuildLog) -> Result<Found, BuildError> {
        match source {
            Source::Git { url, reference } if url.ends_with("/found") => Ok(Found {
                commit: "c0ffee".to_owned(),
                readme_title: Some(format!("Taxes of {reference} <b>")),
                functions: vec![FoundFunction { name: "get_version".to_owned(), line: Some(3) }],
                lists: vec!["cs-config/install.sh".to_owned()],
                system_packages: vec!["r-base".to_owned()],
                problems: vec![Problem::stops("`run_model` is missing", "Write it.")],
                ..Found::default()
            }),
            _ => Err(BuildError { stage: Stage::Fetch, sentence: "There is no network here.".to_owned() }),
        }
    }

    async fn build(
        &self,
        _: &csw_core::names::ModelName,
        _: &Checkout,
        _: &BuildOptions,
        _: &dyn BuildLog,
    ) -> Result<Built, BuildError> {
        unreachable!("nothing is fetched")
    }

    async fn test(
        &self,
        _: &csw_core::names::ModelName,
        _: &Checkout,
        _: &Built,
        _: &BuildOptions,
        _: &csw_core::secret::Secrets,
        _: &dyn BuildLog,
    ) -> Result<TestReport, BuildError> {
        unreachable!("nothing is fetched")
    }

    async fn assets(&self, _: &Checkout, _: &Built) -> Result<Vec<(String, Bytes)>, BuildError> {
        Ok(Vec::new())
    }

    async fn discard(&self, _: Checkout) {}
}

/// The site.
pub(crate) struct Rig {
    pub(crate) app: App,
    pub(crate) router: Router,
    pub(crate) version: VersionId,
    pub(crate) build: BuildId,
    pub(crate) executor: Arc<executor::Model>,
    pub(crate) forge: Arc<Forge>,
    pub(crate) secrets: Arc<Moody>,
    pub(crate) repositories: Arc<Pushed>,
    pub(crate) store: Arc<SqlStore>,
    tokens: HashMap<&'static str, String>,
    clock: Arc<MovedClock>,
    outbox: Arc<Outbox>,
    _background: Background,
    _folder: tempfile::TempDir,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(Config { submissions_per_minute: 100_000, ..Config::default() }, WebOptions::default()).await
    }

    /// A site whose operator decided this.
    pub(crate) async fn with(config: Config, options: WebOptions) -> Self {
        Self::drawn_by(None, config, options).await
    }

    /// The same with somebody who draws thumbnails.
    pub(crate) async fn drawn_by(
        illustrator: Option<Arc<dyn Illustrator>>,
        config: Config,
        options: WebOptions,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqlStore::open_sqlite(&folder.path().join("csw.db")).await.unwrap());
        let objects = FolderObjects::open(&folder.path().join("objects")).unwrap();
        let (clock, outbox) = (Arc::new(MovedClock::default()), Arc::new(Outbox::default()));
        let executor = Arc::new(executor::Model::default());
        let sealed =
            Embedded::new(Arc::<SqlStore>::clone(&store), folder.path().join("secrets.key"), Arc::new(RealRandomness));
        let forge = Arc::new(Forge::default());
        let repositories = Arc::new(Pushed::default());
        let secrets = Arc::new(Moody { inner: sealed, moods: Mutex::default() });
        let ports = Ports {
            store: Arc::<SqlStore>::clone(&store),
            objects: Arc::new(objects),
            executor: Arc::<executor::Model>::clone(&executor),
            publisher: Arc::new(NoPublisher),
            checks: Some(Arc::<Forge>::clone(&forge)),
            workflow_tokens: Some(Arc::new(Words)),
            repositories: Arc::<Pushed>::clone(&repositories),
            secrets: Arc::<Moody>::clone(&secrets),
            illustrator,
            mailer: Arc::<Outbox>::clone(&outbox),
            clock: Arc::<MovedClock>::clone(&clock),
            randomness: Arc::new(RealRandomness),
        };
        let app = App::new(ports, config);
        let background = app.start().await;
        let options = WebOptions { uploads: folder.path().join("uploads"), ..options };
        let router = csw_web::router(WebState::new(app.clone(), options));
        let mut tokens = HashMap::new();
        for (name, role) in [
            (OWNER, AccountRole::Member),
            (WRITER, AccountRole::Member),
            (READER, AccountRole::Member),
            (STRANGER, AccountRole::Member),
            (OTHER, AccountRole::Member),
            (RETIRED, AccountRole::Member),
            (ADMIN, AccountRole::Admin),
        ] {
            let password = (name == OWNER).then_some(PASSWORD);
            let email = format!("{name}@example.org");
            let made = app.operator_create_account(name, &email, role, password, "test").await.unwrap();
            tokens.insert(name, made.2);
        }
        let owner = app.account_by_name(OWNER).await.unwrap().id;
        let (version, build) = live_model(&store, owner, "Model", true).await;
        Self {
            app,
            router,
            version,
            build,
            executor,
            forge,
            secrets,
            repositories,
            store,
            tokens,
            clock,
            outbox,
            _background: background,
            _folder: folder,
        }
    }

    /// Lets time pass.
    pub(crate) fn hours_pass(&self, hours: i64) {
        self.clock.0.fetch_add(hours, Ordering::Relaxed);
    }

    /// The newest mail to somebody whose subject holds these words; mail takes its time.
    pub(crate) async fn mail(&self, to: &str, subject: &str) -> Mail {
        for _ in 0..1_000 {
            let sent = self.outbox.0.lock().unwrap().clone();
            let wanted = |mail: &Mail| mail.to == format!("{to}@example.org") && mail.subject.contains(subject);
            if let Some(mail) = sent.into_iter().rev().find(wanted) {
                return mail;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("no mail to {to} with {subject:?}: {:?}", self.outbox.0.lock().unwrap());
    }

    /// Subjects of all mail so far.
    pub(crate) fn subjects(&self) -> Vec<String> {
        self.outbox.0.lock().unwrap().iter().map(|mail| mail.subject.clone()).collect()
    }

    /// Publishes another live model of the owner.
    pub(crate) async fn model(&self, title: &str, is_public: bool) -> VersionId {
        let owner = self.app.account_by_name(OWNER).await.unwrap().id;
        live_model(&self.store, owner, title, is_public).await.0
    }

    /// Writes what a build found out about the live version.
    pub(crate) async fn find_out(&self, facts: Value) {
        let version = self.store.version(self.version).await.unwrap().unwrap();
        self.store.update_version(&Version { facts, ..version }).await.unwrap();
    }

    /// A staged version of the model beside the live one.
    pub(crate) async fn staged(&self, reported: &str) -> VersionId {
        let live = self.store.version(self.version).await.unwrap().unwrap();
        let version = Version {
            id: VersionId::from_uuid(uuid::Uuid::new_v4()),
            digest: reported.to_owned(),
            reported: reported.to_owned(),
            state: VersionState::Staged,
            ..live
        };
        self.store.insert_version(&version).await.unwrap().id
    }

    /// Schemas of a version that are kept.
    pub(crate) async fn store_schemas(&self, version: VersionId) -> u64 {
        self.store.schema_count(version).await.unwrap()
    }

    pub(crate) fn token(&self, who: &str) -> &str {
        &self.tokens[who]
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    /// A JSON request of somebody, or of nobody where the name is empty.
    pub(crate) async fn call(&self, method: &str, path: &str, who: &str, body: Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !who.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Token {}", self.token(who)));
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str, who: &str) -> Answer {
        self.call("GET", path, who, Value::Null).await
    }

    /// A request of somebody that has to be granted with this status; its JSON.
    pub(crate) async fn granted(&self, status: u16, method: &str, path: &str, who: &str, body: Value) -> Value {
        let answer = self.call(method, path, who, body).await;
        assert_eq!(answer.status, status, "{method} {path} by {who:?}: {}", answer.text());
        if answer.bytes.is_empty() { Value::Null } else { answer.json() }
    }

    /// Gives somebody a role on a simulation, or on the model where there is no number.
    pub(crate) async fn give(&self, number: Option<u64>, name: &str, role: &str) {
        let role = json!({ "username": name, "role": role });
        let (path, body) = match number {
            Some(number) => (format!("/owner/Model/api/v1/{number}/access/"), json!([role])),
            None => ("/publish/api/owner/Model/access/".to_owned(), role),
        };
        self.granted(204, "PUT", &path, OWNER, body).await;
    }

    /// A private simulation of the owner that has run; its number.
    pub(crate) async fn simulation(&self, body: Value) -> u64 {
        let made = self.call("POST", "/owner/Model/api/v1/", OWNER, body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let number = made.json()["sim"]["model_pk"].as_u64().unwrap();
        self.until(number, |simulation| simulation["status"] == "SUCCESS").await;
        number
    }

    /// Asks until a simulation is as wanted.
    pub(crate) async fn until(&self, number: u64, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..2_000 {
            let simulation = self.get(&format!("/owner/Model/api/v1/{number}/remote/"), OWNER).await.json();
            if wanted(&simulation) {
                return simulation;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("simulation {number} does not become as wanted");
    }
}

async fn live_model(store: &SqlStore, owner: AccountId, title: &str, is_public: bool) -> (VersionId, BuildId) {
    let now = Timestamp::now();
    let random = || uuid::Uuid::new_v4();
    let settings = ModelSettings {
        oneliner: "One line".to_owned(),
        description: "# Model".to_owned(),
        is_public,
        ..ModelSettings::default()
    };
    let model = Model {
        id: ModelId::from_uuid(random()),
        owner,
        owner_name: OWNER.parse().unwrap(),
        title: title.parse::<ModelTitle>().unwrap(),
        settings,
        status: ModelStatus::Pending,
        live_version: None,
        latest_tag: None,
        staging_tag: None,
        sponsor: None,
        sponsor_message: None,
        created_at: now,
    };
    store.insert_model(&model).await.unwrap();
    let version = Version {
        id: VersionId::from_uuid(random()),
        model: model.id,
        digest: hex::encode(random().as_bytes()),
        commit: "abc".to_owned(),
        reported: "1.0".to_owned(),
        artifact: Artifact::Environment { environment: "e".to_owned(), code: "c".to_owned() },
        strategy: Strategy::Fresh,
        state: VersionState::Staged,
        facts: json!({}),
        created_at: now,
    };
    let version = store.insert_version(&version).await.unwrap();
    store.promote(model.id, version.id, owner, now).await.unwrap();
    let build = Build {
        id: BuildId::from_uuid(random()),
        model: model.id,
        requested_by: owner,
        trigger: Trigger::Request,
        source: "uploaded files".to_owned(),
        order: BuildOrder::of(Source::Folder(PathBuf::from("model"))),
        commit: Some("c0ffee".to_owned()),
        stages: vec![],
        attempt: 1,
        stage: Stage::Promote,
        state: BuildState::Succeeded,
        message: Some("Version 1.0 is live.".to_owned()),
        version: Some(version.id),
        created_at: now,
        finished_at: Some(now),
    };
    store.insert_build(&build, false).await.unwrap();
    (version.id, build.id)
}
