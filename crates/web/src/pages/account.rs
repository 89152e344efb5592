//! Signing up, in and out; passwords; leaving.

use askama::Template;
use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use csw_app::AppError;
use serde_json::Value;

use super::{
    page::{Page, PageResult, problems, sentence, show},
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
    links: Vec<(&'static str, &'static str)>,
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

fn login_page(visitor: &Visitor, next: &str) -> AccountPage {
    AccountPage {
        page: visitor.page(),
        heading: "Sign in",
        lead: String::new(),
        problem: String::new(),
        action: "/users/login/".to_owned(),
        next: next.to_owned(),
        fields: vec![
            field("username", "Username or mail address", "text", "username"),
            field("password", "Password", "password", "current-password"),
        ],
        button: "Sign in",
        links: vec![("/users/signup/", "Make an account"), ("/users/password_reset/", "Forgot the password?")],
    }
}

fn signup_page(visitor: &Visitor) -> AccountPage {
    let mail = Field {
        required: false,
        hint: "For news of your runs; may stay empty.",
        ..field("email", "Mail address", "email", "email")
    };
    AccountPage {
        page: visitor.page(),
        heading: "Sign up",
        lead: "An account runs models and keeps its results.".to_owned(),
        problem: String::new(),
        action: "/users/signup/".to_owned(),
        next: String::new(),
        fields: vec![
            field("username", "Username", "text", "username"),
            mail,
            field("password1", "Password", "password", "new-password"),
            field("password2", "Password again", "password", "new-password"),
        ],
        button: "Sign up",
        links: vec![("/users/login/", "I have an account")],
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

/// Only places of this site: an open redirect would lend our name to others.
fn inside(next: &str) -> &str {
    let safe =
        next.starts_with('/') && !next.starts_with("//") && !next.contains('\\') && !next.contains(char::is_control);
    if safe { next } else { "/" }
}

fn with_cookie(response: impl IntoResponse, cookie: &str) -> Response {
    let mut response = response.into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

pub(crate) async fn login_form(visitor: Visitor) -> Response {
    let next = visitor.query.get("next").map_or("", String::as_str);
    show(&login_page(&visitor, inside(next)))
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
            Ok(with_cookie(Redirect::to(&next), &auth::session_cookie(&state, &secret)))
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
    Ok(with_cookie(Redirect::to("/"), &auth::expired_cookie(&state)))
}

pub(crate) async fn signup_form(visitor: Visitor) -> Response {
    show(&signup_page(&visitor))
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
            Ok(with_cookie(Redirect::to("/"), &auth::session_cookie(&state, &secret)))
        }
        Err(error) => Ok(again(signup_page(&visitor), &fields, &error)),
    }
}

fn reset_request_page(visitor: &Visitor) -> AccountPage {
    AccountPage {
        page: visitor.page(),
        heading: "Forgot the password?",
        lead: "Name the mail address of your account; a link to set a new password comes by mail.".to_owned(),
        problem: String::new(),
        action: "/users/password_reset/".to_owned(),
        next: String::new(),
        fields: vec![field("email", "Mail address", "email", "email")],
        button: "Send the link",
        links: vec![("/users/login/", "Sign in")],
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
        page: visitor.page(),
        heading: "Set a new password",
        lead: "The code is the part after # of the link in your mail.".to_owned(),
        problem: String::new(),
        action: "/users/reset/".to_owned(),
        next: String::new(),
        fields: vec![
            field("token", "Code", "text", "one-time-code"),
            field("new_password1", "New password", "password", "new-password"),
        ],
        button: "Set it",
        links: Vec::new(),
    }
}

pub(crate) async fn reset_form(visitor: Visitor) -> Response {
    show(&reset_page(&visitor))
}

pub(crate) async fn reset(visitor: Visitor, fields: Fields) -> PageResult {
    match visitor.app.reset_password(fields.get("token").trim(), fields.get("new_password1")).await {
        Ok(()) => Ok(Redirect::to("/users/login/").into_response()),
        Err(error) => Ok(again(reset_page(&visitor), &fields, &error)),
    }
}

fn password_page(visitor: &Visitor) -> AccountPage {
    AccountPage {
        page: visitor.page(),
        heading: "Change password",
        lead: "Other browsers are signed out.".to_owned(),
        problem: String::new(),
        action: "/users/password_change/".to_owned(),
        next: String::new(),
        fields: vec![
            Field { required: false, ..field("old_password", "Old password", "password", "current-password") },
            field("new_password1", "New password", "password", "new-password"),
        ],
        button: "Change",
        links: Vec::new(),
    }
}

pub(crate) async fn password_form(visitor: Visitor) -> PageResult {
    require_account(&visitor)?;
    Ok(show(&password_page(&visitor)))
}

pub(crate) async fn password(visitor: Visitor, fields: Fields) -> PageResult {
    let (old, new) = (fields.get("old_password"), fields.get("new_password1"));
    match visitor.app.change_password(&visitor.caller, old, new, visitor.session.as_deref()).await {
        Ok(()) => Ok(Redirect::to("/users/settings/").into_response()),
        Err(error) => Ok(again(password_page(&visitor), &fields, &error)),
    }
}

fn leave_page(visitor: &Visitor, delete: bool) -> AccountPage {
    AccountPage {
        page: visitor.page(),
        heading: if delete { "Delete account" } else { "Deactivate account" },
        lead: if delete {
            "Your tokens and private simulations are removed at once. Public simulations and models stay, without your name."
        } else {
            "You can look at everything, and change nothing, until an operator activates the account again."
        }
        .to_owned(),
        problem: String::new(),
        action: if delete { "/users/delete/" } else { "/users/cancel/" }.to_owned(),
        next: String::new(),
        fields: vec![field("confirm_username", "Type your username", "text", "off")],
        button: if delete { "Delete for ever" } else { "Deactivate" },
        links: vec![("/users/settings/", "Keep it")],
    }
}

pub(crate) async fn cancel_form(visitor: Visitor) -> PageResult {
    require_account(&visitor)?;
    Ok(show(&leave_page(&visitor, false)))
}

pub(crate) async fn cancel(visitor: Visitor, fields: Fields) -> PageResult {
    match visitor.app.deactivate(&visitor.caller, fields.get("confirm_username")).await {
        Ok(()) => Ok(Redirect::to("/").into_response()),
        Err(error) => Ok(again(leave_page(&visitor, false), &fields, &error)),
    }
}

pub(crate) async fn delete_form(visitor: Visitor) -> PageResult {
    require_account(&visitor)?;
    Ok(show(&leave_page(&visitor, true)))
}

pub(crate) async fn delete(visitor: Visitor, fields: Fields) -> PageResult {
    match visitor.app.delete_account(&visitor.caller, fields.get("confirm_username")).await {
        Ok(()) => Ok(Redirect::to("/").into_response()),
        Err(error) => Ok(again(leave_page(&visitor, true), &fields, &error)),
    }
}

pub(crate) fn require_account(visitor: &Visitor) -> Result<(), super::page::PageError> {
    match visitor.caller.account() {
        Some(_) => Ok(()),
        None => Err(visitor.fail(AppError::LoginRequired)),
    }
}

/// A page with one button.
pub(crate) fn confirmation(visitor: &Visitor, heading: &'static str, lead: String, button: &'static str) -> Response {
    let page = visitor.page();
    show(&AccountPage {
        action: page.path.clone(),
        page,
        heading,
        lead,
        problem: String::new(),
        next: String::new(),
        fields: Vec::new(),
        button,
        links: Vec::new(),
    })
}

/// The errors of an app's answer, by field.
pub(crate) fn errors_of(error: &AppError) -> Option<&Value> {
    match error {
        AppError::Invalid { errors } => Some(errors),
        _ => None,
    }
}
