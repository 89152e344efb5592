//! The pipeline: staging, promotion and roll-back, and builds that outlive the server.

use std::time::Duration;

use csw_client::{BuildChoices, ModelDetails, NewSimulation, Upload};
use csw_tests::{Account, Draft, Result, Server};
use serde_json::{Value, json};

use crate::common::Run;

const MODEL: &str = "ada/Staged";

fn says(text: &str) -> String {
    format!(
        "def run_model(meta_param_dict, adjustment):\n    return shown({text:?})\n\n\ndef get_version():\n    return {text:?}\n"
    )
}

#[tokio::test]
async fn a_staged_version_is_tried_by_its_maintainers_before_it_is_promoted() -> Result {
    let server = Server::empty()?;
    let (ada, eve) = (server.account("ada", "member")?, server.account("eve", "member")?);
    let (client, other) = (server.client(Some(&ada))?, server.client(Some(&eve))?);
    let first = Draft::new(&server.beside("first"), &says("one"))?;
    server.publish(&ada, MODEL, first.folder(), &[])?.json::<Value>()?;
    let second = Draft::new(&server.beside("second"), &says("two"))?;
    let folder = second.folder().display().to_string();
    let staged: Value = server.csw(&ada, &["models", "-n", MODEL, "stage", "--json", "--repo", &folder])?.json()?;
    assert_eq!(staged["build"]["message"], "Version two is staged. Try it, and promote it.");
    let version = staged["build"]["version"].as_str().expect("a version").to_owned();

    // Everybody else sees and runs the live one.
    let shown = |versions: Vec<csw_client::Version>| versions.into_iter().map(|one| one.version).collect::<Vec<_>>();
    assert_eq!(shown(client.versions(MODEL).await?), ["two", "one"]);
    assert_eq!(shown(other.versions(MODEL).await?), ["one"]);
    let tried = NewSimulation { version: Some(version.clone()), ..NewSimulation::default() };
    let refused = Run::new(&other, MODEL, &tried).await.err().expect("it is not theirs").to_string();
    assert!(refused.contains("no such version that you may use"), "{refused}");
    let run = Run::new(&client, MODEL, &tried).await?.succeeded();
    assert_eq!(run.data(&client, MODEL, "Result").await?, "two");
    let page = server.fetch(Some(&ada), &format!("/{MODEL}/{}/", run.pk), &[("Accept", "text/html")]).await?;
    assert!(page.text().await?.contains("staged version"), "it is marked");
    let form =
        server.fetch(Some(&ada), &format!("/{MODEL}/new/?_version={version}"), &[("Accept", "text/html")]).await?;
    assert!(form.text().await?.contains("the form of version two"));
    let live = Run::of(&other, MODEL, json!({}), json!({})).await?.succeeded();
    assert_eq!(live.data(&other, MODEL, "Result").await?, "one");

    // What it changes in the form: nothing here.
    let path = format!("/{MODEL}/api/v1/versions/{version}/changes/");
    let changes: Value = client.get(&path).await?;
    assert_eq!((&changes["same"], &changes["from"]["version"]), (&json!(true), &json!("one")), "{changes}");
    assert_eq!(server.fetch(Some(&eve), &path, &[]).await?.status(), 404, "a staged version is not theirs");

    // A pointer moves, and back.
    let promoted = server.csw(&ada, &["models", "-n", MODEL, "promote"])?;
    assert_eq!(promoted.code, 0, "{}", promoted.stderr);
    let new = NewSimulation { fresh: true, ..NewSimulation::default() };
    assert_eq!(Run::new(&other, MODEL, &new).await?.succeeded().data(&other, MODEL, "Result").await?, "two");
    let back = server.csw(&ada, &["models", "-n", MODEL, "rollback"])?;
    assert_eq!((back.code, back.stdout.trim()), (0, "ada/Staged: version one is live again"), "{}", back.stderr);
    assert_eq!(Run::new(&other, MODEL, &new).await?.succeeded().data(&other, MODEL, "Result").await?, "one");
    // A simulation keeps its version, and a former version can be asked for.
    assert_eq!(run.data(&client, MODEL, "Result").await?, "two");
    let words = ["sims", "-n", MODEL, "create", "--model-version", "two", "--fresh", "--wait", "--json"];
    let former: Value = server.csw(&eve, &words)?.json()?;
    assert_eq!((&former["status"], &former["model_version"]), (&json!("SUCCESS"), &json!("two")), "{former}");
    Ok(())
}

#[tokio::test]
async fn where_a_maintainer_approves_a_members_version_waits() -> Result {
    let server = Server::configured("[site]\napproval_required = true\n")?;
    let (ada, max) = (server.account("ada", "member")?, server.account("max", "maintainer")?);
    let draft = Draft::new(&server.beside("draft"), &says("one"))?;
    let answer: Value = server.publish(&ada, MODEL, draft.folder(), &[])?.json()?;
    assert_eq!(answer["build"]["message"], "Version one is staged. On this site a maintainer promotes versions.");
    let refused = server.csw(&ada, &["models", "-n", MODEL, "promote"])?;
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("a maintainer promotes versions"), "{}", refused.stderr);
    assert_eq!(server.client(None)?.model(MODEL).await?.status, "pending");
    let promoted = server.csw(&max, &["models", "-n", MODEL, "promote"])?;
    assert_eq!(promoted.code, 0, "{}", promoted.stderr);
    assert_eq!(server.client(None)?.model(MODEL).await?.status, "live");
    Ok(())
}

