//! Why a request is not carried out.

use std::io;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

pub(super) enum Refusal {
    /// The token is none of ours.
    Stranger,
    /// The run is somebody else's, or over.
    Gone,
    /// It is no run of the queue: only the server that asks knows it.
    Elsewhere,
    /// Not now.
    Later(String),
    /// It makes no sense.
    Nonsense(String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Later(format!("an output can't be kept on its way: {error}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Stranger => (StatusCode::UNAUTHORIZED, "this token is good for no run").into_response(),
            Self::Gone => (StatusCode::GONE, "the run is somebody else's now, or over").into_response(),
            Self::Elsewhere => (StatusCode::NOT_FOUND, "only the server knows this run: send it there").into_response(),
            Self::Later(cause) => (StatusCode::SERVICE_UNAVAILABLE, cause).into_response(),
            Self::Nonsense(cause) => (StatusCode::BAD_REQUEST, cause).into_response(),
        }
    }
}
