//! What processes without pages answer: how they are, and of a scheduler the tasks of section 5.3 of the 1.6 behaviour, which only
//! the other services of its site may give it.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use csw_app::App;
use csw_core::{
    ids::{RunId, VersionId},
    names::ModelName,
    run::{Outcome, RunEnd, Task, TaskResult},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{ApiError, ApiResult};

/// Bytes of the arguments of a task.
const ARGUMENTS: usize = 16 << 20;

/// What such a process is asked by.
#[derive(Clone)]
pub struct TaskOptions {
    /// Whether a token is that of a service of this site.
    pub is_service: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// The text that `/metrics` answers, in Prometheus' format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

#[derive(Clone)]
struct Shared {
    app: App,
    options: TaskOptions,
}

/// The routes of a scheduler. How it is may be asked by anybody, the rest by services.
pub fn task_router(app: App, options: TaskOptions) -> Router {
    let tasks = Router::new().route("/{owner}/{title}/", post(task)).layer(DefaultBodyLimit::max(ARGUMENTS));
    router(Shared { app, options }, tasks)
}

/// The routes of a process that nobody asks for anything but how it is.
pub fn state_router(app: App, options: TaskOptions) -> Router {
    router(Shared { app, options }, Router::new())
}

fn router(shared: Shared, of_services: Router<Shared>) -> Router {
    let of_services = of_services
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn_with_state(shared.clone(), services_only));
    Router::new()
        .route("/healthz", get(async || Json(json!({ "status": "ok" }))))
        .route("/readyz", get(ready))
        .merge(of_services)
        .with_state(shared)
}

async fn services_only(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let token =
        request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if token.is_some_and(|token| (shared.options.is_service)(token)) {
        return next.run(request).await;
    }
    let sentence = "Only services of this site are answered here: send the token that the site's key makes.";
    (StatusCode::UNAUTHORIZED, Json(json!({ "detail": sentence }))).into_response()
}

async fn ready(State(shared): State<Shared>) -> ApiResult<Json<Value>> {
    match shared.app.ports().store.ping().await {
        Ok(()) => Ok(Json(json!({ "status": "ok" }))),
        Err(_) => Err(ApiError::detail(StatusCode::SERVICE_UNAVAILABLE, "The database does not answer.")),
    }
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    shared.app.measure().await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (shared.options.metrics)())
}

/// A task, as 1.6 writes it.
#[derive(Deserialize)]
struct Asked {
    task_name: String,
    #[serde(default = "none")]
    task_kwargs: Value,
    /// The run, of those that wait in the queue.
    task_id: Option<RunId>,
    /// The version; the live one where none is named.
    tag: Option<VersionId>,
}

fn none() -> Value {
    json!({})
}

async fn task(
    State(shared): State<Shared>,
    Path((owner, title)): Path<(String, String)>,
    Json(asked): Json<Asked>,
) -> ApiResult<Json<Value>> {
    let bad = |sentence: String| ApiError::detail(StatusCode::BAD_REQUEST, sentence);
    let name: ModelName = format!("{owner}/{title}").parse().map_err(|error| bad(format!("{error}")))?;
    let task = Task::parse(&asked.task_name)
        .ok_or_else(|| bad(format!("`{}` is no task: version, defaults, parse or sim.", asked.task_name)))?;
    match (task, asked.task_id) {
        (Task::Version | Task::Defaults, _) => {
            let end = shared.app.ask_model(&name, asked.tag, task, asked.task_kwargs).await?;
            Ok(Json(answer(end)))
        }
        (Task::Parse | Task::Sim, Some(run)) => {
            shared.app.look_at_queue(&name, run).await?;
            Ok(Json(json!({ "status": "PENDING", "task_id": run })))
        }
        (Task::Parse | Task::Sim, None) => Err(bad(format!(
            "A {} is a run of the queue: create a simulation, and name its run as task_id.",
            asked.task_name
        ))),
    }
}

/// What a model has answered, as 1.6 writes it.
fn answer(end: RunEnd) -> Value {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a run")]
    let seconds = (end.phases.import + end.phases.run) as f64 / 1000.0;
    let mut answer = match end.outcome {
        Outcome::Returned(TaskResult::Version(version)) => json!({ "version": version, "status": "SUCCESS" }),
        Outcome::Returned(TaskResult::Defaults { meta_parameters, model_parameters }) => json!({
            "meta_parameters": meta_parameters,
            "model_parameters": model_parameters,
            "status": "SUCCESS",
        }),
        Outcome::Returned(_) => json!({ "status": "FAIL", "traceback": "The model answered something else." }),
        Outcome::Failed { traceback } => json!({ "status": "FAIL", "traceback": traceback }),
        Outcome::TimedOut { seconds } => {
            json!({ "status": "FAIL", "traceback": format!("The model did not answer within {seconds} seconds.") })
        }
        Outcome::OutOfMemory { .. } => {
            json!({ "status": "FAIL", "traceback": "The model needed more memory than it has." })
        }
        Outcome::Cancelled => json!({ "status": "WORKER_FAILURE", "traceback": "It was stopped; try again." }),
        Outcome::Lost { sentence } => json!({ "status": "WORKER_FAILURE", "traceback": sentence }),
    };
    answer["meta"] = json!({ "task_times": [seconds] });
    answer
}
