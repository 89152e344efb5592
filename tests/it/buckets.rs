//! Outputs in a bucket: runs, downloads, backups, and what `csw doctor` says of it.

use csw_client::NewSimulation;
use csw_tests::{Ground, Result, S3, Server, csw};
use serde_json::{Value, json};

use crate::common::Run;

const NULL: &str = "contract/Null";

fn number(value: i64) -> NewSimulation {
    NewSimulation { adjustment: json!({ "Null": { "number": [{ "value": value }] } }), ..NewSimulation::default() }
}

#[tokio::test]
async fn outputs_are_in_the_bucket_and_large_downloads_come_from_there() -> Result {
    let bucket = S3::start();
    let settings = format!("{}signed_downloads = true\nsigned_above_bytes = 2\n", bucket.settings());
    let server = Server::with_models_on(Ground { settings: Some(settings.leak()), ..Ground::default() })?;
    let owner = server.publisher()?;
    let client = server.client(Some(&owner))?;
    let run = Run::new(&client, NULL, &number(7)).await?.succeeded();
    assert_eq!(bucket.objects("site/outputs"), 1);
    assert!(!server.data().join("objects/outputs").exists(), "nothing of it is in the data folder");
    assert_eq!(run.data(&client, NULL, "Number").await?, "7\n");
    let reference = &run.end.outputs.as_ref().expect("it has outputs").outputs.renderable.outputs[0];
    let id = reference.id.clone().expect("outputs have identifiers");
    let path = format!("/{NULL}/api/v1/{}/outputs/{id}/", run.pk);
    let shown = server.fetch(Some(&owner), &path, &[]).await?;
    assert_eq!(shown.url().path(), path, "what is shown comes from us");
    assert!(shown.headers()["content-security-policy"].to_str()?.starts_with("sandbox"));
    let part = server.fetch(Some(&owner), &path, &[("range", "bytes=0-0")]).await?;
    assert_eq!((part.status().as_u16(), part.text().await?.as_str()), (206, "7"));
    let saved = server.fetch(Some(&owner), &format!("{path}?download=1"), &[]).await?;
    assert!(saved.url().as_str().starts_with(&bucket.url()), "{}", saved.url());
    assert_eq!(saved.headers()["content-type"], "application/octet-stream");
    assert!(saved.headers()["content-disposition"].to_str()?.starts_with("attachment; filename="));
    assert_eq!(saved.text().await?, "7\n");
    let stranger = server.fetch(None, &format!("{path}?download=1"), &[]).await?;
    assert_eq!(stranger.status(), 403, "an address is made for those who may read it");
    Ok(())
}

#[tokio::test]
async fn a_backup_names_the_bucket_and_is_no_good_without_it() -> Result {
    let bucket = S3::start();
    let settings: &str = bucket.settings().leak();
    let mut server = Server::with_models_on(Ground { settings: Some(settings), ..Ground::default() })?;
    let owner = server.publisher()?;
    let run = Run::new(&server.client(Some(&owner))?, NULL, &number(42)).await?.succeeded();
    let (backup, config) = (server.beside("backup"), server.beside("settings.toml"));
    let made: Value =
        csw(&["backup", "--data", &server.place(), "--to", &backup, "--json", "--config", &config], &[])?.json()?;
    assert_eq!((&made["objects"], &made["bucket"]), (&json!(1), &json!("s3://results/site")));
    assert!(!std::path::Path::new(&backup).join("objects").exists());
    server.stop()?;
    let other = csw(&["restore", "--from", &backup, "--data", &server.beside("lost")], &[])?;
    assert!(other.code == 2 && other.stderr.contains("s3://results/site"), "{}", other.stderr);
    std::fs::remove_dir_all(server.data())?;
    let words = ["restore", "--from", &backup, "--data", &server.place(), "--json", "--config", &config];
    assert_eq!(csw(&words, &[])?.json::<Value>()?["proved"], true);
    server.start()?;
    assert_eq!(run.data(&server.client(Some(&owner))?, NULL, "Number").await?, "42\n");
    Ok(())
}

#[tokio::test]
async fn the_doctor_tries_the_bucket_and_names_what_is_wrong() -> Result {
    let bucket = S3::start();
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("settings.toml").display().to_string();
    let bucket_of = async |settings: String| -> Result<Value> {
        std::fs::write(&config, settings)?;
        // Other things may be missing on this machine.
        let report: Value = serde_json::from_str(&csw(&["doctor", "--json", "--config", &config], &[])?.stdout)?;
        let findings = report["findings"].as_array().expect("findings").clone();
        Ok(findings.into_iter().find(|found| found["kind"] == "objects").unwrap_or_default())
    };
    let good = bucket_of(bucket.settings()).await?;
    assert_eq!(good["state"], "present", "{good}");
    assert!(good["detail"].as_str().is_some_and(|detail| detail.contains("private") && detail.contains("signed")));
    assert_eq!(bucket.objects("site/doctor"), 0, "it leaves nothing");
    let refused = bucket_of(bucket.settings_with("another-secret")).await?;
    assert_eq!(refused["state"], "missing", "{refused}");
    let detail = refused["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("the credentials are refused") && !detail.contains("another-secret"), "{detail}");
    assert!(bucket_of(String::new()).await?.is_null(), "a folder needs no look");
    Ok(())
}
