//! The server: its settings, its volume, its one pod, and how it is reached.

use serde_json::{Value, json};

use super::{CALLBACK_PORT, CALLBACKS, CLAIM, DATA, Ingress, NAME, SERVER_PORT, SETTINGS, Site, part, restricted};

/// The part that serves, builds, and looks after Jobs.
pub(super) const SERVER: &str = "server";

/// The Secret with the settings file.
const SETTINGS_SECRET: &str = "csw-settings";

/// Runs that are at work go on without the server; requests get so long.
const GRACE_SECONDS: u32 = 60;

/// All of it.
pub(super) fn objects(site: &Site) -> Vec<Value> {
    let mut all = vec![settings(site), claim(site), deployment(site)];
    all.push(service(site, NAME, "http", 80, SERVER_PORT));
    all.push(service(site, CALLBACKS, "callbacks", CALLBACK_PORT, CALLBACK_PORT));
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
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": site.metadata(SETTINGS_SECRET),
        "type": "Opaque",
        "stringData": { "csw.toml": site.settings },
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

fn deployment(site: &Site) -> Value {
    let probe = |path: &str| json!({ "path": path, "port": "http" });
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few CPUs and gigabytes")]
    let resources = json!({
        "cpu": format!("{}m", (site.resources.cpus * 1000.0).ceil().max(1.0) as u64),
        "memory": format!("{}M", (site.resources.memory_gigabytes * 1000.0).ceil().max(1.0) as u64),
    });
    let container = json!({
        "name": "server",
        "image": site.image,
        "command": ["csw", "--config", SETTINGS, "up", "--grace", (GRACE_SECONDS / 2).to_string()],
        "env": [{ "name": "HOME", "value": "/tmp" }],
        "ports": [
            { "name": "http", "containerPort": SERVER_PORT, "protocol": "TCP" },
            { "name": "callbacks", "containerPort": CALLBACK_PORT, "protocol": "TCP" },
        ],
        "resources": { "requests": resources, "limits": { "memory": resources["memory"] } },
        // It first waits until the Lease of its predecessor is free.
        "startupProbe": { "httpGet": probe("/healthz"), "periodSeconds": 2, "failureThreshold": 150 },
        "livenessProbe": { "httpGet": probe("/healthz"), "periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5 },
        "readinessProbe": { "httpGet": probe("/readyz"), "periodSeconds": 5, "timeoutSeconds": 5 },
        "volumeMounts": [
            { "name": "data", "mountPath": DATA },
            { "name": "settings", "mountPath": "/etc/csw", "readOnly": true },
            { "name": "tmp", "mountPath": "/tmp" },
        ],
        "securityContext": restricted(),
    });
    let volumes = json!([
        { "name": "data", "persistentVolumeClaim": { "claimName": CLAIM } },
        { "name": "settings", "secret": { "secretName": SETTINGS_SECRET, "defaultMode": 0o440 } },
        { "name": "tmp", "emptyDir": {} },
    ]);
    let mut pod = site.pod(NAME, &container, &volumes);
    pod["terminationGracePeriodSeconds"] = GRACE_SECONDS.into();
    pod["automountServiceAccountToken"] = true.into();
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": site.metadata(NAME),
        "spec": {
            "replicas": 1,
            // The data folder has one owner at a time.
            "strategy": { "type": "Recreate" },
            "selector": { "matchLabels": part(SERVER) },
            "template": {
                "metadata": { "labels": part(SERVER), "annotations": { "studio.compute/settings": mark(&site.settings) } },
                "spec": pod,
            },
        },
    })
}

/// Other settings make another pod.
fn mark(settings: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(&Sha256::digest(settings.as_bytes())[..8])
}

fn service(site: &Site, name: &str, port_name: &str, port: u16, target: u16) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": site.metadata(name),
        "spec": {
            "type": "ClusterIP",
            "selector": part(SERVER),
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
