//! Failures as the REST API words them: `{"detail": sentence}`, or `{"field": [sentences]}` for requests with errors.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use csw_app::AppError;
use serde_json::{Map, Value, json};

/// The answer of a handler of the REST API.
pub(crate) type ApiResult<T> = Result<T, ApiError>;

/// Seconds after which a part that does not answer may do so again.
pub(crate) const RETRY_AFTER: u32 = 5;

/// A refusal, ready to be sent.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: Value,
    retry_after: Option<u32>,
    anonymous: bool,
}

/// Marks an answer whose only trouble is that nobody said who they are; the publishing routes turn it into a 401.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NotAuthenticated;

impl ApiError {
    fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body, retry_after: None, anonymous: false }
    }

    /// A status with a sentence.
    pub(crate) fn detail(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self::new(status, json!({ "detail": sentence.into() }))
    }

    /// Errors of the request, by field.
    pub(crate) fn invalid(errors: Map<String, Value>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Value::Object(errors))
    }

    /// An error of one field.
    pub(crate) fn field(name: &str, sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, json!({ name: [sentence.into()] }))
    }

    /// A body of any shape.
    pub(crate) fn body(status: StatusCode, body: Value) -> Self {
        Self::new(status, body)
    }

    /// Something that is not there.
    pub(crate) fn not_found() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "Not found.")
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether its only trouble is that nobody said who they are, or not rightly.
    pub(crate) fn is_login_required(&self) -> bool {
        self.anonymous
    }

    /// It in one text, for programs that show no JSON.
    pub(crate) fn sentence(&self) -> String {
        let texts = match &self.body {
            Value::Object(fields) => match fields.get("message").or(fields.get("detail")) {
                Some(Value::String(text)) => vec![text.as_str()],
                _ => fields.values().filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect(),
            },
            _ => Vec::new(),
        };
        texts.join("\n")
    }

    /// A credential that is not good, or none.
    pub(crate) fn not_authenticated(sentence: &str) -> Self {
        Self { anonymous: true, ..Self::detail(StatusCode::FORBIDDEN, sentence) }
    }
}

impl From<AppError> for ApiError {
    fn from(error: AppError) -> Self {
        let sentence = error.to_string();
        match error {
            AppError::NotFound { .. } => {
                Self::new(StatusCode::NOT_FOUND, json!({ "detail": "Not found.", "message": sentence }))
            }
            AppError::LoginRequired | AppError::Credential { .. } => Self::not_authenticated(&sentence),
            AppError::Forbidden { sentence } => Self::detail(StatusCode::FORBIDDEN, sentence),
            AppError::Invalid { errors } | AppError::MetaParameters { errors } => {
                Self::new(StatusCode::BAD_REQUEST, errors)
            }
            AppError::Conflict { sentence } => Self::detail(StatusCode::CONFLICT, sentence),
            AppError::TooMany { sentence, retry_after_seconds } => {
                Self { retry_after: Some(retry_after_seconds), ..Self::detail(StatusCode::TOO_MANY_REQUESTS, sentence) }
            }
            AppError::ModelFailed { traceback } => Self::new(
                StatusCode::BAD_GATEWAY,
                json!({ "detail": "The model failed while it was asked for its inputs.", "traceback": traceback }),
            ),
            AppError::Unavailable { sentence } => {
                tracing::warn!(%sentence, "a request could not be served");
                Self { retry_after: Some(RETRY_AFTER), ..Self::detail(StatusCode::SERVICE_UNAVAILABLE, sentence) }
            }
            AppError::Internal { sentence } => {
                tracing::error!(%sentence, "a request failed");
                Self::detail(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "This is a defect of the server; its operator finds the cause in the log, by the request's id.",
                )
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.anonymous {
            response.extensions_mut().insert(NotAuthenticated);
        }
        response
    }
}

/// Turns refusals of anonymous requests into 401, as clients of the publishing routes expect.
pub(crate) async fn unauthorized(mut response: Response) -> Response {
    if response.extensions().get::<NotAuthenticated>().is_some() {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Token realm=\"api\""));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_a_defect_stays_in_the_log() {
        let error = ApiError::from(AppError::Internal { sentence: "row 7 of accounts".to_owned() });
        assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!error.body.to_string().contains("accounts"));
    }

    #[test]
    fn too_many_says_when_to_come_back() {
        let error = AppError::TooMany { sentence: "slow".to_owned(), retry_after_seconds: 7 };
        let response = ApiError::from(error).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "7");
    }
}
