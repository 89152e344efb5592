//! Models that can't be what they should: the build fails in the right stage, with a sentence, and the live version stays.

use csw_tests::{Account, Draft, Result, Server, csw};
use serde_json::Value;

const MODEL: &str = "ada/Bad";

/// Where a build of this code stopped, and what it said.
fn refused(server: &Server, ada: &Account, place: &str, functions: &str) -> Result<(String, String)> {
    let draft = Draft::new(&server.beside(place), "")?.file("cs-config/cs_config/functions.py", functions)?;
    let done = server.publish(ada, MODEL, draft.folder(), &[])?;
    anyhow::ensure!(done.code == 1, "it was published: {}", done.stdout);
    let answer: Value = serde_json::from_str(&done.stdout)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok((text(&answer["build"]["stage"]), text(&answer["build"]["message"])))
}

#[tokio::test]
async fn what_is_no_model_stops_before_it_is_live() -> Result {
    let server = Server::empty()?;
    let ada = server.account("ada", "member")?;
    let good = Draft::new(&server.beside("good"), "")?;
    server.publish(&ada, MODEL, good.folder(), &["--no-example"])?.json::<Value>()?;
    let functions = std::fs::read_to_string(good.folder().join("cs-config/cs_config/functions.py"))?;
    for (place, code, words) in [
        ("import", "import a_package_that_nobody_has\n".to_owned(), "No module named 'a_package_that_nobody_has'"),
        ("syntax", "def get_version(:\n".to_owned(), "SyntaxError"),
        ("exit", "import os\nos._exit(3)\n".to_owned(), "3"),
        ("missing", functions.replace("def run_model", "def walk_model"), "run_model"),
    ] {
        let (stage, message) = refused(&server, &ada, place, &code)?;
        assert_eq!(stage, "test", "{place}: {message}");
        assert!(message.contains(words), "{place}: {message}");
    }
    let empty = server.beside("nothing");
    std::fs::create_dir_all(&empty)?;
    std::fs::write(format!("{empty}/notes.txt"), "no model\n")?;
    let done = server.publish(&ada, MODEL, empty.as_ref(), &[])?;
    assert!(done.code != 0 && done.stderr.contains("csk init"), "{}", done.stderr);
    let client = server.client(Some(&ada))?;
    assert_eq!(client.model(MODEL).await?.status, "live");
    assert_eq!(client.versions(MODEL).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn odd_names_become_plain_ones_or_are_refused() -> Result {
    let server = Server::empty()?;
    let ada = server.account("ada", "member")?;
    let client = server.client(Some(&ada))?;
    let make = async |title: &str| -> Result<Value> {
        let body = serde_json::json!({ "title": title, "oneliner": "x", "description": "x" });
        Ok(match client.post::<Value>("/publish/api/", &body).await {
            Ok(model) => model["title"].clone(),
            Err(error) => Value::String(error.to_string()),
        })
    };
    for (title, becomes) in [
        ("$(touch /tmp/csw-was-here); `id`", "touch-tmp-csw-was-here-id"),
        ("../../etc/passwd", "etc-passwd"),
        ("Größe π", "Gr-e"),
    ] {
        let made = make(title).await?;
        assert!(made.as_str().is_some_and(|made| made.trim_matches('-') == becomes), "{title}: {made}");
    }
    assert!(!std::path::Path::new("/tmp/csw-was-here").exists());
    assert_eq!(make("Taxes").await?, "Taxes");
    let clash = make("tAXES").await?;
    assert!(clash.as_str().is_some_and(|text| text.contains("already exists")), "{clash}");
    let nothing = make("π").await?;
    assert!(nothing.as_str().is_some_and(|text| text.contains("must not be empty")), "{nothing}");
    for name in ["Publish", "a/b", "$(id)", "a b"] {
        let made = csw(&["accounts", "create", name, "--data", &server.place()], &[])?;
        let told = made.stderr.contains("is reserved") || made.stderr.contains("may have letters");
        assert!(made.code != 0 && told, "{name}: {}", made.stderr);
    }
    Ok(())
}
