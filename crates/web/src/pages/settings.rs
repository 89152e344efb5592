//! API tokens, and the way to everything else about an account.

use askama::Template;
use axum::{
    extract::Path,
    response::{IntoResponse, Redirect},
};
use csw_app::AppError;
use csw_core::ids::TokenId;

use super::{
    page::{Page, PageError, PageResult, show},
    render::when,
    visitor::{Fields, Visitor},
};

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings {
    page: Page,
    secret: Option<String>,
    tokens: Vec<TokenLine>,
}

struct TokenLine {
    id: String,
    name: String,
    prefix: String,
    created: String,
    expires: String,
    used: String,
}

async fn page(visitor: &Visitor, secret: Option<String>) -> Result<Settings, PageError> {
    let tokens = visitor.take(visitor.app.tokens(&visitor.caller).await)?;
    let tokens = tokens.into_iter().map(|token| TokenLine {
        id: token.id.to_string(),
        name: token.name,
        prefix: token.prefix,
        created: when(token.created_at),
        expires: token.expires_at.map_or_else(|| "never".to_owned(), when),
        used: token.last_used_at.map_or_else(|| "not yet".to_owned(), when),
    });
    Ok(Settings { page: visitor.page(), secret, tokens: tokens.collect() })
}

pub(crate) async fn settings(visitor: Visitor) -> PageResult {
    Ok(show(&page(&visitor, None).await?))
}

pub(crate) async fn make_token(visitor: Visitor, fields: Fields) -> PageResult {
    let days = fields.get("days").trim();
    let days = match days {
        "" => None,
        text => match text.parse() {
            Ok(days) => Some(days),
            Err(_) => return Err(visitor.fail(AppError::field("days", "Write a number of days, or nothing."))),
        },
    };
    let (_, secret) = visitor.take(visitor.app.create_token(&visitor.caller, fields.get("name"), days).await)?;
    Ok(show(&page(&visitor, Some(secret)).await?))
}

pub(crate) async fn revoke_token(visitor: Visitor, Path(id): Path<String>) -> PageResult {
    let id: TokenId = visitor.take(id.parse().map_err(|_| AppError::missing("the token")))?;
    visitor.take(visitor.app.delete_token(&visitor.caller, id).await)?;
    Ok(Redirect::to("/users/settings/").into_response())
}
