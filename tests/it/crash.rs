//! The power fails, again and again, under load: nothing is lost, nothing is stuck, nothing ends twice.

use std::{collections::BTreeMap, time::Duration};

use csw_client::NewSimulation;
use csw_tests::{Result, Server};
use serde_json::json;

const NULL: &str = "contract/Null";

/// Times that the server is killed; the benchmark does it more often.
const KILLS: u64 = 5;

#[tokio::test]
async fn nothing_is_lost_when_the_server_is_killed() -> Result {
    let mut server = Server::with_models()?;
    let owner = server.publisher()?;
    let mut promised: BTreeMap<u32, i64> = BTreeMap::new();
    for round in 0..KILLS {
        let client = server.client(Some(&owner))?;
        let load = tokio::spawn(async move {
            let mut made = Vec::new();
            for number in 0..200_i64 {
                let number = i64::try_from(round).unwrap_or_default() * 1000 + number;
                let adjustment = json!({ "Null": { "number": [{ "value": number }] } });
                let new = NewSimulation { adjustment, ..NewSimulation::default() };
                match client.create(NULL, &new).await {
                    Ok(inputs) => made.push((inputs.sim.model_pk, number)),
                    Err(_) => return made,
                }
            }
            made
        });
        // A different moment each time, some early, some late.
        tokio::time::sleep(Duration::from_millis(150 + 370 * round % 1100)).await;
        server.kill()?;
        promised.extend(load.await?);
        server.start()?;
    }
    let client = server.client(Some(&owner))?;
    assert!(promised.len() > 5, "the load made {} simulations only", promised.len());
    for (pk, number) in promised {
        let done = client.wait(NULL, pk).await?;
        let inputs = client.inputs(NULL, pk).await?;
        assert_eq!(
            done.status, "SUCCESS",
            "{NULL}#{pk}: {:?} {} {:?}",
            done.traceback, inputs.status, inputs.traceback
        );
        let outputs = client.simulation(NULL, pk).await?.outputs.expect("it has outputs");
        assert_eq!(outputs.renderable.len(), 1);
        assert_eq!(outputs.renderable[0].data, json!(format!("{number}\n")));
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_hands_its_runs_back() -> Result {
    let mut server = Server::with_models()?;
    let owner = server.publisher()?;
    let adjustment = json!({ "Run": { "case": [{ "value": "sleeps" }], "seconds": [{ "value": 20.0 }] } });
    let new = NewSimulation { adjustment, ..NewSimulation::default() };
    let edges = "contract/Edge-Cases";
    let client = server.client(Some(&owner))?;
    let pk = client.create(edges, &new).await?.sim.model_pk;
    while client.remote(edges, pk).await?.status == "STARTED" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.stop()?, 0);
    server.start()?;
    let done = server.client(Some(&owner))?.wait(edges, pk).await?;
    assert_eq!(done.status, "SUCCESS", "{:?}", done.traceback);
    Ok(())
}
