//! The composition root: the one place that knows which adapters stand behind the ports.

mod builds;
mod cluster;
mod github;
pub(crate) mod images;
mod objects;
mod redis;
mod secrets;
mod thumbnails;

pub(crate) use self::{
    builds::Received,
    cluster::{Cluster, run_key, scheduler, ways_into_the_cluster},
    github::credential as github_credential,
    objects::{FOLDER as OBJECTS, unusable},
    redis::{redis_address, redis_passwords},
    secrets::KEYS as SECRET_KEYS,
    thumbnails::{Beside, Drawn, chromium, drawing},
};

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use csw_app::{App, Config, Duties, Ports};
use csw_core::ports::{Executor, Illustrator, Mailer, Publisher, Repositories};
use csw_kubernetes::{RunKey, Scheduler, builds::JobPublisher};
use csw_publish::{
    FolderRepositories, PublishConfig, UvPublisher,
    image::{ImagePublisher, Target},
};
use csw_runtime::{LocalConfig, LocalExecutor};
use csw_sandbox::{LayerSet, cgroup::Manager};
use csw_store::{BucketObjects, SqlStore};
use csw_web::{TaskOptions, WebOptions, WebState};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    ambient::{SystemClock, SystemRandomness},
    cli::{Place, Workshop},
    failure::{Failure, Outcome},
    folder::Folder,
    mail::Post,
    settings::Settings,
    tools,
    unplugged::Unplugged,
};

/// Connections to PostgreSQL.
const CONNECTIONS: u32 = 10;

/// Bounds of the histograms of times.
const SECONDS: [f64; 13] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

/// Sender of mail, where the operator names none.
const SENDER: &str = "Compute Studio <no-reply@localhost>";

const GIGABYTE: f64 = 1e9;

/// The database in the data folder.
pub(crate) const SQLITE_FILE: &str = "csw.db";

/// Which database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A server's.
    Postgres(String),
}

