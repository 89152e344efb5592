//! Before a version becomes live, the simulations that are looked at most run again on it.

use csw_client::{Client, NewSimulation};
use csw_tests::{Account, Draft, Result, Server};
use serde_json::{Value, json};

use crate::common::Run;

const MODEL: &str = "ada/Taxes";

/// A model that gives a table of `expression`, in which `n` is its number.
fn taxes(server: &Server, version: &str, expression: &str) -> Result<Draft> {
    let code = format!(
        r#"
import time


def get_version():
    return {version:?}


def run_model(meta_param_dict, adjustment):
    given = adjustment.get("Main", {{}}).get("number")
    n = given[0]["value"] if given else 2
    tax = {expression}
    table = f"<p>Taxes</p><table><tr><th>year</th><th>tax</th></tr><tr><th>2030</th><td>{{tax}}</td></tr></table>"
    plain = {{"media_type": "Text", "title": "Note", "data": "the same"}}
    return {{
        "renderable": [{{"media_type": "table", "title": "Taxes", "data": table}}, plain],
        "downloadable": [{{"media_type": "CSV", "title": "Rows", "data": f"year,tax\n2030,{{tax}}\n"}}],
    }}
"#
    );
    Draft::new(&server.beside(version), &code)
}

/// A simulation of this number.
async fn simulate(client: &Client, number: i64, is_public: bool) -> Result<u32> {
    let adjustment = json!({ "Main": { "number": [{ "value": number }] } });
    let new = NewSimulation { adjustment, is_public: Some(is_public), ..NewSimulation::default() };
    Ok(Run::new(client, MODEL, &new).await?.succeeded().pk)
}

/// These people open the page of a simulation.
async fn look(server: &Server, number: u32, who: &[&Account]) -> Result {
    for account in who {
        let page = server.fetch(Some(account), &format!("/{MODEL}/{number}/"), &[("Accept", "text/html")]).await?;
        anyhow::ensure!(page.status() == 200, "{} may not look", account.name);
    }
    Ok(())
}

fn stage(server: &Server, ada: &Account, draft: &Draft) -> Result<Value> {
    let folder = draft.folder().display().to_string();
    server.csw(ada, &["models", "-n", MODEL, "stage", "--json", "--repo", &folder])?.json()
}

fn compare(server: &Server, who: &Account) -> Result<Value> {
    server.csw(who, &["models", "-n", MODEL, "compare", "--json"])?.json()
}

async fn live(client: &Client) -> Result<String> {
    let versions = client.versions(MODEL).await?;
    Ok(versions.into_iter().find(|version| version.state == "live").map(|version| version.version).unwrap_or_default())
}

#[tokio::test]
async fn differences_of_tables_are_shown_before_a_promotion() -> Result {
    let server = Server::empty()?;
    let (ada, eve) = (server.account("ada", "member")?, server.account("eve", "member")?);
    let (client, other) = (server.client(Some(&ada))?, server.client(Some(&eve))?);
    server.publish(&ada, MODEL, taxes(&server, "one", "n * 10")?.folder(), &["--no-example"])?.json::<Value>()?;
    // Nobody has looked at anything: nothing is compared.
    let next = taxes(&server, "two", "n * 10 if n < 3 else n * 20")?;
    let first = stage(&server, &ada, &next)?;
    let version = first["build"]["version"].as_str().expect("a version").to_owned();
    assert!(client.comparison(MODEL, &version).await?.is_none());
    let (changed, own, hers, unseen) = (
        simulate(&other, 3, true).await?,
        simulate(&client, 1, false).await?,
        simulate(&other, 1, false).await?,
        simulate(&client, 2, true).await?,
    );
    look(&server, changed, &[&ada, &eve, &eve]).await?;
    look(&server, own, &[&ada]).await?;
    look(&server, hers, &[&eve]).await?;
    // Whose simulation it is sees how often it was looked at; nobody else does.
    let seen = async |who: &Client| {
        anyhow::Ok(who.get::<Value>(&format!("/{MODEL}/api/v1/{changed}/")).await?["views"].clone())
    };
    assert_eq!((seen(&other).await?, seen(&client).await?), (json!(2), Value::Null));

    let found = compare(&server, &ada)?;
    assert_eq!(
        (&found["state"], &found["summary"]),
        (&json!("finished"), &json!("1 of 2 equal, 1 changed")),
        "{found}"
    );
    assert_eq!(
        (&found["from"]["version"], &found["unseen"], &found["deterministic"]),
        (&json!("one"), &json!(1), &json!(true))
    );
    let numbers: Vec<_> = found["simulations"].as_array().into_iter().flatten().map(|one| &one["model_pk"]).collect();
    assert_eq!(
        numbers,
        [&json!(changed), &json!(own)],
        "what is looked at most is first; {unseen} was looked at by nobody"
    );
    let outputs = &found["simulations"][0]["outputs"];
    let table = &outputs[0]["change"]["table"];
    assert_eq!(
        (&table["changed"], &table["compared"], &table["largest"]),
        (&json!(1), &json!(2), &json!(1.0)),
        "{outputs}"
    );
    assert_eq!((&table["cells"][0]["row"], &table["cells"][0]["column"]), (&json!("2030"), &json!("tax")));
    assert_eq!((&table["cells"][0]["before"], &table["cells"][0]["after"]), (&json!("30"), &json!("60")));
    assert_eq!((&outputs[1]["change"]["kind"], &outputs[2]["change"]["kind"]), (&json!("equal"), &json!("changed")));
    let page = server
        .fetch(Some(&ada), &format!("/{MODEL}/versions/{version}/comparison/"), &[("Accept", "text/html")])
        .await?;
    let page = page.text().await?;
    assert!(page.contains("by up to 100 %") && page.contains("1 more is private"), "{page}");
    let refused = server.fetch(Some(&eve), &format!("/{MODEL}/api/v1/versions/{version}/comparison/"), &[]).await?;
    assert_eq!(refused.status(), 403);

    // Nobody paid, and they are in no list.
    let model: Value = client.get(&format!("/publish/api/{MODEL}/detail/")).await?;
    assert_eq!(model["sim_count"], 4);
    assert_eq!(other.get::<Value>("/api/v1/sims/").await?["count"], 2);
    // The promotion has nothing to wait for, and what was computed answers whoever asks for it.
    let promoted = server.csw(&ada, &["models", "-n", MODEL, "promote"])?;
    assert_eq!(promoted.code, 0, "{}", promoted.stderr);
    let again = simulate(&other, 3, false).await?;
    let again: Value = other.get(&format!("/{MODEL}/api/v1/{again}/remote/")).await?;
    assert_eq!((&again["from_memo"], &again["model_version"]), (&json!(true), &json!("two")), "{again}");
    Ok(())
}

