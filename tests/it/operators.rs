//! What operators and scripts rely on: variables, JSON of every command, exit codes, health and measurements.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use csw_client::NewSimulation;
use csw_tests::{Draft, Result, Server, csw};
use serde_json::{Value, json};

use crate::common::Run;

const NULL: &str = "contract/Null";

/// Of the environment.
type Variables<'a> = [(&'a str, &'a str)];

#[tokio::test]
async fn every_command_speaks_json() -> Result {
    let server = Server::with_models()?;
    let owner = server.publisher()?;
    let (place, files, backup) = (server.place(), server.beside("files"), server.beside("backup"));
    let of_null = |area: &'static str, rest: &[&'static str]| -> Vec<String> {
        [&[area, "-n", NULL], rest].concat().iter().map(ToString::to_string).collect()
    };
    let mut cases: Vec<Vec<String>> = vec![
        of_null("models", &["list"]),
        of_null("models", &["show"]),
        of_null("models", &["versions"]),
        of_null("models", &["logs"]),
        of_null("models", &["promote", "1.0.0"]),
        of_null("sims", &["create", "--wait", "--title", "One", "--adjustment", "{\"Null\": {\"number\": 8}}"]),
        of_null("sims", &["show", "1"]),
        of_null("sims", &["list", "--search", "one"]),
        of_null("sims", &["log", "1"]),
        of_null("sims", &["outputs", "1"]),
    ];
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    cases.push(words(&["sims", "-n", NULL, "download", "1", "--to", &files]));
    cases.push(words(&["accounts", "list", "--data", &place]));
    cases.push(words(&["accounts", "create", "zoe", "--data", &place]));
    cases.push(words(&["backup", "--data", &place, "--to", &backup]));
    cases.push(words(&["restore", "--from", &backup, "--data", &server.beside("again")]));
    for case in cases {
        let mut words: Vec<&str> = case.iter().map(String::as_str).collect();
        words.push("--json");
        let done = server.csw(&owner, &words)?;
        assert_eq!(done.code, 0, "{words:?}: {}", done.stderr);
        assert_eq!(done.stdout.lines().count(), 1, "{words:?}: {}", done.stdout);
        serde_json::from_str::<Value>(&done.stdout)?;
    }
    assert_eq!(std::fs::read_dir(files)?.count(), 1, "the files are there");
    Ok(())
}

