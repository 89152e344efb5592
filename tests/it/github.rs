//! A site that is connected with GitHub, as a whole: checks beside commits, pull requests, workflows without a stored
//! token. The GitHub is the one of the adapter's own tests.

use std::{
    fs,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use csw_client::Build;
use csw_tests::{Account, Draft, Result, Server, WorkingCopy, csw};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::publish_repository::site::{APP, Mood, Site, TOKEN};

const SECRET: &str = "a long random one";
const REPOSITORY: &str = "PSL/publish";

/// A private key in PEM form, made by OpenSSL.
fn private_key(path: &str) -> Result {
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "RSA", "-out", path]).output()?;
    anyhow::ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// A site whose GitHub is `github`, with more settings of that section.
fn connected(github: &Site, more: &str) -> Result<Server> {
    Server::configured(&format!(
        "[github]\nwebhook_secret = '{SECRET}'\napi_url = '{}'\n{more}\n\
         [build]\nallow_local_repositories = true\n[site]\nbuilds_at_once = 1\n",
        github.api()
    ))
}

/// The repository of models, on GitHub as its webhooks tell and in a folder as git finds it.
struct Source {
    draft: Draft,
    copy: WorkingCopy,
    url: String,
}

impl Source {
    fn new(server: &Server, ada: &Account, test: &str) -> Result<Self> {
        let draft = Draft::new(&server.beside("source"), "")?
            .file("cs-config/cs_config/tests/__init__.py", "")?
            .file("cs-config/cs_config/tests/test_functions.py", test)?;
        let copy = WorkingCopy::at(draft.folder(), ada).begin("main")?;
        let url = format!("file://{}", draft.folder().display());
        Ok(Self { draft, copy, url })
    }

    fn head(&self) -> Result<String> {
        Ok(self.copy.done(&["rev-parse", "HEAD"])?.stdout.trim().to_owned())
    }

    async fn model(&self, server: &Server, ada: &Account, title: &str) -> Result {
        let model = json!({
            "title": title, "oneliner": "H.", "description": "H.", "cpu": 0.5, "memory": 0.75,
            "repo_url": self.url, "repo_tag": "main",
        });
        server.client(Some(ada))?.post::<Value>("/publish/api/", &model).await?;
        Ok(())
    }

    fn repository(&self) -> Value {
        json!({ "full_name": REPOSITORY, "clone_url": self.url, "html_url": "https://github.example/PSL/publish" })
    }

    async fn push(&self, server: &Server, id: &str) -> Result<Vec<Value>> {
        let body = json!({ "ref": "refs/heads/main", "after": self.head()?, "repository": self.repository() });
        deliver(server, "push", id, &body).await
    }
}

/// Sends a delivery; the builds that it led to.
async fn deliver(server: &Server, event: &str, id: &str, body: &Value) -> Result<Vec<Value>> {
    let body = body.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(body.as_bytes());
    let response = reqwest::Client::new()
        .post(format!("{}/hooks/github/", server.url()?))
        .header("content-type", "application/json")
        .header("x-github-event", event)
        .header("x-github-delivery", id)
        .header("x-hub-signature-256", format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
        .body(body)
        .send()
        .await?;
    let status = response.status();
    let told: Value = response.json().await?;
    anyhow::ensure!(status == 200, "{status}: {told}");
    Ok(told["builds"].as_array().cloned().unwrap_or_default())
}

/// Waits until it is so; what it is then.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    for _ in 0..1_500 {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("{what} does not come about")
}

async fn build(server: &Server, ada: &Account, told: &Value) -> Result<Build> {
    let (model, id) = (told["model"].as_str().unwrap_or_default(), told["build"].as_str().unwrap_or_default());
    Ok(server.client(Some(ada))?.build_state(model, id).await?)
}

