//! A site of several services: pages, scheduler and outputs processor as processes of their own, with a real PostgreSQL, a
//! real Redis and an S3 server that checks signatures, on the API server of the tests.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use csw_client::NewSimulation;
use csw_kubernetes_testing::{Cluster, NodeConfig, Redis};
use csw_tests::{Postgres, Result, S3, Server, Service, csw, example, program};
use serde_json::{Value, json};

pub(crate) const NULL: &str = "contract/Null";
const EDGES: &str = "contract/Edge-Cases";
const NAMESPACE: &str = "models";
pub(crate) const ADMIN: (&str, &str) = ("CSW_REDIS_ADMIN_PASSWORD", "the admin of these tests");
pub(crate) const SCHEDULER: (&str, &str) = ("CSW_REDIS_SCHEDULER_PASSWORD", "the scheduler of these tests");

/// All of a site, each a process.
pub(crate) struct Services {
    pub(crate) webapp: Server,
    pub(crate) scheduler: Service,
    pub(crate) outputs: Service,
    pub(crate) cluster: Cluster,
    pub(crate) redis: Redis,
    scheduler_url: String,
    bucket: S3,
}

pub(crate) fn free() -> Result<String> {
    Ok(csw_testing::free_address()?.to_string())
}

impl Services {
    pub(crate) async fn start(name: &str) -> Result<Self> {
        let mut webapp = Server::prepared()?;
        webapp.serve_pages(&Postgres::shared().fresh_url(name))?;
        let redis = Redis::start(webapp.beside("redis").as_ref())?;
        let bucket = S3::start();
        let node = NodeConfig {
            folder: webapp.beside("node").into(),
            path: program()?.parent().context("the program is in a folder")?.display().to_string(),
            claims: BTreeMap::from([("csw-data".to_owned(), webapp.data())]),
            ..NodeConfig::default()
        };
        let cluster = Cluster::start(node).await?;
        let kubeconfig = webapp.beside("kubeconfig");
        cluster.write_kubeconfig(kubeconfig.as_ref(), NAMESPACE)?;
        let (callbacks, scheduler, outputs) = (free()?, free()?, free()?);
        webapp.configure(&format!(
            "executor = 'kubernetes'\npublic_url = 'http://127.0.0.1:8080'\n{}[redis]\nurl = '{}'\n[kubernetes]\n\
             namespace = '{NAMESPACE}'\ncallback_listen = '{callbacks}'\ncallback_url = 'http://{callbacks}'\n\
             scheduler_listen = '{scheduler}'\nscheduler_url = 'http://{scheduler}'\noutputs_listen = '{outputs}'\n\
             outputs_url = 'http://{outputs}'\njobs = 8\nwrites_per_second = 100\nimage = 'registry/csw:1'\n\
             volume_claim = 'csw-data'\n[site]\nsubmissions_per_minute = 100000\n",
            bucket.settings(),
            redis.url(),
        ))?;
        for (name, value) in [("KUBECONFIG", kubeconfig.as_str()), ADMIN, SCHEDULER] {
            webapp.variable(name, value.to_owned());
        }
        let settings = webapp.beside("settings.toml");
        csw(&["svc", "redis-acl", "--config", &settings], &[ADMIN, SCHEDULER])?;
        let packages = webapp.packages()?.display().to_string();
        let mut scheduler_service =
            webapp.service(&["scheduler", "--start", "--cache", &packages, "--allow-local-repositories"])?;
        let mut outputs = webapp.service(&["outputs", "--start", "--folder", &webapp.beside("outputs")])?;
        scheduler_service.start()?;
        outputs.start()?;
        webapp.start()?;
        // It sees to the cryptography that every client needs.
        webapp.client(None)?;
        let scheduler_url = format!("http://{scheduler}");
        Ok(Self { webapp, scheduler: scheduler_service, outputs, cluster, redis, scheduler_url, bucket })
    }

    fn jobs(&self) -> Vec<Value> {
        self.cluster.objects("jobs", NAMESPACE)
    }
}

