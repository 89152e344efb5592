//! `/write/`: bytes of an output.

use std::{io, sync::Arc};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Query, State},
    http::HeaderMap,
};
use csw_core::{
    ids::{Lease, RunId},
    output::object_key,
};
use futures::StreamExt;
use serde::Deserialize;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::{
    Inner,
    partial::{Partial, hash},
};
use crate::{
    refusal::{Refusal, text},
    wire::{Head, IN_MEMORY, OUTPUT, Receipt, Received},
};

#[derive(Deserialize)]
pub(super) struct Offset {
    #[serde(default)]
    offset: u64,
}

fn head(headers: &HeaderMap) -> Result<Head, Refusal> {
    let head = text(headers, OUTPUT).and_then(Head::decode);
    let head = head.ok_or_else(|| Refusal::Nonsense(format!("the header {OUTPUT} can't be read")))?;
    // It becomes a part of a key.
    let is_hash = head.sha256.len() == 64 && head.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hash { Ok(head) } else { Err(Refusal::Nonsense("its hash is no SHA-256 in hexadecimal digits".to_owned())) }
}

/// How much of an output is here.
pub(super) async fn progress(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Result<Json<Received>, Refusal> {
    let (run, lease) = inner.live_attempt(&headers).await?;
    let received = inner.partials.received(run, lease, &head(&headers)?);
    Ok(Json(Received { received }))
}

/// Takes the bytes of an output from `offset`, and stores it when it is whole.
pub(super) async fn write(
    State(inner): State<Arc<Inner>>,
    Query(Offset { offset }): Query<Offset>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Receipt>, Refusal> {
    let (run, lease) = inner.live_attempt(&headers).await?;
    let head = head(&headers)?;
    if head.size <= IN_MEMORY {
        in_memory(&inner, &head, offset, body).await?;
    } else {
        through_a_file(&inner, (run, lease), &head, offset, body).await?;
    }
    Ok(Json(Receipt { receipt: inner.key.receipt(run, lease, &head) }))
}

async fn in_memory(inner: &Inner, head: &Head, offset: u64, body: Body) -> Result<(), Refusal> {
    use sha2::{Digest, Sha256};
    if offset != 0 {
        return Err(Refusal::Nonsense("a small output is sent whole".to_owned()));
    }
    let limit = usize::try_from(IN_MEMORY).unwrap_or(usize::MAX);
    let bytes = axum::body::to_bytes(body, limit).await.map_err(|error| Refusal::Later(error.to_string()))?;
    if bytes.len() as u64 != head.size || hex::encode(Sha256::digest(&bytes)) != head.sha256 {
        return Err(damaged());
    }
    inner.objects.put(&object_key(&head.sha256), bytes).await.map_err(|error| Refusal::Later(error.to_string()))
}

fn damaged() -> Refusal {
    Refusal::Later("the output arrived damaged; send it again".to_owned())
}

async fn through_a_file(
    inner: &Inner,
    (run, lease): (RunId, Lease),
    head: &Head,
    offset: u64,
    body: Body,
) -> Result<(), Refusal> {
    let partial = inner.partials.take(run, lease, head)?;
    let partial = partial.ok_or_else(|| Refusal::Later("somebody sends this output already".to_owned()))?;
    if offset > partial.received {
        return Err(Refusal::Later(format!("{} bytes are here, not {offset}", partial.received)));
    }
    append(&partial, head, offset, body).await?;
    let (path, looked) = (partial.path.clone(), partial.path.clone());
    let found = tokio::task::spawn_blocking(move || hash(&looked)).await;
    let found = found.map_err(io::Error::other)??;
    if found != head.sha256 {
        // From its first byte.
        std::fs::remove_file(&path)?;
        return Err(damaged());
    }
    let stored = inner.objects.put_file(&object_key(&head.sha256), &path).await;
    stored.map_err(|error| Refusal::Later(error.to_string()))?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// What arrives is kept, also where the rest does not come.
async fn append(partial: &Partial, head: &Head, offset: u64, body: Body) -> Result<(), Refusal> {
    let file = partial.file.try_clone()?;
    let mut file = tokio::fs::File::from_std(file);
    file.set_len(offset).await?;
    file.seek(io::SeekFrom::Start(offset)).await?;
    let (mut parts, mut size) = (body.into_data_stream(), offset);
    while let Some(part) = parts.next().await {
        let part: Bytes = match part {
            Ok(part) => part,
            Err(error) => {
                file.flush().await?;
                return Err(Refusal::Later(error.to_string()));
            }
        };
        size += part.len() as u64;
        if size > head.size {
            return Err(Refusal::Nonsense(format!("it is longer than the {} bytes it should have", head.size)));
        }
        file.write_all(&part).await?;
    }
    file.flush().await?;
    if size < head.size {
        return Err(Refusal::Later(format!("{size} of {} bytes are here; send the rest", head.size)));
    }
    Ok(())
}
