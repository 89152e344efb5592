//! Style sheet and scripts, embedded in the binary. Their names in pages carry a digest, so that browsers keep them.

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// The URL of a file, with a digest of its content.
pub(crate) fn url(file: &str) -> String {
    match Files::get(file) {
        Some(found) => format!("/static/{file}?v={}", hex::encode(&found.metadata.sha256_hash()[..6])),
        None => format!("/static/{file}"),
    }
}

/// What browsers ask for where no page names an icon.
pub(crate) async fn icon() -> Response {
    serve(Path("icon.svg".to_owned())).await
}

pub(crate) async fn serve(Path(file): Path<String>) -> Response {
    match Files::get(&file) {
        Some(found) => {
            let kind = mime_guess::from_path(&file).first_or_octet_stream();
            (
                [
                    (header::CONTENT_TYPE, kind.as_ref().to_owned()),
                    (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
                    // Frames without an origin load their scripts from here.
                    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
                ],
                found.data,
            )
                .into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
