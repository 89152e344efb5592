//! Outputs as workers send them: in the request, or in zip files of the bucket (sections 1.3 and 4.3 of the 1.6 behaviour).

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::STANDARD};
use csw_core::{
    ids::{OutputId, RunId},
    output::{MediaType, OutputKind},
    ports::{ObjectError, ObjectStorage},
    run::{OutputBody, OutputDraft},
};
use futures::TryStreamExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;
use zip::ZipArchive;

use crate::{
    error::{ApiError, ApiResult},
    state::WebState,
};

/// Bytes of a zip file, and of what is in it.
const LARGEST: u64 = 4 << 30;

/// Bytes of a text.
const LARGEST_TEXT: u64 = 256 << 20;

/// Outputs, and what they came in.
pub(super) struct Received {
    pub(super) drafts: Vec<OutputDraft>,
    /// Keys of zip files that are not needed any more once the outputs are stored.
    pub(super) zips: Vec<String>,
    /// Where files of drafts are, as long as this is held.
    folder: Folder,
}

/// A folder that goes with its value.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.0.display(), %error, "outputs of a worker could not be removed");
        }
    }
}

/// What 1.6 says of a zip file.
#[derive(Deserialize)]
struct Remote {
    ziplocation: String,
    outputs: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    title: String,
    media_type: String,
    filename: String,
}

/// The outputs of a run, of both kinds.
pub(super) async fn receive(state: &WebState, run: RunId, outputs: &Map<String, Value>) -> ApiResult<Received> {
    let folder = Folder(state.options.uploads.join(Uuid::new_v4().to_string()));
    let mut received = Received { drafts: Vec::new(), zips: Vec::new(), folder };
    for (kind, name) in [(OutputKind::Renderable, "renderable"), (OutputKind::Downloadable, "downloadable")] {
        let wrong = |sentence: String| ApiError::field("outputs", format!("{name}: {sentence}"));
        match outputs.get(name).unwrap_or(&json!([])) {
            Value::Array(list) => {
                let drafts = list.iter().zip(0..).map(|(output, position)| in_request(kind, position, output));
                received.drafts.extend(drafts.collect::<Result<Vec<_>, _>>().map_err(|why| wrong(why.to_owned()))?);
            }
            other => {
                let remote = Remote::deserialize(other).map_err(|_| {
                    wrong("send a list of {title, media_type, data}, or {ziplocation, outputs}.".to_owned())
                })?;
                let key = format!("{run}_{name}.zip");
                if remote.ziplocation != key {
                    return Err(wrong(format!("the outputs of this run are expected in {key} of the site's bucket.")));
                }
                let place = received.folder.0.join(name);
                received
                    .drafts
                    .extend(in_zip(&*state.app.ports().objects, &key, kind, remote.outputs, place, wrong).await?);
                received.zips.push(key);
            }
        }
    }
    Ok(received)
}

fn draft(
    kind: OutputKind,
    position: u32,
    title: &str,
    media_type: MediaType,
    body: (OutputBody, u64, String),
) -> OutputDraft {
    let (body, size, sha256) = body;
    let id = OutputId::from_uuid(Uuid::new_v4());
    OutputDraft { id, kind, position, title: title.to_owned(), media_type, size, sha256, body }
}

/// An output as a model returns it.
fn in_request(kind: OutputKind, position: u32, output: &Value) -> Result<OutputDraft, &'static str> {
    let title = output["title"].as_str().ok_or("an output has no title.")?;
    let media_type = output["media_type"].as_str().and_then(MediaType::parse).ok_or("a media type is none of ours.")?;
    let bytes = match &output["data"] {
        Value::String(text) if media_type.is_binary() => STANDARD.decode(text).map_err(|_| "data is no base64.")?,
        Value::String(text) => text.clone().into_bytes(),
        Value::Null => return Err("an output has no data."),
        other if media_type == MediaType::Bokeh => other.to_string().into_bytes(),
        _ => return Err("data of this media type is a text."),
    };
    let (size, sha256) = (bytes.len() as u64, hex::encode(Sha256::digest(&bytes)));
    Ok(draft(kind, position, title, media_type, (OutputBody::Bytes(bytes.into()), size, sha256)))
}

