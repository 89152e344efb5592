//! A single output: its bytes, or a range of them.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use csw_core::output::{MediaType, Output};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    api::{
        extract::{AtSimulation, Path, Query, SimulationPath, id},
        range::{Part, is_known, part, unsatisfiable},
    },
    error::ApiResult,
    state::WebState,
};

/// What a model made may hold scripts. It gets no origin, and can neither fetch nor send anything.
const SANDBOX: &str = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; \
                       style-src 'unsafe-inline'; img-src data: blob:; font-src data:; media-src data: blob:; \
                       form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// Browsers' own viewers of these types run nothing of the document's, and do not work in a sandbox.
const VIEWER: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'; \
                      object-src 'self'; frame-ancestors 'self'";

/// How to serve it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OutputQuery {
    /// `1` to save it as a file.
    download: Option<String>,
}

/// The bytes of an output. They never change: the tag is their SHA-256. Ranges are served.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/{model_pk}/outputs/{id}/", operation_id = "output",
    tag = "outputs",
    params(SimulationPath, ("id" = String, Path, description = "Identifier of the output"), OutputQuery),
    responses(
        (status = 200, description = "The bytes, with the content type of the output", content_type = "*/*"),
        (status = 206, description = "The range that was asked for"),
        (status = 302, description = "A large download: the address at the object storage, good for a short time"),
        (status = 304, description = "The client has them"),
        (status = 403),
        (status = 404),
        (status = 416, description = "It is shorter"),
    ),
)]
pub(super) async fn output(
    State(state): State<WebState>,
    Path((_, _, _, output)): Path<(String, String, String, String)>,
    at: AtSimulation,
    Query(query): Query<OutputQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let output = state.app.output(&at.view, id(&output)?).await?;
    let etag = format!("\"{}\"", output.sha256);
    let public = at.view.simulation.is_public && at.view.model.settings.is_public;
    if is_known(&headers, &etag) {
        return Ok(with_headers(StatusCode::NOT_MODIFIED, Body::empty(), &output, &etag, public));
    }
    let (status, range) = match part(&headers, output.size, Some(&etag)) {
        Part::Whole => (StatusCode::OK, None),
        Part::Bytes(range) => (StatusCode::PARTIAL_CONTENT, Some(range)),
        Part::Unsatisfiable => return Ok(unsatisfiable(output.size)),
    };
    let download = query.download.is_some_and(|text| text != "0");
    if download && let Some(address) = elsewhere(&state, &output).await {
        return Ok(address);
    }
    let length = range.as_ref().map_or(output.size, |range| range.end - range.start);
    let bytes = state.app.read_output(&output, range.clone()).await?;
    let mut response = with_headers(status, Body::from_stream(bytes), &output, &etag, public);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length.into());
    if let Some(range) = range {
        let text = format!("bytes {}-{}/{}", range.start, range.end - 1, output.size);
        headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("")));
    }
    let way = if download { "attachment" } else { "inline" };
    headers.insert(header::CONTENT_DISPOSITION, disposition(way, &output.filename));
    Ok(response)
}

/// The way to the object storage, for a large download where the operator wants that. What can't be signed comes from us.
async fn elsewhere(state: &WebState, output: &Output) -> Option<Response> {
    let signed = state.options.signed_downloads.filter(|signed| output.size >= signed.from_bytes)?;
    let disposition = disposition("attachment", &output.filename);
    match state.app.download_address(output, disposition.to_str().ok()?, signed.valid).await {
        Ok(address) => {
            let location = HeaderValue::try_from(address?).ok()?;
            let caching = HeaderValue::from_static("private, no-store");
            // Whoever reads the address in a `Referer` could read the output.
            let referrer = HeaderValue::from_static("no-referrer");
            let headers =
                [(header::LOCATION, location), (header::CACHE_CONTROL, caching), (header::REFERRER_POLICY, referrer)];
            Some((StatusCode::FOUND, headers).into_response())
        }
        Err(error) => {
            tracing::warn!(%error, "a download can't be signed");
            None
        }
    }
}

fn with_headers(status: StatusCode, body: Body, output: &Output, etag: &str, public: bool) -> Response {
    let policy = match output.media_type {
        MediaType::Pdf | MediaType::Mp3 | MediaType::Mp4 => VIEWER,
        _ => SANDBOX,
    };
    // The bytes never change, but who may see them does.
    let caching = if public { "public, max-age=60, must-revalidate" } else { "private, no-cache" };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, output.media_type.content_type()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, caching),
        (header::ACCEPT_RANGES, "bytes"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, value);
    }
    response
}

/// A `Content-Disposition` for any file name, in the two forms that browsers understand.
pub(super) fn disposition(way: &str, name: &str) -> HeaderValue {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && !"\"\\%;".contains(c) || c == ' ' { c } else { '_' }).collect();
    let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
    let text = format!("{way}; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_cannot_leave_their_quotes() {
        let value = disposition("attachment", "a\"b\r\nü.csv");
        let text = value.to_str().unwrap();
        assert!(text.starts_with("attachment; filename=\"a_b___.csv\"; filename*=UTF-8''a%22b%0D%0A"), "{text}");
    }
}
