//! Logging in and out, signing up, passwords, and the caller's own account: the routes that clients of 1.6 know.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use csw_app::AppError;
use csw_core::account::{Account, AccountPatch};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::Fields,
    dto::{KeyBody, UserBody},
};
use crate::{
    auth::{self, Identity},
    error::ApiResult,
    state::WebState,
};

/// Days that tokens of `/api-token-auth/` last.
const TOKEN_DAYS: u32 = 365;

/// Tokens of one log-in route that an account keeps; the least recently used one gives way.
const KEPT: usize = 30;

/// The routes of log-in.
pub(super) fn router() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(token))
        .routes(routes!(login))
        .routes(routes!(logout))
        .routes(routes!(user, put_user, patch_user))
        .routes(routes!(change_password))
        .routes(routes!(request_reset))
        .routes(routes!(confirm_reset))
        .routes(routes!(register))
        .routes(routes!(verify_address))
}

/// A name and a password.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; handlers take them from any kind of body")]
struct Credentials {
    username: String,
    password: String,
}

/// A token.
#[derive(Serialize, ToSchema)]
struct TokenAnswer {
    /// The text to send as `Authorization: Token ...`.
    token: String,
}

/// Something that was done.
#[derive(Serialize, ToSchema)]
struct Done {
    detail: &'static str,
}

async fn account(state: &WebState, who: &Guest, mut fields: Fields) -> ApiResult<Account> {
    let (name, password) = (fields.required("username"), fields.required("password"));
    fields.check()?;
    Ok(state.app.log_in(&name, &password, who.from).await?)
}

/// A token of a log-in, in place of the least recently used one where there are many.
async fn issue(state: &WebState, account: &Account, name: &str, days: u32) -> ApiResult<String> {
    let caller = account.caller();
    let mut tokens: Vec<_> = state.app.tokens(&caller).await?.into_iter().filter(|token| token.name == name).collect();
    tokens.sort_by_key(|token| token.last_used_at.unwrap_or(token.created_at));
    let surplus = (tokens.len() + 1).saturating_sub(KEPT);
    for token in tokens.iter().take(surplus) {
        state.app.delete_token(&caller, token.id).await?;
    }
    Ok(state.app.create_token(&caller, name, Some(days)).await?.1)
}

/// Somebody who does not need to say who they are: a credential that came along is not looked at.
struct Guest {
    from: std::net::IpAddr,
}

impl axum::extract::FromRequestParts<WebState> for Guest {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &WebState,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self { from: auth::address(parts, state) })
    }
}

/// Get a token for a name and a password. It works for a year, and is in the list of the account's tokens.
#[utoipa::path(
    post,
    path = "/api-token-auth/", operation_id = "token_for_password",
    tag = "log-in",
    request_body = Credentials,
    responses((status = 200, body = TokenAnswer), (status = 400), (status = 429)),
)]
async fn token(State(state): State<WebState>, who: Guest, fields: Fields) -> ApiResult<Json<TokenAnswer>> {
    let account = account(&state, &who, fields).await?;
    Ok(Json(TokenAnswer { token: issue(&state, &account, "api-token-auth", TOKEN_DAYS).await? }))
}

fn with_session(state: &WebState, secret: &str) -> ApiResult<HeaderMap> {
    cookie_header(&auth::session_cookie(state, secret))
}

fn cookie_header(text: &str) -> ApiResult<HeaderMap> {
    let value = HeaderValue::from_str(text)
        .map_err(|error| AppError::Internal { sentence: format!("a cookie can't be written: {error}") })?;
    Ok(HeaderMap::from_iter([(header::SET_COOKIE, value)]))
}

async fn open(state: &WebState, account: &Account) -> ApiResult<(HeaderMap, Json<KeyBody>)> {
    let days = u32::try_from(state.app.config().session_days).unwrap_or(TOKEN_DAYS);
    let key = issue(state, account, "rest-auth-login", days).await?;
    let secret = state.app.open_session(account.id).await?;
    Ok((with_session(state, &secret)?, Json(KeyBody { key })))
}

