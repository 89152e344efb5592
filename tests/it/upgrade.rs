//! A release takes the place of the one before it, process by process, while people work.
//!
//! `CSW` names a program of the former release (`scripts/test-upgrade` builds one); without it both are this one. The
//! database, the data folder and the Jobs are the former release's, and pages are taken from it one by one, as a
//! Deployment does: the next one is there before one is asked to stop.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use csw_tests::{Account, Result, Service, csw, this_release};
use serde_json::{Value, json};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::services::{NULL, Services, free};

/// People who work.
const PEOPLE: usize = 3;

/// Seconds that pages answer after they were asked to stop.
const DRAIN: &str = "1";

/// How often it is asked whether a process is ready.
const LOOK: Duration = Duration::from_millis(100);

/// Sends connections to whatever says that it is ready, as a Service does.
struct Balancer {
    url: String,
    known: Arc<Mutex<Vec<(String, bool)>>>,
    tasks: JoinSet<()>,
}

impl Balancer {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let known: Arc<Mutex<Vec<(String, bool)>>> = Arc::default();
        let mut tasks = JoinSet::new();
        let next = AtomicUsize::new(0);
        let list = Arc::clone(&known);
        tasks.spawn(async move {
            while let Ok((mut person, _)) = listener.accept().await {
                let ready: Vec<String> =
                    lock(&list).iter().filter(|(_, ready)| *ready).map(|(address, _)| address.clone()).collect();
                let place = next.fetch_add(1, Ordering::Relaxed) % ready.len().max(1);
                let Some(address) = ready.get(place).cloned() else { continue };
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(address).await {
                        // Either side may leave.
                        let _ = copy_bidirectional(&mut person, &mut server).await;
                    }
                });
            }
        });
        let list = Arc::clone(&known);
        tasks.spawn(async move {
            let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap_or_default();
            loop {
                let addresses: Vec<String> = lock(&list).iter().map(|(address, _)| address.clone()).collect();
                for address in addresses {
                    let answer = http.get(format!("http://{address}/readyz")).send().await;
                    let is_ready = answer.is_ok_and(|answer| answer.status() == 200);
                    lock(&list).iter_mut().filter(|(known, _)| *known == address).for_each(|known| known.1 = is_ready);
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Ok(Self { url, known, tasks })
    }

    /// Sends people to an address too, once it is ready.
    async fn add(&self, address: &str) -> Result {
        lock(&self.known).push((address.to_owned(), false));
        for _ in 0..100 {
            if lock(&self.known).iter().any(|(known, ready)| known == address && *ready) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        anyhow::bail!("{address} does not become ready")
    }

    /// Sends nobody there any more, whatever it says of itself: releases without `--drain` say nothing.
    async fn remove(&self, address: &str) {
        lock(&self.known).retain(|(known, _)| known != address);
        tokio::time::sleep(LOOK).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

/// Somebody who runs simulations and looks at pages; every answer has to be a good one.
struct Person {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Person {
    async fn asks(&self, method: reqwest::Method, path: &str, body: &Value) -> Result<Vec<u8>> {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let answer = request.header("Authorization", format!("Token {}", self.token)).json(body).send().await?;
        let status = answer.status();
        let text = answer.bytes().await?;
        ensure!(status.is_success(), "{path} answered {status}: {}", String::from_utf8_lossy(&text));
        Ok(text.to_vec())
    }

    async fn reads(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.asks(reqwest::Method::GET, path, &Value::Null).await?)?)
    }

    /// One simulation, from the form to its outputs.
    async fn works(&self, number: usize) -> Result {
        let new = json!({ "adjustment": { "Null": { "number": [{ "value": number }] } } });
        let made = self.asks(reqwest::Method::POST, &format!("/{NULL}/api/v1/"), &new).await?;
        let made: Value = serde_json::from_slice(&made)?;
        let pk = made["sim"]["model_pk"].as_u64().context("it has a number")?;
        let path = format!("/{NULL}/api/v1/{pk}/");
        let mut found = self.reads(&path).await?;
        while !["SUCCESS", "FAIL"].contains(&found["status"].as_str().unwrap_or_default()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            found = self.reads(&path).await?;
        }
        ensure!(found["status"] == "SUCCESS", "simulation {pk}: {found}");
        ensure!(found["outputs"]["renderable"][0]["data"] == format!("{number}\n"), "simulation {pk}: {found}");
        for page in ["/".to_owned(), format!("/{NULL}/"), format!("/{NULL}/{pk}/")] {
            self.asks(reqwest::Method::GET, &page, &Value::Null).await?;
        }
        Ok(())
    }
}

/// People at work until they are told to stop; in the end, how many simulations they have made.
struct Work {
    people: JoinSet<Result<usize>>,
    enough: Arc<AtomicBool>,
}

impl Work {
    fn begin(url: &str, account: &Account) -> Self {
        let (mut people, enough) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for who in 0..PEOPLE {
            let person = Person { http: reqwest::Client::new(), url: url.to_owned(), token: account.token.clone() };
            let enough = Arc::clone(&enough);
            people.spawn(async move {
                let mut made = 0;
                while !enough.load(Ordering::Relaxed) {
                    person.works(1_000_000 * (who + 1) + made).await.with_context(|| format!("person {who}"))?;
                    made += 1;
                }
                Ok(made)
            });
        }
        Self { people, enough }
    }

    async fn end(self) -> Result<usize> {
        self.enough.store(true, Ordering::Relaxed);
        let made: Result<Vec<usize>> = self.people.join_all().await.into_iter().collect();
        Ok(made?.iter().sum())
    }
}

/// Pages of a release, and where they are.
struct Pages {
    service: Service,
    address: String,
}

impl Pages {
    fn of(site: &Services, is_new: bool) -> Result<Self> {
        let address = free()?;
        let drains = is_new || csw(&["webapp", "--help"], &[])?.stdout.contains("--drain");
        let mut words = vec!["webapp", "--listen", &address];
        words.extend(if drains { ["--drain", DRAIN].as_slice() } else { &[] });
        let mut service = site.webapp.service(&words)?;
        if is_new {
            service.becomes(this_release()?);
        }
        service.start()?;
        Ok(Self { service, address })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_that_a_release_takes_the_place_of_the_one_before() -> Result {
    let mut site = Services::start("upgrade").await?;
    let owner = site.webapp.publisher()?;
    site.webapp.stop()?;
    let balancer = Balancer::start().await?;
    let former = [Pages::of(&site, false)?, Pages::of(&site, false)?];
    for pages in &former {
        balancer.add(&pages.address).await?;
    }
    let work = Work::begin(&balancer.url, &owner);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let drains = csw(&["webapp", "--help"], &[])?.stdout.contains("--drain");
    let mut now = vec![];
    for mut pages in former {
        // It migrates the database, while the former ones work with that.
        let next = Pages::of(&site, true)?;
        balancer.add(&next.address).await?;
        now.push(next);
        if !drains {
            balancer.remove(&pages.address).await;
        }
        tokio::task::spawn_blocking(move || pages.service.stop()).await??;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for service in [&mut site.scheduler, &mut site.outputs] {
        service.becomes(this_release()?);
        service.stop()?;
        service.start()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let made = work.end().await?;
    ensure!(made > PEOPLE, "nobody could work: {made}");
    let sims = site.webapp.query("SELECT status, COUNT(*) AS many FROM simulations GROUP BY status")?;
    ensure!(sims.len() == 1 && sims[0]["status"] == "SUCCESS" && sims[0]["many"] == made, "{sims:?}");
    println!("{made} simulations while every process was replaced, and every request was answered");
    Ok(())
}
