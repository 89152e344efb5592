//! What a Job of the tests runs in the place of `csw job`. The run's arguments say what it does: `say` some lines,
//! `wait` until a file is there, give `outputs` of a `size`, and `end` in some way.

use std::{error::Error, path::Path, time::Duration};

use csw_core::{
    ids::OutputId,
    output::{MediaType, OutputKind},
    ports::{ReportError, RunEvents},
    run::{Outcome, OutputBody, OutputDraft, Phases, RunEnd, RunOrder, TaskResult, Usage},
};
use csw_kubernetes::job::{CALLBACK_URL, Carrier, JobError, Orders, RUN_TOKEN};
use serde_json::Value;
use sha2::{Digest, Sha256};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = std::env::temp_dir();
    let carrier = Carrier::new(&std::env::var(CALLBACK_URL)?, std::env::var(RUN_TOKEN)?, folder.clone())?;
    let order = match carrier.order().await {
        Err(JobError::Gone) => return Ok(()),
        order => order?,
    };
    tokio::select! {
        done = perform(&carrier, &order, &folder) => done,
        () = send_log(&carrier) => Ok(()),
    }
}

async fn send_log(carrier: &Carrier) {
    carrier.send_log().await;
    std::future::pending::<()>().await;
}

async fn perform(carrier: &Carrier, order: &RunOrder, folder: &Path) -> Result<(), Box<dyn Error>> {
    let arguments = &order.arguments;
    for line in arguments["say"].as_array().into_iter().flatten() {
        carrier.log(order, format!("{}\n", line.as_str().unwrap_or_default()).into()).await;
    }
    let size = usize::try_from(arguments["size"].as_u64().unwrap_or(10))?;
    let outputs = u32::try_from(arguments["outputs"].as_u64().unwrap_or_default())?;
    for position in 0..outputs {
        if !deliver(carrier, order, draft(position, size, folder)?).await {
            return Ok(());
        }
        if position == 0 {
            pass(arguments["wait"].as_str()).await;
        }
    }
    if outputs == 0 {
        pass(arguments["wait"].as_str()).await;
    }
    carrier.log(order, "done\n".into()).await;
    let end = RunEnd {
        outcome: outcome(arguments, outputs),
        model_version: Some("1".to_owned()),
        phases: Phases::default(),
        usage: Usage::default(),
    };
    loop {
        match carrier.ended(order, end.clone()).await {
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
async fn deliver(carrier: &Carrier, order: &RunOrder, draft: OutputDraft) -> bool {
    loop {
        match carrier.output(order, draft.clone()).await {
            Ok(()) => return true,
            Err(ReportError::Stale { .. }) => return false,
            Err(ReportError::Unavailable { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
