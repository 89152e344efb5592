//! Builds as Jobs of a cluster: `csw build-job` in the place where a pod would be, with no more rights than it has there.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt, time::Duration};

use anyhow::Context;
use csw_client::Build;
use csw_kubernetes_testing::{Fate, NodeConfig};
use csw_tests::{Draft, Registry, Result, WorkingCopy, are_there, program};
use serde_json::{Value, json};

use crate::{
    cluster_images::{MODEL, NAMESPACE, REPOSITORY, Site, TOOLS},
    common::Run,
};

const OTHER: &str = "ada/Other";

const IMAGE: &str = "registry/csw:1";

/// A script that gives a test time to do something meanwhile.
const SLOW: &str = "echo installing slowly\nsleep 3\n";

/// A site whose builds are Jobs of pods that may no more than containers of the restricted profile.
async fn site(more: &str) -> Result<Site> {
    let mut within = vec![];
    if std::fs::metadata("/proc/self")?.uid() == 0 {
        let user = "/usr/bin/setpriv --reuid=65532 --regid=65532 --clear-groups --bounding-set=-all --inh-caps=-all";
        within.extend(user.split(' ').map(str::to_owned));
    }
    if cfg!(target_arch = "x86_64") {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/support/restricted.py");
        within.extend(["/usr/bin/python3", script].map(str::to_owned));
    }
    let bin = program()?.parent().context("the program is in a folder")?.display().to_string();
    let node = NodeConfig {
        path: format!("{bin}:{}", std::env::var("PATH")?),
        images: BTreeMap::from([(IMAGE.to_owned(), certificates())]),
        within,
        ..NodeConfig::default()
    };
    Site::with(more, &format!("builds = true\nimage = '{IMAGE}'"), node).await
}

/// What this machine believes, the image of the services does.
fn certificates() -> Vec<(String, String)> {
    let names = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter();
    names.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))).collect()
}

