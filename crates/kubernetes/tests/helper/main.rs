//! What pods of the tests run in the place of `csw job` and `csw api-task`. The run's arguments say what it does: `say`
//! some lines, `wait` until a file is there, give `outputs` of a `size`, and `end` in some way.

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use csw_core::{
    ids::{OutputId, RunId, VersionId},
    model::Artifact,
    output::{MediaType, OutputKind},
    ports::{Capacity, Executor, ExecutorError, ReportError, RunEvents, Zygotes},
    run::{Outcome, OutputBody, OutputDraft, Phases, RunEnd, RunOrder, TaskResult, Usage},
};
use csw_kubernetes::{
    inputs::{
        self,
        pod::{InputsServer, router},
    },
    job::{CALLBACK_URL, Carrier, JobError, LINGER, OUTPUTS_URL, Orders, RUN_TOKEN, next_run},
    redis::{REDIS_CA, REDIS_URL, RedisAddress},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    drop(rustls::crypto::ring::default_provider().install_default());
    if std::env::args().nth(1).as_deref() == Some("api-task") {
        return answer().await;
    }
    let (folder, url) = (std::env::temp_dir(), std::env::var(CALLBACK_URL)?);
    let (own, lingers) = (std::env::var(RUN_TOKEN)?, std::env::var_os(LINGER).is_some());
    let redis = std::env::var(REDIS_URL).ok().map(|url| RedisAddress::new(&url, std::env::var(REDIS_CA).ok()));
    let (mut redis, mut token) = (redis.transpose()?, own.clone());
    loop {
        let carrier = Carrier::new(&url, token, folder.clone())?
            .with_redis(redis.take())
            .with_processor(std::env::var(OUTPUTS_URL).ok().as_deref())
            .lingering(lingers);
        let order = match carrier.order().await {
            Err(JobError::Gone) => return Ok(()),
            order => order?,
        };
        tokio::select! {
            done = perform(&carrier, &order, &folder) => done?,
            () = send_log(&carrier) => {}
        }
        if !lingers {
            return Ok(());
        }
        token = match next_run(&url, &own).await? {
            Some(next) => next.token,
            None => return Ok(()),
        };
    }
}

/// An inputs server.
async fn answer() -> Result<(), Box<dyn Error + Send + Sync>> {
    let server = InputsServer {
        callback_url: std::env::var(CALLBACK_URL)?,
        version: std::env::var(inputs::VERSION)?.parse()?,
        artifact: Artifact::Image { reference: "here".to_owned() },
        folder: std::env::temp_dir(),
        at_once: std::env::var(inputs::AT_ONCE)?.parse()?,
    };
    let listener = tokio::net::TcpListener::bind(std::env::var(inputs::LISTEN)?).await?;
    Ok(axum::serve(listener, router(Arc::new(Performer), server)).await?)
}

/// Performs orders here.
struct Performer;

#[async_trait]
impl Executor for Performer {
    async fn start(&self, order: RunOrder, events: Arc<dyn RunEvents>) -> Result<(), ExecutorError> {
        tokio::spawn(async move {
            if let Err(error) = perform(&*events, &order, &std::env::temp_dir()).await {
                eprintln!("{error}");
            }
        });
        Ok(())
    }

    async fn cancel(&self, _: RunId) {}

    async fn live(&self) -> Vec<RunId> {
        vec![]
    }

    async fn warm(&self, _: RunOrder) {}

    async fn evict(&self, _: VersionId) {}

    fn capacity(&self) -> Capacity {
        Capacity { cpus: 1.0, memory_bytes: 1, runs: 1 }
    }

    fn zygotes(&self) -> Zygotes {
        Zygotes::default()
    }

    async fn shut_down(&self, _: u32) {}
}

async fn send_log(carrier: &Carrier) {
    carrier.send_log().await;
    std::future::pending::<()>().await;
}

async fn perform(events: &dyn RunEvents, order: &RunOrder, folder: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments = &order.arguments;
    for line in arguments["say"].as_array().into_iter().flatten() {
        events.log(order, format!("{}\n", line.as_str().unwrap_or_default()).into()).await;
    }
    let size = usize::try_from(arguments["size"].as_u64().unwrap_or(10))?;
    let outputs = u32::try_from(arguments["outputs"].as_u64().unwrap_or_default())?;
    for position in 0..outputs {
        if !deliver(events, order, draft(position, size, folder)?).await {
            return Ok(());
        }
        if position == 0 {
            pass(arguments["wait"].as_str()).await;
        }
    }
    if outputs == 0 {
        pass(arguments["wait"].as_str()).await;
    }
    events.log(order, "done\n".into()).await;
    let end = RunEnd {
        outcome: outcome(arguments, outputs),
        model_version: Some("1".to_owned()),
        phases: Phases::default(),
        usage: Usage::default(),
    };
    loop {
        match events.ended(order, end.clone()).await {
            Ok(()) | Err(ReportError::Stale { .. }) => return Ok(()),
            Err(ReportError::Unavailable { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Waits until a file is there.
async fn pass(gate: Option<&str>) {
    let Some(gate) = gate else { return };
    while !Path::new(gate).exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn outcome(arguments: &Value, outputs: u32) -> Outcome {
    match arguments["end"].as_str() {
        Some("failed") => Outcome::Failed { traceback: "it broke".to_owned() },
        _ => Outcome::Returned(TaskResult::Sim { outputs }),
    }
}

fn draft(position: u32, size: usize, folder: &Path) -> std::io::Result<OutputDraft> {
    let bytes = vec![b'a' + u8::try_from(position % 26).unwrap_or_default(); size];
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let body = if size > 1000 {
        let path = folder.join(format!("output-{position}"));
        std::fs::write(&path, &bytes)?;
        OutputBody::File(path)
    } else {
        OutputBody::Bytes(bytes.into())
    };
    Ok(OutputDraft {
        id: OutputId::from_uuid(uuid::Uuid::now_v7()),
        kind: OutputKind::Renderable,
        position,
        title: format!("Output {position}"),
        media_type: MediaType::Text,
        body,
        size: size as u64,
        sha256,
    })
}

/// False: nobody wants it.
async fn deliver(events: &dyn RunEvents, order: &RunOrder, draft: OutputDraft) -> bool {
    loop {
        match events.output(order, draft.clone()).await {
            Ok(()) => return true,
            Err(ReportError::Stale { .. }) => return false,
            Err(ReportError::Unavailable { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
