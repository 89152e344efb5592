//! The pages: server-rendered HTML that works without scripts; small modules make running simulations live and fit the
//! frames of outputs.
//!
//! Nothing a model made is shown in our origin: see [`frame`].

mod account;
mod actions;
mod assets;
mod build;
mod changes;
mod comparison;
mod costs;
mod form;
mod found;
mod frame;
mod head;
mod home;
mod inputs;
mod lists;
mod model;
mod model_settings;
pub(crate) mod page;
mod publish;
mod pulls;
pub(crate) mod render;
mod secrets;
mod sent;
mod settings;
mod sharing;
mod simulation;
mod trust;
pub(crate) mod visitor;

use axum::{
    Router,
    extract::{FromRequestParts, Request},
    http::{HeaderMap, header},
    response::Response,
    routing::{get, post},
};

use self::{page::Page, visitor::Visitor};
use crate::state::WebState;

/// All pages, and the files they use.
pub fn router() -> Router<WebState> {
    Router::new()
        .route("/", get(home::home))
        .route("/static/{file}", get(assets::serve))
        .route("/favicon.ico", get(assets::icon))
        .route("/storage/bokeh/{version}/{file}", get(frame::bokeh_script))
        .route("/publish/", get(publish::publish_form).post(publish::publish))
        .route("/{owner}/", get(home::profile))
        .merge(accounts())
        .merge(models())
        .merge(pulls("/{owner}/{title}"))
        .merge(pulls("/publish"))
        .merge(simulations())
}

fn accounts() -> Router<WebState> {
    Router::new()
        .route("/users/login/", get(account::login_form).post(account::login))
        .route("/users/logout/", post(account::logout))
        .route("/users/signup/", get(account::signup_form).post(account::signup))
        .route("/users/password_reset/", get(account::reset_request_form).post(account::reset_request))
        .route("/users/reset/", get(account::reset_form).post(account::reset))
        .route("/users/password_change/", get(account::password_form).post(account::password))
        .route("/users/cancel/", get(account::cancel_form).post(account::cancel))
        .route("/users/delete/", get(account::delete_form).post(account::delete))
        .route("/users/settings/", get(settings::settings).post(settings::details))
        .route("/users/costs/", get(costs::costs))
        .route("/users/settings/tokens/", post(settings::make_token))
        .route("/users/settings/tokens/{id}/delete/", post(settings::revoke_token))
        .route("/users/settings/trust/", get(trust::trust).post(trust::add))
        .route("/users/settings/trust/{id}/remove/", post(trust::remove))
}

fn models() -> Router<WebState> {
    Router::new()
        .route("/{owner}/{title}/", get(model::model))
        .route("/{owner}/{title}/detail/", get(model::model))
        .route("/{owner}/{title}/new/", get(inputs::new_form).post(inputs::create))
        .route("/{owner}/{title}/settings/", get(model_settings::settings).post(model_settings::change))
        .route("/{owner}/{title}/sponsor/", post(model_settings::set_sponsor))
        .route("/{owner}/{title}/members/", post(model_settings::set_member))
        .route("/{owner}/{title}/secrets/", post(secrets::set))
        .route("/{owner}/{title}/secrets/{secret}/delete/", get(secrets::delete_form).post(secrets::delete))
        .route("/{owner}/{title}/builds/", get(build::builds).post(build::start))
        .route("/{owner}/{title}/builds/{id}/", get(build::build))
        .route("/{owner}/{title}/builds/{id}/cancel/", post(build::stop))
        .route("/{owner}/{title}/versions/{id}/changes/", get(changes::changes))
        .route("/{owner}/{title}/versions/{id}/comparison/", get(comparison::comparison).post(comparison::begin))
        .route("/{owner}/{title}/versions/{id}/promote/", post(build::promote))
        .route("/{owner}/{title}/rollback/", post(build::roll_back))
}

/// The pull requests of a repository.
fn pulls(place: &str) -> Router<WebState> {
    let at = |rest: &str| format!("{place}/pulls/{rest}");
    Router::new()
        .route(&at(""), get(pulls::list))
        .route(&at("new/"), get(pulls::new_form).post(pulls::open))
        .route(&at("{number}/"), get(pulls::pull).post(pulls::edit))
        .route(&at("{number}/merge/"), post(pulls::merge))
        .route(&at("{number}/close/"), post(pulls::close))
        .route(&at("{number}/reopen/"), post(pulls::reopen))
        .route(&at("{number}/checks/"), post(pulls::check))
}

fn simulations() -> Router<WebState> {
    Router::new()
        .route("/{owner}/{title}/{number}/", get(simulation::simulation))
        .route("/{owner}/{title}/{number}/edit/", get(inputs::edit_form).post(inputs::submit))
        .route("/{owner}/{title}/{number}/outputs/{output}/view/", get(frame::view))
        .route("/{owner}/{title}/{number}/sharing/", get(sharing::sharing))
        .route("/{owner}/{title}/{number}/roles/", post(sharing::set_role))
        .route("/{owner}/{title}/{number}/authors/", post(sharing::invite))
        .route("/{owner}/{title}/{number}/authors/{author}/remove/", post(sharing::remove_author))
        .route("/{owner}/{title}/{number}/access/{invite}/", get(actions::invitation).post(actions::accept))
        .route("/{owner}/{title}/{number}/decline/", post(actions::decline))
        .route("/{owner}/{title}/{number}/cancel/", post(actions::cancel))
        .route("/{owner}/{title}/{number}/again/", post(actions::again))
        .route("/{owner}/{title}/{number}/fork/", post(actions::fork))
        .route("/{owner}/{title}/{number}/delete/", get(actions::delete_form).post(actions::delete))
        .route("/{owner}/{title}/{number}/visibility/", post(actions::visibility))
        .route("/{owner}/{title}/{number}/title/", post(actions::title))
        .route("/{owner}/{title}/{number}/archive/", post(actions::archive))
}

/// Whether a person waits for the answer: a browser on its way to a page, not a program or a script.
pub(crate) fn is_for_a_person(path: &str, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let program = path.starts_with("/api/") || path.contains("/api/v1/") || path.starts_with("/static/");
    accept.contains("text/html") && !program
}

/// The page around an answer that no handler gives.
pub(crate) async fn around(request: Request, state: &WebState) -> Page {
    let (mut parts, _) = request.into_parts();
    let Ok(visitor) = Visitor::from_request_parts(&mut parts, state).await;
    visitor.page()
}

/// An address that leads nowhere, as a page.
pub(crate) async fn lost(request: Request, state: &WebState) -> Response {
    page::lost(around(request, state).await)
}

/// An address that forms are sent to, opened by a browser.
pub(crate) async fn forms_only(request: Request, state: &WebState) -> Response {
    page::forms_only(around(request, state).await)
}
