//! Processes of runs are killed: the child, the zygote that forked it, and what holds both.

use std::time::Duration;

use csw_client::{Client, Detail, NewSimulation, RemoteOutputs};
use csw_tests::{Ground, Processes, Result, Server};
use futures::future::try_join_all;
use serde_json::json;

use super::{
    dice::Dice,
    load::Load,
    wishes::{EDGES, Wish},
};

const TITLE: &str = "Edge-Cases";

/// Zygotes that are killed while they fork.
const KILLS: u32 = 8;

/// Room for several runs, and no process of a model that is not a run or a zygote.
const RUNS_ALONE: &str = "[machine]\ncpus = 6.0\nforked_ahead = 0\n[site]\nsubmissions_per_minute = 100000\n";

/// A server with room for several runs, and a client of it.
fn site() -> Result<(Server, Client)> {
    let server = Server::with_models_on(Ground { settings: Some(RUNS_ALONE), ..Ground::default() })?;
    let client = server.client(Some(&server.publisher()?))?;
    Ok((server, client))
}

/// Waits for something to be there.
async fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> Result<T> {
    for _ in 0..6_000 {
        if let Some(found) = found() {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("{what}: waited in vain")
}

async fn child(server: i32) -> Result<i32> {
    until("a child", || Processes::of(server, TITLE).children.first().copied()).await
}

async fn zygote(server: i32, title: &str) -> Result<i32> {
    until("a zygote", || Processes::of(server, title).zygotes.first().copied()).await
}

/// Begins so many slow runs; answers when all of them are at work.
async fn at_work(client: &Client, wishes: &[Wish]) -> Result<Vec<u32>> {
    let made = wishes.iter().enumerate().map(|(number, wish)| async move {
        let pk = client.create(EDGES, &wish.request(&format!("at work {number} {wish:?}"))).await?.sim.model_pk;
        while client.remote(EDGES, pk).await?.status == "STARTED" || client.log(EDGES, pk, 0).await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Result::Ok(pk)
    });
    try_join_all(made).await
}

fn slow(mark: &str, count: usize) -> Vec<Wish> {
    (0..count).map(|number| Wish::Ticking(20, format!("{mark} {number}"))).collect()
}

/// Waits for the ends of runs that must have gone well, at their second attempt.
async fn went_again(server: &Server, client: &Client, pks: &[u32], wishes: &[Wish]) -> Result {
    for (pk, wish) in pks.iter().zip(wishes) {
        let done = client.wait(EDGES, *pk).await?;
        wish.check(client, &done).await?;
        assert_eq!(attempts(server, *pk)?, 2, "{done:?}");
    }
    Ok(())
}

/// How often the run of a simulation was begun.
fn attempts(server: &Server, pk: u32) -> Result<u64> {
    let text = format!(
        "SELECT r.attempt FROM runs r JOIN simulations s ON s.run_id = r.id JOIN models m ON m.id = s.model_id \
         WHERE s.number = {pk} AND m.title = '{TITLE}'"
    );
    Ok(server.query(&text)?[0]["attempt"].as_u64().unwrap_or_default())
}

#[tokio::test]
async fn a_run_whose_process_is_killed_goes_again_and_ends_after_three_attempts() -> Result {
    let (server, client) = site()?;
    let process = server.process()?;
    let once = slow("once", 1);
    let pks = at_work(&client, &once).await?;
    assert!(Processes::kill(child(process).await?));
    went_again(&server, &client, &pks, &once).await?;

    let always = [Wish::Ticking(6_000, "always".to_owned())];
    let pk = at_work(&client, &always).await?[0];
    kill_every_attempt(process).await?;
    let done = client.wait(EDGES, pk).await?;
    let told = lost(&done);
    assert!(told.contains("attempt 3 of 3") && told.contains("SIGKILL"), "{told}");

    let adjustment = json!({ "Run": { "check": [{ "value": "sleeps" }], "seconds": [{ "value": 600.0 }] } });
    let validation = NewSimulation { adjustment, ..NewSimulation::default() };
    let pk = client.create(EDGES, &validation).await?.sim.model_pk;
    kill_every_attempt(process).await?;
    client.wait(EDGES, pk).await?;
    let told = client.inputs(EDGES, pk).await?.traceback.unwrap_or_default();
    assert!(told.contains("attempt 3 of 3") && told.contains("SIGKILL"), "{told}");

    let next = client.create(EDGES, &once[0].request("once more")).await?.sim.model_pk;
    assert_eq!(client.wait(EDGES, next).await?.status, "SUCCESS");
    still_forks(&server)
}

/// Kills the only child as often as there are attempts.
async fn kill_every_attempt(server: i32) -> Result {
    for _ in 0..3 {
        let pid = child(server).await?;
        Processes::kill(pid);
        until("its end", || (!Processes::of(server, TITLE).children.contains(&pid)).then_some(())).await?;
    }
    Ok(())
}

/// The sentence of a run that the platform lost.
fn lost(done: &Detail<RemoteOutputs>) -> String {
    assert_eq!((done.status.as_str(), done.reason.as_deref()), ("WORKER_FAILURE", Some("WORKER_FAILURE")));
    done.traceback.clone().unwrap_or_default()
}

/// One accident is no reason to run a version in new interpreters for ever after.
fn still_forks(server: &Server) -> Result {
    let log = server.log()?;
    let given_up: Vec<&str> = log.lines().filter(|line| line.contains("new interpreters from now on")).collect();
    assert!(given_up.is_empty(), "{given_up:?}");
    Ok(())
}

#[tokio::test]
async fn runs_whose_zygote_or_its_keepers_are_killed_go_again() -> Result {
    let (server, client) = site()?;
    let process = server.process()?;
    for (number, who) in ["zygote", "init", "guardian"].into_iter().enumerate() {
        let wishes = slow(who, 3);
        let pks = at_work(&client, &wishes).await?;
        let zygote = zygote(process, TITLE).await?;
        let pid = match number {
            0 => Some(zygote),
            1 => Processes::init_of(zygote),
            _ => Processes::guardian_of(zygote),
        };
        assert!(pid.is_some_and(Processes::kill), "no {who}");
        went_again(&server, &client, &pks, &wishes).await?;
    }
    // Parked, with nothing to do.
    let idle = zygote(process, TITLE).await?;
    assert!(Processes::kill(idle));
    let wish = Wish::Slow(1, "idle".to_owned());
    let pk = client.create(EDGES, &wish.request("idle")).await?.sim.model_pk;
    wish.check(&client, &client.wait(EDGES, pk).await?).await?;
    assert_ne!(zygote(process, TITLE).await?, idle);
    still_forks(&server)
}

#[tokio::test]
async fn zygotes_that_are_killed_while_they_fork_cost_nothing_but_time() -> Result {
    let (server, client) = site()?;
    let process = server.process()?;
    let mut dice = Dice::seeded("zygotes killed while they fork");
    let load = Load::new(Wish::quick);
    let people = load.begin(&client, &mut dice);
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(700 + dice.below(300))).await;
        Processes::kill(zygote(process, "Null").await?);
    }
    load.finish();
    people.join_all().await;
    load.settle(&format!("{KILLS} zygotes killed while they fork"), &server, &client).await?;
    still_forks(&server)
}
