//! Publishing by a push to the site's own forge, with git itself.

use std::time::Duration;

use csw_client::{Build, Client};
use csw_tests::{Account, Draft, Result, Server, WorkingCopy};
use serde_json::{Value, json};

use crate::common::Run;

const MODEL: &str = "ada/Pushed";

/// A site with somebody who has a draft of a model in a repository of theirs.
fn site(branch: &str) -> Result<(Server, Account, Draft, WorkingCopy, String)> {
    let server = Server::empty()?;
    let ada = server.account("ada", "member")?;
    let draft = Draft::new(&server.beside("pushed"), "")?
        .file("README.md", "# Pushed\n\nIt says *well*.\n")?
        .file("simulation.json", r#"{"oneliner": "Says well.", "cpu": 0.5, "memory": 0.75}"#)?;
    let copy = WorkingCopy::at(draft.folder(), &ada).begin(branch)?;
    let url = format!("{}/git/{MODEL}.git", server.url()?);
    Ok((server, ada, draft, copy, url))
}

/// The newest build, once it is over.
async fn settled(client: &Client) -> Result<Build> {
    loop {
        let build = client.builds(MODEL).await?.results.into_iter().next();
        if let Some(build) = build.filter(Build::is_over) {
            return Ok(build);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_push_publishes_a_model_that_nobody_has_heard_of() -> Result {
    let (server, ada, draft, copy, url) = site("main")?;
    let client = server.client(Some(&ada))?;
    let pushed = copy.done(&["push", &url, "main"])?;
    let told = format!("remote: Compute Studio builds what is pushed to main: {}/{MODEL}/builds/", server.url()?);
    assert!(pushed.stderr.contains(&told), "{}", pushed.stderr);
    let build = settled(&client).await?;
    assert_eq!((build.state.as_str(), build.trigger.as_str()), ("succeeded", "push"), "{:?}", build.message);
    let head = copy.done(&["rev-parse", "HEAD"])?.stdout.trim().to_owned();
    assert_eq!(build.commit.as_deref(), Some(head.as_str()));
    let run = Run::of(&client, MODEL, json!({}), json!({})).await?.succeeded();
    assert_eq!(run.data(&client, MODEL, "Result").await?, "well\n");
    // The repository says what the model is.
    let model: Value = client.get(&format!("/publish/api/{MODEL}/detail/")).await?;
    assert_eq!(
        (&model["oneliner"], &model["cpu"], &model["memory"]),
        (&json!("Says well."), &json!("0.5"), &json!("0.8"))
    );
    assert!(model["description"].as_str().is_some_and(|text| text.contains("It says *well*.")), "{model}");

    // What is pushed again is built again, from the new commit; a clone has it, too. What is said with it counts.
    draft.file("cs-config/cs_config/more.py", "MORE = 1\n")?;
    let next = copy.commit("second")?;
    copy.done(&["push", "-o", "stage", "-o", "skip-test", "-o", "$(false)", &url, "main"])?;
    let build = settled(&client).await?;
    assert_eq!(build.commit.as_deref(), Some(next.as_str()));
    assert_eq!(build.message.as_deref(), Some("Version 1.0.0 is staged. Try it, and promote it."));
    let cloned = server.beside("cloned");
    copy.done(&["clone", "-q", &url, &cloned])?;
    assert!(std::path::Path::new(&cloned).join("cs-config/cs_config/more.py").exists());
    Ok(())
}

#[tokio::test]
async fn two_pushes_at_once_end_in_the_newer_one() -> Result {
    let (server, ada, draft, copy, url) = site("master")?;
    let client = server.client(Some(&ada))?;
    copy.done(&["push", &url, "master"])?;
    draft.file("cs-config/cs_config/more.py", "MORE = 1\n")?;
    let newer = copy.commit("second")?;
    copy.done(&["push", &url, "master"])?;
    let build = settled(&client).await?;
    assert_eq!((build.state.as_str(), build.commit.as_deref()), ("succeeded", Some(newer.as_str())));
    let versions = client.versions(MODEL).await?;
    let live: Vec<_> = versions.iter().filter(|version| version.state == "live").collect();
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].commit, newer);
    let all = client.builds(MODEL).await?.results;
    assert!(all.iter().all(|build| build.is_over() && build.state != "failed"), "{all:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_pushed_to_other_branches_is_kept_and_not_built() -> Result {
    let (server, ada, _, copy, url) = site("main")?;
    let client = server.client(Some(&ada))?;
    copy.done(&["push", &url, "main:refs/heads/idea"])?;
    assert!(client.builds(MODEL).await?.results.is_empty());
    let listed = copy.done(&["ls-remote", &url])?.stdout;
    assert!(listed.contains("refs/heads/idea"), "{listed}");
    // A tag is built where the settings name it.
    let _: Value = client.put(&format!("/publish/api/{MODEL}/detail/"), &json!({ "repo_tag": "v1" })).await?;
    copy.done(&["tag", "-a", "-m", "one", "v1"])?;
    copy.done(&["push", &url, "v1"])?;
    let build = settled(&client).await?;
    assert_eq!(build.state, "succeeded", "{:?}", build.message);
    assert_eq!(build.commit.as_deref(), Some(copy.done(&["rev-parse", "HEAD"])?.stdout.trim()));
    Ok(())
}

#[tokio::test]
async fn nobody_else_reaches_a_repository() -> Result {
    let (server, _, draft, copy, url) = site("main")?;
    copy.done(&["push", &url, "main:refs/heads/idea"])?;
    let eve = WorkingCopy::at(draft.folder(), &server.account("eve", "member")?);
    for words in [&["ls-remote", &url][..], &["push", &url, "main"]] {
        let refused = eve.git(words)?;
        assert_ne!(refused.code, 0, "{words:?}");
        assert!(refused.stderr.contains("permission"), "{}", refused.stderr);
    }
    let others = format!("{}/git/ada/Another.git", server.url()?);
    let refused = eve.git(&["push", &others, "main"])?;
    assert!(refused.stderr.contains("only ada can make it by a push"), "{}", refused.stderr);
    let nobody = Account { name: "ada".to_owned(), token: "0".repeat(40) };
    assert_ne!(WorkingCopy::at(draft.folder(), &nobody).git(&["ls-remote", &url])?.code, 0);
    Ok(())
}

#[tokio::test]
async fn a_push_of_something_else_says_what_is_missing() -> Result {
    let server = Server::empty()?;
    let ada = server.account("ada", "member")?;
    let folder = server.beside("other");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(std::path::Path::new(&folder).join("notes.txt"), "no model\n")?;
    let copy = WorkingCopy::at(std::path::Path::new(&folder), &ada).begin("main")?;
    copy.done(&["push", &format!("{}/git/{MODEL}.git", server.url()?), "main"])?;
    let build = settled(&server.client(Some(&ada))?).await?;
    assert_eq!((build.state.as_str(), build.stage.as_str()), ("failed", "fetch"));
    assert!(build.message.as_deref().is_some_and(|text| text.contains("csk init")), "{:?}", build.message);
    Ok(())
}
