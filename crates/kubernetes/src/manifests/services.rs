//! A site of several services: pages, scheduler, outputs processor, what draws, and the Redis between them.

use serde_json::{Value, json};

use super::{
    CALLBACK_PORT, CALLBACKS, NAME, SERVER_PORT, Services, Site, ThumbnailsPart, part, restricted,
    server::{Workload, resources, service},
};

/// Port that the scheduler answers the other services at.
pub const SCHEDULER_PORT: u16 = 8091;

/// Port of the outputs processor.
pub const OUTPUTS_PORT: u16 = 8092;

/// Port at which the process that draws is asked how it is.
const THUMBNAILS_PORT: u16 = 8093;

/// Memory of a browser, in gigabytes: its bound, and what the system adds.
const BROWSER_GIGABYTES: u32 = 2;

/// Port of Redis.
pub const REDIS_PORT: u16 = 6379;

/// The parts, and what their objects are called.
pub(super) const WEBAPP: &str = "webapp";
pub(super) const SCHEDULER: &str = "scheduler";
pub(super) const OUTPUTS: &str = "outputs";
pub(super) const THUMBNAILS: &str = "thumbnails";
pub(super) const REDIS: &str = "redis";

/// What an object of a part is called.
fn named(of: &str) -> String {
    format!("{NAME}-{of}")
}

/// The address of a part that others ask.
fn url(scheme: &str, of: &str, namespace: &str, port: u16) -> String {
    format!("{scheme}://{}.{namespace}:{port}", named(of))
}

impl Site {
    /// Where the scheduler is asked.
    pub fn scheduler_url(namespace: &str) -> String {
        url("http", SCHEDULER, namespace, SCHEDULER_PORT)
    }

    /// Where Jobs send outputs.
    pub fn outputs_url(namespace: &str) -> String {
        url("http", OUTPUTS, namespace, OUTPUTS_PORT)
    }

    /// Where the Redis of the site's own is.
    pub fn redis_url(namespace: &str) -> String {
        url("redis", REDIS, namespace, REDIS_PORT)
    }
}

pub(super) fn objects(site: &Site, services: &Services) -> Vec<Value> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let (scheduler, outputs) = (named(SCHEDULER), named(OUTPUTS));
    let workloads = [
        Workload {
            name: NAME,
            part: WEBAPP,
            image: None,
            // Until it is known everywhere that a pod is to go, requests are sent to it.
            words: words(&["webapp", "--drain", "5"]),
            ports: &[("http", SERVER_PORT)],
            replicas: Some(services.webapps),
            asks_cluster: site.keeps_secrets,
            resources: resources(site),
        },
        Workload {
            name: &scheduler,
            part: SCHEDULER,
            image: None,
            words: words(&["scheduler", "--start"]),
            ports: &[("tasks", SCHEDULER_PORT), ("callbacks", CALLBACK_PORT)],
            // Its builds have the data folder to themselves.
            replicas: None,
            asks_cluster: true,
            resources: resources(site),
        },
        Workload {
            name: &outputs,
            part: OUTPUTS,
            image: None,
            words: words(&["outputs", "--start", "--folder", "/tmp/outputs"]),
            ports: &[("outputs", OUTPUTS_PORT)],
            replicas: Some(services.outputs),
            asks_cluster: site.keeps_secrets,
            resources: resources(site),
        },
    ];
    let mut all: Vec<Value> = workloads.iter().map(|workload| workload.deployment(site)).collect();
    all.push(service(site, NAME, WEBAPP, "http", (80, SERVER_PORT)));
    all.push(service(site, CALLBACKS, SCHEDULER, "callbacks", (CALLBACK_PORT, CALLBACK_PORT)));
    all.push(service(site, &scheduler, SCHEDULER, "tasks", (SCHEDULER_PORT, SCHEDULER_PORT)));
    all.push(service(site, &outputs, OUTPUTS, "outputs", (OUTPUTS_PORT, OUTPUTS_PORT)));
    all.extend([WEBAPP, OUTPUTS].map(|of| budget(site, of)));
    all.extend(services.thumbnails.as_ref().map(|part| thumbnails(site, part)));
    if let Some(redis) = &services.redis {
        all.extend(redis_objects(site, &redis.image, &redis.users));
    }
    all
}

/// What draws. Whatever a picture takes, it takes of this pod alone; what is idle is promised little.
fn thumbnails(site: &Site, part: &ThumbnailsPart) -> Value {
    let listen = format!("0.0.0.0:{THUMBNAILS_PORT}");
    let words = ["thumbnails", "--start", "--listen", &listen, "--folder", "/tmp/thumbnails"];
    let most = format!("{}G", 1 + BROWSER_GIGABYTES * part.parallel);
    Workload {
        name: &named(THUMBNAILS),
        part: THUMBNAILS,
        image: Some(&part.image),
        words: words.map(str::to_owned).to_vec(),
        ports: &[("state", THUMBNAILS_PORT)],
        replicas: Some(1),
        asks_cluster: site.keeps_secrets,
        resources: json!({ "requests": { "cpu": "50m", "memory": "256M" }, "limits": { "memory": most } }),
    }
    .deployment(site)
}

/// Nodes are drained one at a time.
fn budget(site: &Site, of: &str) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": site.metadata(&named(of)),
        "spec": { "maxUnavailable": 1, "selector": { "matchLabels": part(of) } },
    })
}

/// What it has is on its way only, so it keeps nothing.
fn redis_objects(site: &Site, image: &str, users: &str) -> [Value; 3] {
    let name = named(REDIS);
    let container = json!({
        "name": REDIS,
        "image": image,
        "command": ["redis-server", "--aclfile", "/etc/redis/users.acl", "--save", "", "--appendonly", "no", "--dir", "/tmp"],
        "ports": [{ "name": REDIS, "containerPort": REDIS_PORT, "protocol": "TCP" }],
        "resources": { "requests": { "cpu": "100m", "memory": "256M" }, "limits": { "memory": "1G" } },
        "livenessProbe": { "tcpSocket": { "port": REDIS }, "periodSeconds": 10, "failureThreshold": 6 },
        "readinessProbe": { "tcpSocket": { "port": REDIS }, "periodSeconds": 5 },
        "volumeMounts": [
            { "name": "users", "mountPath": "/etc/redis", "readOnly": true },
            { "name": "tmp", "mountPath": "/tmp" },
        ],
        "securityContext": restricted(),
    });
    let volumes = json!([
        { "name": "users", "secret": { "secretName": name, "defaultMode": 0o440 } },
        { "name": "tmp", "emptyDir": {} },
    ]);
    let mut pod = site.pod(NAME, &container, &volumes);
    pod["automountServiceAccountToken"] = false.into();
    [
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": site.metadata(&name),
            "type": "Opaque",
            "stringData": { "users.acl": users },
        }),
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": site.metadata(&name),
            "spec": {
                "replicas": 1,
                "strategy": { "type": "Recreate" },
                "selector": { "matchLabels": part(REDIS) },
                "template": { "metadata": { "labels": part(REDIS) }, "spec": pod },
            },
        }),
        service(site, &name, REDIS, REDIS, (REDIS_PORT, REDIS_PORT)),
    ]
}
