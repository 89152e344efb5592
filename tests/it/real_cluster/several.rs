//! A site of several services that lives in the cluster: pages, scheduler, outputs processors and Redis are pods, as
//! `csw svc config --webapps | kubectl apply` makes them. Its PostgreSQL and its bucket are this machine's.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use csw_tests::{Postgres, Result, S3, Server};
use serde_json::{Value, json};

use super::{
    door::Door,
    given::{Given, callback},
    kubectl::Kubectl,
    relay::relay,
    site::{EDGES, NULL, case, number, until},
    whole::Whole,
};
use crate::{
    common::Run,
    services::{ADMIN, SCHEDULER},
};

/// The Deployments, and how many pods each has.
const SERVICES: [(&str, u64); 4] = [("csw", 2), ("csw-scheduler", 1), ("csw-outputs", 2), ("csw-redis", 1)];

/// The site, and what it has outside the cluster.
pub(super) struct Several {
    whole: Whole,
    bucket: S3,
    _relays: [Door; 2],
}

/// The address in a URL whose host is one.
fn address(url: &str) -> Result<SocketAddr> {
    let host = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).context("a host")?;
    Ok(host.rsplit('@').next().unwrap_or(host).parse()?)
}

pub(super) async fn start(given: &Given) -> Result<Several> {
    let mut volume = Server::prepared_whole()?;
    let database = Postgres::shared().fresh_url("in_pods");
    volume.serve_pages(&database)?;
    let bucket = S3::start();
    let here = callback(&Kubectl::new(given.kubeconfig(), "default"))?;
    let relays = [relay(here, address(&database)?).await?, relay(here, address(&bucket.url())?).await?];
    let from_pods = |text: &str, url: &str, relay: &Door| -> Result<String> {
        Ok(text.replace(&address(url)?.to_string(), &relay.address().to_string()))
    };
    volume.configure(&format!(
        "database = '{}'\n{}[redis]\nadmin_password = '{}'\nscheduler_password = '{}'\n",
        from_pods(&database, &database, &relays[0])?,
        from_pods(&bucket.settings(), &bucket.url(), &relays[1])?,
        ADMIN.1,
        SCHEDULER.1,
    ))?;
    let settings = volume.beside("settings.toml");
    let mut words =
        vec!["--config", &settings, "--webapps", "2", "--outputs", "2", "--redis-image", &given.redis_image];
    words.extend(["--cpus", "0.1", "--memory-gigabytes", "0.5"]);
    if let Some(image) = &given.thumbnails_image {
        words.extend(["--thumbnails-image", image]);
    }
    let whole = Whole::start(given, volume, &words)?;
    Ok(Several { whole, bucket, _relays: relays })
}

impl Several {
    pub(super) fn kubectl(&self) -> &Kubectl {
        self.whole.kubectl()
    }

    /// How many pods each service has that answer.
    fn ready(&self) -> Result<Vec<(String, u64)>> {
        let made = self.whole.kubectl().list("deployments", "")?;
        let ready = |one: &Value| one["status"]["readyReplicas"].as_u64().unwrap_or_default();
        Ok(made
            .iter()
            .map(|one| (one["metadata"]["name"].as_str().unwrap_or_default().to_owned(), ready(one)))
            .collect())
    }

    /// Waits until all are there.
    pub(super) fn is_whole(&self) -> Result {
        until("a pod of each service that answers", || {
            let ready = self.ready()?;
            Ok(SERVICES.iter().all(|(name, pods)| ready.iter().any(|(known, has)| known == name && has == pods)))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_live_in_pods_and_lose_nothing_when_all_of_them_are_killed() -> Result {
    let Some(given) = Given::with_volumes() else { return Ok(()) };
    let mut site = start(&given).await?;
    site.is_whole()?;
    let run = Run::new(&site.whole.client()?, NULL, &number(7)).await?.succeeded();
    let outputs = site.whole.client()?.simulation(NULL, run.pk).await?.outputs.context("it has outputs")?;
    assert_eq!(outputs.renderable[0].data, Value::String("7\n".to_owned()));
    assert!(site.bucket.objects("site/outputs") > 0, "they are in the bucket");
    if given.thumbnails_image.is_some() {
        until("a thumbnail in the bucket", || Ok(site.bucket.objects("site/thumbnails") > 0))?;
    }

    let sleeps = case("sleeps", json!({ "seconds": [{ "value": 15.0 }] }));
    let pk = site.whole.client()?.create(EDGES, &sleeps).await?.sim.model_pk;
    site.whole.at_work()?;
    let killed = "app.kubernetes.io/component in (webapp, scheduler, outputs, redis)";
    let gone = site.whole.kubectl().list("pods", killed)?;
    ensure!(gone.len() == 6, "{} pods of the services", gone.len());
    site.whole.kubectl().ask(&["delete", "pods", "--selector", killed, "--grace-period=0", "--force"])?;
    site.whole.follow()?;
    site.is_whole()?;
    let end = site.whole.client()?.wait(EDGES, pk).await?;
    assert_eq!(end.status, "SUCCESS", "{:?}", end.traceback);
    let attempts = site.whole.volume().query("SELECT id FROM runs WHERE attempt > 1")?;
    assert!(attempts.is_empty(), "{attempts:?}");
    // Redis came back without its users of runs.
    Run::new(&site.whole.client()?, NULL, &number(8)).await?.succeeded();
    Ok(())
}
