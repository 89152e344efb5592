//! Signing up, in and out; passwords; leaving.

use askama::Template;
use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use csw_app::AppError;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{
    page::{Page, PageError, PageResult, done, go, problems, sentence, show},
    visitor::{Fields, Visitor},
};
use crate::auth;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    page: Page,
    heading: &'static str,
    lead: String,
    problem: String,
    action: String,
    next: String,
    fields: Vec<Field>,
    button: &'static str,
    /// Whether the button destroys something.
    danger: bool,
    links: Vec<(String, &'static str)>,
}

/// A form that asks for nothing yet.
fn blank(visitor: &Visitor, heading: &'static str, action: &str, button: &'static str) -> AccountPage {
    AccountPage {
        page: visitor.page(),
        heading,
        lead: String::new(),
        problem: String::new(),
        action: action.to_owned(),
        next: String::new(),
        fields: Vec::new(),
        button,
        danger: false,
        links: Vec::new(),
    }
}

struct Field {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    kind: &'static str,
    autocomplete: &'static str,
    value: String,
    required: bool,
    problem: String,
}

fn field(name: &'static str, label: &'static str, kind: &'static str, autocomplete: &'static str) -> Field {
    Field { name, label, hint: "", kind, autocomplete, value: String::new(), required: true, problem: String::new() }
}

/// The address of a form that leads back to where the visitor came from.
fn with_next(address: &str, next: &str) -> String {
    if next == "/" {
        return address.to_owned();
    }
    format!("{address}?next={}", utf8_percent_encode(next, NON_ALPHANUMERIC))
}

fn login_page(visitor: &Visitor, next: &str) -> AccountPage {
    AccountPage {
        next: next.to_owned(),
        fields: vec![
            field("username", "Username or mail address", "text", "username"),
            field("password", "Password", "password", "current-password"),
        ],
        links: vec![
            (with_next("/users/signup/", next), "Make an account"),
            ("/users/password_reset/".to_owned(), "Forgot the password?"),
        ],
        ..blank(visitor, "Sign in", "/users/login/", "Sign in")
    }
}

fn signup_page(visitor: &Visitor, next: &str) -> AccountPage {
    let mail = Field {
        required: false,
        hint: "For news of your runs; may stay empty.",
        ..field("email", "Mail address", "email", "email")
    };
    AccountPage {
        lead: "An account runs models and keeps its results.".to_owned(),
        next: next.to_owned(),
        fields: vec![
            Field { hint: "Letters, digits and - . _ + @", ..field("username", "Username", "text", "username") },
            mail,
            Field { hint: "At least 8 characters.", ..field("password1", "Password", "password", "new-password") },
            field("password2", "Password again", "password", "new-password"),
        ],
        links: vec![(with_next("/users/login/", next), "I have an account")],
        ..blank(visitor, "Sign up", "/users/signup/", "Sign up")
    }
}

/// Shows a form again with what was sent (but no passwords) and what is wrong with it.
fn again(mut form: AccountPage, fields: &Fields, error: &AppError) -> Response {
    let found = match error {
        AppError::Invalid { errors } => problems(errors),
        other => vec![(String::new(), sentence(other))],
    };
    for field in &mut form.fields {
        if field.kind != "password" {
            fields.get(field.name).clone_into(&mut field.value);
        }
    }
    for (name, sentence) in found {
        match form.fields.iter_mut().find(|field| field.name == name) {
            Some(field) => field.problem = sentence,
            None => form.problem = sentence,
        }
    }
    show(&form)
}

/// Only places of this site: an open redirect would lend our name to others. Whoever is in has no use for the door.
fn inside(next: &str) -> &str {
    let safe =
        next.starts_with('/') && !next.starts_with("//") && !next.contains('\\') && !next.contains(char::is_control);
    let door = ["/users/login", "/users/signup", "/users/reset", "/users/password_reset"];
    if safe && !door.iter().any(|door| next.starts_with(door)) { next } else { "/" }
}