fn number(value: i64) -> NewSimulation {
    NewSimulation { adjustment: json!({ "Null": { "number": [{ "value": value }] } }), ..NewSimulation::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_of_services_publishes_runs_and_shows() -> Result {
    let site = Services::start("services").await?;
    let owner = site.webapp.publisher()?;
    let client = site.webapp.client(Some(&owner))?;
    let pk = client.create(NULL, &number(7)).await?.sim.model_pk;
    let done = client.wait(NULL, pk).await?;
    assert_eq!(done.status, "SUCCESS", "{:?} {}", done.traceback, site.scheduler.log()?);
    let outputs = client.simulation(NULL, pk).await?.outputs.context("it has outputs")?;
    assert_eq!(outputs.renderable[0].data, Value::String("7\n".to_owned()));
    assert!(site.bucket.objects("site/outputs") > 0, "they are in the bucket");
    for job in site.jobs() {
        let variables = job["spec"]["template"]["spec"]["containers"][0]["env"].to_string();
        assert!(variables.contains("CSW_REDIS_URL") && variables.contains("CSW_OUTPUTS_URL"), "{variables}");
    }
    // A model that is new here is built by the scheduler, and its schema asked for by the pages.
    let published = site.webapp.publish(&owner, "contract/Chance", &example("contract/Chance")?, &["--skip-test"])?;
    assert_eq!(published.code, 0, "{} {}", published.stderr, site.scheduler.log()?);
    let version = &site.webapp.query("SELECT state FROM versions ORDER BY created_at DESC LIMIT 1")?[0];
    assert_eq!(version["state"], "live");
    let form = site.webapp.fetch(Some(&owner), "/contract/Chance/api/v1/inputs/", &[]).await?;
    assert_eq!(form.status(), 200, "{}", form.text().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_answers_services_and_nobody_else() -> Result {
    let site = Services::start("tasks").await?;
    let client = reqwest::Client::new();
    let url = format!("{}/{NULL}/", site.scheduler_url);
    let question = json!({ "task_name": "version" });
    let ask = async |token: &str, question: &Value| -> Result<(u16, Value)> {
        let answer = client.post(&url).bearer_auth(token).json(question).send().await?;
        Ok((answer.status().as_u16(), answer.json().await.unwrap_or_default()))
    };
    let of_the_owner = site.webapp.publisher()?.token;
    for stranger in ["", "nonsense", of_the_owner.as_str()] {
        assert_eq!(ask(stranger, &question).await?.0, 401, "{stranger}");
    }
    assert_eq!(client.get(format!("{}/metrics", site.scheduler_url)).send().await?.status(), 401);
    assert_eq!(client.get(format!("{}/readyz", site.scheduler_url)).send().await?.status(), 200);
    let token = service_token(&site)?;
    let (status, answer) = ask(&token, &question).await?;
    assert_eq!((status, &answer["status"]), (200, &json!("SUCCESS")), "{answer}");
    assert!(answer["version"].is_string() && answer["meta"]["task_times"][0].is_number(), "{answer}");
    let (_, answer) =
        ask(&token, &json!({ "task_name": "defaults", "task_kwargs": { "meta_param_dict": {} } })).await?;
    assert!(answer["model_parameters"]["Null"].is_object(), "{answer}");
    let nowhere = json!({ "task_name": "sim", "task_id": "0198c0de-0000-7000-8000-000000000001" });
    assert_eq!(ask(&token, &nowhere).await?.0, 404);
    let (status, answer) = ask(&token, &json!({ "task_name": "sim" })).await?;
    assert!(status == 400 && answer.to_string().contains("task_id"), "{answer}");
    assert_eq!(ask(&token, &json!({ "task_name": "dance" })).await?.0, 400);
    Ok(())
}

/// What the services of a site know each other by: a signature with the site's key.
fn service_token(site: &Services) -> Result<String> {
    use hmac::{Hmac, KeyInit, Mac};
    let key = std::fs::read(site.webapp.data().join("run-tokens.key"))?;
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.trim_ascii())?;
    mac.update(b"service");
    Ok(format!("csw-service1.{}", hex::encode(mac.finalize().into_bytes())))
}

/// Waits until a query finds something, and gives its first row.
async fn found(site: &Services, query: &str) -> Result<Value> {
    for _ in 0..1200 {
        if let Some(row) = site.webapp.query(query)?.into_iter().next() {
            return Ok(row);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("nothing is found by {query}: {}", site.scheduler.log()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_at_work_is_stopped_from_the_pages() -> Result {
    let site = Services::start("stopping").await?;
    let owner = site.webapp.publisher()?;
    let folder = tempfile::tempdir()?;
    let from = example("contract/Chance")?;
    let copied = std::process::Command::new("cp").arg("-r").arg(&from).arg(folder.path().join("model")).status()?;
    assert!(copied.success());
    let install = folder.path().join("model/cs-config/install.sh");
    std::fs::write(&install, "echo it begins\nsleep 300\n")?;
    let repo = folder.path().join("model").display().to_string();
    let (url, token) = (site.webapp.url()?.to_owned(), owner.token.clone());
    let publishing = tokio::task::spawn_blocking(move || {
        let words = ["models", "-n", "contract/Slow", "publish", "--json", "--skip-test", "--repo", &repo];
        csw(&words, &[("CS_URL", &url), ("CS_API_TOKEN", &token)])
    });
    let row = found(&site, "SELECT id FROM builds WHERE state = 'running' AND stage = 'build'").await?;
    let build = row["id"].as_str().context("it has an id")?;
    site.webapp.client(Some(&owner))?.cancel_build("contract/Slow", build).await?;
    let over =
        found(&site, &format!("SELECT message FROM builds WHERE id = '{build}' AND state = 'cancelled'")).await?;
    assert_eq!(over["message"], "Cancelled on request.");
    assert_ne!(publishing.await??.code, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_scheduler_takes_over_and_second_pages_show_the_same() -> Result {
    let mut site = Services::start("standby").await?;
    let owner = site.webapp.publisher()?;
    let client = site.webapp.client(Some(&owner))?;
    let packages = site.webapp.packages()?.display().to_string();
    let mut standby = site.webapp.service(&["scheduler", "--start", "--cache", &packages])?;
    standby.begin()?;
    let adjustment = json!({ "Run": { "case": [{ "value": "sleeps" }], "seconds": [{ "value": 2.0 }] } });
    let pk = client.create(EDGES, &NewSimulation { adjustment, ..NewSimulation::default() }).await?.sim.model_pk;
    while !site.jobs().iter().any(|job| job["metadata"]["labels"]["studio.compute/task"] == "sim") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    site.scheduler.kill()?;
    site.redis.kill();
    site.redis.begin()?;
    let mut second = site.webapp.service(&["webapp", "--listen", "127.0.0.1:0"])?;
    second.start()?;
    let done = client.wait(EDGES, pk).await?;
    assert_eq!(done.status, "SUCCESS", "{:?} {}", done.traceback, standby.log()?);
    // The Redis that came back with nothing, not even users, is no obstacle.
    let pk = client.create(NULL, &number(8)).await?.sim.model_pk;
    assert_eq!(client.wait(NULL, pk).await?.status, "SUCCESS");
    Ok(())
}

#[test]
fn services_say_what_they_lack() -> Result {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data").display().to_string();
    for (words, sentence) in [
        (&["webapp"][..], "needs PostgreSQL"),
        (&["webapp", "--database", "postgres://nobody@127.0.0.1:1/none"], "needs a bucket"),
        (&["scheduler", "--start"], "needs PostgreSQL"),
        (&["outputs", "--start", "--database", "postgres://nobody@127.0.0.1:1/none"], "needs a bucket"),
        (&["scheduler"], "--start"),
    ] {
        let done = csw(&[words, &["--data", &data]].concat(), &[])?;
        assert_eq!(done.code, 2, "{words:?} {}", done.stderr);
        assert!(done.stderr.contains(sentence), "{words:?} {}", done.stderr);
    }
    for (variables, sentence) in
        [(&[][..], "has 0 characters"), (&[("CSW_REDIS_ADMIN_PASSWORD", "short")], "has 5 characters")]
    {
        let done = csw(&["svc", "redis-acl"], variables)?;
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains(sentence), "{}", done.stderr);
    }
    let done = csw(&["svc", "redis-acl", "--output", "-"], &[ADMIN, SCHEDULER])?;
    assert!(done.stdout.contains("user default off") && !done.stdout.contains(ADMIN.1), "{}", done.stdout);
    Ok(())
}