async fn over(server: &Server, ada: &Account, told: &Value) -> Result<Build> {
    until("the end of a build", async || Ok(Some(build(server, ada, told).await?).filter(Build::is_over))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_run_follows_its_build_over_the_death_of_the_server_and_the_moods_of_github() -> Result {
    let github = Site::start().await;
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("app.pem").display().to_string();
    private_key(&key)?;
    let mut server = connected(&github, &format!("app_id = '{APP}'\napp_key_file = '{key}'"))?;
    let ada = server.account("ada", "member")?;
    let source = Source::new(&server, &ada, "import time\n\n\ndef test_slow():\n    time.sleep(2)\n")?;
    for title in ["First", "Second"] {
        source.model(&server, &ada, title).await?;
    }
    let builds = source.push(&server, "1").await?;
    let second = &builds[1];
    // All states of its own check run.
    let states = || {
        let inner = github.inner.lock().unwrap();
        let ours = |run: &&Value| run["external_id"] == second["build"];
        let number = inner.runs.iter().find(ours).and_then(|run| run["id"].as_u64());
        let of = inner.states.iter().filter(|(id, ..)| Some(*id) == number);
        of.map(|(_, status, end)| format!("{status} {end}").trim().to_owned()).collect::<Vec<_>>()
    };
    until("a check in the queue", async || Ok((states() == ["queued"]).then_some(()))).await?;
    until("its test", async || {
        let at_work = build(&server, &ada, second).await?;
        Ok((at_work.state == "running" && at_work.stage == "test").then_some(()))
    })
    .await?;
    // What it was told is stored: nothing is under way to GitHub.
    let id = second["build"].as_str().unwrap_or_default();
    let query = format!("SELECT told FROM checks WHERE id = '{id}'");
    until("a check that tells of the test", async || {
        Ok((server.query(&query)?[0]["told"] == "in_progress: Tests the model").then_some(()))
    })
    .await?;
    assert!(states().contains(&"in_progress".to_owned()));
    server.kill()?;
    assert!(!states().iter().any(|state| state.starts_with("completed")));
    github.inner.lock().unwrap().moods.extend([
        Mood { status: 403, headers: &[("retry-after", "1")], done: false },
        Mood { status: 502, headers: &[], done: false },
    ]);
    server.start()?;
    until("the end of the check", async || {
        Ok((states().last().is_some_and(|last| last == "completed success")).then_some(()))
    })
    .await?;
    let page = format!("{}/{}/builds/", server.url()?, second["model"].as_str().unwrap_or_default());
    let inner = github.inner.lock().unwrap();
    assert!(inner.moods.is_empty());
    assert_eq!(inner.runs.len(), 2, "none is doubled: {:?}", inner.runs);
    let run = inner.runs.iter().find(|run| run["external_id"] == second["build"]).expect("its check");
    assert_eq!(run["head_sha"], source.head()?);
    assert_eq!(run["name"], format!("Compute Studio: {}", second["model"].as_str().unwrap_or_default()));
    assert_eq!(run["details_url"], format!("{page}{}/", second["build"].as_str().unwrap_or_default()));
    assert!(run["output"]["summary"].as_str().is_some_and(|text| text.contains("| test | passed |")), "{run}");
    assert_eq!(inner.proofs.len(), 4, "a token for each start");
    let log = server.log()?;
    assert!(inner.issued.iter().all(|token| !log.contains(token)), "tokens are in no log");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_is_staged_and_its_merge_is_live_without_another_test() -> Result {
    let github = Site::start().await;
    let server = connected(&github, &format!("token = '{TOKEN}'"))?;
    let ada = server.account("ada", "member")?;
    let source = Source::new(&server, &ada, "def test_well():\n    assert True\n")?;
    source.model(&server, &ada, "Pulled").await?;
    source.copy.done(&["checkout", "-q", "-b", "changes"])?;
    fs::write(source.draft.folder().join("cs-config/cs_config/more.py"), "MORE = 1\n")?;
    let head = source.copy.commit("more")?;
    let pull = |action: &str| {
        json!({
            "action": action, "number": 3, "repository": source.repository(),
            "pull_request": {
                "merged": action == "closed", "base": { "ref": "main" },
                "head": { "sha": head, "ref": "changes", "repo": { "full_name": REPOSITORY } },
            },
        })
    };
    let told = deliver(&server, "pull_request", "1", &pull("opened")).await?.remove(0);
    let staged = over(&server, &ada, &told).await?;
    assert_eq!((staged.state.as_str(), staged.trigger.as_str()), ("succeeded", "pull_request"), "{:?}", staged.message);
    assert_eq!(staged.commit.as_deref(), Some(head.as_str()));
    let client = server.client(Some(&ada))?;
    assert_eq!(client.model("ada/Pulled").await?.status, "pending", "it is not live");
    let last = until("a status of success", async || {
        let last = github.inner.lock().unwrap().statuses.last().cloned();
        Ok(last.filter(|status| status["state"] == "success"))
    })
    .await?;
    assert_eq!((&last["sha"], &last["context"]), (&json!(head), &json!("Compute Studio: ada/Pulled")));
    assert_eq!(last["target_url"], format!("{}/ada/Pulled/builds/{}/", server.url()?, staged.id));

    // The merge is a commit of its own, of the same files.
    source.copy.done(&["checkout", "-q", "main"])?;
    source.copy.done(&["merge", "-q", "--no-ff", "-m", "merge", "changes"])?;
    assert!(deliver(&server, "pull_request", "2", &pull("closed")).await?.is_empty());
    let told = source.push(&server, "3").await?.remove(0);
    let merged = over(&server, &ada, &told).await?;
    assert_eq!(merged.message.as_deref(), Some("Version 1.0.0 is live."));
    assert_eq!(merged.commit, Some(source.head()?));
    assert_ne!(merged.version, staged.version);
    let log = client.build_log("ada/Pulled", &merged.id, 0).await?;
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("nothing is different"), "{log}");
    assert_eq!(client.model("ada/Pulled").await?.status, "live");
    let run = crate::common::Run::of(&client, "ada/Pulled", json!({}), json!({})).await?.succeeded();
    assert_eq!(run.data(&client, "ada/Pulled", "Result").await?, "well\n");
    Ok(())
}

/// The runner of a job: gives its tokens, and publishes the key that they are signed with.
struct Runner {
    url: String,
    key: String,
    claims: Arc<Mutex<Value>>,
    _folder: tempfile::TempDir,
}

const RUNNER_SECRET: &str = "runner-secret";

impl Runner {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = folder.path().join("key.pem").display().to_string();
        private_key(&key)?;
        let printed = Command::new("openssl").args(["rsa", "-noout", "-modulus", "-in", &key]).output()?;
        let modulus = String::from_utf8(printed.stdout)?;
        let modulus = hex::decode(modulus.trim().trim_start_matches("Modulus=").to_lowercase())?;
        let jwk = json!({ "kty": "RSA", "kid": "k", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB" });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let claims = Arc::new(Mutex::new(json!({
            "iss": url, "repository": REPOSITORY, "repository_id": "7", "ref": "refs/heads/main", "environment": "",
        })));
        let state = (key.clone(), Arc::clone(&claims));
        let keys = async move || Json(json!({ "keys": [jwk] }));
        let router =
            Router::new().route("/.well-known/jwks", get(keys.clone())).route("/token", get(give)).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, key, claims, _folder: folder })
    }

    /// Runs `csw` in a job of this runner.
    fn csw(&self, server: &Server, words: &[&str]) -> Result<csw_tests::Done> {
        let place = format!("{}/token?api-version=2", self.url);
        let home = std::path::Path::new(&self.key).parent().map(|home| home.display().to_string()).unwrap_or_default();
        csw(
            words,
            &[
                ("CS_URL", server.url()?),
                // A secret that the repository does not have.
                ("CS_API_TOKEN", ""),
                ("HOME", &home),
                ("ACTIONS_ID_TOKEN_REQUEST_URL", &place),
                ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", RUNNER_SECRET),
            ],
        )
    }
}

