//! Lists of simulations.

use axum::{Json, extract::State};
use csw_core::{
    access::{Caller, Role},
    ids::SimulationId,
    page::Page,
    ports::{SimulationFilter, SimulationOrder},
    simulation::{Simulation, SimulationStatus},
};
use utoipa::IntoParams;

use crate::{
    api::{
        dto::MiniSimulation,
        extract::Path,
        page::{Envelope, ListQuery},
    },
    auth::Identity,
    error::{ApiError, ApiResult},
    state::WebState,
};

/// Which simulations, and in which order.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the document shows the parameters; `filter` reads them")]
pub(super) struct SimulationsQuery {
    /// From 1.
    page: Option<u32>,
    /// At most 200; 50 where nothing is said.
    page_size: Option<u32>,
    /// Words in title, model or owner.
    search: Option<String>,
    /// `STARTED`, `PENDING`, `SUCCESS`, `FAIL` or `WORKER_FAILURE`.
    status: Option<String>,
    /// `owner/title`.
    model: Option<String>,
    /// `1` for archived ones, `all` for all; others where nothing is said.
    archived: Option<String>,
    /// `1` to include those that were shared with the caller.
    shared: Option<String>,
    /// Comma list of `creation_date`, `project__title`, `project__owner`, `title`, `status`; `-` in front turns it.
    #[param(example = "-creation_date")]
    ordering: Option<String>,
}

/// The caller's simulations.
#[utoipa::path(
    get,
    path = "/api/v1/sims/", operation_id = "simulations",
    tag = "lists",
    params(SimulationsQuery),
    responses(
        (status = 200, body = Envelope<MiniSimulation>),
        (status = 400, description = "A parameter is not valid"),
        (status = 403, description = "Not logged in"),
        (status = 404, description = "No such page"),
    ),
)]
pub(super) async fn own(
    State(state): State<WebState>,
    who: Identity,
    query: ListQuery,
) -> ApiResult<Json<Envelope<MiniSimulation>>> {
    let filter = filter(&state, &who.caller, &query).await?;
    let page = state.app.own_simulations(&who.caller, filter, query.page).await?;
    query.envelope(shown(&state, &who.caller, page).await?)
}

/// The public simulations of an account.
#[utoipa::path(
    get,
    path = "/api/v1/sims/{username}/", operation_id = "simulations_of_account",
    tag = "lists",
    params(("username" = String, Path, description = "Whose, in any letter case"), SimulationsQuery),
    responses(
        (status = 200, body = Envelope<MiniSimulation>),
        (status = 400, description = "A parameter is not valid"),
        (status = 404, description = "No such account, or no such page"),
    ),
)]
pub(super) async fn of_account(
    State(state): State<WebState>,
    who: Identity,
    Path(username): Path<String>,
    query: ListQuery,
) -> ApiResult<Json<Envelope<MiniSimulation>>> {
    let account = state.app.account_by_name(&username).await?;
    let filter = filter(&state, &who.caller, &query).await?;
    let filter = SimulationFilter { account: Some(account.id), ..filter };
    let page = state.app.public_simulations(filter, query.page).await?;
    query.envelope(shown(&state, &who.caller, page).await?)
}

async fn filter(state: &WebState, caller: &Caller, query: &ListQuery) -> ApiResult<SimulationFilter> {
    let status = match query.get("status") {
        None => None,
        Some(word) => Some(SimulationStatus::parse(&word.to_ascii_uppercase()).ok_or_else(|| choice("status", word))?),
    };
    let model = match query.get("model") {
        None => None,
        Some(name) => {
            let (owner, title) = name.split_once('/').ok_or_else(|| choice("model", name))?;
            Some(state.app.model(caller, owner, title).await?.model.id)
        }
    };
    let archived = match query.get("archived") {
        Some("all") => None,
        _ => Some(query.flag("archived")?.unwrap_or(false)),
    };
    Ok(SimulationFilter {
        shared: query.flag("shared")?.unwrap_or(false),
        model,
        status,
        archived,
        search: query.get("search").map(str::to_owned),
        order: order(query.get("ordering").unwrap_or("-creation_date"))?,
        ..SimulationFilter::default()
    })
}

fn choice(field: &str, word: &str) -> ApiError {
    ApiError::field(field, format!("\"{word}\" is not a valid choice."))
}

fn order(text: &str) -> ApiResult<Vec<(SimulationOrder, bool)>> {
    let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
    keys.map(|key| {
        let (name, descending) = key.strip_prefix('-').map_or((key, false), |name| (name, true));
        let order = match name {
            "creation_date" => SimulationOrder::CreatedAt,
            "project__title" => SimulationOrder::ModelTitle,
            "project__owner" => SimulationOrder::ModelOwner,
            "title" => SimulationOrder::Title,
            "status" => SimulationOrder::Status,
            _ => return Err(choice("ordering", key)),
        };
        Ok((order, descending))
    })
    .collect()
}

async fn shown(state: &WebState, caller: &Caller, page: Page<Simulation>) -> ApiResult<Page<MiniSimulation>> {
    let ids: Vec<_> = page.items.iter().map(|simulation| simulation.id).collect();
    let authors = state.app.authors_of(&ids).await?;
    let roles: Vec<(SimulationId, Role)> = state.app.roles_on(caller, &ids).await?;
    Ok(page.map(|simulation| {
        let of = authors.iter().filter(|(id, _)| *id == simulation.id).map(|(_, name)| name.clone()).collect();
        let role = roles.iter().find(|(id, _)| *id == simulation.id).map(|(_, role)| *role);
        MiniSimulation::new(&simulation, of, role)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orderings_of_1_6() {
        let order = order("project__owner,-creation_date").unwrap();
        assert_eq!(order, [(SimulationOrder::ModelOwner, false), (SimulationOrder::CreatedAt, true)]);
        assert!(super::order("password").is_err());
    }
}
