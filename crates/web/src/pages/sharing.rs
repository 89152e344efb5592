//! Who may see a simulation, who stands on it as an author, what it is called, and its removal.

use askama::Template;
use csw_app::{AppError, SimulationView};
use csw_core::access::Role;

use super::{
    actions::{At, find},
    head::{Head, Tab},
    page::{Page, PageError, PageResult, done, problems, sentence, show},
    render::{url, when},
    visitor::{Fields, Place, Visitor},
};

#[derive(Template)]
#[template(path = "sharing.html")]
struct SharingPage {
    page: Page,
    head: Head,
    people: Vec<Person>,
    authors: Vec<Author>,
    invitations: Vec<Invitation>,
    share: Again,
    invite: Again,
}

struct Person {
    name: String,
    role: &'static str,
    is_owner: bool,
}

struct Author {
    name: String,
    /// Whether the visitor may take them away.
    removable: bool,
}

struct Invitation {
    name: String,
    until: String,
}

/// What was sent, and what is wrong with it.
#[derive(Default)]
struct Again {
    name: String,
    problem: String,
}

impl Again {
    fn new(fields: &Fields, error: &AppError) -> Self {
        Self { name: fields.get("username").to_owned(), problem: in_words(error) }
    }
}

/// A refusal for the field of a name.
fn in_words(error: &AppError) -> String {
    match error {
        AppError::Invalid { errors } => {
            let found: Vec<_> = problems(errors).into_iter().map(|(_, sentence)| sentence).collect();
            found.join(" ")
        }
        AppError::NotFound { what } => format!("There is no such account: {}.", what.trim_start_matches("the user ")),
        other => sentence(other),
    }
}

async fn page_of(visitor: &Visitor, view: &SimulationView) -> Result<SharingPage, AppError> {
    let app = &visitor.app;
    let head = Head::new(visitor, view, Tab::Sharing).await?;
    let people = if head.admin { app.collaborators(&visitor.caller, view).await? } else { Vec::new() };
    let invitations = if head.admin { app.invites(&visitor.caller, view).await? } else { Vec::new() };
    let authors = app.authors(view.simulation.id).await?;
    let page = visitor.page();
    Ok(SharingPage {
        people: people
            .into_iter()
            .map(|one| Person { name: one.name, role: one.role.as_str(), is_owner: one.is_owner })
            .collect(),
        authors: authors
            .into_iter()
            .map(|name| Author {
                removable: name != view.simulation.owner_name && (head.admin || page.name.as_ref() == Some(&name)),
                name,
            })
            .collect(),
        invitations: invitations
            .into_iter()
            .map(|invite| Invitation { name: invite.name, until: when(invite.expires_at) })
            .collect(),
        share: Again::default(),
        invite: Again::default(),
        head,
        page,
    })
}

/// For those who may change something of it.
async fn found(visitor: &Visitor, at: &At) -> Result<SimulationView, PageError> {
    let view = find(visitor, at).await?;
    match (&visitor.caller.account(), view.role) {
        (None, _) => Err(visitor.fail(AppError::LoginRequired)),
        (Some(_), Some(_)) => Ok(view),
        (Some(_), None) => {
            Err(visitor.fail(AppError::forbidden("Only those who share this simulation see this page.")))
        }
    }
}

pub(crate) async fn sharing(visitor: Visitor, at: At) -> PageResult {
    let view = found(&visitor, &at).await?;
    Ok(show(&visitor.take(page_of(&visitor, &view).await)?))
}

/// Gives, changes or takes a role.
pub(crate) async fn set_role(visitor: Visitor, at: At, fields: Fields) -> PageResult {
    let view = found(&visitor, &at).await?;
    let note = Some(fields.get("message").trim().to_owned()).filter(|note| !note.is_empty());
    let role = Role::parse(fields.get("role"));
    let change = (fields.get("username").trim().to_owned(), role, note);
    let word = if role.is_some() { "shared" } else { "removed" };
    match visitor.app.set_access(&visitor.caller, &view, &[change]).await {
        Ok(()) => Ok(done(&format!("{}sharing/", url(&view.simulation)), word)),
        Err(error) => {
            let page = visitor.take(page_of(&visitor, &view).await)?;
            Ok(show(&SharingPage { share: Again::new(&fields, &error), ..page }))
        }
    }
}

/// Invites an author, who accepts on a page of their own.
pub(crate) async fn invite(visitor: Visitor, at: At, fields: Fields) -> PageResult {
    let view = found(&visitor, &at).await?;
    let note = Some(fields.get("message").trim().to_owned()).filter(|note| !note.is_empty());
    let author = (fields.get("username").trim().to_owned(), note);
    match visitor.app.invite(&visitor.caller, &view, &[author]).await {
        Ok(_) => Ok(done(&format!("{}sharing/", url(&view.simulation)), "invited")),
        Err(error) => {
            let page = visitor.take(page_of(&visitor, &view).await)?;
            Ok(show(&SharingPage { invite: Again::new(&fields, &error), ..page }))
        }
    }
}

/// Takes an author or an open invitation away.
pub(crate) async fn remove_author(
    visitor: Visitor,
    Place((owner, title, number, author)): Place<(String, String, u32, String)>,
) -> PageResult {
    let view = found(&visitor, &Place((owner, title, number))).await?;
    visitor.take(visitor.app.remove_author(&visitor.caller, &view, &author).await)?;
    let own = visitor.page().name.is_some_and(|name| name == author);
    // Whoever leaves may not see this page any more.
    let place = if own { "/".to_owned() } else { format!("{}sharing/", url(&view.simulation)) };
    Ok(done(&place, "removed"))
}
