//! The server: its settings, its volume, its one pod, and how it is reached.

use serde_json::{Value, json};

use super::{
    CALLBACK_PORT, CALLBACKS, CLAIM, DATA, Ingress, NAME, SERVER_PORT, SETTINGS, Site, part, restricted, services,
};

/// The part that serves, builds, and looks after Jobs.
pub(super) const SERVER: &str = "server";

/// The Secret with the settings file.
const SETTINGS_SECRET: &str = "csw-settings";

/// Runs that are at work go on without the server; requests get so long.
const GRACE_SECONDS: u32 = 60;

/// All of it.
pub(super) fn objects(site: &Site) -> Vec<Value> {
    let mut all = vec![settings(site), claim(site)];
    if let Some(layout) = &site.services {
        all.extend(services::objects(site, layout));
        all.extend(site.ingress.as_ref().map(|rule| ingress(site, rule)));
        return all;
    }
    all.push(server(site));
    all.push(service(site, NAME, SERVER, "http", (80, SERVER_PORT)));
    all.push(service(site, CALLBACKS, SERVER, "callbacks", (CALLBACK_PORT, CALLBACK_PORT)));
    all.push(json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": site.metadata(NAME),
        // One process looks after a site. A node that is drained moves it; Jobs go on meanwhile.
        "spec": { "maxUnavailable": 1, "selector": { "matchLabels": part(SERVER) } },
    }));
    all.extend(site.ingress.as_ref().map(|rule| ingress(site, rule)));
    all
}

fn settings(site: &Site) -> Value {
    let mut files = json!(site.files);
    files["csw.toml"] = site.settings.as_str().into();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": site.metadata(SETTINGS_SECRET),
        "type": "Opaque",
        "stringData": files,
    })
}

fn claim(site: &Site) -> Value {
    let mut spec = json!({
        // Jobs on other nodes read versions from it.
        "accessModes": ["ReadWriteMany"],
        "resources": { "requests": { "storage": format!("{}G", site.storage.gigabytes) } },
    });
    if let Some(class) = &site.storage.class {
        spec["storageClassName"] = class.as_str().into();
    }
    json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": site.metadata(CLAIM), "spec": spec })
}

fn server(site: &Site) -> Value {
    Workload {
        name: NAME,
        part: SERVER,
        image: None,
        words: vec!["up".to_owned(), "--grace".to_owned(), (GRACE_SECONDS / 2).to_string()],
        ports: &[("http", SERVER_PORT), ("callbacks", CALLBACK_PORT)],
        // The data folder has one owner at a time.
        replicas: None,
        asks_cluster: true,
        resources: resources(site),
    }
    .deployment(site)
}

/// Pods that run the site's image with its settings and its volume.
pub(super) struct Workload<'a> {
    pub(super) name: &'a str,
    pub(super) part: &'a str,
    /// Its image, where it is not that of the site.
    pub(super) image: Option<&'a str>,
    /// Words of `csw`.
    pub(super) words: Vec<String>,
    /// Names and numbers of its ports; the first answers probes.
    pub(super) ports: &'a [(&'a str, u16)],
    /// How many there are at once; `None` for one that has to be gone before its successor begins.
    pub(super) replicas: Option<u32>,
    /// Whether it asks the cluster for anything.
    pub(super) asks_cluster: bool,
    /// What its container is promised, and gets at most.
    pub(super) resources: Value,
}

/// What processes get that build, serve and look after runs.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few CPUs and gigabytes")]
pub(super) fn resources(site: &Site) -> Value {
    let requests = json!({
        "cpu": format!("{}m", (site.resources.cpus * 1000.0).ceil().max(1.0) as u64),
        "memory": format!("{}M", (site.resources.memory_gigabytes * 1000.0).ceil().max(1.0) as u64),
    });
    json!({ "requests": requests, "limits": { "memory": requests["memory"] } })
}

impl Workload<'_> {
    pub(super) fn deployment(&self, site: &Site) -> Value {
        let mut pod = site.pod(
            NAME,
            &self.container(site),
            &json!([
                { "name": "data", "persistentVolumeClaim": { "claimName": CLAIM } },
                { "name": "settings", "secret": { "secretName": SETTINGS_SECRET, "defaultMode": 0o440 } },
                { "name": "tmp", "emptyDir": {} },
            ]),
        );
        pod["terminationGracePeriodSeconds"] = GRACE_SECONDS.into();
        pod["automountServiceAccountToken"] = self.asks_cluster.into();
        let strategy = match self.replicas {
            None => json!({ "type": "Recreate" }),
            // None is taken away before the next one answers.
            Some(_) => json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } }),
        };
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": site.metadata(self.name),
            "spec": {
                "replicas": self.replicas.unwrap_or(1),
                "strategy": strategy,
                "selector": { "matchLabels": part(self.part) },
                "template": {
                    "metadata": {
                        "labels": part(self.part),
                        "annotations": { "studio.compute/settings": mark(site) },
                    },
                    "spec": pod,
                },
            },
        })
    }

    fn container(&self, site: &Site) -> Value {
        let port = self.ports[0].0;
        let probe = |path: &str| json!({ "path": path, "port": port });
        let command: Vec<&str> =
            ["csw", "--config", SETTINGS].into_iter().chain(self.words.iter().map(String::as_str)).collect();
        let ports: Vec<Value> = self
            .ports
            .iter()
            .map(|(name, port)| json!({ "name": name, "containerPort": port, "protocol": "TCP" }))
            .collect();
        json!({
            "name": self.part,
            "image": self.image.unwrap_or(&site.image),
            "command": command,
            "env": [{ "name": "HOME", "value": "/tmp" }],
            "ports": ports,
            "resources": self.resources,
            // One that is to work first waits until the Lease of its predecessor is free.
            "startupProbe": { "httpGet": probe("/healthz"), "periodSeconds": 2, "failureThreshold": 150 },
            "livenessProbe":
                { "httpGet": probe("/healthz"), "periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5 },
            "readinessProbe": { "httpGet": probe("/readyz"), "periodSeconds": 5, "timeoutSeconds": 5 },
            "volumeMounts": [
                { "name": "data", "mountPath": DATA },
                { "name": "settings", "mountPath": "/etc/csw", "readOnly": true },
                { "name": "tmp", "mountPath": "/tmp" },
            ],
            "securityContext": restricted(),
        })
    }
}

/// Other settings make another pod.
fn mark(site: &Site) -> String {
    use sha2::{Digest, Sha256};
    let mut all = Sha256::new_with_prefix(&site.settings);
    site.files.iter().flat_map(|(name, text)| [name, text]).for_each(|part| all.update(part));
    hex::encode(&all.finalize()[..8])
}

/// A Service of a part: a port, and that of its pods.
pub(super) fn service(site: &Site, name: &str, of: &str, port_name: &str, (port, target): (u16, u16)) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": site.metadata(name),
        "spec": {
            "type": "ClusterIP",
            "selector": part(of),
            "ports": [{ "name": port_name, "port": port, "targetPort": target, "protocol": "TCP" }],
        },
    })
}

fn ingress(site: &Site, rule: &Ingress) -> Value {
    let backend = json!({ "service": { "name": NAME, "port": { "name": "http" } } });
    let mut spec = json!({
        "rules": [{
            "host": rule.host,
            "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }] },
        }],
    });
    if let Some(class) = &rule.class {
        spec["ingressClassName"] = class.as_str().into();
    }
    if let Some(certificate) = &rule.certificate {
        spec["tls"] = json!([{ "hosts": [rule.host], "secretName": certificate }]);
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": site.metadata(NAME),
        "spec": spec,
    })
}
