//! Runs in a real cluster: pods of images from a registry, on nodes that kill, pull and refuse by themselves.
//!
//! | variable | what |
//! | --- | --- |
//! | `KUBECONFIG` | the cluster, with rights to make namespaces and volumes |
//! | `CSW_TEST_CLUSTER_IMAGE` | what `csw svc push` sent, at a registry that its nodes pull from |
//! | `CSW_TEST_CLUSTER_REGISTRY` | where this machine sends images that its nodes pull; `http://` before it if it is not asked by TLS |
//! | `CSW_TEST_CLUSTER_IS_HERE` | set where the node is this machine: its folders are volumes, of the kind `hostPath` |
//! | `CSW_TEST_CLUSTER_CALLBACK` | the address of this machine that pods reach; that of the route to the nodes by default |
//!
//! Each test says that it is skipped where it lacks one. `scripts/test-kubernetes` sees to all of it. The same cases against
//! the test API server, and many that a cluster does not bring about when asked, are in `cluster.rs` and `crates/kubernetes`.

mod builds;
mod door;
mod forward;
mod given;
mod kubectl;
mod namespace;
mod objects;
mod policies;
mod proxy;
mod published;
mod relay;
mod services;
mod several;
mod site;
mod trouble;
mod volume;
mod whole;

use std::time::Duration;

use anyhow::Context;
use csw_tests::Result;
use serde_json::{Value, json};

