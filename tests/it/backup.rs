//! A copy of a live site, and the proof that it is whole.

use csw_client::NewSimulation;
use csw_tests::{Result, Server, csw};
use serde_json::{Value, json};

const NULL: &str = "contract/Null";

#[tokio::test]
async fn a_backup_of_a_live_site_restores_and_serves() -> Result {
    let mut server = Server::with_models()?;
    let owner = server.publisher()?;
    let client = server.client(Some(&owner))?;
    let new = NewSimulation { adjustment: json!({"Null": {"number": [{"value": 42}]}}), ..NewSimulation::default() };
    let pk = client.create(NULL, &new).await?.sim.model_pk;
    client.wait(NULL, pk).await?;
    let backup = server.beside("backup");
    let made: Value = csw(&["backup", "--data", &server.place(), "--to", &backup, "--json"], &[])?.json()?;
    assert_eq!(made["objects"], 1);
    let again = csw(&["backup", "--data", &server.place(), "--to", &backup], &[])?;
    assert_eq!(again.code, 2, "{}", again.stderr);
    server.stop()?;
    std::fs::remove_dir_all(server.data())?;
    let proof: Value = csw(&["restore", "--from", &backup, "--data", &server.place(), "--json"], &[])?.json()?;
    assert_eq!(proof["proved"], true);
    server.start()?;
    let client = server.client(Some(&owner))?;
    let outputs = client.simulation(NULL, pk).await?.outputs.expect("it has outputs");
    assert_eq!(outputs.renderable[0].data, "42\n");
    let next = client.create(NULL, &NewSimulation { fresh: true, ..new }).await?.sim.model_pk;
    assert_eq!(client.wait(NULL, next).await?.status, "SUCCESS", "its models still run");
    Ok(())
}

#[tokio::test]
async fn a_backup_with_a_missing_output_is_no_backup() -> Result {
    let server = Server::with_models()?;
    let client = server.client(Some(&server.publisher()?))?;
    let pk = client.create(NULL, &NewSimulation::default()).await?.sim.model_pk;
    client.wait(NULL, pk).await?;
    let backup = server.beside("backup");
    csw(&["backup", "--data", &server.place(), "--to", &backup, "--json"], &[])?.json::<Value>()?;
    std::fs::remove_dir_all(std::path::Path::new(&backup).join("objects"))?;
    let restored = csw(&["restore", "--from", &backup, "--data", &server.beside("other")], &[])?;
    assert_eq!(restored.code, 1, "{}", restored.stderr);
    assert!(restored.stderr.contains("not whole"), "{}", restored.stderr);
    Ok(())
}
