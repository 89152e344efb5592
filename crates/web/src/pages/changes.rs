//! What a version changes in the form, for those who decide whether it becomes live.

use askama::Template;
use csw_app::{AppError, SchemaChanges};
use csw_core::ids::VersionId;
use csw_params::{DumpDiff, MemberChange};
use serde_json::Value;

use super::{
    model::{ModelHead, Tab},
    page::{Page, PageResult, show},
    render::first_line,
    visitor::{Place, Visitor},
};

/// Characters of a value that are shown.
const SHOWN: usize = 300;

#[derive(Template)]
#[template(path = "changes.html")]
struct ChangesPage {
    page: Page,
    head: ModelHead,
    before: String,
    after: String,
    added: Vec<String>,
    removed: Vec<String>,
    groups: Vec<Group>,
}

/// The changes of one section.
struct Group {
    title: String,
    added: Vec<String>,
    removed: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    parameter: String,
    member: String,
    before: String,
    after: String,
}

impl Group {
    fn of(title: &str, difference: &DumpDiff) -> Self {
        let row = |parameter: &str, change: &MemberChange| Row {
            parameter: parameter.to_owned(),
            member: change.member.clone(),
            before: change.before.as_ref().map_or_else(String::new, short),
            after: change.after.as_ref().map_or_else(String::new, short),
        };
        let parameters = difference.changed.iter();
        let rows = parameters.flat_map(|one| one.members.iter().map(move |change| row(&one.name, change)));
        Self {
            title: title.to_owned(),
            added: difference.added.clone(),
            removed: difference.removed.clone(),
            rows: rows.chain(difference.schema.iter().map(|change| row("schema", change))).collect(),
        }
    }
}

fn short(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() <= SHOWN {
        return text;
    }
    text.chars().take(SHOWN).chain("…".chars()).collect()
}

fn groups(changes: &SchemaChanges) -> Vec<Group> {
    let meta = Some(Group::of("Settings", &changes.meta_parameters)).filter(|_| !changes.meta_parameters.is_empty());
    meta.into_iter().chain(changes.sections.iter().map(|(title, difference)| Group::of(title, difference))).collect()
}

pub(crate) async fn changes(
    visitor: Visitor,
    Place((owner, title, id)): Place<(String, String, String)>,
) -> PageResult {
    let view = visitor.take(visitor.app.model(&visitor.caller, &owner, &title).await)?;
    let missing = || AppError::missing("the version");
    let id: VersionId = visitor.take(id.parse().map_err(|_| missing()))?;
    let from = visitor.query.get("from").filter(|text| !text.is_empty());
    let from = visitor.take(from.map(|text| text.parse().map_err(|_| missing())).transpose())?;
    let changes = visitor.take(visitor.app.schema_changes(&view, from, id).await)?;
    Ok(show(&ChangesPage {
        page: visitor.page(),
        head: ModelHead::new(&visitor, &view, Tab::Builds),
        before: first_line(&changes.before.1),
        after: first_line(&changes.after.1),
        groups: groups(&changes),
        added: changes.sections_added,
        removed: changes.sections_removed,
    }))
}
