//! Buttons of a simulation's page. Each is a POST, then a page again.

use axum::{
    extract::Path,
    response::{IntoResponse, Redirect},
};
use csw_app::AppError;
use csw_core::{ids::InviteId, simulation::SimulationPatch};

use super::{
    account::confirmation,
    page::PageResult,
    render::url,
    visitor::{Fields, Visitor},
};

type Place = Path<(String, String, u32)>;

pub(crate) async fn cancel(visitor: Visitor, Path((owner, title, number)): Place) -> PageResult {
    let view = visitor.take(visitor.app.simulation(&visitor.caller, &owner, &title, number).await)?;
    visitor.take(visitor.app.cancel(&visitor.caller, &view).await)?;
    Ok(Redirect::to(&url(&view.simulation)).into_response())
}

pub(crate) async fn fork(visitor: Visitor, Path((owner, title, number)): Place) -> PageResult {
    let view = visitor.take(visitor.app.simulation(&visitor.caller, &owner, &title, number).await)?;
    let copy = visitor.take(visitor.app.fork(&visitor.caller, &view).await)?;
    Ok(Redirect::to(&url(&copy)).into_response())
}

pub(crate) async fn delete(visitor: Visitor, Path((owner, title, number)): Place) -> PageResult {
    let view = visitor.take(visitor.app.simulation(&visitor.caller, &owner, &title, number).await)?;
    visitor.take(visitor.app.delete(&visitor.caller, &view).await)?;
    Ok(Redirect::to("/").into_response())
}

pub(crate) async fn visibility(visitor: Visitor, Path((owner, title, number)): Place, fields: Fields) -> PageResult {
    let patch = SimulationPatch { is_public: Some(fields.get("public") == "1"), ..SimulationPatch::default() };
    change(visitor, &owner, &title, number, patch).await
}

pub(crate) async fn title(visitor: Visitor, Path((owner, title, number)): Place, fields: Fields) -> PageResult {
    let patch = SimulationPatch { title: Some(fields.get("title").trim().to_owned()), ..SimulationPatch::default() };
    change(visitor, &owner, &title, number, patch).await
}

async fn change(visitor: Visitor, owner: &str, title: &str, number: u32, patch: SimulationPatch) -> PageResult {
    let view = visitor.take(visitor.app.simulation(&visitor.caller, owner, title, number).await)?;
    visitor.take(visitor.app.update(&visitor.caller, &view, patch).await)?;
    Ok(Redirect::to(&url(&view.simulation)).into_response())
}

pub(crate) async fn invitation(
    visitor: Visitor,
    Path((owner, title, number, invite)): Path<(String, String, u32, String)>,
) -> PageResult {
    let id = visitor.take(invite.parse::<InviteId>().map_err(|_| AppError::missing("the invitation")))?;
    visitor.take(visitor.app.own_invite(&visitor.caller, id).await)?;
    let lead = format!("You are invited to be an author of {owner}/{title} #{number}.");
    Ok(confirmation(&visitor, "Coauthor", lead, "Accept"))
}

pub(crate) async fn accept(
    visitor: Visitor,
    Path((owner, title, number, invite)): Path<(String, String, u32, String)>,
) -> PageResult {
    let id = visitor.take(invite.parse::<InviteId>().map_err(|_| AppError::missing("the invitation")))?;
    visitor.take(visitor.app.accept_invite(&visitor.caller, id).await)?;
    Ok(Redirect::to(&format!("/{owner}/{title}/{number}/")).into_response())
}
