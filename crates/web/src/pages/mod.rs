//! The pages: server-rendered HTML that works without scripts; one small module makes a running simulation live.
//!
//! Nothing a model made is shown in our origin: see [`frame`].

mod account;
mod actions;
mod assets;
mod build;
mod form;
mod frame;
mod home;
mod inputs;
mod model;
mod page;
mod render;
mod settings;
mod simulation;
mod visitor;

use axum::{
    Router,
    routing::{get, post},
};

use crate::state::WebState;

/// All pages, and the files they use.
pub fn router() -> Router<WebState> {
    Router::new()
        .route("/", get(home::home))
        .route("/static/{file}", get(assets::serve))
        .route("/storage/bokeh/{version}/{file}", get(frame::bokeh_script))
        .route("/users/login/", get(account::login_form).post(account::login))
        .route("/users/logout/", post(account::logout))
        .route("/users/signup/", get(account::signup_form).post(account::signup))
        .route("/users/password_reset/", get(account::reset_request_form).post(account::reset_request))
        .route("/users/reset/", get(account::reset_form).post(account::reset))
        .route("/users/password_change/", get(account::password_form).post(account::password))
        .route("/users/cancel/", get(account::cancel_form).post(account::cancel))
        .route("/users/delete/", get(account::delete_form).post(account::delete))
        .route("/users/settings/", get(settings::settings))
        .route("/users/settings/tokens/", post(settings::make_token))
        .route("/users/settings/tokens/{id}/delete/", post(settings::revoke_token))
        .route("/publish/", get(build::publish_form).post(build::publish))
        .route("/{owner}/", get(home::profile))
        .route("/{owner}/{title}/", get(model::model))
        .route("/{owner}/{title}/detail/", get(model::model))
        .route("/{owner}/{title}/new/", get(inputs::new_form).post(inputs::create))
        .route("/{owner}/{title}/builds/", post(build::start))
        .route("/{owner}/{title}/builds/{id}/", get(build::build))
        .route("/{owner}/{title}/{number}/", get(simulation::simulation))
        .route("/{owner}/{title}/{number}/edit/", get(inputs::edit_form).post(inputs::submit))
        .route("/{owner}/{title}/{number}/outputs/{output}/view/", get(frame::view))
        .route("/{owner}/{title}/{number}/access/{invite}/", get(actions::invitation).post(actions::accept))
        .route("/{owner}/{title}/{number}/cancel/", post(actions::cancel))
        .route("/{owner}/{title}/{number}/fork/", post(actions::fork))
        .route("/{owner}/{title}/{number}/delete/", post(actions::delete))
        .route("/{owner}/{title}/{number}/visibility/", post(actions::visibility))
        .route("/{owner}/{title}/{number}/title/", post(actions::title))
}