/// Log in: opens a browser's session, and answers a token.
#[utoipa::path(
    post,
    path = "/rest-auth/login/",
    tag = "log-in",
    request_body = Credentials,
    responses((status = 200, body = KeyBody), (status = 400), (status = 429)),
)]
async fn login(State(state): State<WebState>, who: Guest, fields: Fields) -> ApiResult<(HeaderMap, Json<KeyBody>)> {
    let account = account(&state, &who, fields).await?;
    open(&state, &account).await
}

/// Log out: ends the browser's session. Tokens stay; they are revoked in their list.
#[utoipa::path(post, path = "/rest-auth/logout/", tag = "log-in", responses((status = 200, body = Done)))]
async fn logout(State(state): State<WebState>, who: Identity) -> ApiResult<(HeaderMap, Json<Done>)> {
    if let Some(session) = &who.session {
        state.app.close_session(session).await?;
    }
    let done = Done { detail: "Successfully logged out." };
    Ok((cookie_header(&auth::expired_cookie(&state))?, Json(done)))
}

/// The caller's own account.
#[utoipa::path(
    get,
    path = "/rest-auth/user/", operation_id = "own_account",
    tag = "log-in",
    responses((status = 200, body = UserBody), (status = 403, description = "Not logged in")),
)]
async fn user(who: Identity) -> ApiResult<Json<UserBody>> {
    Ok(Json((&who.account.ok_or(AppError::LoginRequired)?).into()))
}

/// Changes to the caller's own account; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; handlers take them from any kind of body")]
struct UserChanges {
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
}

/// Change the caller's own account. The name stays.
#[utoipa::path(
    put,
    path = "/rest-auth/user/", operation_id = "change_own_account",
    tag = "log-in",
    request_body = UserChanges,
    responses((status = 200, body = UserBody), (status = 400), (status = 403, description = "Not logged in")),
)]
async fn put_user(State(state): State<WebState>, who: Identity, fields: Fields) -> ApiResult<Json<UserBody>> {
    change_user(&state, &who, fields).await
}

/// The same.
#[utoipa::path(
    patch,
    path = "/rest-auth/user/", operation_id = "patch_own_account",
    tag = "log-in",
    request_body = UserChanges,
    responses((status = 200, body = UserBody), (status = 400), (status = 403, description = "Not logged in")),
)]
async fn patch_user(State(state): State<WebState>, who: Identity, fields: Fields) -> ApiResult<Json<UserBody>> {
    change_user(&state, &who, fields).await
}

async fn change_user(state: &WebState, who: &Identity, mut fields: Fields) -> ApiResult<Json<UserBody>> {
    let account = who.account.as_ref().ok_or(AppError::LoginRequired)?;
    if fields.text("username").is_some_and(|name| name != account.name.as_str()) {
        fields.refuse("username", "A username can't be changed: models and simulations are found by it.");
    }
    let mut patch = AccountPatch { email: fields.text("email"), ..AccountPatch::default() };
    for (name, place) in [("first_name", &mut patch.first_name), ("last_name", &mut patch.last_name)] {
        *place = fields.text(name);
        if place.as_ref().is_some_and(|text| text.chars().count() > 150) {
            fields.refuse(name, "Ensure this field has no more than 150 characters.");
        }
    }
    fields.check()?;
    Ok(Json((&state.app.update_account(&who.caller, patch).await?).into()))
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
struct PasswordChange {
    /// The one before.
    old_password: String,
    new_password1: String,
    /// The same again.
    new_password2: String,
}

fn new_password(fields: &mut Fields) -> String {
    let (first, second) = (fields.required("new_password1"), fields.required("new_password2"));
    if first != second {
        fields.refuse("new_password2", "The two password fields didn't match.");
    }
    first
}

/// Change the caller's password. All other sessions end.
#[utoipa::path(
    post,
    path = "/rest-auth/password/change/",
    tag = "log-in",
    request_body = PasswordChange,
    responses((status = 200, body = Done), (status = 400), (status = 403, description = "Not logged in")),
)]
async fn change_password(State(state): State<WebState>, who: Identity, mut fields: Fields) -> ApiResult<Json<Done>> {
    if who.account.is_none() {
        return Err(AppError::LoginRequired.into());
    }
    let old = fields.text("old_password").unwrap_or_default();
    let new = new_password(&mut fields);
    fields.check()?;
    state.app.change_password(&who.caller, &old, &new, who.session.as_deref()).await?;
    Ok(Json(Done { detail: "New password has been saved." }))
}