impl Database {
    /// What flags and settings say; a file in the data folder otherwise.
    pub(crate) fn choose(settings: &Settings, place: &Place) -> Self {
        match settings.database(place) {
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => Self::Postgres(url),
            Some(path) => Self::Sqlite(PathBuf::from(path)),
            None => Self::Sqlite(settings.data(place).join(SQLITE_FILE)),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

/// Opens a database, made where it is missing.
pub(crate) async fn open_database(database: &Database) -> Outcome<SqlStore> {
    Ok(match database {
        Database::Sqlite(path) => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
            }
            let store = SqlStore::open_sqlite(path).await?;
            private(path)?;
            store
        }
        Database::Postgres(url) => SqlStore::open_postgres(url, CONNECTIONS).await?,
    })
}

/// Opens a database that has to be there.
pub(crate) async fn open_existing(database: &Database) -> Outcome<SqlStore> {
    if let Database::Sqlite(path) = database
        && !path.exists()
    {
        return Err(Failure::local(
            format!("there is no database at {}", path.display()),
            "name the site's folder with `--data`, or its database with `--database`",
        ));
    }
    open_database(database).await
}

/// Hashes of secrets are in it: nobody else on the machine may read it.
fn private(path: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(|error| Failure::file(path, &error))
}

/// The bucket of a site, if its outputs are in one.
pub(crate) async fn bucket(settings: &Settings, data: &Path, store: &SqlStore) -> Outcome<Option<BucketObjects>> {
    let secrets = secrets::store(settings, data, &Arc::new(store.clone()))?;
    objects::bucket(settings, Some(&*secrets)).await
}

/// The same where its credentials are no secret of the site.
pub(crate) async fn bucket_without_secrets(settings: &Settings) -> Outcome<Option<BucketObjects>> {
    objects::bucket(settings, None).await
}

/// The use cases of commands that touch nothing but the database, which is made where it is missing.
pub(crate) async fn database_only(settings: &Settings, place: &Place) -> Outcome<App> {
    over(open_database(&Database::choose(settings, place)).await?, settings, place)
}

/// The same over a database that has to be there.
pub(crate) async fn existing_database_only(settings: &Settings, place: &Place) -> Outcome<App> {
    over(open_existing(&Database::choose(settings, place)).await?, settings, place)
}

fn over(store: SqlStore, settings: &Settings, place: &Place) -> Outcome<App> {
    Ok(App::new(unplugged(store, settings, place)?, settings.site(Config::default().public_url)))
}

/// The database, and nothing behind the other ports.
fn unplugged(store: SqlStore, settings: &Settings, place: &Place) -> Outcome<Ports> {
    let store = Arc::new(store);
    Ok(Ports {
        secrets: secrets::store(settings, &settings.data(place), &store)?,
        store,
        objects: Arc::new(Unplugged),
        executor: Arc::new(Unplugged),
        publisher: Arc::new(Unplugged),
        repositories: Arc::new(Unplugged),
        checks: None,
        workflow_tokens: None,
        illustrator: None,
        mailer: Arc::new(Unplugged),
        clock: Arc::new(SystemClock),
        randomness: Arc::new(SystemRandomness::new()),
    })
}

/// What builds and runs models.
pub(crate) struct Workbench {
    pub(crate) publisher: Arc<dyn Publisher>,
    pub(crate) executor: Arc<dyn Executor>,
    /// The groups that limit both; to be closed at the end.
    pub(crate) cgroups: Manager,
}

/// Builder and executor over a folder of environments; `local` lets it read repositories of this machine.
pub(crate) fn workbench(settings: &Settings, folder: &Folder, local: bool) -> Outcome<Workbench> {
    let local = local || settings.build.allow_local_repositories;
    let bench = bench(settings, folder, settings.cache.clone(), local, None)?;
    let executor = Arc::new(bench.executor(settings)?);
    Ok(Workbench { publisher: bench.publisher, executor, cgroups: bench.cgroups })
}

/// What builds models, and what a local executor needs.
struct Bench {
    publisher: Arc<dyn Publisher>,
    repositories: Arc<dyn Repositories>,
    cgroups: Manager,
    data: PathBuf,
    layers: LayerSet,
}

/// What builds images.
pub(crate) struct ImageBench {
    pub(crate) publisher: UvPublisher,
    /// The groups that limit it; to be closed at the end.
    pub(crate) cgroups: Manager,
}

/// Builder of what is going to run in images, over a folder of its own: byte code names the places inside them.
pub(crate) fn image_bench(settings: &Settings, folder: &Folder) -> Outcome<ImageBench> {
    let helper = tools::own_program()?;
    let cgroups = Manager::detect(&folder.instance());
    let layers = layers(&helper, &cgroups)?;
    // Who builds at this machine may read it.
    let mut config = publishing(settings, folder.path(), layers, &cgroups, settings.cache.clone(), true)?;
    config.place = Some(PathBuf::from(csw_publish::image::ROOT));
    Ok(ImageBench { publisher: UvPublisher::new(config), cgroups })
}

fn publishing(
    settings: &Settings,
    data: &Path,
    layers: LayerSet,
    cgroups: &Manager,
    cache: Option<PathBuf>,
    local: bool,
) -> Outcome<PublishConfig> {
    let mut publish = PublishConfig::new(data.to_owned(), tools::own_program()?);
    publish.layers = layers;
    publish.cgroups = cgroups.clone();
    publish.allow_local_repositories = local;
    publish.install_network = settings.build.install_network;
    publish.test_network = settings.build.test_network;
    if let Some(gigabytes) = settings.build.disk_gigabytes {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a negative number of bytes is none"
        )]
        let bytes = (gigabytes * GIGABYTE) as u64;
        publish.room_bytes = bytes;
    }
    if let Some(uv) = tools::find("uv") {
        publish.uv = uv;
    }
    if let Some(python) = &settings.build.python {
        publish.python.clone_from(python);
    }
    if let Some(cache) = cache {
        std::fs::create_dir_all(&cache).map_err(|error| Failure::file(&cache, &error))?;
        publish.cache = cache.canonicalize().map_err(|error| Failure::file(&cache, &error))?;
    }
    Ok(publish)
}

fn bench(
    settings: &Settings,
    folder: &Folder,
    cache: Option<PathBuf>,
    local: bool,
    images: Option<Target>,
) -> Outcome<Bench> {
    let (helper, data) = (tools::own_program()?, folder.path());
    let cgroups = Manager::detect(&folder.instance());
    let layers = layers(&helper, &cgroups)?;
    let publish = publishing(settings, data, layers, &cgroups, cache, local)?;
    let repositories = Arc::new(FolderRepositories::new(&publish));
    let publisher: Arc<dyn Publisher> = match images {
        None => Arc::new(UvPublisher::new(publish)),
        Some(target) => {
            // Byte code names the places inside images: it is no other version's.
            let inside = PathBuf::from(csw_publish::image::ROOT);
            let publish = PublishConfig { data: data.join(images::FOLDER), place: Some(inside), ..publish };
            Arc::new(ImagePublisher::new(UvPublisher::new(publish), target))
        }
    };
    Ok(Bench { publisher, repositories, cgroups, data: data.to_owned(), layers })
}

