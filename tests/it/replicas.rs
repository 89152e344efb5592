//! Several servers on one database of PostgreSQL and one bucket.

use std::time::Duration;

use csw_client::{Client, NewSimulation};
use csw_tests::{Ground, Postgres, Result, S3, Server};
use futures::{StreamExt, future::try_join_all};
use serde_json::{Value, json};

use crate::common::Run;

const NULL: &str = "contract/Null";
const EDGES: &str = "contract/Edge-Cases";

/// A server that runs models, and one that serves pages and API alone.
struct Site {
    first: Server,
    second: Server,
    _bucket: S3,
}

impl Site {
    fn new(name: &str) -> Result<Self> {
        let bucket = S3::start();
        let ground =
            Ground { postgres: Some(Postgres::shared().fresh_url(name)), settings: Some(bucket.settings().leak()) };
        let first = Server::with_models_on(ground)?;
        let second =
            first.second(&format!("{}[machine]\nruns = 0\n[site]\nbuilds_at_once = 0\n", bucket.settings()))?;
        Ok(Self { first, second, _bucket: bucket })
    }

    fn clients(&self) -> Result<[Client; 2]> {
        let owner = self.first.publisher()?;
        Ok([self.first.client(Some(&owner))?, self.second.client(Some(&owner))?])
    }
}

#[tokio::test]
async fn several_servers_start_on_a_new_database_at_once() -> Result {
    let url = Postgres::shared().fresh_url("start");
    let starts: Vec<_> = (0..3)
        .map(|_| {
            let mut server = Server::on_postgres(&url)?;
            Ok(std::thread::spawn(move || server.start().map(|()| server)))
        })
        .collect::<Result<_>>()?;
    for start in starts {
        let server = start.join().expect("a thread that starts a server")?;
        assert_eq!(server.client(None)?.probe("/readyz").await?.0, 200);
    }
    Ok(())
}

#[tokio::test]
async fn a_run_of_one_server_is_followed_and_read_at_the_other() -> Result {
    let site = Site::new("replicas")?;
    let [_, second] = site.clients()?;
    let adjustment = json!({ "Run": { "case": [{ "value": "sleeps" }], "seconds": [{ "value": 1.5 }] } });
    let new = NewSimulation { adjustment, ..NewSimulation::default() };
    let pk = second.create(EDGES, &new).await?.sim.model_pk;
    let path = format!("/{EDGES}/api/v1/{pk}/events/");
    let owner = site.first.publisher()?;
    let events = site.second.fetch(Some(&owner), &path, &[]).await?.bytes_stream();
    let told = tokio::time::timeout(Duration::from_mins(1), async {
        // The server ends the stream when the run is over.
        events.fold(String::new(), async |all, part| all + &String::from_utf8_lossy(&part.unwrap_or_default())).await
    })
    .await?;
    assert!(told.contains("PENDING") && told.contains("SUCCESS"), "{told}");
    let end = second.wait(EDGES, pk).await?;
    assert_eq!(end.status, "SUCCESS", "{:?}", end.traceback);
    assert!(second.simulation(EDGES, pk).await?.outputs.is_some(), "its bytes come from the bucket");
    let servers = site.first.query("SELECT DISTINCT server FROM runs WHERE server IS NOT NULL")?;
    assert_eq!(servers.len(), 1, "the second runs nothing: {servers:?}");
    Ok(())
}

#[tokio::test]
async fn a_session_is_good_at_every_server() -> Result {
    let site = Site::new("sessions")?;
    site.first.client(None)?;
    let http = reqwest::Client::new();
    let body = json!({
        "username": "ann", "email": "ann@example.org", "password1": "a long pass phrase", "password2": "a long pass phrase",
    });
    let answer = http.post(format!("{}/rest-auth/registration/", site.first.url()?)).json(&body).send().await?;
    assert_eq!(answer.status(), 201);
    let cookie = answer.headers()["set-cookie"].to_str()?.split(';').next().unwrap_or_default().to_owned();
    let name = async |server: &Server| -> Result<Value> {
        let answer = http.get(format!("{}/users/status/", server.url()?)).header("cookie", &cookie).send().await?;
        Ok(answer.json::<Value>().await?["username"].clone())
    };
    assert_eq!((name(&site.first).await?, name(&site.second).await?), (json!("ann"), json!("ann")));
    let out = http.post(format!("{}/rest-auth/logout/", site.second.url()?)).header("cookie", &cookie).send().await?;
    assert_eq!(out.status(), 200);
    assert_eq!((name(&site.first).await?, name(&site.second).await?), (Value::Null, Value::Null));
    Ok(())
}

#[tokio::test]
async fn no_change_is_lost_between_servers() -> Result {
    let site = Site::new("updates")?;
    let clients = site.clients()?;
    let (path, nothing) = (format!("/{NULL}/api/v1/new/"), json!({}));
    let made = try_join_all((0..30).map(|at| clients[at % 2].post::<Value>(&path, &nothing))).await?;
    let mut numbers: Vec<u64> = made.iter().filter_map(|one| one["sim"]["model_pk"].as_u64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>(), "each has a number of its own, and none is missing");
    let detail = format!("/publish/api/{NULL}/detail/");
    for round in 0..20 {
        let [line, text] = ["oneliner", "description"].map(|field| json!({ field: format!("{field} {round}") }));
        let (first, second) =
            tokio::join!(clients[0].put::<Value>(&detail, &line), clients[1].put::<Value>(&detail, &text));
        first.and(second)?;
        let now: Value = clients[round % 2].get(&detail).await?;
        assert_eq!((&now["oneliner"], &now["description"]), (&line["oneliner"], &text["description"]), "round {round}");
    }
    Ok(())
}

/// The next release migrates while this one serves.
#[tokio::test]
async fn a_column_that_is_added_is_in_nobodys_way() -> Result {
    let url = Postgres::shared().fresh_url("columns");
    let server = Server::with_models_on(Ground { postgres: Some(url.clone()), ..Ground::default() })?;
    let client = server.client(Some(&server.publisher()?))?;
    let run = Run::new(&client, NULL, &NewSimulation::default()).await?.succeeded();
    for table in ["simulations", "runs", "models", "versions", "accounts"] {
        client.simulation(NULL, run.pk).await?;
        let statement = format!("ALTER TABLE {table} ADD COLUMN of_the_next_release BIGINT");
        let done = std::process::Command::new("psql").args(["-X", "-c", &statement, &url]).output()?;
        assert!(done.status.success(), "{done:?}");
        client.simulation(NULL, run.pk).await?;
    }
    Run::new(&client, NULL, &NewSimulation::default()).await?.succeeded();
    Ok(())
}

#[tokio::test]
async fn the_start_and_the_end_of_another_server_take_no_run_away() -> Result {
    let mut site = Site::new("neighbours")?;
    let [first, _] = site.clients()?;
    let adjustment = json!({ "Run": { "case": [{ "value": "sleeps" }], "seconds": [{ "value": 4.0 }] } });
    let new = NewSimulation { adjustment, ..NewSimulation::default() };
    let pk = first.create(EDGES, &new).await?.sim.model_pk;
    while first.remote(EDGES, pk).await?.status != "PENDING" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    site.second.kill()?;
    site.second.start()?;
    assert_eq!(first.wait(EDGES, pk).await?.status, "SUCCESS");
    let attempts = site.first.query("SELECT attempt FROM runs WHERE task = 'sim' AND attempt <> 1")?;
    assert!(attempts.is_empty(), "it went again: {attempts:?}");
    Run::new(&site.clients()?[1], NULL, &NewSimulation::default()).await?.succeeded();
    Ok(())
}
