//! Publishing by pull requests: the repository, its one pull request of a model, and what the workflows call.

use std::{fs, path::Path, process::Command};

use csw_tests::{Account, Done, Draft, Result, Server, csw_in};
use serde_json::{Value, json};

// The same GitHub as the adapter's own tests have.
#[path = "../../crates/publish/tests/github/site.rs"]
#[allow(clippy::unwrap_used, dead_code, reason = "shared with tests that use more of it")]
pub(crate) mod site;

use site::{Site, TOKEN};

const MODEL: &str = "ada/Said";

/// A publish repository with an origin that is a folder, or a GitHub in front of one.
struct Bench {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Bench {
    fn new(server: &Server, account: &Account, github: Option<&Site>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut variables = vec![
            ("CS_URL".to_owned(), server.url()?.to_owned()),
            ("CS_API_TOKEN".to_owned(), account.token.clone()),
            ("GIT_AUTHOR_NAME".to_owned(), "Ada".to_owned()),
            ("GIT_AUTHOR_EMAIL".to_owned(), "ada@example.org".to_owned()),
            ("GIT_COMMITTER_NAME".to_owned(), "Ada".to_owned()),
            ("GIT_COMMITTER_EMAIL".to_owned(), "ada@example.org".to_owned()),
        ];
        if let Some(site) = github {
            variables.push(("GITHUB_API_URL".to_owned(), site.api()));
            variables.push(("GITHUB_TOKEN".to_owned(), TOKEN.to_owned()));
        }
        let bench = Self { folder, variables };
        let bare = bench.folder.path().join("origin.git").display().to_string();
        let made = bench.csw_at(bench.folder.path(), &["publish", "init", "repo", "--json"])?;
        assert_eq!(made.code, 0, "{}", made.stderr);
        bench.git(&["init", "-q", "--bare", "-b", "main", &bare])?;
        let origin = if github.is_some() { "http://127.0.0.1/PSL/publish" } else { &bare };
        bench.git(&["config", &format!("url.{bare}.insteadOf"), "http://127.0.0.1/PSL/publish"])?;
        bench.git(&["remote", "add", "origin", origin])?;
        bench.commit("begin")?;
        bench.git(&["push", "-q", "origin", "HEAD:main"])?;
        Ok(bench)
    }

    fn at(&self) -> std::path::PathBuf {
        self.folder.path().join("repo")
    }

    fn file(&self, name: &str, text: &str) -> Result {
        let path = self.at().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(fs::write(path, text)?)
    }

    fn git(&self, words: &[&str]) -> Result<String> {
        let output =
            Command::new("git").args(words).current_dir(self.at()).envs(self.variables.iter().cloned()).output()?;
        anyhow::ensure!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Commits everything; the commit before.
    fn commit(&self, message: &str) -> Result<String> {
        let before = self.git(&["rev-parse", "HEAD"]).unwrap_or_default();
        self.git(&["add", "-A"])?;
        self.git(&["commit", "-q", "-m", message])?;
        Ok(before)
    }

    fn csw_at(&self, folder: &Path, words: &[&str]) -> Result<Done> {
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        csw_in(folder, words, &variables)
    }

    fn csw(&self, words: &[&str]) -> Result<Done> {
        self.csw_at(&self.at(), words)
    }

    /// What the model's file says on its branch at origin, and how many commits the branch is ahead of main.
    fn branch(&self) -> Result<(String, String)> {
        self.git(&["fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*"])?;
        let branch = format!("origin/publish/{MODEL}");
        let text = self.git(&["show", &format!("{branch}:config/{MODEL}.yaml")])?;
        Ok((text, self.git(&["rev-list", "--count", &format!("origin/main..{branch}")])?))
    }
}

/// A site with a model of ada's, made by a push and never built from elsewhere.
async fn site_with_model() -> Result<(Server, Account)> {
    let server = Server::empty()?;
    let ada = server.account("ada", "member")?;
    let model = json!({
        "title": "Said", "oneliner": "Says.", "description": "Says.", "cpu": 0.5, "memory": 0.75,
        "repo_url": "https://example.org/ada/said", "repo_tag": "v1",
    });
    let _: Value = server.client(Some(&ada))?.post("/publish/api/", &model).await?;
    Ok((server, ada))
}

// The GitHub of the test answers while `csw` runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_has_one_open_pull_request_that_is_added_to() -> Result {
    let (server, ada) = site_with_model().await?;
    let github = Site::start().await;
    let bench = Bench::new(&server, &ada, Some(&github))?;
    // What is going on in the working tree is nobody's business.
    bench.file("notes.txt", "mine")?;
    let done = bench.csw(&["publish", "-n", MODEL, "--json"])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    let answer: Value = done.json()?;
    assert_eq!(answer["pull_request"]["url"], "https://github.example/PSL/publish/pull/1");
    let title = format!("Publish {MODEL}");
    let open = |title: &str| (format!("publish/{MODEL}"), title.to_owned(), "open".to_owned());
    assert_eq!(github.pulls(), [open(&title)]);
    let (text, ahead) = bench.branch()?;
    assert!(text.contains("repo_url: \"https://example.org/ada/said\"\nrepo_tag: \"v1\""), "{text}");
    assert!(text.contains("timestamp: \"20") && text.contains("cpu: 0.5"), "{text}");
    assert_eq!((ahead.as_str(), bench.git(&["status", "--porcelain"])?.as_str()), ("1", "?? notes.txt"));

