//! Who may reach whom. Nothing is reached but what is named here.

use serde_json::{Value, json};

use super::{
    CALLBACK_PORT, SERVER_PORT, Site,
    access::CLEANER,
    server::SERVER,
    services::{OUTPUTS, OUTPUTS_PORT, REDIS, REDIS_PORT, SCHEDULER, SCHEDULER_PORT, THUMBNAILS, WEBAPP},
};
use crate::{
    inputs,
    names::{BUILD_NAME, INPUTS_NAME, NETWORK, RUN_NAME, SITE},
};

/// Addresses that are nobody's on the internet: the cluster, its nodes, and what is beside them.
const INSIDE: [&str; 5] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"];

/// The policies of the namespace.
pub(super) fn objects(site: &Site) -> Vec<Value> {
    // Wherever a model's code runs.
    let names_of_models =
        json!([{ "key": "app.kubernetes.io/name", "operator": "In", "values": [RUN_NAME, INPUTS_NAME] }]);
    let models = json!({ "matchLabels": { SITE: site.site }, "matchExpressions": names_of_models });
    let open = json!({ "matchLabels": { SITE: site.site, NETWORK: "open" }, "matchExpressions": names_of_models });
    let of_inputs = json!({ "matchLabels": { SITE: site.site, "app.kubernetes.io/name": INPUTS_NAME } });
    let builds = json!({ "matchLabels": { SITE: site.site, "app.kubernetes.io/name": BUILD_NAME } });
    // Who looks after Jobs, and is called by them.
    let server = component(if site.services.is_some() { SCHEDULER } else { SERVER });
    let mut callers = vec![json!({ "podSelector": models }), json!({ "podSelector": builds })];
    let mut asked = vec![names(), json!({ "ports": [port(CALLBACK_PORT)], "to": [{ "podSelector": server }] })];
    let mut front = json!({ "ports": [port(SERVER_PORT)] });
    if site.services.is_some() {
        callers.push(json!({ "podSelector": component(OUTPUTS) }));
        front = json!({ "ports": [port(SCHEDULER_PORT)], "from": [{ "podSelector": component(WEBAPP) }] });
        for (number, of) in [(OUTPUTS_PORT, OUTPUTS), (REDIS_PORT, REDIS)] {
            asked.push(json!({ "ports": [port(number)], "to": [{ "podSelector": component(of) }] }));
        }
    }
    let mut all = vec![
        policy(site, "csw-nothing", &json!({}), None, None),
        policy(
            site,
            "csw-server",
            &server,
            Some(json!([
                front,
                { "ports": [port(CALLBACK_PORT)], "from": callers },
            ])),
            // Repositories, packages, registries, mail, the database and the API server may be anywhere.
            Some(json!([{}])),
        ),
        policy(site, "csw-runs", &models, Some(json!([])), Some(json!(asked))),
        policy(
            site,
            "csw-inputs",
            &of_inputs,
            Some(json!([{ "ports": [port(inputs::PORT)], "from": [{ "podSelector": server }] }])),
            None,
        ),
        policy(
            site,
            "csw-builds",
            &builds,
            Some(json!([])),
            // Repositories, packages and registries are out there; one inside the cluster needs a policy of its own.
            Some(json!([
                names(),
                { "ports": [port(CALLBACK_PORT)], "to": [{ "podSelector": server }] },
                internet(),
            ])),
        ),
        policy(site, "csw-runs-with-a-network", &open, None, Some(json!([internet()]))),
    ];
    if site.services.is_some() {
        all.extend(between_services(site, &models, &server));
    }
    if site.job_cleanup {
        let cleaner = json!({ "matchLabels": { "app.kubernetes.io/component": CLEANER } });
        // It asks the API server, whose address is the cluster's own business.
        all.push(policy(site, CLEANER, &cleaner, Some(json!([])), Some(json!([{}]))));
    }
    all
}

/// Pods of a part.
fn component(name: &str) -> Value {
    json!({ "matchLabels": { "app.kubernetes.io/component": name } })
}

/// Who reaches pages, outputs processor, what draws, and Redis. The database, the bucket and forges may be anywhere.
fn between_services(site: &Site, models: &Value, scheduler: &Value) -> [Value; 4] {
    let from = |number: u16, pods: &[&Value]| {
        let pods: Vec<Value> = pods.iter().map(|pods| json!({ "podSelector": pods })).collect();
        Some(json!([{ "ports": [port(number)], "from": pods }]))
    };
    let anywhere = || Some(json!([{}]));
    [
        policy(site, "csw-webapp", &component(WEBAPP), Some(json!([{ "ports": [port(SERVER_PORT)] }])), anywhere()),
        policy(site, "csw-outputs", &component(OUTPUTS), from(OUTPUTS_PORT, &[models]), anywhere()),
        policy(site, "csw-thumbnails", &component(THUMBNAILS), Some(json!([])), anywhere()),
        policy(site, "csw-redis", &component(REDIS), from(REDIS_PORT, &[models, scheduler]), Some(json!([]))),
    ]
}

/// A policy of some pods. Without rules of a kind, it closes that direction only where both are missing.
fn policy(site: &Site, name: &str, pods: &Value, ingress: Option<Value>, egress: Option<Value>) -> Value {
    let both = ingress.is_none() && egress.is_none();
    let mut kinds = Vec::new();
    let mut spec = json!({ "podSelector": pods });
    for (kind, key, rules) in [("Ingress", "ingress", ingress), ("Egress", "egress", egress)] {
        if let Some(rules) = rules {
            spec[key] = rules;
            kinds.push(kind);
        } else if both {
            kinds.push(kind);
        }
    }
    spec["policyTypes"] = json!(kinds);
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": site.metadata(name),
        "spec": spec,
    })
}

fn port(number: u16) -> Value {
    json!({ "protocol": "TCP", "port": number })
}

/// Names are looked up wherever the cluster does that.
fn names() -> Value {
    json!({ "ports": [{ "protocol": "UDP", "port": 53 }, { "protocol": "TCP", "port": 53 }] })
}

fn internet() -> Value {
    json!({ "to": [
        { "ipBlock": { "cidr": "0.0.0.0/0", "except": INSIDE } },
        { "ipBlock": { "cidr": "::/0", "except": ["fc00::/7", "fe80::/10"] } },
    ] })
}