#[tokio::test]
async fn a_version_that_fails_where_the_live_one_did_not_stays_staged() -> Result {
    let server = Server::empty()?;
    let ada = server.account("ada", "member")?;
    let client = server.client(Some(&ada))?;
    let publish = |draft: &Draft, words: &[&str]| -> Result<Value> {
        server.publish(&ada, MODEL, draft.folder(), &[&["--no-example"], words].concat())?.json()
    };
    publish(&taxes(&server, "one", "n * 10")?, &[])?;
    let number = simulate(&client, 3, true).await?;
    look(&server, number, &[&ada]).await?;
    // Differences are shown, and the author is the one to decide: a push becomes live.
    let second = publish(&taxes(&server, "two", "n * 10 + 5")?, &[])?;
    assert_eq!(second["build"]["message"], "Version two is live.", "{second}");
    let build = second["build"]["id"].as_str().expect("a build");
    let build: Value = client.get(&format!("/publish/api/{MODEL}/builds/{build}/")).await?;
    let stages: Vec<_> = build["stages"].as_array().into_iter().flatten().map(|one| one["stage"].clone()).collect();
    assert_eq!(stages.last(), Some(&json!("promote")));
    assert!(stages.contains(&json!("compare")), "{stages:?}");
    // The simulation is known on the second version by its comparison. On the third it fails.
    let third = publish(&taxes(&server, "three", "n / 0 if n == 3 else n * 10 + 5")?, &[])?;
    let message = third["build"]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("Version three is staged and not live: 1 of the 1 simulations"), "{message}");
    assert_eq!(live(&client).await?, "two");
    let version = third["build"]["version"].as_str().expect("a version");
    let found = client.comparison(MODEL, version).await?.expect("a comparison");
    assert_eq!(
        (&found["simulations"][0]["state"], &found["simulations"][0]["reason"]),
        (&json!("failed"), &json!("FAIL"))
    );
    assert!(
        found["simulations"][0]["sentence"].as_str().is_some_and(|text| text.contains("ZeroDivisionError")),
        "{found}"
    );
    // Who wants it all the same says so.
    let skipped = publish(&taxes(&server, "three", "n / 0 if n == 3 else n * 10 + 5")?, &["--skip-comparison"])?;
    assert_eq!(skipped["build"]["message"], "Version three is live.", "{skipped}");
    Ok(())
}

#[tokio::test]
async fn inputs_that_are_not_valid_any_more_are_told() -> Result {
    let server = Server::empty()?;
    let ada = server.account("ada", "member")?;
    let client = server.client(Some(&ada))?;
    server.publish(&ada, MODEL, taxes(&server, "one", "n")?.folder(), &["--no-example"])?.json::<Value>()?;
    let number = simulate(&client, 3, true).await?;
    look(&server, number, &[&ada]).await?;
    let refusing = taxes(&server, "two", "n")?;
    let functions = std::fs::read_to_string(refusing.folder().join("cs-config/cs_config/functions.py"))?;
    let code = "\n\ndef validate_inputs(meta_param_dict, adjustment, errors_warnings):\n    if adjustment.get('Main', {}).get('number'):\n        \
                errors_warnings['Main']['errors']['number'] = ['it is fixed now']\n    return {'errors_warnings': errors_warnings}\n";
    let refusing = refusing.file("cs-config/cs_config/functions.py", &format!("{functions}{code}"))?;
    stage(&server, &ada, &refusing)?;
    let found = compare(&server, &ada)?;
    assert_eq!(found["summary"], "0 of 1 equal, 1 with inputs that are not valid any more", "{found}");
    assert_eq!(found["simulations"][0]["sentence"], "Main number: it is fixed now");
    Ok(())
}

