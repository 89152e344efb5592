//! What every page shows of its visitor and its place, and how failures look to a person.

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use csw_app::AppError;
use csw_core::access::Caller;

use super::assets;

/// The frame of a page.
pub(crate) struct Page {
    /// The visitor's name, if they said one.
    pub(crate) name: Option<String>,
    /// Where they are, for the way back after signing in.
    pub(crate) path: String,
    /// A sentence at the top.
    pub(crate) notice: Option<String>,
    /// Where the site is, for examples.
    pub(crate) origin: String,
    /// Our version.
    pub(crate) release: &'static str,
}

impl Page {
    pub(crate) fn new(caller: &Caller, path: &str, origin: &str) -> Self {
        Self {
            name: match caller {
                Caller::Anonymous => None,
                Caller::Account { name, .. } => Some(name.clone()),
            },
            path: path.to_owned(),
            notice: None,
            origin: origin.to_owned(),
            release: env!("CARGO_PKG_VERSION"),
        }
    }

    pub(crate) fn asset(&self, file: &str) -> String {
        let _ = self;
        assets::url(file)
    }
}

/// Why a page can't be shown, with the page that says so.
pub(crate) struct PageError(Box<Failure>);

struct Failure {
    page: Page,
    error: AppError,
}

/// The answer of a handler.
pub(crate) type PageResult = Result<Response, PageError>;

impl PageError {
    pub(crate) fn new(page: Page, error: AppError) -> Self {
        Self(Box::new(Failure { page, error }))
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    page: Page,
    heading: &'static str,
    sentence: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let Failure { page, error } = *self.0;
        let sentence = sentence(&error);
        let (status, heading) = match &error {
            AppError::LoginRequired => {
                let next = percent_encoding::utf8_percent_encode(&page.path, percent_encoding::NON_ALPHANUMERIC);
                return Redirect::to(&format!("/users/login/?next={next}")).into_response();
            }
            AppError::NotFound { .. } => (StatusCode::NOT_FOUND, "Not found"),
            AppError::Forbidden { .. } => (StatusCode::FORBIDDEN, "Not allowed"),
            AppError::Invalid { .. } | AppError::MetaParameters { .. } => (StatusCode::BAD_REQUEST, "Not valid"),
            AppError::Conflict { .. } => (StatusCode::CONFLICT, "Not now"),
            AppError::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
            AppError::ModelFailed { .. } => (StatusCode::BAD_GATEWAY, "The model failed"),
            AppError::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Not available now"),
            AppError::Internal { sentence } => {
                tracing::error!(%sentence, "a page failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "Something broke")
            }
        };
        let retry = match &error {
            AppError::TooMany { retry_after_seconds, .. } => Some(*retry_after_seconds),
            _ => None,
        };
        let mut response = (status, show(&ErrorPage { page, heading, sentence })).into_response();
        if let Some(seconds) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// An error in words for a person.
pub(crate) fn sentence(error: &AppError) -> String {
    match error {
        AppError::Invalid { errors } | AppError::MetaParameters { errors } => problems(errors)
            .into_iter()
            .map(|(field, sentence)| if field.is_empty() { sentence } else { format!("{field}: {sentence}") })
            .collect::<Vec<_>>()
            .join(" "),
        AppError::NotFound { what } => format!("{}: it does not exist, or is not for you to see.", capital(what)),
        AppError::Internal { .. } => {
            "This is a defect of the site. Its operator finds the cause in the log.".to_owned()
        }
        other => other.to_string(),
    }
}

/// Errors by field, as a flat list.
pub(crate) fn problems(errors: &serde_json::Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let errors = errors.get("errors").filter(|inner| inner.is_object()).unwrap_or(errors);
    if let Some(fields) = errors.as_object() {
        for (field, messages) in fields {
            let name = if field == "non_field_errors" { String::new() } else { field.clone() };
            match messages {
                serde_json::Value::Array(list) => {
                    for message in list {
                        found.push((name.clone(), message.as_str().map_or_else(|| message.to_string(), str::to_owned)));
                    }
                }
                serde_json::Value::String(message) => found.push((name, message.clone())),
                other => found.push((name, other.to_string())),
            }
        }
    }
    found
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// Renders a template.
pub(crate) fn show(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a template failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
