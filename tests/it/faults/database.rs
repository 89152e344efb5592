//! The database refuses writes for a while.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use csw_client::Client;
use csw_tests::{Ground, Postgres, Result, Server};

use super::{
    dice::Dice,
    kills::CROWD,
    knob,
    load::Load,
    wishes::{NULL, Wish},
};

/// Seconds without writes.
const OUTAGE: u64 = 10;

/// Somebody else who writes, and takes their time.
struct Writer(Child);

impl Writer {
    /// Has the database of a server to itself for so many seconds from now on.
    fn hold(server: &Server, seconds: u64) -> Result<Self> {
        const SCRIPT: &str = "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1], 30, isolation_level=None); \
                              db.execute('BEGIN EXCLUSIVE'); print('held', flush=True); time.sleep(float(sys.argv[2]))";
        let mut writer = Command::new("python3")
            .args(["-c", SCRIPT])
            .arg(server.data().join("csw.db"))
            .arg(seconds.to_string())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(writer.stdout.take().context("its stdout")?).read_line(&mut line)?;
        ensure!(line == "held\n", "the database can't be held: {line:?}");
        Ok(Self(writer))
    }

    fn is_done(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

/// Everything of a simulation that is over can be read.
async fn reads_work(client: &Client, wish: &Wish, pk: u32) -> Result {
    wish.check(client, &client.wait(NULL, pk).await?).await?;
    for path in ["/", "/contract/Null/", "/readyz", "/api/v1/sims"] {
        let (status, text) = client.probe(path).await?;
        ensure!(status == 200, "{path} answered {status}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_sqlite_database_that_somebody_else_holds_costs_nothing_but_time() -> Result {
    let server = Server::with_models_on(Ground { settings: Some(CROWD), ..Ground::default() })?;
    let client = server.client(Some(&server.publisher()?))?;
    let mut dice = Dice::seeded("a database that somebody else holds");
    let early = server.client(Some(&server.account("early", "admin")?))?;
    let wish = Wish::Number(7);
    let pk = early.create(NULL, &wish.request("before")).await?.sim.model_pk;
    early.wait(NULL, pk).await?;
    // Somebody whose token was never used, which is noted.
    let guest = server.client(Some(&server.account("guest", "admin")?))?;
    let load = Load::new(Wish::any);
    let people = load.begin(&client, &mut dice);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut writer = Writer::hold(&server, knob("CSW_TEST_OUTAGE", OUTAGE))?;
    reads_work(&guest, &wish, pk).await?;
    assert!(!writer.is_done()?, "readers waited for the writer");
    while !writer.is_done()? {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    load.finish();
    people.join_all().await;
    load.settle("a database that somebody else holds", &server, &client).await?;
    no_attempt_was_lost(&server)
}

#[tokio::test]
async fn a_postgres_that_refuses_writes_stops_or_freezes_costs_nothing_but_time() -> Result {
    let postgres = Postgres::shared();
    let ground = Ground { postgres: Some(postgres.fresh_url("outages")), settings: Some(CROWD) };
    let server = Server::with_models_on(ground)?;
    let client = server.client(Some(&server.publisher()?))?;
    let mut dice = Dice::seeded("PostgreSQL refuses writes, stops, freezes");
    let load = Load::new(Wish::any);
    let outage = Duration::from_secs(knob("CSW_TEST_OUTAGE", OUTAGE));
    let people = load.begin(&client, &mut dice);
    for kind in 0..3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match kind {
            0 => postgres.read_only(true),
            1 => postgres.end(),
            _ => postgres.freeze(true),
        }
        tokio::time::sleep(outage).await;
        match kind {
            0 => postgres.read_only(false),
            1 => postgres.begin(),
            _ => postgres.freeze(false),
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    load.finish();
    people.join_all().await;
    load.settle("PostgreSQL refused writes, stopped, froze", &server, &client).await?;
    no_attempt_was_lost(&server)
}

/// Results that could not be stored were kept, not made again.
fn no_attempt_was_lost(server: &Server) -> Result {
    let again = server.query("SELECT id, task, attempt, message FROM runs WHERE attempt > 1")?;
    ensure!(again.is_empty(), "runs went again: {again:?}");
    Ok(())
}
