//! Pull requests of the site's own forge, with git itself and real builds.

use std::{fs, path::PathBuf};

use csw_client::{Client, Pull};
use csw_tests::{Account, Done, Draft, Result, Server, WorkingCopy, csw_in};
use serde_json::{Value, json};

use crate::common::Run;

const MODEL: &str = "ada/Pushed";
const FUNCTIONS: &str = "cs-config/cs_config/functions.py";
const TESTS: &str = "cs-config/cs_config/tests/test_functions.py";

/// A site on which ada has pushed a model, and her working copy of it.
struct Bench {
    server: Server,
    ada: Account,
    client: Client,
    copy: WorkingCopy,
    folder: PathBuf,
    url: String,
}

impl Bench {
    async fn new() -> Result<Self> {
        let server = Server::empty()?;
        let ada = server.account("ada", "member")?;
        let draft = Draft::new(&server.beside("pushed"), "")?;
        let copy = WorkingCopy::at(draft.folder(), &ada).begin("main")?;
        let url = format!("{}/git/{MODEL}.git", server.url()?);
        copy.done(&["push", "-o", "no-example", &url, "main"])?;
        let client = server.client(Some(&ada))?;
        let bench = Self { folder: draft.folder().to_owned(), client, server, ada, copy, url };
        bench.live_after(1).await?;
        Ok(bench)
    }

