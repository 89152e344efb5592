//! An account's own details, its API tokens, and the way to everything else about it.

use askama::Template;
use csw_app::AppError;
use csw_core::{account::AccountPatch, ids::TokenId};

use super::{
    account::errors_of,
    page::{Page, PageResult, done, problems, show},
    render::when,
    visitor::{Fields, Place, Visitor},
};

/// The page.
const PLACE: &str = "/users/settings/";

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings {
    page: Page,
    secret: Option<String>,
    tokens: Vec<TokenLine>,
    email: String,
    first_name: String,
    last_name: String,
    /// By field.
    problems: Vec<(String, String)>,
    /// What was sent of a new token.
    token_name: String,
    token_days: String,
}

struct TokenLine {
    id: String,
    name: String,
    prefix: String,
    created: String,
    expires: String,
    expired: bool,
    used: String,
}

impl Settings {
    fn problem(&self, field: &str) -> &str {
        self.problems.iter().find(|(name, _)| name == field).map_or("", |(_, sentence)| sentence)
    }
}

async fn page(visitor: &Visitor) -> Result<Settings, AppError> {
    let app = &visitor.app;
    let account = app.account(visitor.caller.account().ok_or(AppError::LoginRequired)?).await?;
    let now = app.ports().clock.now();
    let tokens = app.tokens(&visitor.caller).await?.into_iter().map(|token| TokenLine {
        id: token.id.to_string(),
        name: token.name,
        prefix: token.prefix,
        created: when(token.created_at),
        expires: token.expires_at.map_or_else(|| "never".to_owned(), when),
        expired: token.expires_at.is_some_and(|at| at <= now),
        used: token.last_used_at.map_or_else(|| "not yet".to_owned(), when),
    });
    Ok(Settings {
        page: visitor.page(),
        secret: None,
        tokens: tokens.collect(),
        email: account.email,
        first_name: account.first_name,
        last_name: account.last_name,
        problems: Vec::new(),
        token_name: String::new(),
        token_days: "365".to_owned(),
    })
}

pub(crate) async fn settings(visitor: Visitor) -> PageResult {
    Ok(show(&visitor.take(page(&visitor).await)?))
}

pub(crate) async fn details(visitor: Visitor, fields: Fields) -> PageResult {
    let field = |name: &str| Some(fields.get(name).trim().to_owned());
    let patch = AccountPatch {
        email: field("email"),
        first_name: field("first_name"),
        last_name: field("last_name"),
        ..AccountPatch::default()
    };
    match visitor.app.update_account(&visitor.caller, patch).await {
        Ok(_) => Ok(done(PLACE, "saved")),
        Err(error) => {
            let Some(errors) = errors_of(&error) else { return Err(visitor.fail(error)) };
            let mut page = visitor.take(page(&visitor).await)?;
            page.problems = problems(errors);
            fields.get("email").clone_into(&mut page.email);
            fields.get("first_name").clone_into(&mut page.first_name);
            fields.get("last_name").clone_into(&mut page.last_name);
            Ok(show(&page))
        }
    }
}

/// Days a new token works, from what was written; nothing is for ever.
fn days(text: &str) -> Result<Option<u32>, AppError> {
    match text.trim() {
        "" => Ok(None),
        text => match text.parse::<u32>() {
            Ok(days) if days > 0 => Ok(Some(days)),
            _ => Err(AppError::field("days", "Write a number of days, or nothing.")),
        },
    }
}

pub(crate) async fn make_token(visitor: Visitor, fields: Fields) -> PageResult {
    let made = match days(fields.get("days")) {
        Ok(days) => visitor.app.create_token(&visitor.caller, fields.get("name"), days).await,
        Err(error) => Err(error),
    };
    match made {
        Ok((_, secret)) => {
            let page = visitor.take(page(&visitor).await)?;
            Ok(show(&Settings { secret: Some(secret), ..page }))
        }
        Err(error) => {
            let Some(errors) = errors_of(&error) else { return Err(visitor.fail(error)) };
            let mut page = visitor.take(page(&visitor).await)?;
            page.problems = problems(errors);
            fields.get("name").clone_into(&mut page.token_name);
            fields.get("days").clone_into(&mut page.token_days);
            Ok(show(&page))
        }
    }
}

pub(crate) async fn revoke_token(visitor: Visitor, Place(id): Place<String>) -> PageResult {
    let id: TokenId = visitor.take(id.parse().map_err(|_| AppError::missing("the token")))?;
    visitor.take(visitor.app.delete_token(&visitor.caller, id).await)?;
    Ok(done(PLACE, "revoked"))
}
