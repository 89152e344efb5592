//! What pages ask about people: suggestions of names, and whether the caller may run a model.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::extract::{AtModel, ModelPath, Query};
use crate::{auth::Identity, error::ApiResult, state::WebState};

/// The routes about people.
pub(super) fn router() -> OpenApiRouter<WebState> {
    OpenApiRouter::new().routes(routes!(autocomplete)).routes(routes!(status)).routes(routes!(status_at_model))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct NameQuery {
    /// A part of a name.
    #[serde(default)]
    username: String,
}

/// A name.
#[derive(Serialize, ToSchema)]
struct Name {
    username: String,
}

/// Up to ten names that contain a text: the exact one first, then those that begin with it.
#[utoipa::path(
    get,
    path = "/users/autocomplete/", operation_id = "account_names",
    tag = "users",
    params(NameQuery),
    responses((status = 200, body = Vec<Name>), (status = 403, description = "Not logged in")),
)]
async fn autocomplete(
    State(state): State<WebState>,
    who: Identity,
    Query(query): Query<NameQuery>,
) -> ApiResult<Json<Vec<Name>>> {
    let names = state.app.autocomplete(&who.caller, &query.username).await?;
    Ok(Json(names.into_iter().map(|username| Name { username }).collect()))
}

/// What an account pays.
#[derive(Serialize, ToSchema)]
struct Plan {
    /// Always `free`: this site does not bill.
    name: &'static str,
    /// Always null.
    plan_duration: Option<String>,
}

/// Who the caller is.
#[derive(Serialize, ToSchema)]
struct Status {
    /// `anon`, `inactive` or `profile`.
    #[serde(rename = "user_status")]
    kind: &'static str,
    /// Path of this answer.
    api_url: String,
    /// The caller's name.
    username: Option<String>,
    plan: Plan,
}

impl Status {
    fn new(who: &Identity, api_url: String) -> Self {
        let kind = match &who.account {
            None => "anon",
            Some(account) if account.is_active => "profile",
            Some(_) => "inactive",
        };
        Self {
            kind,
            api_url,
            username: who.name().map(str::to_owned),
            plan: Plan { name: "free", plan_duration: None },
        }
    }
}

/// Whether the caller may run a model, and what that takes.
#[derive(Serialize, ToSchema)]
struct StatusAtModel {
    #[serde(flatten)]
    status: Status,
    /// Whether somebody pays for everybody's runs.
    is_sponsored: bool,
    /// A note of theirs, HTML.
    sponsor_message: Option<String>,
    can_run: bool,
    /// Dollars an hour.
    server_cost: f64,
    /// Dollars a run is expected to cost; at least 0.01.
    exp_cost: f64,
    /// Seconds a run is expected to take.
    exp_time: u64,
}

/// Who the caller is.
#[utoipa::path(get, path = "/users/status/", operation_id = "status", tag = "users", responses((status = 200, body = Status)))]
async fn status(who: Identity) -> Json<Status> {
    Json(Status::new(&who, "/users/status/".to_owned()))
}

/// Who the caller is, whether they may run this model, and what a run is expected to take.
#[utoipa::path(
    get,
    path = "/users/status/{owner}/{title}/", operation_id = "status_at_model",
    tag = "users",
    params(ModelPath),
    responses((status = 200, body = StatusAtModel), (status = 404)),
)]
async fn status_at_model(State(state): State<WebState>, at: AtModel) -> ApiResult<Json<StatusAtModel>> {
    let model = &at.view.model;
    let estimate = state.app.estimate(&at.view).await?;
    let settings = &model.settings;
    let message = model.sponsor_message.as_ref();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run, not negative")]
    let exp_time = estimate.seconds.ceil() as u64;
    Ok(Json(StatusAtModel {
        status: Status::new(&at.who, format!("/users/status/{}/", model.name())),
        is_sponsored: model.sponsor.is_some(),
        sponsor_message: message
            .map(|text| ammonia::clean(&comrak::markdown_to_html(text, &comrak::Options::default()))),
        can_run: at.who.caller.active().is_some(),
        server_cost: state.app.config().prices.per_hour(settings.cpus, settings.memory_gigabytes),
        exp_cost: ((estimate.cost * 10_000.0).round() / 10_000.0).max(0.01),
        exp_time,
    }))
}
