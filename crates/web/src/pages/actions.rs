//! Buttons of a simulation's pages. Each is a POST, then a page again; nothing happens on GET.

use csw_app::{AppError, SimulationView, Submission};
use csw_core::{access::may_administer, ids::InviteId, simulation::SimulationPatch};

use super::{
    account::{Confirmation, confirmation},
    page::{PageError, PageResult, done, go},
    render::url,
    visitor::{Fields, Place, Visitor},
};

/// A simulation in a path.
pub(crate) type At = Place<(String, String, u32)>;

/// The simulation that a path names, as the visitor sees it.
pub(crate) async fn find(visitor: &Visitor, Place((owner, title, number)): &At) -> Result<SimulationView, PageError> {
    visitor.take(visitor.app.simulation(&visitor.caller, owner, title, *number).await)
}

pub(crate) async fn cancel(visitor: Visitor, at: At) -> PageResult {
    let view = find(&visitor, &at).await?;
    visitor.take(visitor.app.cancel(&visitor.caller, &view).await)?;
    Ok(go(&url(&view.simulation)))
}

pub(crate) async fn fork(visitor: Visitor, at: At) -> PageResult {
    let view = find(&visitor, &at).await?;
    let copy = visitor.take(visitor.app.fork(&visitor.caller, &view).await)?;
    Ok(go(&url(&copy)))
}

/// The same inputs on the live version, without the memo.
pub(crate) async fn again(visitor: Visitor, at: At) -> PageResult {
    let view = find(&visitor, &at).await?;
    let Place((owner, title, number)) = &at;
    let model = visitor.take(visitor.app.model(&visitor.caller, owner, title).await)?;
    let submission = Submission {
        meta_parameters: view.inputs.meta_parameters.clone(),
        adjustment: view.inputs.adjustment.clone(),
        parent: Some(*number),
        client: "web-beta".to_owned(),
        fresh: true,
        ..Submission::default()
    };
    let place = match visitor.app.create(&visitor.caller, visitor.from, &model, submission, None).await {
        Ok((simulation, _)) => url(&simulation),
        // Inputs of an older version may no longer fit: the form says where.
        Err(AppError::Invalid { .. } | AppError::MetaParameters { .. }) => format!("{}edit/", url(&view.simulation)),
        Err(error) => return Err(visitor.fail(error)),
    };
    Ok(go(&place))
}

pub(crate) async fn delete_form(visitor: Visitor, at: At) -> PageResult {
    let view = find(&visitor, &at).await?;
    if !may_administer(&visitor.caller, view.role) {
        return Err(visitor.fail(AppError::forbidden("Only an admin of this simulation deletes it.")));
    }
    let place = url(&view.simulation);
    Ok(confirmation(
        &visitor,
        Confirmation {
            heading: "Delete this simulation?",
            lead: format!(
                "“{}” and its results are removed for good. Nobody can bring them back.",
                view.simulation.title
            ),
            action: format!("{place}delete/"),
            button: "Delete for ever",
            danger: true,
            back: (place, "Keep it"),
        },
    ))
}

pub(crate) async fn delete(visitor: Visitor, at: At) -> PageResult {
    let view = find(&visitor, &at).await?;
    visitor.take(visitor.app.delete(&visitor.caller, &view).await)?;
    Ok(done("/", "deleted"))
}

pub(crate) async fn visibility(visitor: Visitor, at: At, fields: Fields) -> PageResult {
    let patch = SimulationPatch { is_public: Some(fields.is_set("public")), ..SimulationPatch::default() };
    change(&visitor, &at, patch, "shared").await
}

pub(crate) async fn title(visitor: Visitor, at: At, fields: Fields) -> PageResult {
    let patch = SimulationPatch { title: Some(fields.get("title").trim().to_owned()), ..SimulationPatch::default() };
    change(&visitor, &at, patch, "saved").await
}

pub(crate) async fn archive(visitor: Visitor, at: At, fields: Fields) -> PageResult {
    let archived = fields.is_set("archived");
    let patch = SimulationPatch { archived: Some(archived), ..SimulationPatch::default() };
    change(&visitor, &at, patch, if archived { "archived" } else { "restored" }).await
}

async fn change(visitor: &Visitor, at: &At, patch: SimulationPatch, word: &str) -> PageResult {
    let view = find(visitor, at).await?;
    visitor.take(visitor.app.update(&visitor.caller, &view, patch).await)?;
    Ok(done(&format!("{}sharing/", url(&view.simulation)), word))
}

/// An invitation in a path.
type Invited = Place<(String, String, u32, String)>;

/// The visitor's own invitation to the simulation that the path names, and to no other.
async fn invited(visitor: &Visitor, place: Invited) -> Result<(InviteId, SimulationView), PageError> {
    let Place((owner, title, number, invite)) = place;
    let missing = || AppError::missing("the invitation");
    let id = visitor.take(invite.parse::<InviteId>().map_err(|_| missing()))?;
    let invite = visitor.take(visitor.app.own_invite(&visitor.caller, id).await)?;
    let view = find(visitor, &Place((owner, title, number))).await?;
    if invite.simulation == view.simulation.id { Ok((id, view)) } else { Err(visitor.fail(missing())) }
}

pub(crate) async fn invitation(visitor: Visitor, place: Invited) -> PageResult {
    let (id, view) = invited(&visitor, place).await?;
    let simulation = &view.simulation;
    let place = url(simulation);
    let title = &simulation.title;
    Ok(confirmation(
        &visitor,
        Confirmation {
            heading: "Become an author?",
            lead: format!(
                "{} invites you to be an author of “{title}”. Your name will stand on it.",
                simulation.owner_name
            ),
            action: format!("{place}access/{id}/"),
            button: "Accept",
            danger: false,
            back: (place, "Look at it first"),
        },
    ))
}

pub(crate) async fn accept(visitor: Visitor, place: Invited) -> PageResult {
    let (id, view) = invited(&visitor, place).await?;
    visitor.take(visitor.app.accept_invite(&visitor.caller, id).await)?;
    Ok(done(&url(&view.simulation), "accepted"))
}

/// Declines the visitor's own invitation.
pub(crate) async fn decline(visitor: Visitor, at: At) -> PageResult {
    let view = find(&visitor, &at).await?;
    let name = visitor.page().name.unwrap_or_default();
    visitor.take(visitor.app.remove_author(&visitor.caller, &view, &name).await)?;
    // The right to see a private simulation may have gone with it.
    let place = if view.simulation.is_public { url(&view.simulation) } else { "/".to_owned() };
    Ok(done(&place, "declined"))
}
