//! Simulations: from a submission to its page.

use csw_client::{Client, NewSimulation};
use csw_tests::{Result, Server};
use futures::future::try_join_all;
use serde_json::{Value, json};

const NULL: &str = "contract/Null";
const EDGES: &str = "contract/Edge-Cases";

fn number(value: i64) -> NewSimulation {
    NewSimulation { adjustment: json!({ "Null": { "number": [{ "value": value }] } }), ..NewSimulation::default() }
}

fn case(name: &str, seconds: f64) -> NewSimulation {
    let adjustment = json!({ "Run": { "case": [{ "value": name }], "seconds": [{ "value": seconds }] } });
    NewSimulation { adjustment, ..NewSimulation::default() }
}

async fn run(client: &Client, model: &str, new: &NewSimulation) -> Result<u32> {
    let number = client.create(model, new).await?.sim.model_pk;
    let done = client.wait(model, number).await?;
    assert_eq!(done.status, "SUCCESS", "{:?}", done.traceback);
    Ok(number)
}

#[tokio::test]
async fn a_run_has_outputs_in_every_form() -> Result {
    let server = Server::with_models()?;
    let owner = server.publisher()?;
    let client = server.client(Some(&owner))?;
    let pk = run(&client, NULL, &number(7)).await?;
    let detail = client.simulation(NULL, pk).await?;
    let outputs = detail.outputs.expect("it has outputs");
    assert_eq!(outputs.renderable[0].data, Value::String("7\n".to_owned()));
    let remote = client.remote(NULL, pk).await?.outputs.expect("it has outputs");
    let reference = &remote.outputs.renderable.outputs[0];
    let file = server.folder().join("output");
    let id = reference.id.clone().expect("outputs have identifiers");
    assert_eq!(client.save_output(NULL, pk, &id, &file).await?, 2);
    assert_eq!(std::fs::read_to_string(file)?, "7\n");
    assert_eq!(client.inputs(NULL, pk).await?.status, "SUCCESS");
    Ok(())
}

#[tokio::test]
async fn an_equal_simulation_is_answered_at_once_unless_asked_for_afresh() -> Result {
    let server = Server::with_models()?;
    let client = server.client(Some(&server.publisher()?))?;
    let first = run(&client, NULL, &number(11)).await?;
    let again = run(&client, NULL, &number(11)).await?;
    let fresh = run(&client, NULL, &NewSimulation { fresh: true, ..number(11) }).await?;
    let memo = async |pk: u32| -> Result<Value> { Ok(client.remote(NULL, pk).await?.more["from_memo"].clone()) };
    assert_eq!(memo(first).await?, false);
    assert_eq!(memo(again).await?, true);
    assert_eq!(memo(fresh).await?, false);
    Ok(())
}