    /// Waits until so many builds are over, the newest with success.
    async fn live_after(&self, count: usize) -> Result {
        loop {
            let builds = self.client.builds(MODEL).await?.results;
            if builds.len() == count && builds.iter().all(csw_client::Build::is_over) {
                assert_eq!(builds[0].state, "succeeded", "{:?}", builds[0].message);
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    fn write(&self, name: &str, text: &str) -> Result {
        let path = self.folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(fs::write(path, text)?)
    }

    /// Makes the model say another word.
    fn say(&self, word: &str) -> Result {
        let text = fs::read_to_string(self.folder.join(FUNCTIONS))?;
        let line = text.lines().find(|line| line.contains("return shown(\"")).unwrap_or_default().to_owned();
        self.write(FUNCTIONS, &text.replace(&line, &format!("    return shown(\"{word}\\n\")")))
    }

    /// Commits everything and pushes it to a branch; the commit.
    fn push(&self, branch: &str, message: &str) -> Result<String> {
        let commit = self.copy.commit(message)?;
        self.copy.done(&["push", &self.url, &format!("HEAD:{branch}")])?;
        Ok(commit)
    }

    fn pulls(&self, who: &Account, words: &[&str]) -> Result<Done> {
        self.server.csw(who, &[&["models", "-n", MODEL, "pulls"], words, &["--json"]].concat())
    }

    /// Proposes a branch and waits for its checks.
    fn proposed(&self, branch: &str) -> Result<(Done, Pull)> {
        let done = self.pulls(&self.ada, &["open", "--branch", branch, "--wait"])?;
        let pull = serde_json::from_str(done.stdout.trim()).map_err(|_| anyhow::anyhow!("{}", done.stderr))?;
        Ok((done, pull))
    }

    async fn says(&self) -> Result<Value> {
        let run = Run::of(&self.client, MODEL, json!({}), json!({})).await?.succeeded();
        run.data(&self.client, MODEL, "Result").await
    }

    fn tip(&self, branch: &str) -> Result<Option<String>> {
        let listed = self.copy.done(&["ls-remote", &self.url, &format!("refs/heads/{branch}")])?.stdout;
        Ok(listed.split_whitespace().next().map(str::to_owned))
    }
}

#[tokio::test]
async fn a_branch_is_proposed_checked_and_merged() -> Result {
    let bench = Bench::new().await?;
    bench.say("better")?;
    let head = bench.push("idea", "A better idea")?;
    let (done, pull) = bench.proposed("idea")?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!((pull.title.as_str(), pull.head.as_str(), pull.into.as_str()), ("A better idea", head.as_str(), "main"));
    let patch = pull.files.as_ref().and_then(|files| files[0].patch.clone()).unwrap_or_default();
    assert!(patch.contains("-    return shown(\"well\\n\")\n+    return shown(\"better\\n\")"), "{patch}");
    // It is staged, and what is live stays.
    assert_eq!(bench.says().await?, "well\n");
    let build = pull.checks[0].build.clone().unwrap_or_default();
    let staged = bench.client.build_state(MODEL, &build).await?;
    assert_eq!((staged.state.as_str(), staged.trigger.as_str()), ("succeeded", "pull_request"));
    let merged: Pull = bench.pulls(&bench.ada, &["merge", "1", "--delete-branch"])?.json()?;
    assert_eq!((merged.state.as_str(), merged.message.as_deref()), ("merged", Some("Version 1.0.0 is live.")));
    let live = bench.client.versions(MODEL).await?.into_iter().find(|version| version.state == "live");
    assert_eq!(live.map(|version| version.id), staged.version, "nothing was built again");
    assert_eq!(bench.says().await?, "better\n");
    assert_eq!((bench.tip("main")?, bench.tip("idea")?), (Some(head), None));
    let page = bench.server.fetch(Some(&bench.ada), &format!("/{MODEL}/pulls/1/"), &[]).await?.text().await?;
    assert!(page.contains("Merged by ada. Version 1.0.0 is live."), "{page}");
    Ok(())
}

#[tokio::test]
async fn a_failing_check_refuses_the_merge_until_a_push_mends_it() -> Result {
    let bench = Bench::new().await?;
    bench.say("better")?;
    bench.write(TESTS, "def test_no():\n    assert False, 'this is wrong'\n")?;
    bench.push("idea", "Wrong")?;
    let (done, pull) = bench.proposed("idea")?;
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("the check of ada/Pushed failed"), "{}", done.stderr);
    let refused = bench.pulls(&bench.ada, &["merge", "1"])?;
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("The check of ada/Pushed has failed"), "{}", refused.stderr);
    assert_eq!(bench.pulls(&bench.ada, &["merge", "1", "--anyway"])?.code, 3, "that is for maintainers");
    assert_ne!(bench.tip("main")?, Some(pull.head.clone()));
    // Another push moves the same pull request, and is checked in place of what was before.
    bench.write(TESTS, "def test_yes():\n    assert True\n")?;
    let head = bench.push("idea", "Right")?;
    let (done, mended) = bench.proposed("idea")?;
    assert_eq!((done.code, mended.number), (0, 1), "{}", done.stderr);
    assert_eq!(mended.head, head);
    assert_ne!(mended.checks[0].build, pull.checks[0].build);
    // Somebody else pushed meanwhile what does not touch it: the merge is another tree, which is built first.
    bench.copy.done(&["checkout", "-q", "-b", "other", "HEAD~2"])?;
    bench.write("notes.txt", "notes\n")?;
    bench.push("main", "Notes")?;
    bench.live_after(4).await?;
    let merged: Pull = bench.pulls(&bench.ada, &["merge", "1"])?.json()?;
    assert!(merged.message.as_deref().is_some_and(|text| text.contains("is being built")), "{merged:?}");
    bench.live_after(5).await?;
    assert_eq!(bench.says().await?, "better\n");
    let newest = bench.client.builds(MODEL).await?.results.remove(0);
    assert_eq!(
        (newest.commit, newest.message.as_deref()),
        (merged.merge_commit.clone(), Some("Version 1.0.0 is live."))
    );
    assert_eq!(bench.tip("main")?, merged.merge_commit);
    Ok(())
}

#[tokio::test]
async fn a_newer_push_stops_the_check_of_the_older_one() -> Result {
    let bench = Bench::new().await?;
    bench.write(TESTS, "import time\n\ndef test_long():\n    time.sleep(600)\n")?;
    bench.push("idea", "Endless")?;
    let opened: Pull = bench.pulls(&bench.ada, &["open", "--branch", "idea", "--title", "Mine"])?.json()?;
    let refused = bench.pulls(&bench.ada, &["merge", "1"])?;
    assert!(refused.stderr.contains("is not over"), "{}", refused.stderr);
    bench.write(TESTS, "def test_short():\n    pass\n")?;
    bench.push("idea", "Short")?;
    let (done, pull) = bench.proposed("idea")?;
    assert_eq!((done.code, pull.title.as_str()), (0, "Mine"), "{}", done.stderr);
    let old = bench.client.build_state(MODEL, opened.checks[0].build.as_deref().unwrap_or_default()).await?;
    assert_eq!(old.state, "cancelled");
    Ok(())
}

#[tokio::test]
async fn branches_that_conflict_are_told_with_the_files_and_the_way_out() -> Result {
    let bench = Bench::new().await?;
    bench.say("mine")?;
    bench.push("idea", "Mine")?;
    let (done, _) = bench.proposed("idea")?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    bench.copy.done(&["checkout", "-q", "-b", "other", "HEAD~1"])?;
    bench.say("yours")?;
    let yours = bench.push("main", "Yours")?;
    let refused = bench.pulls(&bench.ada, &["merge", "1"])?;
    assert_eq!(refused.code, 3);
    assert!(refused.stderr.contains(&format!("idea and main have both changed {FUNCTIONS}")), "{}", refused.stderr);
    assert!(refused.stderr.contains("git merge origin/main"), "{}", refused.stderr);
    assert_eq!(bench.tip("main")?, Some(yours));
    let pull = bench.client.pull(MODEL, 1).await?;
    assert_eq!(pull.state, "open");
    Ok(())
}

/// The power fails after the decision: before the branch is moved, and behind it.
#[tokio::test]
async fn a_merge_goes_on_after_a_crash() -> Result {
    let mut bench = Bench::new().await?;
    for (number, moved) in [(1, false), (2, true)] {
        bench.say(&format!("word {number}"))?;
        let head = bench.push("idea", "Idea")?;
        let (done, _) = bench.proposed("idea")?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        let main = bench.tip("main")?.unwrap_or_default();
        if moved {
            // Without any hook: nobody hears of it.
            let bare = fs::read_dir(bench.server.data().join("git"))?
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .find(|path| path.join("HEAD").exists())
                .unwrap_or_default();
            let git_dir = format!("--git-dir={}", bare.display());
            bench.copy.done(&[&git_dir, "update-ref", "refs/heads/main", &head])?;
        }
        bench.server.kill()?;
        let by = bench.server.query("SELECT id FROM accounts WHERE name = 'ada'")?.remove(0);
        let merge = json!({ "commit": head, "from": main, "by": by["id"], "delete_branch": true });
        bench
            .server
            .query(&format!("UPDATE pulls SET state = 'merging', merge = '{merge}' WHERE number = {number}"))?;
        bench.server.start()?;
        bench.client = bench.server.client(Some(&bench.ada))?;
        bench.url = format!("{}/git/{MODEL}.git", bench.server.url()?);
        let pull = bench.client.pull(MODEL, number).await?;
        assert_eq!((pull.state.as_str(), pull.message.as_deref()), ("merged", Some("Version 1.0.0 is live.")));
        assert_eq!((bench.tip("main")?, bench.tip("idea")?), (Some(head), None));
        assert_eq!(bench.says().await?, format!("word {number}\n"));
    }
    Ok(())
}

#[tokio::test]
async fn models_are_published_by_pull_requests_of_the_site_itself() -> Result {
    let bench = Bench::new().await?;
    let server = &bench.server;
    bench.say("published")?;
    bench.push("next", "Next")?;
    let (place, url) = (server.beside("publish"), format!("{}/git/publish.git", server.url()?));
    bench.copy.done(&["clone", "-q", &url, &place])?;
    let folder = PathBuf::from(&place);
    assert!(folder.join(".github/workflows/build.yml").exists() && folder.join("config/README.md").exists());
    fs::create_dir_all(folder.join("config/ada"))?;
    fs::write(
        folder.join("config/ada/Pushed.yaml"),
        "owner: ada\ntitle: Pushed\nrepo_tag: next\nresources:\n  memory: 1.5\n",
    )?;
    // `csw publish` says to git who asks; nothing is set up.
    let as_ada = [
        ("CS_URL", server.url()?),
        ("CS_API_TOKEN", bench.ada.token.as_str()),
        ("GIT_AUTHOR_NAME", "Ada"),
        ("GIT_AUTHOR_EMAIL", "ada@example.org"),
        ("GIT_COMMITTER_NAME", "Ada"),
        ("GIT_COMMITTER_EMAIL", "ada@example.org"),
    ];
    let mut urls = Vec::new();
    for words in [&["publish", "-n", MODEL, "--json"][..], &["publish", "-n", MODEL, "--json", "--skip-test"]] {
        let answer: Value = csw_in(&folder, words, &as_ada)?.json()?;
        urls.push(answer["pull_request"]["url"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(urls, [format!("{}/publish/pulls/1/", server.url()?), format!("{}/publish/pulls/1/", server.url()?)]);
    let branch = format!("publish/{MODEL}");
    let pulls = |who: &Account, words: &[&str]| server.csw(who, &[&["models", "pulls"], words, &["--json"]].concat());
    let pull: Pull = pulls(&bench.ada, &["open", "--branch", &branch, "--wait"])?.json()?;
    assert_eq!((pull.number, pull.checks[0].model.as_str(), pull.skip_tests), (1, MODEL, true));
    assert_eq!(bench.says().await?, "well\n");
    // What is proposed is not decided.
    assert_ne!(bench.client.model(MODEL).await?.more["memory"], "1.5");

    // Others push branches of their own only, and propose nothing of hers.
    let eve = server.account("eve", "member")?;
    let hers = WorkingCopy::at(&folder, &eve);
    hers.done(&["checkout", "-q", "-b", "mine"])?;
    hers.commit("Eve's idea")?;
    for name in ["main", "idea", "ada/idea", &branch, "evening/x"] {
        let refused = hers.git(&["push", &url, &format!("+HEAD:{name}")])?;
        assert_ne!(refused.code, 0, "{name}");
        assert!(refused.stderr.contains("You may push branches named YOU/..."), "{name}: {}", refused.stderr);
    }
    hers.done(&["push", &url, "HEAD:eve/idea"])?;
    for branch in ["eve/idea", &branch] {
        let refused = pulls(&eve, &["open", "--branch", branch])?;
        assert_eq!(refused.code, 3, "{}", refused.stderr);
    }
    assert_eq!(pulls(&eve, &["merge", "1"])?.code, 3);

    let merged: Pull = pulls(&bench.ada, &["merge", "1", "--delete-branch"])?.json()?;
    assert_eq!(merged.message.as_deref(), Some("ada/Pushed: Version 1.0.0 is live."));
    assert_eq!(bench.says().await?, "published\n");
    let model = bench.client.model(MODEL).await?;
    assert_eq!((model.repo_tag.as_str(), &model.more["memory"]), ("next", &json!("1.5")));
    bench.copy.done(&["-C", &place, "fetch", "-q", &url, "main"])?;
    let text = bench.copy.done(&["-C", &place, "show", "FETCH_HEAD:config/ada/Pushed.yaml"])?.stdout;
    assert!(text.contains("repo_tag: next") && text.contains("timestamp: "), "{text}");
    Ok(())
}