impl Bench {
    /// The executor of this machine.
    fn executor(&self, settings: &Settings) -> Outcome<LocalExecutor> {
        let mut local = LocalConfig::new(self.data.clone(), tools::own_program()?);
        local.layers = self.layers;
        local.cgroups = self.cgroups.clone();
        let machine = &settings.machine;
        if let Some(cpus) = machine.cpus {
            local.capacity.cpus = cpus;
        }
        if let Some(gigabytes) = machine.memory_gigabytes {
            local.capacity.memory_bytes = bytes(gigabytes);
            local.zygote_memory_bytes = local.capacity.memory_bytes / 4;
        }
        if let Some(gigabytes) = machine.zygote_gigabytes {
            local.zygote_memory_bytes = bytes(gigabytes);
        }
        if let Some(processes) = machine.forked_ahead {
            local.forked_ahead = processes;
        }
        if let Some(runs) = machine.runs {
            local.capacity.runs = runs;
        }
        let scratch = local.scratch.clone();
        LocalExecutor::new(local).map_err(|error| Failure::file(&scratch, &error))
    }
}

impl Bench {
    /// What draws thumbnails, where there is a browser and the operator wants them.
    fn illustrator(&self, settings: &Settings) -> Outcome<Option<Arc<dyn Illustrator>>> {
        let drawn = chromium(&settings.thumbnails, &self.data, self.layers, &self.cgroups, Beside::Everything)?;
        Ok(match drawn {
            Drawn::By(chromium) => Some(Arc::new(chromium)),
            Drawn::Nothing(why) => {
                tracing::info!(%why, "outputs get no thumbnails");
                None
            }
        })
    }
}