#[tokio::test]
async fn refusals_of_a_server_are_sentences_with_a_code() -> Result {
    let server = Server::with_models()?;
    let eve = server.account("eve", "member")?;
    let owner = server.publisher()?;
    let url = server.url()?.to_owned();
    let pk = server.client(Some(&owner))?.create(NULL, &NewSimulation::default()).await?.sim.model_pk.to_string();
    let wrong = [("CS_URL", url.as_str()), ("CS_API_TOKEN", "0123456789012345678901234567890123456789")];
    let stranger = [("CS_URL", url.as_str()), ("CS_API_TOKEN", eve.token.as_str())];
    let nobody = [("CS_URL", url.as_str())];
    let cases: [(&[&str], &Variables, &str); 8] = [
        (&["sims", "list"], &wrong, "Invalid token."),
        (&["models", "list"], &wrong, "Invalid token."),
        (&["sims", "list"], &nobody, "Authentication credentials were not provided."),
        (&["sims", "-n", NULL, "show", &pk], &stranger, "You do not have permission"),
        (&["sims", "-n", NULL, "show", "4711"], &stranger, "does not exist"),
        (&["models", "-n", "contract/None", "show"], &stranger, "the model contract/None does not exist"),
        (&["models", "-n", NULL, "promote", "1.0.0"], &stranger, "You do not have permission"),
        (&["sims", "-n", NULL, "create", "--adjustment", "[]"], &stranger, "JSON object"),
    ];
    for (words, variables, sentence) in cases {
        let done = csw(words, variables)?;
        assert_eq!((done.code, done.stdout.as_str()), (3, ""), "{words:?}: {}", done.stderr);
        assert!(done.stderr.contains(sentence), "{words:?}: {}", done.stderr);
        assert!(done.stderr.trim().lines().last().is_some_and(|line| line.starts_with("hint: ")), "{}", done.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn variables_are_as_good_as_flags() -> Result {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("site").display().to_string();
    let made: Value =
        csw(&["accounts", "create", "ann", "--role", "admin", "--json"], &[("CSW_DATA", &data)])?.json()?;
    assert_eq!(made["token"].as_str().map(str::len), Some(40));
    let listed: Vec<Value> = csw(&["accounts", "list", "--json"], &[("CSW_DATA", &data)])?.json()?;
    assert_eq!(listed[0]["username"], "ann");
    // A typing mistake in the folder's name is no new site.
    let other = folder.path().join("sit").display().to_string();
    let missing = csw(&["accounts", "list", "--json"], &[("CSW_DATA", &other)])?;
    assert_eq!(missing.code, 5, "{}", missing.stderr);
    assert!(!folder.path().join("sit").exists());
    let database = folder.path().join("other.db").display().to_string();
    for (words, name, value, code, sentence) in [
        (["accounts", "list"], "CSW_DATABASE", database.as_str(), 5, database.as_str()),
        (["up", "--json"], "CSW_LISTEN", "nonsense", 5, "can't listen at nonsense"),
        (["up", "--json"], "CSW_PUBLIC_URL", "nonsense", 2, "`nonsense` is not the address of a site"),
        (["up", "--json"], "CSW_CONFIG", "/nonexistent.toml", 5, "/nonexistent.toml"),
        (["models", "list"], "CS_URL", "nonsense", 2, "`nonsense` is not the URL of a server"),
    ] {
        let done = csw(&words, &[("CSW_DATA", data.as_str()), (name, value)])?;
        assert_eq!(done.code, code, "{name}: {}", done.stderr);
        assert!(done.stderr.contains(sentence), "{name}: {}", done.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn health_and_measurements() -> Result {
    let server = Server::with_models()?;
    let client = server.client(Some(&server.publisher()?))?;
    for path in ["/healthz", "/readyz"] {
        let (status, text) = client.probe(path).await?;
        let answer: Value = serde_json::from_str(&text)?;
        assert_eq!((status, &answer["status"], answer["release"].is_string()), (200, &json!("ok"), true), "{path}");
    }
    for _ in 0..2 {
        let pk = client.create(NULL, &NewSimulation::default()).await?.sim.model_pk;
        assert_eq!(client.wait(NULL, pk).await?.status, "SUCCESS");
    }
    client.probe("/contract/Null/4711/no/such/page").await?;
    let (_, text) = client.probe("/metrics").await?;
    for line in [
        "csw_http_request_seconds_count{method=\"POST\",route=\"/{owner}/{title}/api/v1/\",status=\"201\"} 2",
        "csw_http_request_seconds_count{method=\"GET\",route=\"/readyz\",status=\"200\"} 1",
        "csw_http_request_seconds_count{method=\"GET\",route=\"none\",status=\"404\"} 1",
        "csw_simulations_total{status=\"SUCCESS\"} 2",
        "csw_memo_hits_total 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in:\n{text}");
    }
    assert!(!text.contains("4711"), "a label is never what a client wrote");
    Ok(())
}

#[tokio::test]
async fn log_lines_are_json_and_hold_no_secret() -> Result {
    let server = Server::asked(&["--public-url", "https://studio.example.org/"])?;
    let ann = server.account("ann", "admin")?;
    let client = csw_client::Client::new(&format!("http://{}", server.listen()?), Some(&ann.token))?;
    assert_eq!(server.url()?, "https://studio.example.org");
    client.probe("/rest-auth/user/?token=hidden").await?;
    let log = server.log()?;
    let lines = log.lines().map(serde_json::from_str).collect::<std::result::Result<Vec<Value>, _>>()?;
    let serving = lines.iter().find(|line| line["message"] == "serving").expect("it says that it serves");
    assert_eq!(serving["url"], "https://studio.example.org");
    assert!(serving["timestamp"].is_string() && serving["level"] == "INFO", "{serving}");
    assert!(!log.contains(&ann.token) && !log.contains("hidden"), "{log}");
    Ok(())
}

#[tokio::test]
async fn objects_that_nobody_names_are_removed_once_they_are_old() -> Result {
    let mut server = Server::with_models()?;
    let owner = server.publisher()?;
    let run = Run::of(&server.client(Some(&owner))?, "contract/Null", json!({}), json!({})).await?.succeeded();
    server.stop()?;
    let outputs = server.data().join("objects/outputs");
    let old = std::time::SystemTime::now() - Duration::from_hours(20 * 24);
    let mut named = 0;
    for file in walk(&outputs)? {
        fs::File::open(&file)?.set_modified(old)?;
        named += 1;
    }
    assert!(named > 0);
    let orphan = |letter: char| outputs.join(format!("{letter}{letter}")).join(letter.to_string().repeat(64));
    for letter in ['e', 'f'] {
        fs::create_dir_all(orphan(letter).parent().expect("a folder"))?;
        fs::write(orphan(letter), "nobody's")?;
    }
    fs::File::open(orphan('e'))?.set_modified(old)?;
    server.start()?;
    for _ in 0..200 {
        if !orphan('e').exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!orphan('e').exists(), "it is old, and no output has it");
    assert!(orphan('f').exists(), "a run may be about to record it");
    let client = server.client(Some(&owner))?;
    assert!(!client.simulation("contract/Null", run.pk).await?.outputs.expect("outputs").renderable.is_empty());
    assert_eq!(walk(&outputs)?.len(), named + 1);
    Ok(())
}

/// The files below a folder.
fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(walk(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

/// What the dashboard shows and the alerts watch is measured.
#[tokio::test]
async fn dashboards_and_alerts_name_what_is_measured() -> Result {
    let server = Server::with_models()?;
    let owner = server.publisher()?;
    let client = server.client(Some(&owner))?;
    for _ in 0..2 {
        Run::of(&client, "contract/Null", json!({}), json!({})).await?.succeeded();
    }
    let draft = Draft::new(&server.beside("model"), "")?;
    server.publish(&owner, "contract/Watched", draft.folder(), &["--skip-test"])?.json::<Value>()?;
    let measured = server.fetch(None, "/metrics", &[]).await?.text().await?;
    let mut named = 0;
    for file in ["grafana-dashboard.json", "alerts.yml"] {
        let text = std::fs::read_to_string(format!("{}/../deploy/{file}", env!("CARGO_MANIFEST_DIR")))?;
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in words.filter(|word| word.starts_with("csw_")) {
            assert!(measured.lines().any(|line| line.starts_with(name)), "{file} names {name}:\n{measured}");
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
    for line in ["csw_database_up 1", "csw_runs{state=\"queued\"} 0", "csw_builds_total{state=\"succeeded\"} 1"] {
        assert!(measured.lines().any(|measure| measure == line), "{line}:\n{measured}");
    }
    let rules: Value = serde_saphyr::from_str(&std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/alerts.yml"
    ))?)?;
    assert!(rules["groups"][0]["rules"].as_array().is_some_and(|rules| rules.len() > 5), "{rules}");
    Ok(())
}
