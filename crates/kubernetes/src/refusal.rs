//! What those are answered that call us with a token, and are not heard; and what they are known by.

use std::io;

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use csw_core::ports::ReportError;
use uuid::Uuid;

use crate::wire::PROCESS;

/// What a token is good for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    Run,
    Build,
}

impl Of {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Build => "build",
        }
    }
}

/// Why a request is not carried out.
pub(crate) enum Refusal {
    /// The token is none of ours.
    Stranger(Of),
    /// It is somebody else's, or over.
    Gone(Of),
    /// It is no run of the queue: only the server that asks knows it.
    Elsewhere,
    /// Not now.
    Later(String),
    /// It makes no sense.
    Nonsense(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Stranger(of) => {
                (StatusCode::UNAUTHORIZED, format!("this token is good for no {}", of.as_str())).into_response()
            }
            Self::Gone(of) => {
                (StatusCode::GONE, format!("the {} is somebody else's now, or over", of.as_str())).into_response()
            }
            Self::Elsewhere => (StatusCode::NOT_FOUND, "only the server knows this run: send it there").into_response(),
            Self::Later(cause) => (StatusCode::SERVICE_UNAVAILABLE, cause).into_response(),
            Self::Nonsense(cause) => (StatusCode::BAD_REQUEST, cause).into_response(),
        }
    }
}

impl From<ReportError> for Refusal {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Stale { .. } => Self::Gone(Of::Run),
            ReportError::Unavailable { cause, .. } => Self::Later(cause),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Later(format!("an output can't be kept on its way: {error}"))
    }
}

pub(crate) type Answer<T> = Result<T, Refusal>;

/// The text of a header.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    text(headers, header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "))
}

/// The process that asks.
pub(crate) fn process(headers: &HeaderMap) -> Answer<Uuid> {
    let process = text(headers, PROCESS).and_then(|text| text.parse().ok());
    process.ok_or_else(|| Refusal::Nonsense(format!("the header {PROCESS} is missing")))
}

/// Where a process is not known that may be one of a former server's.
pub(crate) fn just_started() -> Refusal {
    Refusal::Later("the server has just started; ask again".to_owned())
}
