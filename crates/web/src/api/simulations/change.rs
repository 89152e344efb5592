//! Changing, copying, stopping and removing a simulation.

use axum::{Json, extract::State, http::StatusCode};
use csw_core::{access::Role, simulation::SimulationPatch};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    api::{
        body::Fields,
        dto::MiniSimulation,
        extract::{AtSimulation, SimulationPath},
    },
    error::{ApiError, ApiResult},
    state::WebState,
};

/// Changes; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
pub(crate) struct SimulationChanges {
    /// At most 500 characters.
    title: Option<String>,
    /// Rich-text nodes, or null.
    #[schema(value_type = Value, required = false)]
    readme: Option<Value>,
    /// Whether anybody may see it; admins of the simulation only.
    is_public: Option<bool>,
    /// Mail at the end.
    notify_on_completion: Option<bool>,
    /// Hide it from lists, or show it again.
    archived: Option<bool>,
}

/// Change title, readme, visibility, notification, or hide it from lists. Nothing else of a simulation can be changed.
#[utoipa::path(
    put,
    path = "/{owner}/{title}/api/v1/{model_pk}/", operation_id = "change_simulation",
    tag = "simulations",
    params(SimulationPath),
    request_body = SimulationChanges,
    responses((status = 200, body = MiniSimulation), (status = 400), (status = 403), (status = 404)),
)]
pub(super) async fn update(
    State(state): State<WebState>,
    at: AtSimulation,
    mut fields: Fields,
) -> ApiResult<Json<MiniSimulation>> {
    let patch = SimulationPatch {
        title: fields.text("title"),
        readme: fields.json("readme"),
        is_public: fields.flag("is_public"),
        notify_on_completion: fields.flag("notify_on_completion"),
        archived: fields.flag("archived"),
    };
    fields.check()?;
    let simulation = state.app.update(&at.who.caller, &at.view, patch).await?;
    let authors = state.app.authors(simulation.id).await?;
    Ok(Json(MiniSimulation::new(&simulation, authors, at.view.role)))
}

/// Copy a simulation, outputs included. The copy is private and the caller's.
#[utoipa::path(
    post,
    path = "/{owner}/{title}/api/v1/{model_pk}/fork/", operation_id = "fork_simulation",
    tag = "simulations",
    params(SimulationPath),
    responses(
        (status = 201, body = MiniSimulation),
        (status = 400, description = "`{\"fork\": [sentence]}` while it is being validated or run"),
        (status = 403),
        (status = 404),
    ),
)]
pub(super) async fn fork(
    State(state): State<WebState>,
    at: AtSimulation,
) -> ApiResult<(StatusCode, Json<MiniSimulation>)> {
    let copy = state.app.fork(&at.who.caller, &at.view).await?;
    let authors = vec![copy.owner_name.clone()];
    Ok((StatusCode::CREATED, Json(MiniSimulation::new(&copy, authors, Some(Role::Admin)))))
}

/// Stop the validation or run of a simulation. It ends as `WORKER_FAILURE` with the reason `CANCELLED`.
#[utoipa::path(
    post,
    path = "/{owner}/{title}/api/v1/{model_pk}/cancel/", operation_id = "cancel_simulation",
    tag = "simulations",
    params(SimulationPath),
    responses(
        (status = 202, body = MiniSimulation, description = "It is being stopped, or was"),
        (status = 403),
        (status = 404),
        (status = 409, description = "It neither waits nor runs"),
    ),
)]
pub(super) async fn cancel(
    State(state): State<WebState>,
    at: AtSimulation,
) -> ApiResult<(StatusCode, Json<MiniSimulation>)> {
    if !state.app.cancel(&at.who.caller, &at.view).await? {
        return Err(ApiError::detail(StatusCode::CONFLICT, "This simulation neither waits nor runs."));
    }
    let simulation = &at.view.simulation;
    let (owner, title) = (simulation.model_owner.as_str(), simulation.model_title.as_str());
    let after = state.app.simulation(&at.who.caller, owner, title, simulation.number).await?;
    let authors = state.app.authors(simulation.id).await?;
    Ok((StatusCode::ACCEPTED, Json(MiniSimulation::new(&after.simulation, authors, after.role))))
}

/// Remove a simulation that neither waits nor runs, for good.
#[utoipa::path(
    delete,
    path = "/{owner}/{title}/api/v1/{model_pk}/", operation_id = "delete_simulation",
    tag = "simulations",
    params(SimulationPath),
    responses((status = 204), (status = 403), (status = 404), (status = 409, description = "It waits or runs")),
)]
pub(super) async fn delete(State(state): State<WebState>, at: AtSimulation) -> ApiResult<StatusCode> {
    state.app.delete(&at.who.caller, &at.view).await?;
    Ok(StatusCode::NO_CONTENT)
}
