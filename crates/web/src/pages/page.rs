//! What every page shows of its visitor and its place, and how failures look to a person.

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use csw_app::AppError;
use csw_core::access::Caller;

use super::assets;
use crate::error::RETRY_AFTER;

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
    /// `done` is the word that a form which was just sent left in the address.
    pub(crate) fn new(caller: &Caller, path: &str, origin: &str, done: &str) -> Self {
        let (name, active) = match caller {
            Caller::Anonymous | Caller::Workflow { .. } => (None, true),
            Caller::Account { name, active, .. } => (Some(name.clone()), *active),
        };
        let deactivated = "Your account is deactivated: you can look at everything, and change nothing.";
        Self {
            name,
            path: path.to_owned(),
            notice: if active { told(done).map(str::to_owned) } else { Some(deactivated.to_owned()) },
            origin: origin.to_owned(),
            release: env!("CARGO_PKG_VERSION"),
        }
    }

    pub(crate) fn asset(&self, file: &str) -> String {
        let _ = self;
        assets::url(file)
    }
}

/// What a form did, by the word it leaves in the address: a closed list, so that no address can put words in our mouth.
fn told(done: &str) -> Option<&'static str> {
    Some(match done {
        "saved" => "Saved.",
        "secret" => "Secret stored. Runs that begin from now on have it.",
        "unsecret" => "Secret deleted.",
        "shared" => "Access changed.",
        "invited" => "Invited. They find the invitation on the page of the simulation, and in their mail.",
        "accepted" => "You are an author of this simulation now.",
        "declined" => "Invitation declined.",
        "removed" => "Removed.",
        "deleted" => "Deleted.",
        "archived" => "Archived: it is no longer in your list.",
        "restored" => "Back in your list.",
        "revoked" => "Token revoked.",
        "trusted" => "These workflows may publish in your name from now on.",
        "untrusted" => "These workflows may not publish in your name any more.",
        "promoted" => "This version is live.",
        "password" => "The password is changed.",
        "reset" => "The password is set. Sign in with it.",
        "goodbye" => "Your account is gone.",
        _ => return None,
    })
}

/// On to another page of this site. Names of accounts may hold letters that a header can't.
pub(crate) fn go(url: &str) -> Response {
    let ascii = percent_encoding::utf8_percent_encode(url, percent_encoding::CONTROLS).to_string();
    Redirect::to(&ascii).into_response()
}

/// On to another page, which has a word on what was done.
pub(crate) fn done(url: &str, word: &str) -> Response {
    go(&format!("{url}?done={word}"))
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
    /// What a model said.
    traceback: Option<String>,
}

/// The page of an address that leads nowhere.
pub(crate) fn lost(page: Page) -> Response {
    let sentence = "There is no such page. It may have been removed, or its address may have a slip.".to_owned();
    let page = ErrorPage { page, heading: "Not found", sentence, traceback: None };
    (StatusCode::NOT_FOUND, show(&page)).into_response()
}

/// The page of an address that forms are sent to, for a browser that opens it.
pub(crate) fn forms_only(page: Page) -> Response {
    let sentence = "This address only takes what a form sends. Go back, and use the form again.".to_owned();
    let page = ErrorPage { page, heading: "Nothing to see here", sentence, traceback: None };
    (StatusCode::METHOD_NOT_ALLOWED, show(&page)).into_response()
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let Failure { page, error } = *self.0;
        let sentence = sentence(&error);
        let (status, heading) = match &error {
            AppError::LoginRequired => {
                let next = percent_encoding::utf8_percent_encode(&page.path, percent_encoding::NON_ALPHANUMERIC);
                return go(&format!("/users/login/?next={next}"));
            }
            AppError::NotFound { .. } => (StatusCode::NOT_FOUND, "Not found"),
            AppError::Forbidden { .. } | AppError::Credential { .. } => (StatusCode::FORBIDDEN, "Not allowed"),
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
            AppError::Unavailable { .. } => Some(RETRY_AFTER),
            _ => None,
        };
        let traceback = match error {
            AppError::ModelFailed { traceback } => Some(traceback),
            _ => None,
        };
        let mut response = (status, show(&ErrorPage { page, heading, sentence, traceback })).into_response();
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
        AppError::ModelFailed { .. } => {
            "It failed while it was asked for its inputs. Its author finds the cause in what it said:".to_owned()
        }
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
        Ok(html) => ([(header::CACHE_CONTROL, "private, no-cache")], Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a template failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_can_be_gone_to() {
        assert_eq!(go("/Zoë/Model/1/").headers()["location"], "/Zo%C3%AB/Model/1/");
        assert_eq!(done("/a/", "saved").headers()["location"], "/a/?done=saved");
    }

    #[test]
    fn addresses_put_no_words_in_our_mouth() {
        assert_eq!(told("saved"), Some("Saved."));
        assert_eq!(told("<b>send me your password</b>"), None);
    }
}