/// The layers of the sandbox that this machine has; a missing one is told, never silently skipped.
fn layers(helper: &Path, cgroups: &Manager) -> Outcome<LayerSet> {
    use csw_sandbox::doctor::State;
    let report = csw_sandbox::doctor::report(helper, cgroups)
        .map_err(|error| Failure::local(error.to_string(), "`csw doctor` says what this machine lacks"))?;
    for layer in report.layers.iter().filter(|layer| layer.state != State::Present) {
        tracing::warn!(
            layer = %layer.name,
            state = ?layer.state,
            detail = %layer.detail,
            cost = %layer.cost_of_absence,
            "the sandbox lacks a layer"
        );
    }
    Ok(report.usable)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an operator's number of gigabytes")]
fn bytes(gigabytes: f64) -> u64 {
    (gigabytes.max(0.0) * GIGABYTE) as u64
}

/// Where the runs of a site are looked after.
pub(crate) enum Runs {
    /// On this machine.
    Here,
    /// In a cluster, by this process, which serves pages too.
    Cluster(Cluster),
    /// In a cluster, by this process, which serves no pages.
    Work(Cluster),
    /// By a scheduler; this process serves pages.
    Elsewhere(Arc<Scheduler>),
}

impl Runs {
    const fn duties(&self) -> Duties {
        match self {
            Self::Here | Self::Cluster(_) => Duties::Everything,
            Self::Work(_) => Duties::Work,
            Self::Elsewhere(_) => Duties::Pages,
        }
    }
}

/// A whole site, ready to start.
pub(crate) struct Site {
    pub(crate) app: App,
    pub(crate) router: Router,
    /// The groups of its runs and builds; to be closed at the end.
    pub(crate) cgroups: Manager,
    /// Which kind of database it stands on.
    pub(crate) database: &'static str,
    /// Where Jobs call, and what answers them.
    pub(crate) callbacks: Option<(TcpListener, Router)>,
    /// To be cancelled when the server is to be stopped soon.
    pub(crate) leaving: CancellationToken,
}

/// The site of a data folder.
pub(crate) async fn site(
    settings: &Settings,
    workshop: &Workshop,
    folder: &Folder,
    public_url: String,
    runs: Runs,
) -> Outcome<Site> {
    let data = folder.path();
    let place = Place { data: Some(data.to_owned()), database: workshop.place.database.clone() };
    let database = Database::choose(settings, &place);
    let store = Arc::new(open_database(&database).await?);
    let secrets = secrets::store(settings, data, &store)?;
    let objects = objects::storage(settings, data, &*secrets).await?;
    let cache = workshop.cache.clone().or_else(|| settings.cache.clone());
    let local = workshop.allow_local_repositories || settings.build.allow_local_repositories;
    let duties = runs.duties();
    let thumbnails_elsewhere = duties == Duties::Pages && settings.thumbnails.are_said()?;
    let config = Config { duties, thumbnails_elsewhere, ..settings.site(public_url.clone()) };
    // What a cluster runs is an image where there is a registry for it, else a folder on a volume of all nodes.
    let images = match &runs {
        Runs::Cluster(_) | Runs::Work(_) if config.builds_at_once > 0 => {
            ways_into_the_cluster(settings)?;
            images::target(settings, &data.join(images::FOLDER))?
        }
        _ => None,
    };
    let bench = bench(settings, folder, cache, local, images)?;
    let mut publisher = Arc::clone(&bench.publisher);
    let (executor, callbacks): (Arc<dyn Executor>, _) = match runs {
        Runs::Here => (Arc::new(bench.executor(settings)?), None),
        Runs::Elsewhere(scheduler) => (scheduler, None),
        Runs::Cluster(cluster) | Runs::Work(cluster) => {
            let (jobs, listener) = cluster.jobs(settings, data).await?;
            let executor = jobs.executor();
            let mut router = executor.callbacks();
            if let Some(config) = builds::config(settings, data, &jobs)? {
                let builds = JobPublisher::new(jobs.client, config, jobs.key, publisher);
                router = router.merge(builds.callbacks());
                publisher = Arc::new(builds);
            }
            (Arc::new(executor), Some((listener, router)))
        }
    };
    let illustrator = bench.illustrator(settings)?;
    let secure_cookies = public_url.starts_with("https://");
    let secrets = secrets::store(settings, data, &store)?;
    let ports = Ports {
        checks: github::checks(&settings.github, &*secrets).await?,
        workflow_tokens: github::workflow_tokens(&settings.github)?,
        secrets,
        store,
        objects,
        executor,
        publisher,
        repositories: bench.repositories,
        illustrator,
        mailer: mailer(settings, data)?,
        clock: Arc::new(SystemClock),
        randomness: Arc::new(SystemRandomness::new()),
    };
    let app = App::new(ports, config);
    let (prometheus, leaving) = (metrics()?, CancellationToken::new());
    let router = if duties == Duties::Work {
        csw_web::task_router(app.clone(), of_services(run_key(settings, data)?, prometheus))
    } else {
        let web = WebOptions {
            secure_cookies,
            metrics: Arc::new(move || prometheus.render()),
            leaving: leaving.clone(),
            ..pages(settings, data)
        };
        csw_web::router(WebState::new(app.clone(), web))
    };
    Ok(Site { app, router, cgroups: bench.cgroups, database: database.kind(), callbacks, leaving })
}

/// What a process without pages is asked by other services, which have tokens of this key.
fn of_services(key: RunKey, prometheus: PrometheusHandle) -> TaskOptions {
    let is_service = Arc::new(move |token: &str| key.is_service(token));
    TaskOptions { is_service, metrics: Arc::new(move || prometheus.render()) }
}

/// Pages and REST API, as the settings say.
fn pages(settings: &Settings, data: &Path) -> WebOptions {
    WebOptions {
        trust_forwarded: settings.trust_forwarded,
        uploads: data.join("uploads"),
        signed_downloads: objects::signed_downloads(settings),
        webhook_secret: settings.github.webhook_secret().map(Into::into),
        ..WebOptions::default()
    }
}

/// Collects measurements. What nobody asks for must not pile up, so it is folded together now and then.
fn metrics() -> Outcome<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| Failure::local(error.to_string(), "start only one server in a process"))?;
    let folded = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_mins(1)).await;
            folded.run_upkeep();
        }
    });
    Ok(handle)
}

fn mailer(settings: &Settings, data: &Path) -> Outcome<Arc<dyn Mailer>> {
    let from = settings.mail.from.as_deref().unwrap_or(SENDER);
    Ok(Arc::new(match &settings.mail.smtp {
        Some(url) => Post::to_smtp(from, url)?,
        None => Post::to_folder(from, data.join("mail"))?,
    }))
}
