//! Models: publishing them, their versions, builds and secrets, and lists of them.

mod builds;
mod comparison;
mod lists;
mod look;
mod publish;
pub(super) mod secrets;
mod settings;
mod versions;

use axum::{extract::DefaultBodyLimit, middleware};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{error, state::WebState};

/// The routes of models.
pub(super) fn router(upload_limit: usize) -> OpenApiRouter<WebState> {
    let builds =
        OpenApiRouter::new().routes(routes!(builds::start, builds::list)).layer(DefaultBodyLimit::max(upload_limit));
    let publishing = OpenApiRouter::new()
        .routes(routes!(publish::list, publish::create))
        .routes(routes!(look::look))
        .routes(routes!(publish::detail, publish::update))
        .routes(routes!(publish::tags, publish::set_tags))
        .routes(routes!(publish::members, publish::set_members))
        .routes(routes!(secrets::list))
        .routes(routes!(secrets::values))
        .routes(routes!(secrets::events))
        .routes(routes!(secrets::set, secrets::delete))
        .routes(routes!(secrets::value))
        .routes(routes!(versions::list))
        .routes(routes!(versions::manifests))
        .routes(routes!(versions::promote))
        .routes(routes!(versions::changes))
        .routes(routes!(comparison::read, comparison::begin))
        .routes(routes!(versions::promote_by_id))
        .routes(routes!(versions::roll_back))
        .routes(routes!(builds::one))
        .routes(routes!(builds::cancel))
        .routes(routes!(builds::read_log))
        .routes(routes!(builds::events))
        .merge(builds)
        .layer(middleware::map_response(error::unauthorized));
    OpenApiRouter::new()
        .routes(routes!(lists::own))
        .routes(routes!(lists::recent))
        .routes(routes!(lists::of_account))
        .routes(routes!(versions::sbom))
        .routes(routes!(versions::lock))
        .merge(publishing)
}