    // The second time adds to it, with what was edited here.
    bench.file(&format!("config/{MODEL}.yaml"), "# ours\nowner: ada\ntitle: Said\nrepo_tag: v2\n")?;
    let again = bench.csw(&["publish", "-n", MODEL, "--skip-test"])?;
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(github.pulls(), [open(&format!("{title} [skip test]"))]);
    let (text, ahead) = bench.branch()?;
    assert!(text.starts_with("# ours\nowner: ada\ntitle: Said\nrepo_tag: v2\ntimestamp: \"20"), "{text}");
    assert_eq!(ahead, "2");

    // What is left of a closed one is no beginning of the next.
    github.close();
    fs::remove_file(bench.at().join(format!("config/{MODEL}.yaml")))?;
    assert_eq!(bench.csw(&["publish", "-n", MODEL])?.code, 0);
    assert_eq!(github.pulls().len(), 2);
    assert_eq!(bench.branch()?.1, "1");
    Ok(())
}

#[tokio::test]
async fn elsewhere_the_branch_is_pushed_and_the_rest_is_said() -> Result {
    let (server, ada) = site_with_model().await?;
    let bench = Bench::new(&server, &ada, None)?;
    for ahead in ["1", "2"] {
        let done = bench.csw(&["publish", "-n", MODEL])?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout.contains("open a pull request of it into main there by hand"), "{}", done.stdout);
        assert_eq!(bench.branch()?.1, ahead);
    }
    for (words, code, says) in [
        (&["publish", "-n", "ada/Unknown"][..], 3, "has no model ada/Unknown to make it of"),
        (&["publish", "-n", "ada/said"], 2, "the model is called ada/Said"),
        (&["publish", "-n", "ada/$(id)"], 2, "letters, digits and -"),
        (&["publish", "-n", "Zoë/Said"], 2, "beyond ASCII"),
        (&["publish", "-n", "admin/Said"], 2, "is reserved"),
        (&["publish"], 2, "which model?"),
    ] {
        let done = bench.csw(words)?;
        assert_eq!(done.code, code, "{words:?}: {}", done.stderr);
        assert!(done.stderr.contains(says), "{words:?}: {}", done.stderr);
    }
    bench.git(&["config", "remote.origin.url", "https://github.com/PSL/publish"])?;
    let done = bench.csw(&["publish", "-n", MODEL])?;
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("no token to open pull requests with"), "{}", done.stderr);
    let outside = bench.csw_at(bench.folder.path(), &["publish", "-n", MODEL])?;
    assert!(outside.code == 5 && outside.stderr.contains("csw publish init"), "{}", outside.stderr);
    Ok(())
}

