//! What befalls runs in a cluster: somebody deletes, a node is emptied, there is no room.

use anyhow::ensure;
use csw_tests::Result;
use serde_json::{Value, json};

use super::{
    given::Given,
    site::{EDGES, Site, case, until},
};

/// Whether the server knows the `policy/v1` that evictions are of since 1.22.
fn eviction(site: &Site, pod: &str) -> Value {
    let version = site.kubectl.attempt(&["get", "--raw", "/apis/policy/v1"]).is_ok_and(|done| done.code == 0);
    json!({
        "apiVersion": if version { "policy/v1" } else { "policy/v1beta1" },
        "kind": "Eviction",
        "metadata": { "name": pod, "namespace": site.kubectl.namespace() },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_loses_its_job_or_its_pod_is_made_good() -> Result {
    let Some(given) = Given::with_registry() else { return Ok(()) };
    let site = Site::start(&given).await?;
    let client = site.client()?;
    // What was asked before is answered without a run.
    for (trouble, seconds) in [("job", 5.0), ("pod", 5.1), ("eviction", 5.2)] {
        let (pk, job) = site.at_work("sleeps", json!({ "seconds": [{ "value": seconds }] })).await?;
        let pods = site.kubectl.list("pods", &format!("job-name={job}"))?;
        let pod = pods[0]["metadata"]["name"].as_str().unwrap_or_default();
        if trouble == "eviction" {
            let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", site.kubectl.namespace());
            let done = site.kubectl.give(&["create", "--raw", &path, "-f", "-"], &eviction(&site, pod).to_string())?;
            ensure!(done.code == 0, "{done:?}");
        } else {
            let name = if trouble == "job" { &job } else { pod };
            site.kubectl.ask(&["delete", "--wait=false", trouble, name])?;
        }
        let end = client.wait(EDGES, pk).await?;
        assert_eq!(end.status, "SUCCESS", "{trouble}: {:?} {}", end.traceback, site.server.log()?);
        until("the end of pods", || {
            let pods = site.kubectl.list("pods", "studio.compute/task=sim")?;
            Ok(pods.iter().all(|pod| pod["status"]["phase"] != "Running"))
        })?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_waits_for_is_in_its_log() -> Result {
    let Some(given) = Given::with_registry() else { return Ok(()) };
    let site = Site::start(&given).await?;
    let client = site.client()?;
    // Validation asks for one CPU at most, and has room.
    site.change(EDGES, json!({ "cpu": "64" })).await?;
    let pk = client.create(EDGES, &case("sleeps", json!({}))).await?.sim.model_pk;
    site.log_says(pk, "no node of the cluster has room for it").await?;
    client.cancel(EDGES, pk).await?;
    // Quota counts what is at work, validation too.
    until("the end of pods", || {
        let pods = site.kubectl.list("pods", "studio.compute/site=default")?;
        Ok(pods.iter().all(|pod| pod["status"]["phase"] == "Succeeded"))
    })?;
    site.change(EDGES, json!({ "cpu": "1.1" })).await?;
    site.kubectl.ask(&["create", "quota", "narrow", "--hard=requests.cpu=1050m"])?;
    let pk = client.create(EDGES, &case("sleeps", json!({}))).await?.sim.model_pk;
    site.log_says(pk, "the quota of the namespace is used up").await?;
    client.cancel(EDGES, pk).await?;
    let end = client.wait(EDGES, pk).await?;
    assert_eq!(end.reason.as_deref(), Some("CANCELLED"), "{}: {:?}", end.status, end.traceback);
    Ok(())
}
