//! Simulations: making, looking, changing, sharing, stopping, removing.

mod change;
mod create;
mod detail;
mod download;
mod events;
mod lists;
mod log;
mod outputs;
mod sharing;
mod submission;
mod thumbnail;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::WebState;

pub(super) use self::{
    events::build_events,
    log::{LogQuery, answer as log_answer},
};

/// The routes of simulations.
pub(super) fn router() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(create::create))
        .routes(routes!(create::create_blank))
        .routes(routes!(detail::detail, create::submit, change::update, change::delete))
        .routes(routes!(detail::remote))
        .routes(routes!(detail::edit))
        .routes(routes!(change::fork))
        .routes(routes!(change::cancel))
        .routes(routes!(sharing::set_access))
        .routes(routes!(sharing::invite))
        .routes(routes!(sharing::remove_author))
        .routes(routes!(log::read_log))
        .routes(routes!(events::events))
        .routes(routes!(outputs::output))
        .routes(routes!(thumbnail::thumbnail))
        .routes(routes!(download::download))
        .routes(routes!(lists::own))
        .routes(routes!(lists::of_account))
}