/// What the workflows do, without GitHub: a changed file is built and staged, and live after the merge.
#[tokio::test]
async fn changed_files_are_staged_and_then_promoted() -> Result {
    let server = Server::asked(&["--allow-local-repositories"])?;
    let ada = server.account("ada", "member")?;
    let client = server.client(Some(&ada))?;
    let draft = Draft::new(&server.beside("said"), "")?
        .file("cs-config/cs_config/tests/test_functions.py", "def test_no():\n    assert False, 'tests do run'\n")?
        .commit("2026-01-15T00:00:00Z")?;
    let bench = Bench::new(&server, &ada, None)?;
    let config = |more: &str| format!("owner: ada\ntitle: Said\nrepo_url: file://{}\n{more}", draft.folder().display());
    let file = format!("config/{MODEL}.yaml");
    bench.file(&file, &config("resources:\n  cpu: 0.5\n  memory: 0.75\n"))?;
    let base = bench.commit("Said is new")?;
    let since = format!("--changed-since={base}");
    assert_eq!(bench.csw(&["publish", "changed", &since])?.stdout, format!("{MODEL}\n"));

    // Its own tests fail, unless somebody leaves them out.
    let failed = bench.csw(&["publish", "stage", &since, "--said=A title", "--said="])?;
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert!(failed.stdout.contains("tests do run"), "{}", failed.stdout);
    let early = bench.csw(&["publish", "promote", &since])?;
    assert!(early.code == 1 && early.stderr.contains("newest build of ada/Said failed"), "{}", early.stderr);
    let staged = bench.csw(&["publish", "stage", &since, "--said=-x [Skip Test]"])?;
    assert_eq!(staged.code, 0, "{}", staged.stderr);
    let model = client.model(MODEL).await?;
    assert_eq!((model.status.as_str(), &model.more["cpu"]), ("pending", &json!("0.5")));
    let states = async || -> Result<Vec<String>> {
        Ok(client.versions(MODEL).await?.into_iter().map(|version| version.state).collect())
    };
    assert_eq!(states().await?, ["staged"]);
    for _ in 0..2 {
        let promoted = bench.csw(&["publish", "promote", &since, "--json"])?;
        assert_eq!(promoted.code, 0, "{}", promoted.stderr);
        assert_eq!(states().await?, ["live"]);
    }

    // The newest commit's message counts as well; a change of settings reaches the server.
    bench.file(&file, &config("resources:\n  memory: 1\n"))?;
    let base = bench.commit("More memory [skip test]")?;
    let since = format!("--changed-since={base}");
    let staged = bench.csw(&["publish", "stage", &since])?;
    assert_eq!(staged.code, 0, "{}", staged.stderr);
    assert_eq!(client.model(MODEL).await?.more["memory"], "1.0");
    assert_eq!(bench.csw(&["publish", "changed", "--changed-since=HEAD"])?.stdout, "");
    let zeros = format!("--changed-since={}", "0".repeat(40));
    assert_eq!(bench.csw(&["publish", "changed", &zeros, "--json"])?.json::<Vec<String>>()?, [MODEL]);
    Ok(())
}

#[tokio::test]
async fn files_that_are_not_as_they_should_be_stop_everything_before_it_begins() -> Result {
    let (server, ada) = site_with_model().await?;
    let bench = Bench::new(&server, &ada, None)?;
    let first = bench.git(&["rev-parse", "HEAD"])?;
    for (path, text, says) in [
        ("config/ada/Said.yaml", "owner: ada\ntitle: Said\nrepo_tg: x\n", "did you mean `repo_tag`?"),
        ("config/ada/Said.yaml", "owner: eve\ntitle: Said\n", "the path says `ada`"),
        ("config/ada/$(id).yaml", "owner: ada\n", "letters, digits and -"),
        ("config/Zoë/Said.yaml", "owner: Zoë\ntitle: Said\n", "beyond ASCII"),
        ("config/publish/Said.yaml", "owner: publish\ntitle: Said\n", "is reserved"),
        ("config/Said.yaml", "owner: ada\n", "is no config/<owner>/<title>.yaml"),
    ] {
        bench.file(path, text)?;
        bench.file("config/ada/Fine.yaml", "owner: ada\ntitle: Fine\nrepo_url: https://example.org/ada/fine\n")?;
        bench.commit("odd")?;
        let done = bench.csw(&["publish", "stage", &format!("--changed-since={first}")])?;
        assert_eq!(done.code, 2, "{path}: {}", done.stderr);
        assert!(done.stderr.contains(says) && done.stderr.contains("hint: "), "{path}: {}", done.stderr);
        bench.git(&["reset", "-q", "--hard", &first])?;
    }
    bench.file("config/ada/Said.yaml", "owner: ada\ntitle: Said\n")?;
    bench.file("config/Ada/said.yaml", "owner: Ada\ntitle: said\n")?;
    bench.commit("clash")?;
    let done = bench.csw(&["publish", "stage", &format!("--changed-since={first}")])?;
    assert!(done.code == 2 && done.stderr.contains("differ in case alone"), "{}", done.stderr);
    bench.git(&["reset", "-q", "--hard", &first])?;
    let outside = bench.at().join("config/ada");
    fs::create_dir_all(&outside)?;
    std::os::unix::fs::symlink("/etc/passwd", outside.join("Said.yaml"))?;
    bench.commit("link")?;
    let done = bench.csw(&["publish", "stage", &format!("--changed-since={first}")])?;
    assert!(done.code == 2 && done.stderr.contains("is no file"), "{}", done.stderr);
    let done = bench.csw(&["publish", "stage", "--changed-since=nonsense"])?;
    assert!(done.code == 5 && done.stderr.contains("is no commit of this repository"), "{}", done.stderr);
    let models = server.client(Some(&ada))?.models().await?;
    assert_eq!(models.len(), 1, "nothing was made");
    Ok(())
}
