//! Looking at a simulation: whole, with references to its outputs, or its inputs.

use std::{pin::pin, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use csw_app::{AppError, ModelView, Progress, SimulationView};
use csw_core::{
    access::{Caller, Role},
    ids::SimulationId,
    output::Output,
    simulation::{InputsStatus, SimulationStatus},
};
use futures::StreamExt;
use serde_json::value::RawValue;

use crate::{
    api::{
        dto::{
            AccessBody, InputsBody, InviteBody, MiniSimulation, ModelConfig, OutputsBody, Project, RemoteOutputs,
            SimulationBody,
        },
        extract::{AtSimulation, SimulationPath},
        outputs_json,
    },
    error::{ApiError, ApiResult},
    state::WebState,
};

/// Seconds a client may ask to wait.
const LONGEST_WAIT: u64 = 30;

/// cs-kit asks again at once, without a pause, until the answer is no longer 202; this is its pause.
const PAUSE_OF_CS_KIT: Duration = Duration::from_millis(80);

/// A simulation with all outputs and their data: text as it is, bokeh as an object, binary data as base64. Answers 202
/// while it waits or runs. With `Prefer: wait=SECONDS` the answer waits for the end, at most 30 seconds.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/{model_pk}/", operation_id = "simulation",
    tag = "simulations",
    params(SimulationPath),
    responses(
        (status = 200, body = SimulationBody),
        (status = 202, body = SimulationBody, description = "Waiting or running; ask again"),
        (status = 403, description = "It is private"),
        (status = 404),
    ),
)]
pub(super) async fn detail(State(state): State<WebState>, at: AtSimulation, headers: HeaderMap) -> ApiResult<Response> {
    let (status, mut body, outputs) = read(&state, at, &headers).await?;
    if body.outputs_version.is_none() {
        return Ok((status, Json(body)).into_response());
    }
    body.outputs = OutputsBody::Streamed;
    let mut head = serde_json::to_vec(&body).map_err(|error| unwritable(&error))?;
    head.pop();
    head.extend_from_slice(b",\"outputs\":");
    let json = outputs_json::stream(state.app.clone(), head, outputs, "}");
    Ok((status, [(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// A simulation with references to its outputs.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/{model_pk}/remote/", operation_id = "simulation_references",
    tag = "simulations",
    params(SimulationPath),
    responses(
        (status = 200, body = SimulationBody),
        (status = 202, body = SimulationBody, description = "Waiting or running; ask again"),
        (status = 403, description = "It is private"),
        (status = 404),
    ),
)]
pub(super) async fn remote(State(state): State<WebState>, at: AtSimulation, headers: HeaderMap) -> ApiResult<Response> {
    let simulation = at.view.simulation.clone();
    let (status, mut body, outputs) = read(&state, at, &headers).await?;
    if body.outputs_version.is_some() {
        body.outputs = OutputsBody::Remote(RemoteOutputs::new(&simulation, &outputs));
    }
    Ok((status, Json(body)).into_response())
}

/// The inputs of a simulation, and what the model's validator said of them.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/{model_pk}/edit/", operation_id = "simulation_inputs",
    tag = "simulations",
    params(SimulationPath),
    responses((status = 200, body = InputsBody), (status = 403, description = "It is private"), (status = 404)),
)]
pub(super) async fn edit(State(state): State<WebState>, at: AtSimulation) -> ApiResult<Json<InputsBody>> {
    let app = &state.app;
    let simulation = &at.view.simulation;
    let inputs = at.view.inputs.clone();
    let schema = match inputs.status {
        // Polled many times a second while it is pending, and of no use yet.
        InputsStatus::Started | InputsStatus::Pending => None,
        _ => app.schema_of_inputs(at.who.from, &at.view, &inputs).await?,
    };
    let authors = app.authors(simulation.id).await?;
    let mut body = InputsBody::new(inputs, simulation, authors, at.view.role);
    body.parent_model_pk = parent_number(&state, &at.who.caller, &at.view, simulation.parent).await?;
    if let Some((version, schema)) = schema {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).map_err(|error| unwritable(&error));
        body.model_config = Some(ModelConfig {
            project: at.view.model.name().to_string(),
            model_version: version.reported,
            meta_parameters_values: schema.meta_values.clone(),
            meta_parameters: raw(&schema.meta_parameters)?,
            model_parameters: raw(&schema.model_parameters)?,
            creation_date: version.created_at,
        });
    }
    Ok(Json(body))
}

fn unwritable(error: &serde_json::Error) -> ApiError {
    AppError::Internal { sentence: format!("an answer can't be written as JSON: {error}") }.into()
}

