//! Secrets: from the command line into runs and tests, and nowhere else.

use std::{fs, path::Path, process::Command};

use anyhow::ensure;
use csw_client::{Client, NewSimulation};
use csw_tests::{Account, Draft, Result, Server, csw};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::Run;

const KEEPER: &str = "ann/Keeper";
const OTHER: &str = "ann/Other";

/// Never on a page, in a log or in a file.
const SECRET: &str = "s3cret/of+ann \"x\"";

/// Shows what it found by its digest, and writes it wherever it can.
const TELLING: &str = r#"
import base64, hashlib, json, os, sys


def found():
    return os.environ.get("super", "(none)")


def digest():
    return hashlib.sha256(found().encode()).hexdigest()


def validate_inputs(meta_param_dict, adjustment, errors_warnings):
    print("validating with", found(), flush=True)
    if adjustment["Main"].get("number") == 14 or adjustment["Main"].get("number") == [{"value": 14}]:
        errors_warnings["Main"]["errors"]["number"] = ["not with " + found()]
    return {"errors_warnings": errors_warnings}


def run_model(meta_param_dict, adjustment):
    value = found()
    print("plain", value, "json", json.dumps(value), "base64", base64.b64encode(("user:" + value).encode()).decode())
    for letter in value:
        sys.stdout.write(letter)
        sys.stdout.flush()
    print()
    if "13" in json.dumps(adjustment):
        raise RuntimeError("no entry with " + value)
    return shown(digest() + "\n")
"#;

/// `install.sh` has no secret, and the model's own tests have.
const INSTALL: &str = "env | grep -q '^super=' && exit 9\ntrue\n";
const OWN_TEST: &str =
    "import os\n\n\ndef test_secret():\n    value = os.environ['super']\n    assert value == 'x', value\n";

fn digest(text: &str) -> String {
    format!("{}\n", hex::encode(Sha256::digest(text)))
}

async fn seen(client: &Client, model: &str, number: i64) -> Result<(u32, Value)> {
    let adjustment = json!({ "Main": { "number": [{ "value": number }] } });
    let new = NewSimulation { adjustment, fresh: true, ..NewSimulation::default() };
    let run = Run::new(client, model, &new).await?.succeeded();
    Ok((run.pk, run.data(client, model, "Result").await?))
}

fn log_of(server: &Server, who: &Account, pk: u32) -> Result<String> {
    let done = server.csw(who, &["sims", "-n", KEEPER, "log", &pk.to_string()])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    Ok(done.stdout)
}

fn tells(text: &str) -> bool {
    text.contains(SECRET) || text.contains("s3cret/of") || text.contains("s3cret%2Fof")
}

/// The files below a folder that hold the secret.
fn files_with_it(folder: &Path) -> Result<Vec<String>> {
    let found = Command::new("grep").args(["-rlaF", SECRET]).arg(folder).output()?;
    // 1 says that there is none.
    ensure!(found.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&found.stderr));
    Ok(String::from_utf8(found.stdout)?.lines().map(str::to_owned).collect())
}

async fn status(server: &Server, who: Option<&Account>, path: &str) -> Result<(u16, String)> {
    let answer = server.fetch(who, path, &[]).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test]