/// A model whose tests take long enough to be killed in.
fn slow(server: &Server) -> Result<Draft> {
    Draft::new(&server.beside("slow"), &says("slow"))?
        .file("cs-config/cs_config/tests/__init__.py", "")?
        .file("cs-config/cs_config/tests/test_functions.py", "import time\n\n\ndef test_slow():\n    time.sleep(4)\n")
}

/// Asks for a build of uploaded files; its identifier.
async fn begin(server: &Server, ada: &Account, draft: &Draft) -> Result<String> {
    let tar = server.beside("slow.tar");
    let packed =
        std::process::Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(draft.folder()).arg(".").output()?;
    assert!(packed.status.success());
    let client = server.client(Some(ada))?;
    let details = ModelDetails {
        title: Some("Staged".to_owned()),
        oneliner: Some("One".to_owned()),
        description: Some("One".to_owned()),
        ..ModelDetails::default()
    };
    client.create_model(&details).await?;
    let upload = Upload::Archive { tar: tar.as_ref(), commit: "", committed_at: "", origin: "" };
    Ok(client.build(MODEL, upload, BuildChoices::default()).await?.id)
}

/// Waits until the build is so.
async fn becomes(server: &Server, ada: &Account, id: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    let (client, path) = (server.client(Some(ada))?, format!("/publish/api/{MODEL}/builds/{id}/"));
    for _ in 0..1500 {
        let build: Value = client.get(&path).await?;
        if is_so(&build) {
            return Ok(build);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("the build does not become so: {}", client.get::<Value>(&path).await?)
}

#[tokio::test]
async fn a_build_outlives_the_server_in_every_stage() -> Result {
    let mut server = Server::empty()?;
    let ada = server.account("ada", "member")?;
    let draft = slow(&server)?;
    let id = begin(&server, &ada, &draft).await?;
    becomes(&server, &ada, &id, |build| build["stage"] == "build" && build["state"] == "running").await?;
    server.kill()?;
    server.start()?;
    becomes(&server, &ada, &id, |build| build["stage"] == "test" && build["state"] == "running").await?;
    // Asked to stop, it says so in the log.
    server.stop()?;
    server.start()?;
    let build = becomes(&server, &ada, &id, |build| build["finished_at"].is_string()).await?;
    assert_eq!((&build["state"], &build["message"]), (&json!("succeeded"), &json!("Version slow is live.")));
    let log = server.client(Some(&ada))?.build_log(MODEL, &id, 0).await?;
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("The server is stopping; this build goes on when it is back."), "{log}");
    assert_eq!(log.matches("attempt 2 begins").count(), 2, "only the kill counts: {log}");
    assert_eq!(std::fs::read_dir(server.data().join("uploads"))?.count(), 0, "what was uploaded is not kept");
    Ok(())
}

#[tokio::test]
async fn a_build_that_the_server_keeps_ending_under_fails_at_last() -> Result {
    let mut server = Server::empty()?;
    let ada = server.account("ada", "member")?;
    let draft = slow(&server)?;
    let id = begin(&server, &ada, &draft).await?;
    for attempt in 1..=3 {
        let begun = |build: &Value| build["attempt"] == json!(attempt) && build["state"] == "running";
        becomes(&server, &ada, &id, begun).await?;
        server.kill()?;
        server.start()?;
    }
    let build = becomes(&server, &ada, &id, |build| build["finished_at"].is_string()).await?;
    assert_eq!(build["state"], "failed");
    let sentence = build["message"].as_str().unwrap_or_default();
    assert!(sentence.starts_with("The server has ended 3 times during this build"), "{sentence}");
    assert_eq!(std::fs::read_dir(server.data().join("uploads"))?.count(), 0, "what was uploaded is not kept");
    Ok(())
}

#[tokio::test]
async fn a_build_gets_no_more_memory_than_its_model_allows() -> Result {
    let server = Server::empty()?;
    let ada = server.account("ada", "member")?;
    let draft = Draft::new(&server.beside("greedy"), &says("greedy"))?
        .file("cs-config/cs_config/tests/__init__.py", "")?
        .file(
            "cs-config/cs_config/tests/test_functions.py",
            "def test_greedy():\n    assert len(b'x' * 800_000_000) > 0\n",
        )?;
    let first = server.publish(&ada, MODEL, draft.folder(), &[])?;
    assert_eq!(first.code, 0, "{}", first.stderr);
    let client = server.client(Some(&ada))?;
    let _: Value =
        client.put(&format!("/publish/api/{MODEL}/detail/"), &json!({ "build_memory": 0.4, "deadline": 700 })).await?;
    let second = server.publish(&ada, MODEL, draft.folder(), &[])?;
    assert_eq!(second.code, 1, "{}", second.stdout);
    assert!(second.stderr.contains("stage test"), "{}", second.stderr);
    assert!(second.stderr.contains("0.4 GB of memory") || second.stderr.contains("MemoryError"), "{}", second.stderr);
    Ok(())
}
