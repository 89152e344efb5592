//! The thumbnail of an output.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use crate::{
    api::extract::{Path, id},
    auth::Identity,
    error::{ApiError, ApiResult},
    state::WebState,
};

/// The thumbnail of an output, for whoever may see the output: a PNG of 600 by 450 pixels.
#[utoipa::path(
    get,
    path = "/storage/screenshots/{file}", operation_id = "thumbnail",
    tag = "outputs",
    params(("file" = String, Path, description = "Identifier of the output, and `.png`")),
    responses(
        (status = 200, description = "The picture", content_type = "image/png"),
        (status = 403, description = "Its simulation is private"),
        (status = 404, description = "No such output, or it has no thumbnail, or not yet"),
    ),
)]
pub(super) async fn thumbnail(
    State(state): State<WebState>,
    Path(file): Path<String>,
    who: Identity,
) -> ApiResult<Response> {
    let output = id(file.strip_suffix(".png").ok_or_else(ApiError::not_found)?)?;
    let picture: Bytes = state.app.thumbnail(&who.caller, output).await?;
    let mut response = picture.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    // It never changes, but who may see it does.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=600"));
    Ok(response)
}
