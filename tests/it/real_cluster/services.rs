//! A site of several services whose runs are pods: pages, scheduler and outputs processor are processes of this machine,
//! with PostgreSQL, Redis and a bucket, and pods reach what they need of that.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use csw_kubernetes_testing::Redis;
use csw_tests::{Postgres, Result, S3, Service, csw};
use serde_json::{Value, json};

use super::{
    given::Given,
    published,
    site::{EDGES, NULL, Site, number, way_to},
};
use crate::{
    common::Run,
    services::{ADMIN, SCHEDULER, free},
};

/// What there is of it beside its pages.
struct Parts {
    scheduler: Service,
    outputs: Service,
    bucket: S3,
    _redis: Redis,
}

async fn start(given: &Given) -> Result<(Site, Parts)> {
    let mut site = Site::prepared(given, published::server(given)?).await?;
    site.send_images(given)?;
    site.server.serve_pages(&Postgres::shared().fresh_url("real_services"))?;
    let redis = Redis::start_at(site.server.beside("redis").as_ref(), site.address)?;
    let (bucket, scheduler) = (S3::start(), free()?);
    let outputs = SocketAddr::from((site.address, csw_testing::free_port(site.address)?));
    for (what, address) in [("outputs", outputs), ("redis", redis.address())] {
        site.kubectl.apply(&way_to(&site.kubectl, what, address).to_string())?;
    }
    let callbacks = &site.settings.kubernetes.iter().find(|(name, _)| *name == "callback_listen");
    let callbacks = callbacks.context("it listens for Jobs")?.1.trim_matches('\'').to_owned();
    site.settings.kubernetes.extend([
        ("callback_url", format!("'http://{callbacks}'")),
        ("namespace", format!("'{}'", site.kubectl.namespace())),
        ("scheduler_listen", format!("'{scheduler}'")),
        ("scheduler_url", format!("'http://{scheduler}'")),
        ("outputs_listen", format!("'{outputs}'")),
        ("outputs_url", format!("'http://{outputs}'")),
    ]);
    site.settings.more.push(format!("{}[redis]\nurl = '{}'\n", bucket.settings(), redis.url()));
    for (name, value) in [ADMIN, SCHEDULER] {
        site.server.variable(name, value.to_owned());
    }
    let site = site.begin().await?;
    csw(&["svc", "redis-acl", "--config", &site.server.beside("settings.toml")], &[ADMIN, SCHEDULER])?;
    let packages = site.server.packages()?.display().to_string();
    let words = ["scheduler", "--start", "--public-url", "http://127.0.0.1:8080", "--cache", &packages];
    let mut scheduler = site.server.service(&words)?;
    let mut outputs = site.server.service(&["outputs", "--start", "--folder", &site.server.beside("outputs")])?;
    scheduler.start()?;
    outputs.start()?;
    Ok((site, Parts { scheduler, outputs, bucket, _redis: redis }))
}

#[tokio::test(flavor = "multi_thread")]
async fn services_run_pods_and_lose_nothing_when_they_are_killed() -> Result {
    let Some(given) = Given::with_registry() else { return Ok(()) };
    let (site, mut parts) = start(&given).await?;
    let client = site.client()?;
    let run = Run::new(&client, NULL, &number(7)).await?.succeeded();
    let outputs = client.simulation(NULL, run.pk).await?.outputs.context("it has outputs")?;
    assert_eq!(outputs.renderable[0].data, Value::String("7\n".to_owned()));
    assert!(parts.bucket.objects("site/outputs") > 0, "they are in the bucket");
    let job = &site.kubectl.list("jobs", "studio.compute/task=sim")?[0];
    let variables = job["spec"]["template"]["spec"]["containers"][0]["env"].to_string();
    assert!(variables.contains("CSW_REDIS_URL") && variables.contains("CSW_OUTPUTS_URL"), "{variables}");
    let (pk, _) = site.at_work("sleeps", json!({ "seconds": [{ "value": 4.0 }] })).await?;
    parts.scheduler.interrupt(Duration::from_secs(1))?;
    parts.outputs.interrupt(Duration::from_secs(1))?;
    let end = client.wait(EDGES, pk).await?;
    assert_eq!(end.status, "SUCCESS", "{:?} {}", end.traceback, parts.scheduler.log()?);
    let attempts = site.server.query("SELECT id FROM runs WHERE attempt > 1")?;
    assert!(attempts.is_empty(), "{attempts:?}");
    Ok(())
}