/// An address.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the field; the handler takes it from any kind of body")]
struct Address {
    email: String,
}

/// Ask for a link to set a new password. The answer is the same whether or not the address is known.
#[utoipa::path(
    post,
    path = "/rest-auth/password/reset/", operation_id = "request_password_reset",
    tag = "log-in",
    request_body = Address,
    responses((status = 200, body = Done), (status = 400), (status = 429)),
)]
async fn request_reset(State(state): State<WebState>, who: Guest, mut fields: Fields) -> ApiResult<Json<Done>> {
    let email = fields.required("email");
    fields.check()?;
    state.app.request_password_reset(&email, who.from).await?;
    Ok(Json(Done { detail: "Password reset e-mail has been sent." }))
}

/// A new password, by a link.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
struct ResetConfirmation {
    /// The part of the link behind `#`.
    token: String,
    new_password1: String,
    /// The same again.
    new_password2: String,
}

/// Set a new password by a mailed link, which works once. All sessions end.
#[utoipa::path(
    post,
    path = "/rest-auth/password/reset/confirm/", operation_id = "reset_password",
    tag = "log-in",
    request_body = ResetConfirmation,
    responses((status = 200, body = Done), (status = 400)),
)]
async fn confirm_reset(State(state): State<WebState>, mut fields: Fields) -> ApiResult<Json<Done>> {
    let token = fields.required("token");
    let new = new_password(&mut fields);
    fields.check()?;
    state.app.reset_password(&token, &new).await?;
    Ok(Json(Done { detail: "Password has been reset with the new password." }))
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
struct Registration {
    username: String,
    /// May stay empty.
    email: Option<String>,
    password1: String,
    /// The same again.
    password2: String,
}

/// Sign up: makes an account, opens a session, and answers a token.
#[utoipa::path(
    post,
    path = "/rest-auth/registration/",
    tag = "log-in",
    request_body = Registration,
    responses(
        (status = 201, body = KeyBody),
        (status = 400),
        (status = 403, description = "This site makes accounts by invitation"),
        (status = 429),
    ),
)]
async fn register(
    State(state): State<WebState>,
    who: Guest,
    mut fields: Fields,
) -> ApiResult<(StatusCode, HeaderMap, Json<KeyBody>)> {
    let (name, password) = (fields.required("username"), fields.required("password1"));
    let email = fields.text("email").unwrap_or_default();
    if fields.required("password2") != password {
        fields.refuse("non_field_errors", "The two password fields didn't match.");
    }
    fields.check()?;
    let account = state.app.register(&name, &email, &password, who.from).await?;
    let (headers, key) = open(&state, &account).await?;
    Ok((StatusCode::CREATED, headers, key))
}

/// The key of a mailed link.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the field; the handler takes it from any kind of body")]
struct AddressKey {
    key: String,
}

/// Confirm a mail address by a mailed key. Addresses are not verified on this site: accounts work at once, and no key is
/// ever mailed, so that none is known.
#[utoipa::path(
    post,
    path = "/rest-auth/registration/verify-email/", operation_id = "verify_address",
    tag = "log-in",
    request_body = AddressKey,
    responses((status = 400), (status = 404, description = "No such key")),
)]
async fn verify_address(mut fields: Fields) -> ApiResult<Json<Done>> {
    fields.required("key");
    fields.check()?;
    Err(AppError::missing("this key").into())
}