/// The number of the simulation's parent, where the caller may see it.
pub(super) async fn parent_number(
    state: &WebState,
    caller: &Caller,
    view: &SimulationView,
    parent: Option<SimulationId>,
) -> ApiResult<Option<u32>> {
    let Some(parent) = parent else { return Ok(None) };
    let parents = state.app.parents(caller, view).await?;
    Ok(parents.into_iter().find(|other| other.id == parent).map(|other| other.number))
}

/// Waits for the end of a simulation that is pending, where the client wants that.
async fn settled(state: &WebState, at: AtSimulation, headers: &HeaderMap) -> ApiResult<AtSimulation> {
    let simulation = &at.view.simulation;
    if simulation.status != SimulationStatus::Pending {
        return Ok(at);
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let preferred = text("prefer").split([',', ';']).find_map(|wish| wish.trim().strip_prefix("wait="));
    let wait = match preferred.and_then(|seconds| seconds.parse::<u64>().ok()) {
        Some(seconds) => Duration::from_secs(seconds.min(LONGEST_WAIT)),
        None if text("user-agent").starts_with("python-requests/") => PAUSE_OF_CS_KIT,
        None => return Ok(at),
    };
    let (_, length) = state.app.log(&at.view, 0, 0).await?;
    let mut events = pin!(state.app.follow(&at.who.caller, &at.view, length));
    let end = async {
        while let Some(Ok(event)) = events.next().await {
            if matches!(event, Progress::Simulation { status, .. } if status.is_final()) {
                return;
            }
        }
    };
    if tokio::time::timeout(wait, end).await.is_err() {
        return Ok(at);
    }
    let (owner, title) = (simulation.model_owner.as_str(), simulation.model_title.as_str());
    let view = state.app.simulation(&at.who.caller, owner, title, simulation.number).await?;
    Ok(AtSimulation { view, ..at })
}

async fn read(
    state: &WebState,
    at: AtSimulation,
    headers: &HeaderMap,
) -> ApiResult<(StatusCode, SimulationBody, Vec<Output>)> {
    let AtSimulation { who, view } = settled(state, at, headers).await?;
    let app = &state.app;
    let simulation = &view.simulation;
    let outputs = match simulation.status {
        SimulationStatus::Success => app.outputs(&view).await?,
        _ => Vec::new(),
    };
    let project = project_of(state, &who.caller, &view).await?;
    let mut body = SimulationBody::new(simulation, view.role, app.eta(simulation), project);
    body.authors = app.authors(simulation.id).await?;
    body.parent_sims = parents(state, &who.caller, &view).await?;
    let admin = view.role == Some(Role::Admin);
    if who.caller != Caller::Anonymous {
        let now = app.ports().clock.now();
        let invites = app.invites(&who.caller, &view).await?;
        let invites: Vec<_> = invites.iter().map(|invite| InviteBody::new(simulation, invite, now)).collect();
        body.pending_permissions = (admin || !invites.is_empty()).then_some(invites);
    }
    if admin && who.caller.active().is_some() {
        let everybody = app.collaborators(&who.caller, &view).await?;
        body.views = Some(app.views_of(simulation));
        body.access = Some(everybody.into_iter().map(AccessBody::from).collect());
    }
    let waiting = simulation.status == SimulationStatus::Pending && simulation.traceback.is_none();
    Ok((if waiting { StatusCode::ACCEPTED } else { StatusCode::OK }, body, outputs))
}

async fn project_of(state: &WebState, caller: &Caller, view: &SimulationView) -> ApiResult<Project> {
    let prices = &state.app.config().prices;
    let (owner, title) = (view.model.owner_name.as_str(), view.model.title.as_str());
    let seen: ModelView = match state.app.model(caller, owner, title).await {
        Ok(seen) => seen,
        // A simulation of a private model that was shared with somebody who has no role on the model.
        Err(AppError::NotFound { .. }) => return Ok(Project::new(&view.model, false, prices)),
        Err(other) => return Err(other.into()),
    };
    Ok(Project::of(&seen, prices).with_counts(state.app.counts(&seen).await?))
}

async fn parents(state: &WebState, caller: &Caller, view: &SimulationView) -> ApiResult<Vec<MiniSimulation>> {
    if view.simulation.parent.is_none() {
        return Ok(Vec::new());
    }
    let parents = state.app.parents(caller, view).await?;
    let ids: Vec<_> = parents.iter().map(|parent| parent.id).collect();
    let authors = state.app.authors_of(&ids).await?;
    let of = |id| authors.iter().filter(|(other, _)| *other == id).map(|(_, name)| name.clone()).collect();
    Ok(parents.iter().map(|parent| MiniSimulation::new(parent, of(parent.id), None)).collect())
}
