//! The objects of a version's inputs server.

use csw_core::run::{Limits, RunOrder};
use serde_json::{Value, json};

use super::{AT_ONCE, LISTEN, PORT, VERSION as VERSION_VARIABLE};
use crate::{
    config::KubernetesConfig,
    job::CALLBACK_URL,
    manifest::{pod, resources},
    names::{INPUTS, inputs_labels, inputs_name},
};

/// Deployment and Service of the inputs server of the version that an order is for. How many pods there are is left to
/// whoever scales it: none after quiet time. The error is a sentence: the version can't run in a cluster.
pub(crate) fn objects(order: &RunOrder, config: &KubernetesConfig) -> Result<Vec<Value>, String> {
    let name = inputs_name(&order.model);
    let labels = inputs_labels(order, &config.site);
    // What never changes: a Deployment finds its pods by it.
    let selector = json!({ INPUTS: name });
    let metadata = json!({ "name": name, "namespace": config.namespace, "labels": labels });
    // What is asked before a run is one interpreter's work, however many CPUs the run gets.
    let limits = Limits { cpus: order.limits.cpus.min(1.0), ..order.limits };
    let probe = json!({ "path": "/healthz", "port": "inputs" });
    let container = json!({
        "name": "inputs",
        "command": ["csw", "api-task", "--start"],
        "env": [
            { "name": CALLBACK_URL, "value": config.callback_url },
            { "name": LISTEN, "value": format!("0.0.0.0:{PORT}") },
            { "name": VERSION_VARIABLE, "value": order.version },
            { "name": AT_ONCE, "value": config.inputs_at_once.to_string() },
        ],
        "ports": [{ "name": "inputs", "containerPort": PORT, "protocol": "TCP" }],
        "resources": resources(&limits),
        "readinessProbe": { "httpGet": probe, "periodSeconds": 2 },
        "livenessProbe": { "httpGet": probe, "periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5 },
    });
    let mut pod = pod(order, config, container)?;
    pod["restartPolicy"] = "Always".into();
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "revisionHistoryLimit": 1,
            "selector": { "matchLabels": selector },
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": "ClusterIP",
            "selector": selector,
            "ports": [{ "name": "inputs", "port": PORT, "targetPort": "inputs", "protocol": "TCP" }],
        },
    });
    Ok(vec![deployment, service])
}
