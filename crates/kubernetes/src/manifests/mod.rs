//! The objects of a site in a cluster, for `kubectl apply`.
//!
//! A site is one namespace: the server, a volume with its data folder, which Jobs read versions from, and what each may
//! reach and do. Everything follows from [`Site`]; nothing is asked of a cluster.

mod access;
mod cleanup;
mod network;
mod server;
mod services;

use std::collections::BTreeMap;

pub use self::services::{OUTPUTS_PORT, SCHEDULER_PORT};

use serde_json::{Value, json};

/// Port of the pages and the REST API in the pod.
pub const SERVER_PORT: u16 = 8080;

/// Port that Jobs call.
pub const CALLBACK_PORT: u16 = 8090;

/// Where the server and its Jobs have the data folder: byte code and scripts name the place.
pub const DATA: &str = "/srv/csw";

/// Where the server has its settings.
pub const SETTINGS: &str = "/etc/csw/csw.toml";

/// Of the server, and what its objects are called.
const NAME: &str = "csw";

/// The claim of the volume with the data folder.
pub const CLAIM: &str = "csw-data";

/// The Service that Jobs call.
const CALLBACKS: &str = "csw-callbacks";

/// A site, as an operator wants it.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its namespace, which is one of the objects.
    pub namespace: String,
    /// Tells its Jobs from those of other sites.
    pub site: String,
    /// Image of the server, and of Jobs whose versions are on the volume.
    pub image: String,
    /// Secrets that the image is pulled with.
    pub pull_secrets: Vec<String>,
    /// Labels of the node that the server runs on.
    pub node_selector: BTreeMap<String, String>,
    /// The settings file of the server. It may hold secrets, so it becomes one.
    pub settings: String,
    /// What settings name of the machine they are from, by the name that it has beside the settings file.
    pub files: BTreeMap<String, String>,
    /// Whether secrets of models are Secrets of the namespace.
    pub keeps_secrets: bool,
    /// The volume.
    pub storage: Storage,
    /// What the server gets.
    pub resources: Resources,
    /// How browsers reach it, where the cluster's Ingress does that.
    pub ingress: Option<Ingress>,
    /// Its services, where it is more than one process.
    pub services: Option<Services>,
    /// Whether a CronJob removes finished Jobs, for clusters that do not do so themselves.
    pub job_cleanup: bool,
}

/// The services of a site: any number of processes for pages and for outputs, and one that works.
#[derive(Debug, Clone)]
pub struct Services {
    /// Processes for pages.
    pub webapps: u32,
    /// Processes for outputs on their way.
    pub outputs: u32,
    /// A Redis of the site's own.
    pub redis: Option<RedisPart>,
    /// What draws thumbnails, if anybody does.
    pub thumbnails: Option<ThumbnailsPart>,
}

/// A process that draws thumbnails.
#[derive(Debug, Clone)]
pub struct ThumbnailsPart {
    /// Its image, which brings a browser.
    pub image: String,
    /// Browsers at once.
    pub parallel: u32,
}

/// A Redis in the cluster.
#[derive(Debug, Clone)]
pub struct RedisPart {
    /// Its image.
    pub image: String,
    /// Its users, as the file that it reads.
    pub users: String,
}

/// The volume of the data folder.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Its class, where the default does not do: many nodes must mount it at once.
    pub class: Option<String>,
    /// Its size.
    pub gigabytes: u32,
}

/// What a container is promised, and gets at most.
#[derive(Debug, Clone)]
pub struct Resources {
    /// CPUs.
    pub cpus: f64,
    /// Memory.
    pub memory_gigabytes: f64,
}

/// A rule of the cluster's Ingress.
#[derive(Debug, Clone)]
pub struct Ingress {
    /// Host name of the site.
    pub host: String,
    /// Class of the controller, where the default does not do.
    pub class: Option<String>,
    /// Secret with the certificate; without one the site is served in the clear.
    pub certificate: Option<String>,
}

impl Site {
    /// The address that Jobs call.
    pub fn callback_url(namespace: &str) -> String {
        format!("http://{CALLBACKS}.{namespace}:{CALLBACK_PORT}")
    }

    /// All objects, in an order in which each finds what it needs.
    pub fn objects(&self) -> Vec<Value> {
        let mut all = vec![self.namespace()];
        all.extend(access::objects(self));
        all.extend(network::objects(self));
        all.extend(server::objects(self));
        if self.job_cleanup {
            all.push(cleanup::cron_job(self));
        }
        all
    }

    /// Pods of a namespace that enforces the restricted profile can't be anything else.
    fn namespace(&self) -> Value {
        let mut labels = labels();
        for mode in ["enforce", "warn", "audit"] {
            labels.insert(format!("pod-security.kubernetes.io/{mode}"), "restricted".to_owned());
        }
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": self.namespace, "labels": labels },
        })
    }

    fn metadata(&self, name: &str) -> Value {
        json!({ "name": name, "namespace": self.namespace, "labels": labels() })
    }

    /// What holds for every pod of the site's own.
    fn pod(&self, account: &str, container: &Value, volumes: &Value) -> Value {
        let mut pod = json!({
            "serviceAccountName": account,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": crate::manifest::USER,
                "runAsGroup": crate::manifest::USER,
                "fsGroup": crate::manifest::USER,
                // A large volume is not walked through at every start.
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [container],
            "volumes": volumes,
        });
        if !self.node_selector.is_empty() {
            pod["nodeSelector"] = json!(self.node_selector);
        }
        if !self.pull_secrets.is_empty() {
            pod["imagePullSecrets"] = self.pull_secrets.iter().map(|name| json!({ "name": name })).collect();
        }
        pod
    }
}

/// Labels of every object.
fn labels() -> BTreeMap<String, String> {
    [("app.kubernetes.io/name", NAME), ("app.kubernetes.io/managed-by", "csw")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// Labels of the pods of one part.
fn part(name: &str) -> BTreeMap<String, String> {
    let mut labels = labels();
    labels.insert("app.kubernetes.io/component".to_owned(), name.to_owned());
    labels
}

/// What no container of ours needs.
pub(crate) fn restricted() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    })
}

#[cfg(test)]
mod tests;
