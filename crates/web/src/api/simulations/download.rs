//! All files of a simulation in one archive, written as it is sent.

use std::io::{self, Write};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use csw_app::App;
use csw_core::output::{MediaType, Output, OutputKind};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::outputs::disposition;
use crate::{
    api::{
        extract::{AtSimulation, Query, SimulationPath},
        outputs_json,
    },
    error::{ApiError, ApiResult},
    state::WebState,
};

/// Parts that wait for a slow client.
const WAITING: usize = 4;

/// Bytes that are gathered before they are handed on.
const PART: usize = 64 * 1024;

/// Members above this size need the archive's long form.
const LARGE: u64 = 0xFFFF_0000;

/// What to put in.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DownloadQuery {
    /// `downloadable` (the default), `renderable`, or `all`.
    category: Option<String>,
    /// `1` for one JSON document with all outputs instead of an archive.
    raw_json: Option<String>,
}

/// All files of a simulation as a zip archive.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/{model_pk}/download/", operation_id = "download_outputs",
    tag = "outputs",
    params(SimulationPath, DownloadQuery),
    responses(
        (status = 200, description = "The archive", content_type = "application/zip"),
        (status = 403, description = "It is private"),
        (status = 404, description = "No such simulation, or it has no outputs"),
    ),
)]
pub(super) async fn download(
    State(state): State<WebState>,
    at: AtSimulation,
    Query(query): Query<DownloadQuery>,
) -> ApiResult<Response> {
    let simulation = &at.view.simulation;
    let outputs = state.app.outputs(&at.view).await?;
    if outputs.is_empty() {
        return Err(ApiError::not_found());
    }
    let name = format!("{}_{}", simulation.model_title, simulation.number);
    if query.raw_json.is_some_and(|text| text != "0") {
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of a run")]
        let seconds = simulation.run_milliseconds as f64 / 1000.0;
        let meta = json!({ "task_times": [seconds], "model_version": simulation.model_version });
        let head = format!("{{\"meta\":{meta},\"result\":").into_bytes();
        let body = outputs_json::stream(state.app.clone(), head, outputs, ",\"status\":\"SUCCESS\"}");
        return Ok(attachment(body, "text/plain; charset=utf-8", &format!("{name}.json")));
    }
    let kinds: &[OutputKind] = match query.category.as_deref() {
        Some("renderable") => &[OutputKind::Renderable],
        Some("all") => &[OutputKind::Renderable, OutputKind::Downloadable],
        _ => &[OutputKind::Downloadable],
    };
    let outputs: Vec<_> = outputs.into_iter().filter(|output| kinds.contains(&output.kind)).collect();
    if outputs.is_empty() {
        return Err(ApiError::not_found());
    }
    let body = archive(state.app.clone(), outputs, kinds.len() > 1);
    Ok(attachment(body, "application/zip", &format!("{name}.zip")))
}

fn attachment(body: Body, kind: &'static str, name: &str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_DISPOSITION, disposition("attachment", name));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// The archive as a body. With `folders`, each list of outputs has its own.
fn archive(app: App, outputs: Vec<Output>, folders: bool) -> Body {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(WAITING);
    let runtime = tokio::runtime::Handle::current();
    // Deflating is work for a thread of its own, which waits for storage and for the client.
    tokio::task::spawn_blocking(move || {
        let pipe = Pipe { buffer: Vec::with_capacity(PART), sender: sender.clone() };
        if let Err(error) = write(&runtime, &app, &outputs, folders, pipe) {
            if !sender.is_closed() {
                tracing::error!(%error, "an archive can't be sent");
            }
            let _ = sender.blocking_send(Err(error));
        }
    });
    Body::from_stream(ReceiverStream::new(receiver))
}

fn write(runtime: &tokio::runtime::Handle, app: &App, outputs: &[Output], folders: bool, pipe: Pipe) -> io::Result<()> {
    let mut zip = ZipWriter::new_stream(pipe);
    for output in outputs {
        let packed = matches!(output.media_type, MediaType::Png | MediaType::Jpeg | MediaType::Mp3 | MediaType::Mp4);
        let method = if packed { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default().compression_method(method).large_file(output.size > LARGE);
        let name =
            if folders { format!("{}/{}", output.kind.as_str(), output.filename) } else { output.filename.clone() };
        zip.start_file(name, options).map_err(io::Error::other)?;
        let mut bytes = runtime.block_on(app.read_output(output, None)).map_err(io::Error::other)?;
        while let Some(part) = runtime.block_on(bytes.next()) {
            zip.write_all(&part.map_err(io::Error::other)?)?;
        }
    }
    zip.finish().map_err(io::Error::other)?.into_inner().flush()
}

/// The writing end of the body.
struct Pipe {
    buffer: Vec<u8>,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(PART)));
        self.sender.blocking_send(Ok(part)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