async fn give(
    State((key, claims)): State<(String, Arc<Mutex<Value>>)>,
    headers: axum::http::HeaderMap,
    axum::extract::Query(query): axum::extract::Query<Vec<(String, String)>>,
) -> std::result::Result<Json<Value>, StatusCode> {
    if headers.get("authorization").is_none_or(|value| value != format!("Bearer {RUNNER_SECRET}").as_str()) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let audience = query.into_iter().find(|(name, _)| name == "audience").map(|(_, value)| value);
    let mut claims = claims.lock().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.clone();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    claims["aud"] = json!(audience);
    claims["exp"] = json!(now + 300);
    let token = signed(&key, &claims).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({ "count": 1, "value": token })))
}

fn signed(key: &str, claims: &Value) -> Result<String> {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = format!("{}.{}", part(&json!({ "alg": "RS256", "typ": "JWT", "kid": "k" })), part(claims));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("head");
    fs::write(&file, &head)?;
    let made = Command::new("openssl").args(["dgst", "-sha256", "-sign", key]).arg(&file).output()?;
    anyhow::ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(format!("{head}.{}", URL_SAFE_NO_PAD.encode(made.stdout)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_publishes_without_a_stored_token_where_it_is_trusted() -> Result {
    let runner = Runner::start().await?;
    let server = Server::configured(&format!("[github]\noidc_issuer = '{}'\n", runner.url))?;
    let ada = server.account("ada", "member")?;
    let draft = Draft::new(&server.beside("job"), "")?;
    let folder = draft.folder().display().to_string();
    let publish = ["models", "-n", "ada/Job", "publish", "--json", "--repo", &folder];
    let refused = runner.csw(&server, &publish)?;
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("csw accounts trust add --repository PSL/publish"), "{}", refused.stderr);

    let add = ["accounts", "trust", "add", "--repository", REPOSITORY, "--ref", "main", "--json"];
    let trust: Value = server.csw(&ada, &add)?.json()?;
    // It makes the model, builds it and makes it live, as ada.
    let done = runner.csw(&server, &publish)?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    let client = server.client(Some(&ada))?;
    assert_eq!(client.model("ada/Job").await?.status, "live");
    let private = runner.csw(&server, &["models", "-n", "ada/Job", "secrets", "list"])?;
    assert_eq!(private.code, 3, "{}", private.stderr);
    let listed = server.csw(&ada, &["accounts", "trust", "list"])?;
    assert!(listed.stdout.contains(REPOSITORY) && listed.stdout.contains("refs/heads/main"), "{}", listed.stdout);

    // Another branch, and another issuer.
    runner.claims.lock().unwrap()["ref"] = json!("refs/heads/other");
    assert_eq!(runner.csw(&server, &publish)?.code, 3);
    runner.claims.lock().unwrap()["ref"] = json!("refs/heads/main");
    runner.claims.lock().unwrap()["iss"] = json!("https://evil.example");
    let refused = runner.csw(&server, &publish)?;
    assert!(refused.code == 3 && refused.stderr.contains("this site believes"), "{}", refused.stderr);
    let remove = ["accounts", "trust", "remove", trust["id"].as_str().unwrap_or_default()];
    assert_eq!(server.csw(&ada, &remove)?.code, 0);
    assert!(!server.csw(&ada, &["accounts", "trust", "list"])?.stdout.contains(REPOSITORY));
    Ok(())
}
