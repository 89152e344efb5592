//! Builds as Jobs: what the process in a Job is told of the site, and what it builds with.

use std::{collections::BTreeMap, path::Path};

use csw_kubernetes::builds::BuildsConfig;
use csw_publish::{
    PublishConfig, UvPublisher,
    image::{ImageOptions, ImagePublisher, Layout, Patience, Place, PushOptions, Target},
};
use csw_sandbox::cgroup::Manager;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{bytes, cluster::Jobs, images, layers};
use crate::{
    failure::{Failure, Outcome},
    settings::{BuildSettings, Settings},
    tools,
};

/// Gigabytes that a build may have on disk, unless told otherwise.
const DISK: f64 = 32.0;

/// Beside what a build writes there are packages, the environment of the version, and its image.
const ROOM: f64 = 2.0;

/// What a process in a Job is told of the site. It has the password of the registry in it: it is for that process alone.
#[derive(Serialize, Deserialize)]
struct Kit {
    registry: String,
    login: Option<(String, String)>,
    base: Option<String>,
    insecure: bool,
    attempts: u32,
    python: Option<String>,
    install_network: bool,
    test_network: bool,
    disk_bytes: u64,
    /// How packages are found.
    variables: BTreeMap<String, String>,
}

/// How builds become Jobs, if the operator wants that.
pub(super) fn config(settings: &Settings, data: &Path, jobs: &Jobs) -> Outcome<Option<BuildsConfig>> {
    if !settings.cluster.builds {
        return Ok(None);
    }
    let missing = |what: &str, hint: &str| {
        Failure::usage(format!("builds can't be Jobs (kubernetes.builds) without {what}"), hint.to_owned())
    };
    let (place, credentials) = images::registry(settings)?
        .ok_or_else(|| missing("a registry", "set `images.registry` to HOST/PREFIX (CSW_REGISTRY)"))?;
    let image = settings.cluster.image.clone();
    let image =
        image.ok_or_else(|| missing("an image to run in", "set `kubernetes.image` to what `csw svc push` printed"))?;
    let folder = data.join("build-sources");
    // What a former process left there is made again.
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))?;
    }
    std::fs::create_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))?;
    let disk = settings.build.disk_gigabytes.unwrap_or(DISK);
    let BuildSettings { python, install_network, test_network, .. } = settings.build.clone();
    let kit = Kit {
        registry: format!("{}/{}", place.host, place.prefix),
        login: credentials.map(|known| (known.user, known.password)),
        base: settings.images.base(),
        insecure: settings.images.insecure,
        attempts: images::attempts(settings),
        python,
        install_network,
        test_network,
        disk_bytes: bytes(disk),
        variables: csw_publish::index_variables().filter(|(name, _)| !name.starts_with("SSL_")).collect(),
    };
    let site = serde_json::to_value(kit).map_err(|error| Failure::local(error.to_string(), "this is a defect"))?;
    let (jobs, memory) = (jobs.config.clone(), data.join("build-layers.json"));
    Ok(Some(BuildsConfig { jobs, image, scratch_bytes: bytes(disk * ROOM), folder, memory, site }))
}

/// A kit as the process of a build gets it.
pub(crate) struct Received(Kit);

impl Received {
    /// Reads it.
    pub(crate) fn read(site: Value) -> Outcome<Self> {
        let read = serde_json::from_value(site).map(Self);
        read.map_err(|error| {
            Failure::local(
                format!("what the server tells of the site can't be read: {error}"),
                "set `kubernetes.image` to the image of the server's own release",
            )
        })
    }

    /// Variables that have to be in the environment of whatever builds.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.0.variables
    }

    /// The publisher that builds below a folder. What is around this process is its sandbox: of the layers inside it takes
    /// what there is.
    pub(crate) fn publisher(self, folder: &Path) -> Outcome<ImagePublisher> {
        let Kit { registry, login, base, insecure, attempts, python, .. } = self.0;
        let program = tools::own_program()?;
        let images = folder.join("layout");
        std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
        let mut publish = PublishConfig::new(folder.to_owned(), program.clone());
        publish.layers = layers(&program, &Manager::none())?;
        publish.contained = true;
        publish.place = Some(csw_publish::image::ROOT.into());
        publish.install_network = self.0.install_network;
        publish.test_network = self.0.test_network;
        publish.room_bytes = self.0.disk_bytes;
        if let Some(uv) = tools::find("uv") {
            publish.uv = uv;
        }
        if let Some(python) = python {
            publish.python = python;
        }
        let place = Place::parse(&registry)?;
        let credentials = login.map(|(user, password)| csw_publish::image::Credentials { user, password });
        let patience = Patience { attempts, ..Patience::default() };
        let options = ImageOptions {
            layout: Layout::open(&images)?,
            program,
            base,
            tag: None,
            insecure,
            login: credentials.clone().map(|known| (place.host.clone(), known)),
            patience,
            tool: images::tool(&Settings::default(), None, &[]),
            ask_version: false,
        };
        let push = PushOptions { place, tag: None, credentials, insecure, patience };
        Ok(ImagePublisher::new(UvPublisher::new(publish), Target { images: options, push }))
    }
}
