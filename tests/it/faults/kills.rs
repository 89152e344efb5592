//! The power fails, again and again, under load.

use std::time::Duration;

use csw_client::NewSimulation;
use csw_kubernetes_testing::Verb;
use csw_tests::{Ground, Postgres, Processes, Result, Server, csw};
use serde_json::{Value, json};

use super::{
    dice::Dice,
    knob,
    load::Load,
    wishes::{EDGES, Wish},
};
use crate::{cluster::Site, services::Services};

/// Times that the server is killed, so that each test takes a good quarter of a minute; `CSW_TEST_KILLS=50` asks for more.
const KILLS: u64 = 6;

/// Longest time until the next kill.
const MOMENT: u64 = 1_500;

/// More runs at once than this machine has CPUs: most of them sleep.
pub const CROWD: &str = "[machine]\ncpus = 6.0\n[site]\nsubmissions_per_minute = 100000\n";

#[tokio::test]
async fn nothing_is_lost_when_the_server_is_killed() -> Result {
    let server = Server::with_models_on(Ground { settings: Some(CROWD), ..Ground::default() })?;
    let server = kill_and_settle("killed on SQLite", server, KILLS).await?;
    let backup = server.beside("backup");
    csw(&["backup", "--data", &server.place(), "--to", &backup, "--json"], &[])?.json::<Value>()?;
    let words = ["restore", "--from", &backup, "--data", &server.beside("again"), "--json"];
    assert_eq!(csw(&words, &[])?.json::<Value>()?["proved"], true);
    Ok(())
}

#[tokio::test]
async fn nothing_is_lost_when_the_server_is_killed_on_postgres() -> Result {
    let postgres = Some(Postgres::shared().fresh_url("kills"));
    let server = Server::with_models_on(Ground { postgres, settings: Some(CROWD) })?;
    kill_and_settle("killed on PostgreSQL", server, KILLS).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_server_of_a_cluster_is_killed() -> Result {
    let Site { server, cluster } = Site::start().await?;
    // Its runs go on meanwhile, and each is a process that imports its model anew.
    let server = kill_and_settle("killed over a cluster", server, KILLS / 3).await?;
    let writes = cluster.count(Verb::Create, "jobs") + cluster.count(Verb::Delete, "jobs");
    let runs = server.query("SELECT SUM(attempt) AS attempts FROM runs")?[0]["attempts"].as_u64().unwrap_or_default();
    assert!(writes <= 3 * runs, "{writes} requests for {runs} attempts");
    Ok(())
}

/// Pages, scheduler and outputs processor of one site, each killed at random moments.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_services_are_killed() -> Result {
    let mut site = Services::start("service_kills").await?;
    let kills = knob("CSW_TEST_KILLS", KILLS / 2);
    let mut dice = Dice::seeded("services");
    let owner = site.webapp.publisher()?;
    let load = Load::new(Wish::any);
    for _ in 0..kills {
        for victim in 0..3 {
            let client = site.webapp.client(Some(&owner))?;
            let people = load.begin(&client, &mut dice);
            tokio::time::sleep(Duration::from_millis(dice.below(MOMENT))).await;
            let pause = Duration::from_millis(dice.below(500));
            match victim {
                0 => site.webapp.kill()?,
                1 => site.scheduler.interrupt(pause)?,
                _ => site.outputs.interrupt(pause)?,
            }
            load.finish();
            people.join_all().await;
            if victim == 0 {
                site.webapp.start()?;
            }
            load.repeat(&site.webapp.client(Some(&owner))?, &mut dice).await?;
        }
    }
    let title = format!("{kills} times each service killed");
    load.settle(&title, &site.webapp, &site.webapp.client(Some(&owner))?).await?;
    let writes = site.cluster.count(Verb::Create, "jobs") + site.cluster.count(Verb::Delete, "jobs");
    let runs = site.webapp.query("SELECT SUM(attempt) AS attempts FROM runs")?[0]["attempts"].as_u64();
    assert!(writes <= 3 * runs.unwrap_or_default(), "{writes} requests for {runs:?} attempts");
    Ok(())
}

async fn kill_and_settle(title: &str, mut server: Server, kills: u64) -> Result<Server> {
    let kills = knob("CSW_TEST_KILLS", kills);
    let mut dice = Dice::seeded(title);
    let owner = server.publisher()?;
    let load = Load::new(Wish::any);
    for _ in 0..kills {
        let client = server.client(Some(&owner))?;
        let people = load.begin(&client, &mut dice);
        tokio::time::sleep(Duration::from_millis(dice.below(MOMENT))).await;
        server.kill()?;
        people.join_all().await;
        // Also while it starts.
        if dice.below(4) == 0 {
            server.start_and_kill(Duration::from_millis(dice.below(800)))?;
        }
        server.start()?;
        load.repeat(&server.client(Some(&owner))?, &mut dice).await?;
    }
    load.settle(&format!("{kills} times {title}"), &server, &server.client(Some(&owner))?).await?;
    assert!(!server.log()?.contains("\"level\":\"ERROR\""), "{}", errors(&server.log()?));
    let data = server.data();
    server.stop()?;
    for _ in 0..200 {
        if Processes::from_folder(&data)?.is_empty() {
            server.start()?;
            return Ok(server);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("processes are left: {:?}", Processes::from_folder(&data)?)
}

/// The lines of a log that tell of defects.
fn errors(log: &str) -> String {
    log.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_hands_its_runs_back() -> Result {
    let mut server = Server::with_models()?;
    let owner = server.publisher()?;
    let adjustment = json!({ "Run": { "case": [{ "value": "sleeps" }], "seconds": [{ "value": 20.0 }] } });
    let new = NewSimulation { adjustment, ..NewSimulation::default() };
    let client = server.client(Some(&owner))?;
    let pk = client.create(EDGES, &new).await?.sim.model_pk;
    while client.remote(EDGES, pk).await?.status == "STARTED" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.stop()?, 0);
    server.start()?;
    let done = server.client(Some(&owner))?.wait(EDGES, pk).await?;
    assert_eq!(done.status, "SUCCESS", "{:?}", done.traceback);
    Ok(())
}