/// The Jobs of builds.
fn jobs(site: &Site) -> Vec<Value> {
    let is_build = |job: &Value| job["metadata"]["labels"]["app.kubernetes.io/name"] == "csw-build";
    site.cluster.objects("jobs", NAMESPACE).into_iter().filter(is_build).collect()
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a text is in the log of the newest build.
async fn logged(site: &Site, text: &str) -> Result<String> {
    let client = site.client()?;
    loop {
        if let Some(build) = client.builds(MODEL).await?.results.into_iter().next() {
            let log = client.build_log(MODEL, &build.id, 0).await?;
            if String::from_utf8_lossy(&log).contains(text) {
                return Ok(build.id);
            }
            anyhow::ensure!(!build.is_over(), "{:?}: {}", build.message, String::from_utf8_lossy(&log));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_finished(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == "Complete")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_a_job_with_the_models_limits_that_pushes_the_image() -> Result {
    if !are_there(&TOOLS) {
        return Ok(());
    }
    let site = site("").await?;
    let client = site.client()?;
    let log = site.publish().await?;
    site.keeps_quiet(&log)?;
    assert!(!log.contains("could not be built"), "{log}");
    assert!(
        log.contains("== build") && log.contains("Building ada/Pictured") && log.contains("Image sent to"),
        "{log}"
    );
    assert_eq!(site.registry.tags(REPOSITORY).len(), 1, "{log}");
    let made = jobs(&site);
    assert_eq!(made.len(), 1, "{made:?}");
    let resources = &made[0]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"];
    assert_eq!(resources, &json!({ "cpu": "2000m", "memory": "8000000000" }));
    // Nobody who may read objects reads more than the token of that build.
    let text = serde_json::to_string(&site.cluster.objects("jobs", NAMESPACE))?;
    assert!(!text.contains(Registry::PASSWORD), "{text}");
    until(|| jobs(&site).iter().all(is_finished)).await;
    assert_eq!(jobs(&site).len(), 1, "it ended by itself, and was not deleted");
    let run = Run::of(&client, MODEL, json!({}), json!({})).await?.succeeded();
    assert_eq!(run.data(&client, MODEL, "Result").await?, "well\n");

    // Another pod knows nothing of the first one, and sends one layer.
    let blobs = site.registry.blobs();
    let draft = site.draft.file("cs-config/cs_config/more.py", "MORE = 1\n")?;
    site.copy.commit("second")?;
    let site = Site { draft, ..site };
    let log = site.publish().await?;
    assert!(log.contains("of its layers 1 were sent"), "{log}");
    assert_eq!(site.registry.blobs(), blobs + 3, "{log}");

    // What another model's image has is taken over from there, though this pod has never heard of it.
    let other = Draft::new(&site.server.beside("other"), "OTHER = 1\n")?;
    let copy = WorkingCopy::at(other.folder(), &site.ada).begin("main")?;
    copy.done(&["push", &format!("{}/git/{OTHER}.git", site.server.url()?), "main"])?;
    let log = loop {
        if let Some(build) = client.builds(OTHER).await?.results.into_iter().next().filter(Build::is_over) {
            let log = client.build_log(OTHER, &build.id, 0).await?;
            break String::from_utf8_lossy(&log).into_owned();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(log.contains("of its layers 1 were sent, ") && !log.contains(" were sent, 0 taken"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_outlives_the_server() -> Result {
    if !are_there(&TOOLS) {
        return Ok(());
    }
    let site = site("").await?;
    let draft = site.draft.file("cs-config/install.sh", SLOW)?;
    site.copy.commit("slow")?;
    let mut site = Site { draft, ..site };
    // While something is carried out, and while the pod waits for what the four functions do.
    for (number, moment) in ["installing slowly", "Image sent to"].into_iter().enumerate() {
        let name = format!("cs-config/cs_config/more_{number}.py");
        let draft = site.draft.file(&name, "MORE = 1\n")?;
        site.copy.commit(moment)?;
        site = Site { draft, ..site };
        site.send()?;
        logged(&site, moment).await?;
        site.server.kill()?;
        site.server.start()?;
        let (build, log) = site.settled().await?;
        assert_eq!(build.state, "succeeded", "{:?}\n{log}\n{}", build.message, site.server.log()?);
        assert!(log.contains("The build went on in its Job meanwhile"), "{log}");
        assert_eq!(jobs(&site).len(), number + 1, "{log}");
    }
    let client = site.client()?;
    Run::of(&client, MODEL, json!({}), json!({})).await?.succeeded();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_cancelled_takes_its_job_along() -> Result {
    if !are_there(&TOOLS) {
        return Ok(());
    }
    let site = site("").await?;
    let draft = site.draft.file("cs-config/install.sh", "echo installing slowly\nsleep 600\n")?;
    site.copy.commit("slow")?;
    let site = Site { draft, ..site };
    site.send()?;
    let build = logged(&site, "installing slowly").await?;
    site.client()?.cancel_build(MODEL, &build).await?;
    let (build, _) = site.settled().await?;
    assert_eq!(build.state, "cancelled");
    until(|| jobs(&site).is_empty()).await;
    assert!(site.registry.tags(REPOSITORY).is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubernetes_does_to_a_build_has_a_sentence() -> Result {
    if !are_there(&TOOLS) {
        return Ok(());
    }
    let site = site("").await?;
    site.cluster.fates([Fate::OutOfMemory]);
    let (build, _) = site.push().await?;
    let message = build.message.unwrap_or_default();
    assert_eq!((build.state.as_str(), build.stage.as_str()), ("failed", "fetch"), "{message}");
    assert!(message.contains("needed more than 8 GB of memory") && message.contains("settings"), "{message}");
    until(|| jobs(&site).is_empty()).await;

    site.cluster.fates([Fate::NoImage]);
    site.copy.done(&["commit", "--allow-empty", "-q", "-m", "again"])?;
    let (build, _) = site.push().await?;
    let message = build.message.unwrap_or_default();
    assert!(message.contains("the image registry/csw:1 can't be pulled: manifest unknown"), "{message}");

    // One lost pod is made good by the next.
    site.cluster.fates([Fate::Evicted]);
    site.copy.done(&["commit", "--allow-empty", "-q", "-m", "once more"])?;
    let log = site.publish().await?;
    assert!(log.contains("The pod of this build was lost: its pod was evicted"), "{log}");
    Ok(())
}

/// The process that speaks with the server holds credentials, and what a model brings runs beside it as the same user.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_built_can_not_read_what_builds_it() -> Result {
    if !are_there(&TOOLS) {
        return Ok(());
    }
    let site = site("").await?;
    let spy = "for place in /proc/[0-9]*; do\n  tr '\\0' '\\n' < $place/environ 2>/dev/null | grep -a CSW_BUILD_TOKEN\ndone\n\
               echo looked around\n";
    let draft = site.draft.file("cs-config/install.sh", spy)?;
    site.copy.commit("spy")?;
    let site = Site { draft, ..site };
    let log = site.publish().await?;
    assert!(log.contains("looked around") && !log.contains("CSW_BUILD_TOKEN"), "{log}");
    Ok(())
}
