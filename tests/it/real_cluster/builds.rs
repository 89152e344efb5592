//! Builds that are Jobs: fetched, installed, tested and sent to the registry by a pod.

use csw_tests::{Result, Server, example};
use serde_json::{Value, json};

use super::{
    given::Given,
    site::{NULL, Site, number, until},
};
use crate::common::Run;

/// The Jobs of builds.
fn jobs(site: &Site) -> Result<Vec<Value>> {
    site.kubectl.list("jobs", "app.kubernetes.io/name=csw-build")
}

fn is_complete(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array();
    let complete = |condition: &Value| condition["type"] == "Complete" && condition["status"] == "True";
    conditions.is_some_and(|all| all.iter().any(complete))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_a_pod_that_sends_an_image_which_runs() -> Result {
    let Some(given) = Given::with_registry() else { return Ok(()) };
    let site = Site::building(&given, Server::prepared()?).await?;
    site.change(NULL, json!({ "build_cpu": 0.5, "build_memory": 2 })).await?;
    let publisher = site.server.publisher()?;
    let source = example(NULL)?.display().to_string();
    let words = ["models", "-n", NULL, "publish", "--no-example", "--repo", &source];
    let done = site.server.csw(&publisher, &words)?;
    assert_eq!(done.code, 0, "{}\n{}\n{}", done.stdout, done.stderr, site.server.log()?);
    let made = jobs(&site)?;
    assert_eq!(made.len(), 1, "{made:?}");
    let resources = &made[0]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"];
    assert_eq!(resources, &json!({ "cpu": "500m", "memory": "2G" }));
    // Nobody deletes it: it goes by itself.
    until("the end of its Job", || Ok(jobs(&site)?.iter().all(is_complete)))?;
    Run::new(&site.client()?, NULL, &number(7)).await?.succeeded();
    let ran = site.kubectl.list("jobs", "studio.compute/task=sim")?;
    let image = ran[0]["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    let place = given.registry.as_ref().map(|place| place.registry.as_str()).unwrap_or_default();
    assert!(image.starts_with(place) && image.contains("@sha256:"), "{image}");
    Ok(())
}
