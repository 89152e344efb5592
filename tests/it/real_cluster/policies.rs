//! Who reaches whom in the cluster, where its network keeps the policies of `csw svc config`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use csw_tests::Result;
use serde_json::{Value, json};

use super::{given::Given, kubectl::Kubectl, several, site::wait};

/// The services of a site, and their ports.
const PLACES: [(&str, u16); 5] =
    [("csw", 80), ("csw-callbacks", 8090), ("csw-outputs", 8092), ("csw-redis", 6379), ("csw-scheduler", 8091)];

/// How long a network may take to keep policies for a pod whose address is known.
const KEPT: Duration = Duration::from_secs(3);

/// Looks what can be reached, and says it.
const SCRIPT: &str = "\
import json, socket, sys
def reached(place):
    try:
        socket.create_connection(place, 3).close()
        return True
    except OSError:
        return False
print(json.dumps([place[0] for place in json.loads(sys.argv[1]) if reached(place)]))
";

/// What a pod with these labels reaches of the services in a namespace, and of the API server.
fn reached(kubectl: &Kubectl, image: &str, name: &str, labels: &Value, of: &str) -> Result<Vec<String>> {
    let mut places: Vec<(String, u16)> =
        PLACES.iter().map(|(service, port)| (format!("{service}.{of}"), *port)).collect();
    places.push(("kubernetes.default".to_owned(), 443));
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": kubectl.namespace(), "labels": labels },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "securityContext":
                { "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "look",
                "image": image,
                "command": ["sleep", "600"],
                "resources": { "requests": { "cpu": "10m", "memory": "50M" } },
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
            }],
        },
    });
    kubectl.apply(&pod.to_string())?;
    wait(&format!("the address of {name}"), || {
        let found = kubectl.json(&["get", "pod", name, "--output", "json"])?;
        Ok((found["status"]["phase"] == "Running" && found["status"]["podIP"].is_string()).then_some(()))
    })?;
    std::thread::sleep(KEPT);
    let places = json!(places).to_string();
    let said: Vec<String> =
        serde_json::from_str(&kubectl.ask(&["exec", name, "--", "python3", "-c", SCRIPT, &places])?)?;
    kubectl.ask(&["delete", "pod", name, "--wait=false", "--grace-period=1"])?;
    Ok(said.into_iter().filter_map(|place| Some(place.split('.').next()?.to_owned())).collect())
}

/// Labels of pods that are called so.
fn of_a_model(name: &str) -> BTreeMap<&'static str, &str> {
    BTreeMap::from([("app.kubernetes.io/name", name), ("studio.compute/site", "default")])
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reaches_something_is_meant_to() -> Result {
    let Some(given) = Given::with_policies() else { return Ok(()) };
    let site = several::start(&given).await?;
    site.is_whole()?;
    let kubectl = site.kubectl();
    let of = kubectl.namespace();
    let told = ["csw-callbacks", "csw-outputs", "csw-redis"];
    for name in ["csw-run", "csw-inputs"] {
        assert_eq!(reached(kubectl, &given.image, name, &json!(of_a_model(name)), of)?, told, "{name}");
    }
    // The internet is not the cluster.
    let mut open = of_a_model("csw-run");
    open.insert("studio.compute/network", "open");
    assert_eq!(reached(kubectl, &given.image, "open", &json!(open), of)?, told);
    let build = json!(of_a_model("csw-build"));
    assert_eq!(reached(kubectl, &given.image, "build", &build, of)?, ["csw-callbacks"]);
    assert!(reached(kubectl, &given.image, "nobody", &json!({ "a": "stranger" }), of)?.is_empty());
    // Whoever is elsewhere sees pages, as whoever is outside does.
    let elsewhere = given.namespace();
    elsewhere.kubectl.ask(&["create", "namespace", elsewhere.kubectl.namespace()])?;
    wait("the account of pods", || Ok(elsewhere.kubectl.ask(&["get", "serviceaccount", "default"]).ok()))
        .context("elsewhere")?;
    let seen = reached(&elsewhere.kubectl, &given.image, "visitor", &json!({}), of)?;
    assert_eq!(seen, ["csw", "kubernetes"]);
    Ok(())
}