use self::{
    given::Given,
    site::{EDGES, NULL, Site, number, says, until},
};
use crate::common::Run;

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_runs_in_pods_and_leaves_outputs_a_log_and_no_job() -> Result {
    let Some(given) = Given::with_registry() else { return Ok(()) };
    let site = Site::start(&given).await?;
    let client = site.client()?;
    let run = Run::new(&client, NULL, &number(7)).await?.succeeded();
    let outputs = client.simulation(NULL, run.pk).await?.outputs.context("it has outputs")?;
    assert_eq!(outputs.renderable[0].data, Value::String("7\n".to_owned()));
    let said = site.case("prints", json!({})).await?.succeeded();
    assert!(!client.log(EDGES, said.pk, 0).await?.is_empty());
    // Jobs finish by themselves, and go after their time.
    until("the end of all Jobs", || Ok(site.kubectl.list("jobs", "studio.compute/site=default")?.is_empty()))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_missing_images_end_a_run_with_a_reason_and_a_sentence() -> Result {
    let Some(given) = Given::with_registry() else { return Ok(()) };
    let mut site = Site::start(&given).await?;
    site.change(EDGES, json!({ "memory": "0.3" })).await?;
    let run = site.case("memory", json!({ "megabytes": [{ "value": 900 }] })).await?;
    assert_eq!(run.end.reason.as_deref(), Some("OUT_OF_MEMORY"), "{:?}", run.end.traceback);
    says(&run.end.traceback.unwrap_or_default(), &["more than its 300 MB of memory"])?;
    site.change(EDGES, json!({ "deadline": 2 })).await?;
    let run = site.case("sleeps", json!({ "seconds": [{ "value": 600.0 }] })).await?;
    assert_eq!(run.end.reason.as_deref(), Some("TIMED_OUT"), "{:?}", run.end.traceback);
    says(&run.end.traceback.unwrap_or_default(), &["stopped at its time limit of 2 s"])?;
    // A registry that has lost what it had.
    site.server.stop()?;
    let lost = "UPDATE versions SET artifact = replace(artifact, '@sha256:', '-that-was-never-pushed@sha256:')";
    site.server.query(lost)?;
    site.server.start()?;
    let run = Run::new(&site.client()?, NULL, &number(3)).await?;
    let told = format!("{:?}{:?}", run.end.traceback, run.inputs.traceback);
    says(&told, &["the image ", "-that-was-never-pushed@sha256:", " can't be pulled", "attempt 3 of 3"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_simulation_takes_its_job_and_its_pod_along() -> Result {
    let Some(given) = Given::with_registry() else { return Ok(()) };
    let site = Site::start(&given).await?;
    let (pk, _) = site.at_work("ignores-signals", json!({ "seconds": [{ "value": 600.0 }] })).await?;
    let client = site.client()?;
    client.cancel(EDGES, pk).await?;
    assert_eq!(client.wait(EDGES, pk).await?.reason.as_deref(), Some("CANCELLED"));
    for kind in ["jobs", "pods"] {
        until("the end of Job and pod", || Ok(site.kubectl.list(kind, "studio.compute/task=sim")?.is_empty()))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_outlives_the_server_and_has_one_result() -> Result {
    let Some(given) = Given::with_registry() else { return Ok(()) };
    let mut site = Site::start(&given).await?;
    let (pk, job) = site.at_work("sleeps", json!({ "seconds": [{ "value": 4.0 }] })).await?;
    site.server.kill()?;
    // It comes to its end meanwhile, and keeps what it has to tell.
    tokio::time::sleep(Duration::from_secs(6)).await;
    site.server.start()?;
    let client = site.client()?;
    let end = client.wait(EDGES, pk).await?;
    assert_eq!(end.status, "SUCCESS", "{:?} {}", end.traceback, site.server.log()?);
    let outputs = client.simulation(EDGES, pk).await?.outputs.context("it has outputs")?;
    assert_eq!(outputs.renderable.len(), 1);
    let jobs = site.kubectl.list("jobs", "studio.compute/task=sim")?;
    let names: Vec<&Value> = jobs.iter().map(|job| &job["metadata"]["name"]).collect();
    assert_eq!(names, [&job], "no second Job was made");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_may_do_what_it_needs_and_nothing_else() -> Result {
    let Some(given) = Given::with_registry() else { return Ok(()) };
    let site = Site::start(&given).await?;
    let (server, namespace) = (&site.as_server, site.kubectl.namespace());
    for words in [["get", "jobs"], ["get", "pods"], ["get", "deployments"]] {
        server.ask(&words)?;
    }
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "own", "namespace": namespace },
        "spec": { "containers": [{ "name": "own", "image": given.image }] },
    });
    let created = server.give(&["create", "--validate=false", "-f", "-"], &pod.to_string())?;
    assert!(created.code != 0 && created.stderr.contains("orbidden"), "{created:?}");
    let refused: [&[&str]; 7] = [
        &["get", "secrets"],
        &["get", "secret", "csw-settings"],
        &["get", "pods", "--namespace", "kube-system"],
        &["get", "jobs", "--all-namespaces"],
        &["get", "nodes"],
        &["delete", "deployment", "any"],
        &["create", "serviceaccount", "another"],
    ];
    for words in refused {
        let done = server.attempt(words)?;
        assert!(done.code != 0 && done.stderr.contains("orbidden"), "{words:?}: {done:?}");
    }
    Ok(())
}

/// Pod Security is part of a cluster since 1.23, and on since 1.25.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_not_restricted_is_refused_where_the_cluster_can() -> Result {
    let Some(given) = Given::with_registry() else { return Ok(()) };
    let site = Site::start(&given).await?;
    if site.kubectl.minor()? < 25 {
        return Ok(());
    }
    let words = ["run", "own", "--restart=Never", "--image", &given.image];
    let done = site.kubectl.attempt(&words)?;
    assert!(done.code != 0 && done.stderr.contains("violates PodSecurity \"restricted"), "{done:?}");
    Ok(())
}

/// The pods that the one inputs server of a site should have.
fn replicas(site: &Site) -> Result<Option<u64>> {
    Ok(site.kubectl.list("deployments", "studio.compute/inputs")?[0]["spec"]["replicas"].as_u64())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inputs_server_wakes_answers_and_sleeps_again() -> Result {
    let Some(given) = Given::with_registry() else { return Ok(()) };
    let site = Site::start(&given).await?;
    let publisher = site.server.publisher()?;
    let objects = site.server.csw(&publisher, &["models", "-n", NULL, "config", "-o", "-"])?;
    site.kubectl.apply(&objects.stdout)?;
    until("a quiet inputs server", || Ok(replicas(&site)? == Some(0)))?;
    Run::new(&site.client()?, NULL, &number(7)).await?.succeeded();
    assert!(site.kubectl.list("jobs", "studio.compute/task=parse")?.is_empty(), "no Job was asked");
    assert_eq!(site.kubectl.list("jobs", "studio.compute/task=sim")?.len(), 1);
    until("a quiet inputs server", || Ok(replicas(&site)? == Some(0)))?;
    until("the end of its pods", || Ok(site.kubectl.list("pods", "studio.compute/inputs")?.is_empty()))
}