#[tokio::test]
async fn thirty_equal_ones_at_once_are_one_execution() -> Result {
    let server = Server::with_models()?;
    let client = server.client(Some(&server.publisher()?))?;
    let new = case("sleeps", 1.5);
    let made = try_join_all((0..30).map(|_| client.create(EDGES, &new))).await?;
    let mut runs = 0;
    let mut numbers: Vec<u32> = made.iter().map(|inputs| inputs.sim.model_pk).collect();
    for pk in &numbers {
        let done = client.wait(EDGES, *pk).await?;
        assert_eq!(done.status, "SUCCESS", "{:?}", done.traceback);
        runs += u32::from(done.more["phases"]["run"].as_u64().unwrap_or_default() >= 1400);
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 30, "each has a page of its own");
    assert!(runs >= 1);
    // An execution gives its outputs fresh identifiers.
    let mut executions = std::collections::BTreeSet::new();
    for pk in numbers {
        let outputs = client.remote(EDGES, pk).await?.outputs.expect("it has outputs");
        executions.insert(outputs.outputs.iter().filter_map(|output| output.id.clone()).collect::<Vec<_>>());
    }
    assert_eq!(executions.len(), 1, "all show the outputs of one execution");
    Ok(())
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_simulation() -> Result {
    let server = Server::with_models()?;
    let client = server.client(Some(&server.publisher()?))?;
    let new = NewSimulation { idempotency_key: Some("one".to_owned()), ..number(3) };
    let first = client.create(NULL, &new).await?.sim.model_pk;
    assert_eq!(client.create(NULL, &new).await?.sim.model_pk, first);
    let other = NewSimulation { idempotency_key: Some("one".to_owned()), ..number(4) };
    let refused = client.create(NULL, &other).await;
    assert!(refused.is_err_and(|error| matches!(error.status(), Some(409 | 422))));
    Ok(())
}

#[tokio::test]
async fn inputs_that_are_not_valid_run_nothing() -> Result {
    let server = Server::with_models()?;
    let owner = server.publisher()?;
    let client = server.client(Some(&owner))?;
    let pk = client.create(NULL, &number(2_000_000_000)).await?.sim.model_pk;
    client.wait(NULL, pk).await?;
    let inputs = client.inputs(NULL, pk).await?;
    assert_eq!(inputs.status, "INVALID");
    assert!(inputs.errors_warnings["Null"]["errors"]["number"].is_array(), "{}", inputs.errors_warnings);
    let adjustment = r#"{"Null": {"number": [{"value": 2000000000}]}}"#;
    let done = server.csw(&owner, &["sims", "-n", NULL, "create", "--adjustment", adjustment, "--wait", "--json"])?;
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("Null, number"), "{}", done.stderr);
    Ok(())
}

#[tokio::test]
async fn a_run_is_cancelled_and_says_so() -> Result {
    let server = Server::with_models()?;
    let client = server.client(Some(&server.publisher()?))?;
    let pk = client.create(EDGES, &case("sleeps", 600.0)).await?.sim.model_pk;
    while client.remote(EDGES, pk).await?.status == "STARTED" {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    client.cancel(EDGES, pk).await?;
    let done = client.wait(EDGES, pk).await?;
    assert_eq!(done.status, "WORKER_FAILURE");
    assert_eq!(done.reason.as_deref(), Some("CANCELLED"));
    Ok(())
}

#[tokio::test]
async fn events_follow_a_run_to_its_end() -> Result {
    let server = Server::with_models()?;
    let client = server.client(Some(&server.publisher()?))?;
    let pk = client.create(EDGES, &case("sleeps", 1.0)).await?.sim.model_pk;
    let mut events = client.events(EDGES, pk).await?;
    let mut last = Value::Null;
    while let Some(event) = events.next().await? {
        if event.data.get("status").is_some() {
            last = event.data["status"].clone();
        }
    }
    assert_eq!(last, "SUCCESS");
    Ok(())
}

#[tokio::test]
async fn private_simulations_are_for_those_who_were_given_them() -> Result {
    let server = Server::with_models()?;
    let owner = server.client(Some(&server.publisher()?))?;
    let bob = server.client(Some(&server.account("bob", "member")?))?;
    let nobody = server.client(None)?;
    let pk = run(&owner, NULL, &number(5)).await?;
    for stranger in [&bob, &nobody] {
        let refused = stranger.remote(NULL, pk).await;
        assert!(refused.is_err_and(|error| matches!(error.status(), Some(401 | 403))));
    }
    owner.set_access(NULL, pk, &[("bob", Some("read"))]).await?;
    assert_eq!(bob.remote(NULL, pk).await?.status, "SUCCESS");
    let change = json!({ "title": "Mine now" });
    assert!(bob.update(NULL, pk, &change).await.is_err_and(|error| error.status() == Some(403)));
    owner.set_access(NULL, pk, &[("bob", None)]).await?;
    assert!(bob.remote(NULL, pk).await.is_err());
    owner.update(NULL, pk, &json!({ "is_public": true })).await?;
    assert_eq!(nobody.remote(NULL, pk).await?.status, "SUCCESS");
    Ok(())
}
