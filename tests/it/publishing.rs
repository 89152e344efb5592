//! Publishing: what goes live, what does not, and going back.

use csw_tests::{Result, Server, example};
use serde_json::Value;

#[tokio::test]
async fn a_published_model_is_live_and_described() -> Result {
    let server = Server::with_models()?;
    let client = server.client(None)?;
    let model = client.model("CONTRACT/null").await?;
    assert_eq!(model.status, "live");
    assert!(model.oneliner.starts_with("One number in"), "{}", model.oneliner);
    let schema = client.schema("contract/Null", &serde_json::json!({})).await?;
    assert!(schema.model_parameters["Null"]["number"].is_object());
    let versions = client.versions("contract/Null").await?;
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].state, "live");
    Ok(())
}

#[tokio::test]
async fn a_build_that_fails_leaves_the_live_version_live() -> Result {
    let server = Server::with_models()?;
    let owner = server.publisher()?;
    let broken = server.folder().join("broken");
    let copied = std::process::Command::new("cp").arg("-r").arg(example("contract/Null")?).arg(&broken).output()?;
    assert!(copied.status.success());
    std::fs::write(broken.join("cs-config/cs_config/functions.py"), "raise RuntimeError('never works')\n")?;
    let repo = broken.display().to_string();
    let done = server.csw(&owner, &["models", "-n", "contract/Null", "publish", "--repo", &repo, "--json"])?;
    assert_eq!(done.code, 1, "{}", done.stderr);
    let answer: Value = serde_json::from_str(&done.stdout)?;
    assert_eq!(answer["build"]["stage"], "test");
    assert!(done.stderr.contains("never works"), "{}", done.stderr);
    assert!(done.stderr.contains("hint: "), "{}", done.stderr);
    assert_eq!(server.client(None)?.model("contract/Null").await?.status, "live");
    let logs: Value = server.csw(&owner, &["models", "-n", "contract/Null", "logs", "--json"])?.json()?;
    assert!(logs["log"].as_str().is_some_and(|log| log.contains("== test")), "{logs}");
    Ok(())
}

#[tokio::test]
async fn a_new_version_can_be_taken_back() -> Result {
    let server = Server::with_models()?;
    let owner = server.publisher()?;
    let next = server.folder().join("next");
    let copied = std::process::Command::new("cp").arg("-r").arg(example("contract/Null")?).arg(&next).output()?;
    assert!(copied.status.success());
    let init = next.join("cs-config/cs_config/__init__.py");
    std::fs::write(&init, "__version__ = \"2.0.0\"\n")?;
    let repo = next.display().to_string();
    let done = server.csw(&owner, &["models", "-n", "contract/Null", "publish", "--repo", &repo])?;
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let client = server.client(Some(&owner))?;
    let states = |versions: Vec<csw_client::Version>| -> Vec<(String, String)> {
        versions.into_iter().map(|version| (version.version, version.state)).collect()
    };
    let pair = |version: &str, state: &str| (version.to_owned(), state.to_owned());
    assert_eq!(states(client.versions("contract/Null").await?), [pair("2.0.0", "live"), pair("1.0.0", "retired")]);
    let back = server.csw(&owner, &["models", "-n", "contract/Null", "promote", "1.0.0"])?;
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert_eq!(states(client.versions("contract/Null").await?), [pair("2.0.0", "retired"), pair("1.0.0", "live")]);
    Ok(())
}

#[tokio::test]
async fn strangers_publish_nothing() -> Result {
    let server = Server::with_models()?;
    let eve = server.account("eve", "member")?;
    let repo = example("contract/Null")?.display().to_string();
    let done = server.csw(&eve, &["models", "-n", "contract/Null", "publish", "--repo", &repo])?;
    assert_eq!(done.code, 3, "{}", done.stderr);
    let other = server.csw(&eve, &["models", "-n", "contract/Other", "publish", "--repo", &repo])?;
    assert_eq!(other.code, 3, "{}", other.stderr);
    assert!(other.stderr.contains("eve can't make models of contract"), "{}", other.stderr);
    Ok(())
}

#[tokio::test]
async fn what_passed_its_tests_is_not_tested_again_until_something_is_different() -> Result {
    let server = Server::with_models()?;
    let owner = server.publisher()?;
    let repo = example("contract/Null")?.display().to_string();
    let publish = || server.csw(&owner, &["models", "-n", "contract/Null", "publish", "--repo", &repo]);
    let client = server.client(Some(&owner))?;
    assert_eq!(publish()?.code, 0);
    let known = client.versions("contract/Null").await?;
    let again = publish()?;
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stdout.contains("passed its tests; nothing is different"), "{}", again.stdout);
    assert!(!again.stdout.contains("run_model"), "{}", again.stdout);
    let versions = client.versions("contract/Null").await?;
    assert_eq!((versions.len(), &versions[0].id, versions[0].state.as_str()), (known.len(), &known[0].id, "live"));
    // Other limits may make other results.
    let model: Value = client.get("/publish/api/contract/Null/detail/").await?;
    let mut details = model.clone();
    details["deadline"] = serde_json::json!(77);
    let _: Value = client.put("/publish/api/contract/Null/detail/", &details).await?;
    let tested = publish()?;
    assert_eq!(tested.code, 0, "{}", tested.stderr);
    assert!(tested.stdout.contains("run_model"), "{}", tested.stdout);
    Ok(())
}
