//! What `csw svc config` writes for a site of several services: the API server takes every object, and lets every pod in.

use csw_tests::Result;
use serde_json::Value;

use super::{given::Given, site::until};

/// Services that nobody has here: its pods come up to find that out.
const SETTINGS: &str = "\
database = 'postgres://csw:secret@database.example.org/csw'
[objects]
store = 's3'
bucket = 'outputs'
[redis]
admin_password = 'the-password-of-the-admin'
scheduler_password = 'the-password-of-the-scheduler'
";

/// The pods that a Deployment has, of those that it wants.
fn pods(deployment: &Value) -> (u64, u64) {
    let number = |part: &str| deployment[part]["replicas"].as_u64().unwrap_or_default();
    (number("status"), number("spec"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_several_services_is_taken_and_every_pod_let_in() -> Result {
    let Some(given) = Given::with_registry() else { return Ok(()) };
    let namespace = given.namespace();
    let place = tempfile::tempdir()?;
    let settings = place.path().join("settings.toml");
    std::fs::write(&settings, SETTINGS)?;
    let settings = settings.display().to_string();
    let words = ["--config", &settings, "--webapps", "2", "--outputs", "1", "--redis-image", "redis:7", "--ingress"];
    let more =
        ["--public-url", "https://studio.example.org", "--job-cleanup", "--cpus", "0.1", "--memory-gigabytes", "1"];
    let manifests =
        namespace.manifests(&given.image, &[&words[..], &more].concat(), &place.path().join("manifests"))?;
    namespace.take(manifests.iter(), &[])?;
    until("a pod of each service", || {
        let made = namespace.kubectl.list("deployments", "")?;
        Ok(made.len() == 4 && made.iter().map(pods).all(|(has, wants)| has == wants))
    })
}
