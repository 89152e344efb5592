//! What a staged version makes of the simulations that are looked at most, for those who decide whether it becomes live.

use askama::Template;
use csw_app::{AppError, ComparisonView, ModelView};
use csw_core::{
    comparison::{Compared, ComparisonState, OutputChange, OutputDifference, Verdict},
    ids::VersionId,
    model::VersionState,
    tables::TableDifference,
};

use super::{
    account::require_account,
    head::times,
    model::{ModelHead, Tab},
    page::{Page, PageResult, go, show},
    render::{first_line, when},
    visitor::{Place, Visitor},
};

#[derive(Template)]
#[template(path = "comparison.html")]
struct ComparisonPage {
    page: Page,
    head: ModelHead,
    version: String,
    after: String,
    /// Whether the version is staged, so that it may be compared and promoted.
    staged: bool,
    promoter: bool,
    report: Option<Report>,
}

struct Report {
    before: String,
    when: String,
    busy: bool,
    incomplete: bool,
    summary: String,
    deterministic: bool,
    unseen: u64,
    simulations: Vec<Simulation>,
}

struct Simulation {
    url: String,
    number: u32,
    title: String,
    views: String,
    private: bool,
    word: &'static str,
    tone: &'static str,
    sentence: String,
    outputs: Vec<Line>,
}

struct Line {
    title: String,
    media_type: &'static str,
    word: &'static str,
    tone: &'static str,
    sentence: String,
    cells: Vec<Cell>,
    more: u64,
    names: Vec<(&'static str, String)>,
}

struct Cell {
    row: String,
    column: String,
    before: String,
    after: String,
    relative: String,
}

fn line(difference: &OutputDifference) -> Line {
    let (word, tone, sentence, table) = match &difference.change {
        OutputChange::Equal => ("equal", "good", String::new(), None),
        OutputChange::Came => ("new", "warn", String::new(), None),
        OutputChange::Went => ("gone", "warn", String::new(), None),
        OutputChange::Changed { sentence, table } => ("changed", "warn", sentence.clone(), table.as_deref()),
    };
    let cells = table.map_or_else(Vec::new, cells);
    let more = table.map_or(0, |table| table.changed.saturating_sub(cells.len() as u64));
    Line {
        title: difference.title.clone(),
        media_type: difference.media_type.as_str(),
        word,
        tone,
        sentence,
        cells,
        more,
        names: table.map_or_else(Vec::new, names),
    }
}

fn cells(table: &TableDifference) -> Vec<Cell> {
    let cell = |cell: &csw_core::tables::CellChange| Cell {
        row: cell.row.clone(),
        column: cell.column.clone(),
        before: cell.before.clone(),
        after: cell.after.clone(),
        relative: cell.relative.map_or_else(String::new, csw_core::tables::percent),
    };
    table.cells.iter().map(cell).collect()
}

fn names(table: &TableDifference) -> Vec<(&'static str, String)> {
    let lists = [
        ("Rows that came", &table.rows_came),
        ("Rows that went", &table.rows_went),
        ("Columns that came", &table.columns_came),
        ("Columns that went", &table.columns_went),
    ];
    let told = |(count, names): &(u64, Vec<String>)| {
        let more = count.saturating_sub(names.len() as u64);
        let shown = names.join(", ");
        if more == 0 { shown } else { format!("{shown} and {more} more") }
    };
    lists.into_iter().filter(|(_, list)| list.0 > 0).map(|(what, list)| (what, told(list))).collect()
}

fn simulation(name: &str, one: &Compared) -> Simulation {
    let (word, tone, sentence, outputs) = match &one.verdict {
        None => ("to come", "busy", String::new(), Vec::new()),
        Some(Verdict::Ran { outputs }) => {
            let equal = outputs.iter().all(|one| one.change == OutputChange::Equal);
            let (word, tone) = if equal { ("equal", "good") } else { ("changed", "warn") };
            (word, tone, String::new(), outputs.iter().map(line).collect())
        }
        Some(Verdict::Invalid { sentence }) => ("inputs not valid any more", "warn", sentence.clone(), Vec::new()),
        Some(Verdict::Failed { sentence, .. }) => ("fails", "bad", sentence.clone(), Vec::new()),
        Some(Verdict::Unfinished { sentence }) => ("could not be run", "bad", sentence.clone(), Vec::new()),
    };
    Simulation {
        url: format!("/{name}/{}/", one.number),
        number: one.number,
        title: one.title.clone(),
        views: times(one.views),
        private: !one.is_public,
        word,
        tone,
        sentence,
        outputs,
    }
}

fn report(view: &ModelView, found: &ComparisonView) -> Report {
    let name = view.model.name().to_string();
    Report {
        before: first_line(&found.before),
        when: when(found.comparison.finished_at.unwrap_or(found.comparison.created_at)),
        busy: found.comparison.state == ComparisonState::Running,
        incomplete: found.comparison.state == ComparisonState::Incomplete,
        summary: found.tally.sentence(),
        deterministic: found.deterministic,
        unseen: found.unseen,
        simulations: found.compared.iter().map(|one| simulation(&name, one)).collect(),
    }
}

pub(crate) async fn comparison(
    visitor: Visitor,
    Place((owner, title, id)): Place<(String, String, String)>,
) -> PageResult {
    require_account(&visitor)?;
    let view = visitor.take(visitor.app.model(&visitor.caller, &owner, &title).await)?;
    let id: VersionId = visitor.take(id.parse().map_err(|_| AppError::missing("the version")))?;
    let found = visitor.take(visitor.app.comparison(&visitor.caller, &view, id).await)?;
    let version = visitor.take(visitor.app.version(&view, id).await)?;
    Ok(show(&ComparisonPage {
        page: visitor.page(),
        head: ModelHead::new(&visitor, &view, Tab::Builds),
        version: id.to_string(),
        after: first_line(&version.reported),
        staged: version.state == VersionState::Staged,
        promoter: visitor.app.may_promote(&visitor.caller, &view),
        report: found.as_ref().map(|found| report(&view, found)),
    }))
}

/// Compares anew.
pub(crate) async fn begin(visitor: Visitor, Place((owner, title, id)): Place<(String, String, String)>) -> PageResult {
    let view = visitor.take(visitor.app.model(&visitor.caller, &owner, &title).await)?;
    let id: VersionId = visitor.take(id.parse().map_err(|_| AppError::missing("the version")))?;
    visitor.take(visitor.app.compare(&visitor.caller, &view, id).await)?;
    Ok(go(&format!("/{}/versions/{id}/comparison/", view.model.name())))
}