fn with_cookie(response: impl IntoResponse, cookie: &str) -> Response {
    let mut response = response.into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

pub(crate) async fn login_form(visitor: Visitor) -> Response {
    show(&login_page(&visitor, inside(visitor.asked("next"))))
}

pub(crate) async fn login(
    axum::extract::State(state): axum::extract::State<crate::state::WebState>,
    visitor: Visitor,
    fields: Fields,
) -> PageResult {
    match visitor.app.log_in(fields.get("username"), fields.get("password"), visitor.from).await {
        Ok(account) => {
            let secret = visitor.take(visitor.app.open_session(account.id).await)?;
            let next = inside(fields.get("next")).to_owned();
            Ok(with_cookie(go(&next), &auth::session_cookie(&state, &secret)))
        }
        Err(error) => Ok(again(login_page(&visitor, inside(fields.get("next"))), &fields, &error)),
    }
}

pub(crate) async fn logout(
    axum::extract::State(state): axum::extract::State<crate::state::WebState>,
    visitor: Visitor,
) -> PageResult {
    if let Some(session) = &visitor.session {
        visitor.take(visitor.app.close_session(session).await)?;
    }
    Ok(with_cookie(go("/"), &auth::expired_cookie(&state)))
}

pub(crate) async fn signup_form(visitor: Visitor) -> Response {
    show(&signup_page(&visitor, inside(visitor.asked("next"))))
}

pub(crate) async fn signup(
    axum::extract::State(state): axum::extract::State<crate::state::WebState>,
    visitor: Visitor,
    fields: Fields,
) -> PageResult {
    let password = fields.get("password1");
    let made = if password == fields.get("password2") {
        visitor.app.register(fields.get("username"), fields.get("email"), password, visitor.from).await
    } else {
        Err(AppError::field("password2", "The two password fields didn't match."))
    };
    match made {
        Ok(account) => {
            let secret = visitor.take(visitor.app.open_session(account.id).await)?;
            let next = inside(fields.get("next"));
            Ok(with_cookie(go(next), &auth::session_cookie(&state, &secret)))
        }
        Err(error) => Ok(again(signup_page(&visitor, inside(fields.get("next"))), &fields, &error)),
    }
}

fn reset_request_page(visitor: &Visitor) -> AccountPage {
    AccountPage {
        lead: "Name the mail address of your account; a link to set a new password comes by mail.".to_owned(),
        fields: vec![field("email", "Mail address", "email", "email")],
        links: vec![("/users/login/".to_owned(), "Sign in")],
        ..blank(visitor, "Forgot the password?", "/users/password_reset/", "Send the link")
    }
}

pub(crate) async fn reset_request_form(visitor: Visitor) -> Response {
    show(&reset_request_page(&visitor))
}

pub(crate) async fn reset_request(visitor: Visitor, fields: Fields) -> PageResult {
    visitor.take(visitor.app.request_password_reset(fields.get("email"), visitor.from).await)?;
    let mut form = reset_request_page(&visitor);
    form.page.notice = Some("If an account has this address, a link is on its way.".to_owned());
    Ok(show(&form))
}

fn reset_page(visitor: &Visitor) -> AccountPage {
    AccountPage {
        lead: "The code is the part after # of the link in your mail.".to_owned(),
        fields: vec![
            field("token", "Code", "text", "one-time-code"),
            field("new_password1", "New password", "password", "new-password"),
        ],
        ..blank(visitor, "Set a new password", "/users/reset/", "Set it")
    }
}

pub(crate) async fn reset_form(visitor: Visitor) -> Response {
    show(&reset_page(&visitor))
}

pub(crate) async fn reset(visitor: Visitor, fields: Fields) -> PageResult {
    match visitor.app.reset_password(fields.get("token").trim(), fields.get("new_password1")).await {
        Ok(()) => Ok(done("/users/login/", "reset")),
        Err(error) => Ok(again(reset_page(&visitor), &fields, &error)),
    }
}

fn password_page(visitor: &Visitor) -> AccountPage {
    AccountPage {
        lead: "Other browsers are signed out.".to_owned(),
        fields: vec![
            Field {
                required: false,
                hint: "May stay empty if the account never had one.",
                ..field("old_password", "Old password", "password", "current-password")
            },
            field("new_password1", "New password", "password", "new-password"),
        ],
        links: vec![("/users/settings/".to_owned(), "Keep the old one")],
        ..blank(visitor, "Change password", "/users/password_change/", "Change")
    }
}

pub(crate) async fn password_form(visitor: Visitor) -> PageResult {
    require_account(&visitor)?;
    Ok(show(&password_page(&visitor)))
}

pub(crate) async fn password(visitor: Visitor, fields: Fields) -> PageResult {
    require_account(&visitor)?;
    let (old, new) = (fields.get("old_password"), fields.get("new_password1"));
    match visitor.app.change_password(&visitor.caller, old, new, visitor.session.as_deref()).await {
        Ok(()) => Ok(done("/users/settings/", "password")),
        Err(error) => Ok(again(password_page(&visitor), &fields, &error)),
    }
}

fn leave_page(visitor: &Visitor, delete: bool) -> AccountPage {
    let (heading, action, button, lead) = if delete {
        (
            "Delete account",
            "/users/delete/",
            "Delete for ever",
            "Your tokens and private simulations are removed at once. Public simulations and models stay, without your name.",
        )
    } else {
        (
            "Deactivate account",
            "/users/cancel/",
            "Deactivate",
            "You can look at everything, and change nothing, until an operator activates the account again.",
        )
    };
    AccountPage {
        lead: lead.to_owned(),
        fields: vec![field("confirm_username", "Type your username", "text", "off")],
        danger: true,
        links: vec![("/users/settings/".to_owned(), "Keep it")],
        ..blank(visitor, heading, action, button)
    }
}

pub(crate) async fn cancel_form(visitor: Visitor) -> PageResult {
    require_account(&visitor)?;
    Ok(show(&leave_page(&visitor, false)))
}

pub(crate) async fn cancel(visitor: Visitor, fields: Fields) -> PageResult {
    require_account(&visitor)?;
    match visitor.app.deactivate(&visitor.caller, fields.get("confirm_username")).await {
        Ok(()) => Ok(go("/")),
        Err(error) => Ok(again(leave_page(&visitor, false), &fields, &error)),
    }
}

pub(crate) async fn delete_form(visitor: Visitor) -> PageResult {
    require_account(&visitor)?;
    Ok(show(&leave_page(&visitor, true)))
}

pub(crate) async fn delete(visitor: Visitor, fields: Fields) -> PageResult {
    require_account(&visitor)?;
    match visitor.app.delete_account(&visitor.caller, fields.get("confirm_username")).await {
        Ok(()) => Ok(done("/", "goodbye")),
        Err(error) => Ok(again(leave_page(&visitor, true), &fields, &error)),
    }
}

pub(crate) fn require_account(visitor: &Visitor) -> Result<(), PageError> {
    match visitor.caller.account() {
        Some(_) => Ok(()),
        None => Err(visitor.fail(AppError::LoginRequired)),
    }
}

/// A question before something is done.
pub(crate) struct Confirmation {
    pub(crate) heading: &'static str,
    pub(crate) lead: String,
    /// Where the answer goes.
    pub(crate) action: String,
    pub(crate) button: &'static str,
    /// Whether it destroys something.
    pub(crate) danger: bool,
    /// The way back.
    pub(crate) back: (String, &'static str),
}

/// A page with one button.
pub(crate) fn confirmation(visitor: &Visitor, asked: Confirmation) -> Response {
    show(&AccountPage {
        lead: asked.lead,
        danger: asked.danger,
        links: vec![asked.back],
        ..blank(visitor, asked.heading, &asked.action, asked.button)
    })
}

/// The errors of an app's answer, by field.
pub(crate) fn errors_of(error: &AppError) -> Option<&Value> {
    match error {
        AppError::Invalid { errors } => Some(errors),
        _ => None,
    }
}
