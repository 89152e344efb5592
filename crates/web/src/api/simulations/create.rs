//! Making simulations and submitting their inputs.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use csw_core::access::Role;

use super::submission::{self, SubmissionBody};
use crate::{
    api::{
        body::Fields,
        dto::{InputsBody, NewBody, Project, SimulationBody},
        extract::{AtModel, AtSimulation, ModelPath, SimulationPath},
    },
    error::ApiResult,
    state::WebState,
};

/// Make a simulation. Its inputs are validated, then it runs by itself: poll `edit/` until its status is no longer
/// `PENDING`, then the simulation until the answer is no longer 202, or follow `events/`.
#[utoipa::path(
    post,
    path = "/{owner}/{title}/api/v1/", operation_id = "create_simulation",
    tag = "simulations",
    params(
        ModelPath,
        ("Idempotency-Key" = Option<String>, Header, description = "A key of the client's own, at most 255 \
         characters: the same request under the same key makes one simulation, however often it is sent."),
    ),
    request_body = SubmissionBody,
    responses(
        (status = 201, body = InputsBody),
        (status = 400, description = "Errors by field, or of meta parameters: `{\"errors\": {name: [sentence]}}`"),
        (status = 403, description = "Not logged in, or the model is not live"),
        (status = 404, description = "No such model, or no such parent"),
        (status = 409, description = "The key was used for another request"),
        (status = 429, description = "Too many submissions, or too many simulations waiting"),
    ),
)]
pub(super) async fn create(
    State(state): State<WebState>,
    at: AtModel,
    headers: HeaderMap,
    fields: Fields,
) -> ApiResult<(StatusCode, Json<InputsBody>)> {
    let key = submission::idempotency(&headers, format!("{} {}", at.view.model.id, fields.digest()))?;
    let submission = submission::read(fields)?;
    let parent = submission.parent;
    let (simulation, inputs) = state.app.create(&at.who.caller, at.who.from, &at.view, submission, key).await?;
    let authors = vec![simulation.owner_name.clone()];
    let mut body = InputsBody::new(inputs, &simulation, authors, Some(Role::Admin));
    body.parent_model_pk = parent;
    Ok((StatusCode::CREATED, Json(body)))
}

/// Make an empty simulation, to be filled in and submitted later.
#[utoipa::path(
    post,
    path = "/{owner}/{title}/api/v1/new/", operation_id = "create_blank_simulation",
    tag = "simulations",
    params(
        ModelPath,
        ("Idempotency-Key" = Option<String>, Header, description = "A key of the client's own, at most 255 \
         characters: a request under the same key makes one simulation, however often it is sent."),
    ),
    responses(
        (status = 201, body = NewBody),
        (status = 400, description = "The key can't be one"),
        (status = 403, description = "Not logged in"),
        (status = 404),
        (status = 409, description = "The key was used for another request"),
        (status = 429, description = "Too many submissions"),
    ),
)]
pub(super) async fn create_blank(
    State(state): State<WebState>,
    at: AtModel,
    headers: HeaderMap,
) -> ApiResult<(StatusCode, Json<NewBody>)> {
    let key = submission::idempotency(&headers, format!("{} new", at.view.model.id))?;
    let (simulation, inputs) = state.app.create_blank(&at.who.caller, &at.view, key).await?;
    let project = Project::of(&at.view, &state.app.config().prices).with_counts(state.app.counts(&at.view).await?);
    let authors = vec![simulation.owner_name.clone()];
    let mut sim = SimulationBody::new(&simulation, Some(Role::Admin), state.app.eta(&simulation), project);
    sim.authors.clone_from(&authors);
    let inputs = InputsBody::new(inputs, &simulation, authors, Some(Role::Admin));
    Ok((StatusCode::CREATED, Json(NewBody { inputs, sim })))
}

/// Submit the inputs of a simulation that has not run yet.
#[utoipa::path(
    post,
    path = "/{owner}/{title}/api/v1/{model_pk}/", operation_id = "submit_inputs",
    tag = "simulations",
    params(SimulationPath),
    request_body = SubmissionBody,
    responses(
        (status = 201, body = InputsBody),
        (status = 400, description = "Errors by field; `status` where it is pending or finished already"),
        (status = 403),
        (status = 404),
        (status = 429),
    ),
)]
pub(super) async fn submit(
    State(state): State<WebState>,
    at: AtSimulation,
    fields: Fields,
) -> ApiResult<(StatusCode, Json<InputsBody>)> {
    let submission = submission::read(fields)?;
    let (simulation, inputs) = state.app.submit(&at.who.caller, at.who.from, &at.view, submission).await?;
    let authors = state.app.authors(simulation.id).await?;
    let mut body = InputsBody::new(inputs, &simulation, authors, at.view.role);
    body.parent_model_pk = super::detail::parent_number(&state, &at.who.caller, &at.view, simulation.parent).await?;
    Ok((StatusCode::CREATED, Json(body)))
}
