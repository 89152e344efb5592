//! Roles on a simulation, and its authors.

use axum::{Json, extract::State, http::StatusCode};
use csw_core::access::Role;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{
    api::{
        body::{AnyBody, Fields, kind_of},
        dto::InviteBody,
        extract::{AtSimulation, Path, SimulationPath},
    },
    error::{ApiError, ApiResult},
    state::WebState,
};

/// Somebody's role.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; `entry` reports errors by field")]
pub(crate) struct RoleChange {
    /// Whose.
    username: String,
    /// `read`, `write`, `admin`, or null to take the role away.
    role: Option<String>,
    /// A note that goes into the mail.
    msg: Option<String>,
}

/// Authors to invite.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
pub(crate) struct AuthorsBody {
    /// At most 10.
    authors: Vec<AuthorBody>,
}

/// An author to invite.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; `entry` reports errors by field")]
pub(crate) struct AuthorBody {
    /// Who.
    username: String,
    /// A note that goes into the mail.
    msg: Option<String>,
}

/// Give, change or take roles: all that are listed, or none where one is refused.
#[utoipa::path(
    put,
    path = "/{owner}/{title}/api/v1/{model_pk}/access/", operation_id = "set_simulation_roles",
    tag = "sharing",
    params(SimulationPath),
    request_body = Vec<RoleChange>,
    responses(
        (status = 204),
        (status = 400, description = "A list of errors by field, one for each entry"),
        (status = 403),
        (status = 404, description = "No such simulation, or no such account"),
    ),
)]
pub(super) async fn set_access(
    State(state): State<WebState>,
    at: AtSimulation,
    body: AnyBody,
) -> ApiResult<StatusCode> {
    let Value::Array(items) = body.value else {
        let sentence = format!("Expected a list of items but got type \"{}\".", kind_of(&body.value));
        return Err(ApiError::field("non_field_errors", sentence));
    };
    let read: Vec<_> = items.iter().map(|item| entry(item, true)).collect();
    if read.iter().any(Result::is_err) {
        let errors = read.into_iter().map(|entry| Value::Object(entry.err().unwrap_or_default())).collect();
        return Err(ApiError::body(StatusCode::BAD_REQUEST, Value::Array(errors)));
    }
    let roles: Vec<_> = read.into_iter().flatten().collect();
    state.app.set_access(&at.who.caller, &at.view, &roles).await?;
    Ok(StatusCode::NO_CONTENT)
}

type Entry = (String, Option<Role>, Option<String>);

/// Reads an entry, or says what is wrong with it by field.
fn entry(item: &Value, wants_role: bool) -> Result<Entry, Map<String, Value>> {
    let mut errors = Map::new();
    let mut refuse = |field: &str, sentence: String| {
        errors.insert(field.to_owned(), json!([sentence]));
    };
    let name = match item.get("username") {
        Some(Value::String(name)) if !name.is_empty() => name.clone(),
        None => {
            refuse("username", "This field is required.".to_owned());
            String::new()
        }
        Some(_) => {
            refuse("username", "This field may not be blank.".to_owned());
            String::new()
        }
    };
    let role = match item.get("role") {
        _ if !wants_role => None,
        Some(Value::Null) => None,
        Some(Value::String(word)) if Role::parse(word).is_some() => Role::parse(word),
        None => {
            refuse("role", "This field is required.".to_owned());
            None
        }
        Some(other) => {
            let word = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
            refuse("role", format!("\"{word}\" is not a valid choice."));
            None
        }
    };
    let note = item.get("msg").and_then(Value::as_str).map(str::to_owned);
    if errors.is_empty() { Ok((name, role, note)) } else { Err(errors) }
}

/// Invite coauthors; each can read the simulation from now on. Answers all open invitations.
#[utoipa::path(
    put,
    path = "/{owner}/{title}/api/v1/{model_pk}/authors/", operation_id = "invite_authors",
    tag = "sharing",
    params(SimulationPath),
    request_body = AuthorsBody,
    responses((status = 200, body = Vec<InviteBody>), (status = 400), (status = 403), (status = 404)),
)]
pub(super) async fn invite(
    State(state): State<WebState>,
    at: AtSimulation,
    mut fields: Fields,
) -> ApiResult<Json<Vec<InviteBody>>> {
    let authors = match fields.json("authors") {
        Some(Value::Array(items)) => items,
        Some(_) => {
            fields.refuse("authors", "Expected a list of items.");
            Vec::new()
        }
        None => {
            fields.refuse("authors", "This field is required.");
            Vec::new()
        }
    };
    fields.check()?;
    let mut invited: Vec<(String, Option<String>)> = Vec::with_capacity(authors.len());
    for item in &authors {
        let (name, _, note) = entry(item, false)
            .map_err(|errors| ApiError::body(StatusCode::BAD_REQUEST, json!({ "authors": [errors] })))?;
        invited.push((name, note));
    }
    let invites = state.app.invite(&at.who.caller, &at.view, &invited).await?;
    let now = state.app.ports().clock.now();
    Ok(Json(invites.iter().map(|invite| InviteBody::new(&at.view.simulation, invite, now)).collect()))
}

/// Take an author or an invitation away: admins anyone's but the owner's, others their own.
#[utoipa::path(
    delete,
    path = "/{owner}/{title}/api/v1/{model_pk}/authors/{author}/", operation_id = "remove_author",
    tag = "sharing",
    params(SimulationPath, ("author" = String, Path, description = "Name of the author")),
    responses(
        (status = 204),
        (status = 400, description = "The owner stays an author"),
        (status = 403),
        (status = 404),
    ),
)]
pub(super) async fn remove_author(
    State(state): State<WebState>,
    Path((_, _, _, author)): Path<(String, String, String, String)>,
    at: AtSimulation,
) -> ApiResult<StatusCode> {
    state.app.remove_author(&at.who.caller, &at.view, &author).await?;
    Ok(StatusCode::NO_CONTENT)
}
