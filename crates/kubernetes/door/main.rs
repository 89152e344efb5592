//! The executor behind a bare HTTP door, without the queue and the database of a site: what it takes to make a Job of a
//! task. And the people who knock, at this door and at any other that takes the same requests.
//!
//! | words | what |
//! | --- | --- |
//! | `serve REDIS_URL` | prints where it listens and the token it takes; `KUBECONFIG` names the cluster |
//! | `knock URL TOKEN COUNT AT_ONCE` | posts so many `sim` tasks, and prints when each was sent and answered |
//! | `knock URL TOKEN COUNT at RATE` | the same, so many in a second, however long answers take |

#![allow(clippy::print_stdout, reason = "a script reads it there")]

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
use bytes::Bytes;
use csw_core::{
    ids::{Lease, RunId, VersionId},
    model::{Artifact, Strategy},
    ports::{Executor, ReportError, RunEvents},
    run::{Limits, OutputDraft, RunEnd, RunOrder, Sharing, Task},
    secret::Secrets,
};
use csw_kubernetes::{
    KubernetesConfig, KubernetesExecutor, RunKey, connect,
    redis::{Passwords, Redis, RedisAddress, set_up},
};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use uuid::Uuid;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Nobody stays in the way of the door.
const WITHOUT_LIMIT: u32 = 1_000_000;

#[tokio::main]
async fn main() -> Outcome {
    drop(rustls::crypto::ring::default_provider().install_default());
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", redis] => serve(redis).await,
        ["knock", url, token, count, "at", rate] => {
            let pause = Duration::from_secs_f64(1.0 / rate.parse::<f64>()?);
            knock(url, token, count.parse()?, usize::MAX, pause).await
        }
        ["knock", url, token, count, at_once] => {
            knock(url, token, count.parse()?, at_once.parse()?, Duration::ZERO).await
        }
        _ => Err("serve REDIS_URL, or knock URL TOKEN COUNT AT_ONCE, or knock URL TOKEN COUNT at RATE".into()),
    }
}

struct Door {
    executor: KubernetesExecutor,
    key: RunKey,
}

async fn serve(redis: &str) -> Outcome {
    let address = RedisAddress::new(redis, None)?;
    let passwords = Passwords::new(&"a".repeat(32), &"s".repeat(32), None)?;
    set_up(&address, &passwords).await?;
    let (client, namespace) = connect().await?;
    let mut config = KubernetesConfig::new(namespace, "http://127.0.0.1:9".to_owned(), std::env::temp_dir());
    config.redis = Some(Redis::new(address, &passwords)?);
    config.writes_per_second = WITHOUT_LIMIT;
    config.capacity.runs = WITHOUT_LIMIT;
    let key = RunKey::new(&[7; 32])?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({ "url": format!("http://{}", listener.local_addr()?), "token": key.service_token() }));
    let executor = KubernetesExecutor::new(client, config, key.clone());
    let door = Arc::new(Door { executor, key });
    Ok(axum::serve(listener, Router::new().route("/{owner}/{title}/", post(task)).with_state(door)).await?)
}

#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "task_id")]
    run: RunId,
    #[serde(rename = "task_name")]
    task: Task,
    #[serde(rename = "task_kwargs")]
    arguments: Value,
}

async fn task(
    State(door): State<Arc<Door>>,
    Path((owner, title)): Path<(String, String)>,
    headers: HeaderMap,
    Json(asked): Json<Asked>,
) -> Result<Json<Value>, StatusCode> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if !token.is_some_and(|token| door.key.is_service(token)) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let order = RunOrder {
        run: asked.run,
        lease: Lease::from_uuid(Uuid::now_v7()),
        task: asked.task,
        model: format!("{owner}/{title}").parse().map_err(|_| StatusCode::NOT_FOUND)?,
        version: VersionId::from_uuid(Uuid::nil()),
        artifact: Artifact::Image { reference: "registry/model:1".to_owned() },
        strategy: Strategy::Fresh,
        sharing: Sharing::Public,
        arguments: asked.arguments,
        limits: Limits { cpus: 1.0, memory_bytes: 1_000_000_000, deadline_seconds: 600 },
        network: false,
        secrets: Secrets::new(),
    };
    door.executor.start(order, Arc::new(Nobody)).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(Json(json!({ "status": "PENDING", "task_id": asked.run })))
}

/// Jobs of this bench have no process that would tell anything.
struct Nobody;

#[async_trait]
impl RunEvents for Nobody {
    async fn log(&self, _: &RunOrder, _: Bytes) {}

    async fn output(&self, _: &RunOrder, _: OutputDraft) -> Result<(), ReportError> {
        Ok(())
    }

    async fn ended(&self, _: &RunOrder, _: RunEnd) -> Result<(), ReportError> {
        Ok(())
    }
}

/// Tasks that are not answered before others are sent, and the time from one to the next.
async fn knock(url: &str, token: &str, count: usize, at_once: usize, pause: Duration) -> Outcome {
    let address = url.strip_prefix("http://").ok_or("an address begins with http://")?;
    let (lines, begin) = (Mutex::new(Vec::new()), Instant::now());
    let knocks = stream::iter(0..u32::try_from(count)?).map(async |number| {
        tokio::time::sleep_until(begin + pause * number).await;
        let free = lines.lock().map_err(|_| "somebody has failed")?.pop();
        let mut line = match free {
            Some(line) => line,
            None => Line(BufReader::new(TcpStream::connect(address).await?)),
        };
        let (id, sent) = (Uuid::now_v7().to_string(), now());
        line.post(&request(address, token, &id)).await?;
        let done = (id, json!({ "sent": sent, "answered": now() }));
        lines.lock().map_err(|_| "somebody has failed")?.push(line);
        Ok(done)
    });
    let done: Vec<Outcome<(String, Value)>> = knocks.buffer_unordered(at_once.min(count)).collect().await;
    let done: BTreeMap<String, Value> = done.into_iter().collect::<Result<_, _>>()?;
    println!("{}", json!(done));
    Ok(())
}

/// A task as it is sent.
fn request(address: &str, token: &str, id: &str) -> String {
    let kwargs = json!({
        "meta_param_dict": { "year": [{ "value": 2026 }] },
        "adjustment": { "Null": { "number": [{ "value": 7 }] } },
    });
    let body = json!({ "task_id": id, "task_name": "sim", "task_kwargs": kwargs }).to_string();
    let length = body.len();
    format!(
        "POST /bench/Null/ HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// A connection. People cost next to nothing, for they share the machine with what they knock at.
struct Line(BufReader<TcpStream>);

impl Line {
    /// Sends a request, and reads an answer that has to be good.
    async fn post(&mut self, request: &str) -> Outcome {
        self.0.write_all(request.as_bytes()).await?;
        let (mut status, mut length) = (String::new(), 0);
        self.0.read_line(&mut status).await?;
        loop {
            let mut header = String::new();
            self.0.read_line(&mut header).await?;
            match header.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse()?,
                Some(_) => {}
                None => break,
            }
        }
        self.0.read_exact(&mut vec![0; length]).await?;
        if status.contains(" 200 ") { Ok(()) } else { Err(format!("the answer was {status}").into()) }
    }
}

fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
}