#[tokio::test]
async fn a_comparison_outlives_the_server_and_a_promotion_waits_for_it() -> Result {
    let mut server = Server::empty()?;
    let ada = server.account("ada", "member")?;
    server.publish(&ada, MODEL, taxes(&server, "one", "n")?.folder(), &["--no-example"])?.json::<Value>()?;
    let number = simulate(&server.client(Some(&ada))?, 3, true).await?;
    look(&server, number, &[&ada]).await?;
    let slow = taxes(&server, "two", "[n, time.sleep(4 if n == 3 else 0)][0]")?;
    let staged = stage(&server, &ada, &slow)?;
    let version = staged["build"]["version"].as_str().expect("a version").to_owned();
    let client = server.client(Some(&ada))?;
    let refused = client.promote(MODEL, &version, false).await.expect_err("it is compared").to_string();
    assert!(refused.contains("0 of 1 equal, 1 to come") && refused.contains("/comparison/"), "{refused}");
    server.kill()?;
    server.start()?;
    // The command waits, shows what came of it, and promotes.
    let promoted = server.csw(&ada, &["models", "-n", MODEL, "promote"])?;
    assert_eq!(promoted.code, 0, "{}", promoted.stderr);
    assert!(promoted.stderr.contains("1 of 1 equal, compared with version one"), "{}", promoted.stderr);
    assert_eq!(live(&server.client(Some(&ada))?).await?, "two");
    Ok(())
}

#[tokio::test]
async fn what_is_not_compared_to_the_end_waits_where_a_maintainer_approves() -> Result {
    let server = Server::configured("[site]\napproval_required = true\ncomparison_minutes = 0\n")?;
    let max = server.account("max", "maintainer")?;
    let client = server.client(Some(&max))?;
    let model = "max/Taxes";
    let publish =
        |draft: &Draft| -> Result<Value> { server.publish(&max, model, draft.folder(), &["--no-example"])?.json() };
    publish(&taxes(&server, "one", "n")?)?;
    let run = Run::new(&client, model, &NewSimulation { is_public: Some(true), ..NewSimulation::default() })
        .await?
        .succeeded();
    let page = server.fetch(Some(&max), &format!("/{model}/{}/", run.pk), &[("Accept", "text/html")]).await?;
    assert_eq!(page.status(), 200);
    let second = publish(&taxes(&server, "two", "n + 1")?)?;
    let message = second["build"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("staged and not live: it could not be compared"), "{message}");
    let version = second["build"]["version"].as_str().expect("a version");
    let found = client.comparison(model, version).await?.expect("a comparison");
    assert_eq!((&found["state"], &found["simulations"][0]["state"]), (&json!("incomplete"), &json!("unfinished")));
    // A person may decide.
    let promoted = server.csw(&max, &["models", "-n", model, "promote"])?;
    assert_eq!(promoted.code, 0, "{}", promoted.stderr);
    Ok(())
}

#[tokio::test]
async fn a_site_may_compare_nothing() -> Result {
    let server = Server::configured("[site]\ncompared_simulations = 0\n")?;
    let ada = server.account("ada", "member")?;
    let client = server.client(Some(&ada))?;
    server.publish(&ada, MODEL, taxes(&server, "one", "n")?.folder(), &["--no-example"])?.json::<Value>()?;
    let number = simulate(&client, 3, true).await?;
    look(&server, number, &[&ada]).await?;
    let second: Value =
        server.publish(&ada, MODEL, taxes(&server, "two", "n / 0 if n == 3 else n")?.folder(), &[])?.json()?;
    assert_eq!(second["build"]["message"], "Version two is live.");
    Ok(())
}

#[tokio::test]
async fn views_are_stored_without_anybody_waiting() -> Result {
    let mut server = Server::empty()?;
    let ada = server.account("ada", "member")?;
    server.publish(&ada, MODEL, taxes(&server, "one", "n")?.folder(), &["--no-example"])?.json::<Value>()?;
    let number = simulate(&server.client(Some(&ada))?, 3, true).await?;
    look(&server, number, &[&ada, &ada]).await?;
    let browser = [("Accept", "text/html"), ("User-Agent", "a browser")];
    let page = server.fetch(None, &format!("/{MODEL}/{number}/"), &browser).await?;
    assert!(!page.text().await?.contains("looked at"), "only its owner is told");
    let robot = [("Accept", "text/html"), ("User-Agent", "SomeBot/1.0")];
    server.fetch(None, &format!("/{MODEL}/{number}/"), &robot).await?;
    assert_eq!(server.query("SELECT views FROM simulations")?, [json!({ "views": 0 })], "no look costs a write");
    server.stop()?;
    assert_eq!(server.query("SELECT views FROM simulations")?, [json!({ "views": 2 })]);
    Ok(())
}
