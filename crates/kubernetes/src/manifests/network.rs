//! Who may reach whom. Nothing is reached but what is named here.

use serde_json::{Value, json};

use super::{CALLBACK_PORT, SERVER_PORT, Site, access::CLEANER, server::SERVER};
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
    let server = json!({ "matchLabels": { "app.kubernetes.io/component": SERVER } });
    let mut all = vec![
        policy(site, "csw-nothing", &json!({}), None, None),
        policy(
            site,
            "csw-server",
            &server,
            Some(json!([
                { "ports": [port(SERVER_PORT)] },
                { "ports": [port(CALLBACK_PORT)], "from": [{ "podSelector": models }, { "podSelector": builds }] },
            ])),
            // Repositories, packages, registries, mail, the database and the API server may be anywhere.
            Some(json!([{}])),
        ),
        policy(
            site,
            "csw-runs",
            &models,
            Some(json!([])),
            Some(json!([
                names(),
                { "ports": [port(CALLBACK_PORT)], "to": [{ "podSelector": server }] },
            ])),
        ),
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
    if site.job_cleanup {
        let cleaner = json!({ "matchLabels": { "app.kubernetes.io/component": CLEANER } });
        // It asks the API server, whose address is the cluster's own business.
        all.push(policy(site, CLEANER, &cleaner, Some(json!([])), Some(json!([{}]))));
    }
    all
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