/// Outputs that are members of a zip file of the bucket.
async fn in_zip(
    objects: &dyn ObjectStorage,
    key: &str,
    kind: OutputKind,
    members: Vec<Member>,
    folder: PathBuf,
    wrong: impl Fn(String) -> ApiError,
) -> ApiResult<Vec<OutputDraft>> {
    let not_now = |error: &dyn std::fmt::Display| {
        tracing::warn!(%error, key, "outputs of a worker can't be read now");
        ApiError::detail(StatusCode::SERVICE_UNAVAILABLE, "The outputs can't be read now; tell the end again.")
    };
    let zip = folder.join("zip");
    match fetch(objects, key, &zip).await {
        Ok(()) => {}
        Err(ObjectError::NotFound { .. }) => return Err(wrong(format!("there is no {key} in the site's bucket."))),
        Err(error) => return Err(not_now(&error)),
    }
    let unpacked = tokio::task::spawn_blocking(move || unpack(&zip, kind, &members, &folder)).await;
    match unpacked.map_err(|error| not_now(&error))? {
        Ok(drafts) => Ok(drafts),
        Err(Unreadable::Archive(why)) => Err(wrong(format!("{key}: {why}"))),
        Err(Unreadable::Disk(error)) => Err(not_now(&error)),
    }
}

async fn fetch(objects: &dyn ObjectStorage, key: &str, file: &Path) -> Result<(), ObjectError> {
    let failed = |error: io::Error| ObjectError::Unavailable { key: key.to_owned(), cause: error.to_string() };
    if let Some(size) = objects.size(key).await?
        && size > LARGEST
    {
        return Err(failed(io::Error::other(format!("it has {size} bytes, and may have {LARGEST}"))));
    }
    let mut parts = objects.get(key, None).await?;
    tokio::fs::create_dir_all(file.parent().unwrap_or(file)).await.map_err(failed)?;
    let mut file = tokio::fs::File::create_new(file).await.map_err(failed)?;
    while let Some(part) = parts.try_next().await? {
        file.write_all(&part).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)
}

enum Unreadable {
    /// It is none, or lacks something.
    Archive(String),
    /// This machine has a problem.
    Disk(io::Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

fn unpack(zip: &Path, kind: OutputKind, members: &[Member], folder: &Path) -> Result<Vec<OutputDraft>, Unreadable> {
    let broken = |error: zip::result::ZipError| Unreadable::Archive(format!("it is no zip file: {error}."));
    let mut archive = ZipArchive::new(File::open(zip)?).map_err(broken)?;
    let mut left = LARGEST;
    members
        .iter()
        .zip(0..)
        .map(|(member, position)| {
            let Member { title, media_type, filename } = member;
            let media_type = MediaType::parse(media_type)
                .ok_or_else(|| Unreadable::Archive(format!("`{media_type}` is no media type of ours.")))?;
            let packed = archive.by_name(filename).map_err(|error| {
                Unreadable::Archive(format!("`{filename}`, which is named, can't be had: {error}."))
            })?;
            let file = folder.join(position.to_string());
            let (size, sha256) = save(packed, &file, left, filename)?;
            left -= size;
            if !media_type.is_binary() {
                check_text(&file, size, filename)?;
            }
            Ok(draft(kind, position, title, media_type, (OutputBody::File(file), size, sha256)))
        })
        .collect()
}

/// Writes a member into a file; gives its length and its hash.
fn save(packed: impl Read, file: &Path, most: u64, name: &str) -> Result<(u64, String), Unreadable> {
    let unreadable = |error: io::Error| Unreadable::Archive(format!("`{name}` can't be unpacked: {error}."));
    let (mut packed, mut file) = (packed.take(most + 1), File::create_new(file)?);
    let (mut hash, mut size, mut part) = (Sha256::new(), 0, vec![0; 64 * 1024]);
    loop {
        let count = packed.read(&mut part).map_err(unreadable)?;
        if count == 0 {
            return Ok((size, hex::encode(hash.finalize())));
        }
        size += count as u64;
        if size > most {
            return Err(Unreadable::Archive(format!("there are more than {LARGEST} bytes in it.")));
        }
        hash.update(&part[..count]);
        file.write_all(&part[..count])?;
    }
}

fn check_text(file: &Path, size: u64, name: &str) -> Result<(), Unreadable> {
    if size > LARGEST_TEXT {
        return Err(Unreadable::Archive(format!("`{name}` is a text of more than {LARGEST_TEXT} bytes.")));
    }
    match String::from_utf8(fs::read(file)?) {
        Ok(_) => Ok(()),
        Err(_) => Err(Unreadable::Archive(format!("`{name}` is no text."))),
    }
}