async fn a_secret_reaches_runs_and_nobody_else() -> Result {
    let mut server = Server::empty()?;
    let (ann, bob) = (server.account("ann", "member")?, server.account("bob", "member")?);
    for name in [KEEPER, OTHER] {
        let draft = Draft::new(&server.beside(name), TELLING)?.file("cs-config/install.sh", INSTALL)?;
        let done = server.publish(&ann, name, draft.folder(), &["--no-example"])?;
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    }
    let secrets = |words: &[&str]| server.csw(&ann, &[&["models", "-n", KEEPER, "secrets"], words].concat());
    assert_eq!(secrets(&["list"])?.stdout, "{}\n");
    let set = secrets(&["set", "--secret-name", "super", "--secret-value", "secret"])?;
    assert_eq!(set.code, 0, "{}", set.stderr);
    assert_eq!(secrets(&["list"])?.stdout, "{\"super\": \"secret\"}\n");
    assert_eq!(secrets(&["get", "super"])?.stdout, "secret\n");
    // Not on a command line: from a file.
    let file = server.beside("value");
    fs::write(&file, format!("{SECRET}\n"))?;
    let set = secrets(&["set", "--secret-name", "super", "--secret-file", &file])?;
    assert_eq!(set.code, 0, "{}", set.stderr);
    assert!(!tells(&set.stdout), "{}", set.stdout);
    fs::remove_file(&file)?;
    let listed: Value = secrets(&["list", "--names", "--json"])?.json()?;
    assert_eq!(
        (&listed[0]["name"], &listed[0]["version"], &listed[0]["set_by"]),
        (&json!("super"), &json!(2), &json!("ann"))
    );
    for reserved in ["PATH", "a-b"] {
        let refused = secrets(&["set", "--secret-name", reserved, "--secret-value", "x"])?;
        assert_eq!(refused.code, 3, "{}", refused.stderr);
    }

    // A run has it; what it wrote has not.
    let client = server.client(Some(&ann))?;
    let (pk, result) = seen(&client, KEEPER, 1).await?;
    assert_eq!(result, digest(SECRET));
    let log = log_of(&server, &ann, pk)?;
    assert!(log.contains("plain *** json \"***\" base64 ") && !tells(&log), "{log}");
    assert!(log.contains("***\n") || log.ends_with("***"), "{log}");
    let failed = Run::of(&client, KEEPER, json!({}), json!({ "Main": { "number": [{ "value": 13 }] } })).await?;
    let traceback = failed.end.traceback.expect("it failed");
    assert!(traceback.contains("RuntimeError: no entry with ***") && !tells(&traceback), "{traceback}");
    let invalid = Run::of(&client, KEEPER, json!({}), json!({ "Main": { "number": [{ "value": 14 }] } })).await?;
    let errors = invalid.inputs.errors_warnings.to_string();
    assert!(errors.contains("not with ***") && !tells(&errors), "{errors}");

    // Nobody else has it: not another model, not another person, not a page, not a file.
    assert_eq!(seen(&client, OTHER, 1).await?.1, digest("(none)"));
    for path in ["secrets/", "secrets/values/", "secrets/super/value/", "secrets/audit/"] {
        let path = format!("/publish/api/{KEEPER}/{path}");
        assert_eq!(status(&server, None, &path).await?.0, 401, "{path}");
        assert_eq!(status(&server, Some(&bob), &path).await?.0, 403, "{path}");
    }
    for path in [format!("/publish/api/{KEEPER}/secrets/"), format!("/{KEEPER}/settings/"), format!("/{KEEPER}/")] {
        let (code, page) = status(&server, Some(&ann), &path).await?;
        assert!(code == 200 && !tells(&page), "{path}: {page}");
    }
    let (_, value) = status(&server, Some(&ann), &format!("/publish/api/{KEEPER}/secrets/super/value/")).await?;
    assert_eq!(serde_json::from_str::<Value>(&value)?, json!({ "super": SECRET }));
    assert_eq!(files_with_it(server.folder())?, Vec::<String>::new());
    let trail: Value = secrets(&["audit", "--json"])?.json()?;
    let trail: Vec<_> = trail.as_array().expect("a list").iter().map(|line| line["action"].as_str()).collect();
    assert_eq!(trail.iter().rev().take(3).collect::<Vec<_>>(), [&Some("set"), &Some("read"), &Some("read")]);

    // It outlives the server, and its key.
    server.stop()?;
    server.start()?;
    let client = server.client(Some(&ann))?;
    assert_eq!(seen(&client, KEEPER, 2).await?.1, digest(SECRET));
    let key = fs::read(server.data().join("secrets.key"))?;
    let rotated: Value = csw(&["svc", "secrets", "rotate", "--data", &server.place(), "--json"], &[])?.json()?;
    assert_eq!(rotated["resealed"], 2, "both versions");
    assert_ne!(fs::read(server.data().join("secrets.key"))?, key);
    assert_eq!(seen(&client, KEEPER, 3).await?.1, digest(SECRET));

    // The model's own tests have it, and the log of the build does not tell it.
    let draft = Draft::new(&server.beside(KEEPER), TELLING)?
        .file("cs-config/cs_config/tests/test_functions.py", OWN_TEST)?
        .file("cs-config/install.sh", INSTALL)?;
    let done = server.publish(&ann, KEEPER, draft.folder(), &[])?;
    let said = format!("{}{}", done.stdout, done.stderr);
    assert_eq!(done.code, 1, "{said}");
    assert!(said.contains("1 failed") && said.contains("***") && !tells(&said), "{said}");
    let logs = server.csw(&ann, &["models", "-n", KEEPER, "logs"])?.stdout;
    assert!(logs.contains("AssertionError: ***") && !tells(&logs), "{logs}");

    let gone = server.csw(&ann, &["models", "-n", KEEPER, "secrets", "delete", "super"])?;
    assert_eq!(gone.code, 0, "{}", gone.stderr);
    assert_eq!(seen(&client, KEEPER, 4).await?.1, digest("(none)"));
    assert_eq!(server.csw(&ann, &["models", "-n", KEEPER, "secrets", "get", "super"])?.code, 3);
    assert_eq!(files_with_it(server.folder())?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn the_sites_secrets_are_kept_at_its_machine() -> Result {
    let server = Server::configured("[secrets]\nreadable = false\n")?;
    let (boss, ann) = (server.account("boss", "admin")?, server.account("ann", "member")?);
    let place = server.place();
    let secrets = |words: &[&str]| csw(&[&["svc", "secrets"], words, &["--data", &place]].concat(), &[]);
    let set = secrets(&["set", "--secret-name", "mysecret", "--secret-value", "helloworld"])?;
    assert_eq!(set.code, 0, "{}", set.stderr);
    secrets(&["set", "--secret-name", "mysecret", "--secret-value", "hello again"])?;
    assert_eq!(secrets(&["get", "--secret-name", "mysecret"])?.stdout, "hello again\n");
    assert_eq!(secrets(&["get", "--secret-name", "mysecret", "--secret-version", "1"])?.stdout, "helloworld\n");
    let listed = secrets(&["list"])?.stdout;
    assert!(listed.contains("mysecret") && listed.contains("(operator)") && !listed.contains("hello"), "{listed}");
    assert_eq!(status(&server, Some(&boss), "/api/v1/secrets/").await?.0, 200);
    assert_eq!(status(&server, Some(&ann), "/api/v1/secrets/").await?.0, 403);
    let (code, said) = status(&server, Some(&boss), "/api/v1/secrets/mysecret/value/").await?;
    assert!(code == 403 && said.contains("nobody reads"), "{said}");
    assert_eq!(secrets(&["delete", "--secret-name", "mysecret"])?.code, 0);
    let gone = secrets(&["get", "--secret-name", "mysecret"])?;
    assert!(gone.code == 3 && gone.stderr.contains("does not exist"), "{}", gone.stderr);
    let trail: Value = secrets(&["audit", "--json"])?.json()?;
    assert_eq!((&trail[0]["action"], &trail[0]["who"]), (&json!("delete"), &json!("(operator)")));
    Ok(())
}
