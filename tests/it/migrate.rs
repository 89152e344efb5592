//! A site of one machine moves to PostgreSQL and a bucket, and back.

use csw_client::NewSimulation;
use csw_tests::{Postgres, Result, S3, Server, csw};
use serde_json::{Value, json};

use crate::common::Run;

const NULL: &str = "contract/Null";
const EDGES: &str = "contract/Edge-Cases";

fn number(value: i64) -> NewSimulation {
    NewSimulation { adjustment: json!({ "Null": { "number": [{ "value": value }] } }), ..NewSimulation::default() }
}

/// `csw migrate` with these words, at this database.
fn migrate(server: &Server, words: &[&str], url: &str) -> Result<csw_tests::Done> {
    let place = server.place();
    csw(&[&["migrate", "--json", "--data", &place], words].concat(), &[("CSW_DATABASE", url)])
}

const THERE: [&str; 4] = ["--from", "sqlite", "--to", "postgres"];
const BACK: [&str; 4] = ["--from", "postgres", "--to", "sqlite"];

fn rows(moved: &Value, table: &str) -> u64 {
    let tables = moved["tables"].as_array().expect("tables");
    tables.iter().find(|one| one["table"] == table).and_then(|one| one["rows"].as_u64()).expect("rows of the table")
}

/// Tables, rows and checksums, in any order.
fn proof(moved: &Value) -> Vec<String> {
    let mut all: Vec<String> = moved["tables"].as_array().expect("tables").iter().map(Value::to_string).collect();
    all.sort();
    all
}

#[tokio::test]
async fn everything_of_a_site_is_there_after_its_move_and_after_the_way_back() -> Result {
    let mut server = Server::with_models()?;
    let owner = server.publisher()?;
    let client = server.client(Some(&owner))?;
    let first = Run::new(&client, NULL, &number(42)).await?.succeeded();
    let failed = Run::of(&client, EDGES, json!({}), json!({ "Run": { "case": [{ "value": "raises" }] } })).await?;
    client.update(NULL, first.pk, &json!({ "title": "A title: ü, \"quoted\"" })).await?;
    client.fork(NULL, first.pk).await?;
    server
        .csw(&owner, &["models", "-n", NULL, "secrets", "set", "--secret-name", "TOKEN", "--secret-value", "s3cret"])?;
    let url = Postgres::shared().fresh_url("migrate");
    let running = migrate(&server, &THERE, &url)?;
    assert!(running.code == 5 && running.stderr.contains("another process works in"), "{}", running.stderr);
    server.stop()?;
    let moved: Value = migrate(&server, &THERE, &url)?.json()?;
    assert!(
        rows(&moved, "simulations") >= 3 && rows(&moved, "secrets") == 1 && rows(&moved, "charges") >= 1,
        "{moved}"
    );
    let twice = migrate(&server, &THERE, &url)?;
    assert!(twice.code == 1 && twice.stderr.contains("not empty"), "{}", twice.stderr);
    std::fs::rename(server.data().join("csw.db"), server.data().join("before.db"))?;
    server.moved(Some(&url), "")?;
    let client = server.client(Some(&owner))?;
    check(&client, &first, &failed).await?;
    let secret = server.csw(&owner, &["models", "-n", NULL, "secrets", "get", "TOKEN"])?;
    assert_eq!(secret.stdout.trim(), "s3cret", "{}", secret.stderr);
    Run::new(&client, NULL, &NewSimulation { fresh: true, ..number(5) }).await?.succeeded();
    let busy = migrate(&server, &BACK, &url)?;
    assert_eq!(busy.code, 5, "{}", busy.stderr);
    server.stop()?;
    let back: Value = migrate(&server, &BACK, &url)?.json()?;
    assert!(rows(&back, "simulations") > rows(&moved, "simulations"));
    let third = Postgres::shared().fresh_url("migrate_again");
    assert_eq!(proof(&back), proof(&migrate(&server, &THERE, &third)?.json()?), "there and back is the same");
    server.moved(None, "")?;
    let client = server.client(Some(&owner))?;
    check(&client, &first, &failed).await?;
    Run::new(&client, NULL, &NewSimulation { fresh: true, ..number(6) }).await?.succeeded();
    Ok(())
}

/// What was made before the move reads as it did.
async fn check(client: &csw_client::Client, first: &Run, failed: &Run) -> Result {
    assert_eq!(first.data(client, NULL, "Number").await?, "42\n");
    let there = client.remote(NULL, first.pk).await?;
    assert_eq!(there.title, "A title: ü, \"quoted\"");
    assert_eq!((&there.status, there.is_over()), (&first.end.status, true));
    let failed_there = client.remote(EDGES, failed.pk).await?;
    assert_eq!((&failed_there.status, &failed_there.traceback), (&failed.end.status, &failed.end.traceback));
    Ok(())
}

#[tokio::test]
async fn outputs_move_into_a_bucket_and_a_move_that_was_cut_goes_on() -> Result {
    let bucket = S3::start();
    let mut server = Server::with_models()?;
    let owner = server.publisher()?;
    let run = Run::new(&server.client(Some(&owner))?, NULL, &number(42)).await?.succeeded();
    server.stop()?;
    let url = Postgres::shared().fresh_url("migrate_objects");
    let config = server.beside("bucket.toml");
    std::fs::write(&config, bucket.settings_with("another-secret"))?;
    let words = [&THERE[..], &["--objects", "--config", &config]].concat();
    let cut = migrate(&server, &words, &url)?;
    assert!(cut.code == 5 && cut.stderr.contains("the credentials are refused"), "{}", cut.stderr);
    std::fs::write(&config, bucket.settings())?;
    let moved: Value = migrate(&server, &words, &url)?.json()?;
    assert_eq!(moved["objects"]["bucket"], "s3://results/site");
    assert_eq!(bucket.objects("site/outputs"), 1);
    std::fs::remove_dir_all(server.data().join("objects"))?;
    server.moved(Some(&url), &bucket.settings())?;
    assert_eq!(run.data(&server.client(Some(&owner))?, NULL, "Number").await?, "42\n");
    Ok(())
}
