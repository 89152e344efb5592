//! The page of a model.

use askama::Template;
use csw_app::ModelView;
use csw_core::{access::may_administer, model::Version, page::PageRequest, ports::SimulationFilter};

use super::{
    home::newest,
    page::{Page, PageResult, show},
    render::{Card, Line, expected_cost, markdown, seconds, size, when},
    visitor::{Place, Visitor},
};

/// Simulations that the page shows.
const LATEST: PageRequest = PageRequest { number: 1, size: 5 };

/// The pages of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Overview,
    Builds,
    Pulls,
    Settings,
}

/// The top of every page of a model.
pub(crate) struct ModelHead {
    pub(crate) card: Card,
    pub(crate) writer: bool,
    pub(crate) admin: bool,
    tab: Tab,
}

impl ModelHead {
    pub(crate) fn new(visitor: &Visitor, view: &ModelView, tab: Tab) -> Self {
        Self {
            card: Card::of(&view.model),
            writer: view.may_write(),
            admin: may_administer(&visitor.caller, view.role),
            tab,
        }
    }

    pub(crate) fn is_overview(&self) -> bool {
        self.tab == Tab::Overview
    }

    pub(crate) fn is_builds(&self) -> bool {
        self.tab == Tab::Builds
    }

    pub(crate) fn is_pulls(&self) -> bool {
        self.tab == Tab::Pulls
    }

    pub(crate) fn is_settings(&self) -> bool {
        self.tab == Tab::Settings
    }
}

#[derive(Template)]
#[template(path = "model.html")]
struct ModelPage {
    page: Page,
    head: ModelHead,
    runnable: bool,
    expected: String,
    cost: Option<String>,
    sponsor: Option<Sponsor>,
    readme: String,
    version: Option<VersionFacts>,
    examples: Vec<Line>,
    own: Vec<Line>,
    public: Vec<Line>,
}

/// Who pays for everybody's runs.
struct Sponsor {
    name: String,
    /// HTML of their note.
    note: Option<String>,
}

struct VersionFacts {
    reported: String,
    commit: String,
    facts: Vec<(String, String)>,
    warnings: Vec<String>,
}

fn facts(version: &Version) -> VersionFacts {
    let number = |name: &str| version.facts.get(name).and_then(serde_json::Value::as_u64);
    let mut facts = vec![("Built".to_owned(), when(version.created_at))];
    if let Some(python) = version.facts.get("python").and_then(serde_json::Value::as_str) {
        facts.push(("Python".to_owned(), python.to_owned()));
    }
    if let Some(milliseconds) = number("import_milliseconds") {
        facts.push(("Import".to_owned(), format!("{milliseconds} ms")));
    }
    if let Some(milliseconds) = number("get_inputs_milliseconds") {
        facts.push(("Making the form".to_owned(), format!("{milliseconds} ms")));
    }
    if let Some(bytes) = number("default_run_memory_bytes") {
        facts.push(("Memory of the default run".to_owned(), size(bytes)));
    }
    if let Some(bytes) = number("environment_bytes") {
        facts.push(("Packages".to_owned(), size(bytes)));
    }
    if let Some(date) = version.facts.get("as_of").and_then(serde_json::Value::as_str) {
        facts.push(("Packages as of".to_owned(), date.to_owned()));
    }
    let warnings = ["warnings", "conformance_warnings"]
        .iter()
        .filter_map(|name| version.facts.get(*name)?.as_array())
        .flatten()
        .filter_map(|warning| warning.as_str().map(str::to_owned))
        .collect();
    VersionFacts {
        reported: version.reported.clone(),
        commit: version.commit.chars().take(12).collect(),
        facts,
        warnings,
    }
}

pub(crate) async fn model(visitor: Visitor, Place((owner, title)): Place<(String, String)>) -> PageResult {
    let app = &visitor.app;
    let view = visitor.take(app.model(&visitor.caller, &owner, &title).await)?;
    let version = visitor.take(app.live_version(&view.model).await)?;
    let estimate = visitor.take(app.estimate(&view).await)?;
    let examples = visitor.take(app.examples(&visitor.caller, &view).await)?;
    let filter = newest(SimulationFilter { model: Some(view.model.id), ..SimulationFilter::default() });
    let own = match visitor.caller.account() {
        Some(_) => {
            let filter = SimulationFilter { shared: true, ..filter.clone() };
            visitor.take(app.own_simulations(&visitor.caller, filter, LATEST).await)?.items
        }
        None => Vec::new(),
    };
    let public = visitor.take(app.public_simulations(filter, LATEST).await)?.items;
    Ok(show(&ModelPage {
        page: visitor.page(),
        head: ModelHead::new(&visitor, &view, Tab::Overview),
        runnable: view.model.status.is_runnable() && version.is_some(),
        expected: seconds(estimate.seconds),
        cost: expected_cost(&estimate),
        sponsor: visitor
            .take(app.sponsor(&view).await)?
            .map(|name| Sponsor { name, note: view.model.sponsor_message.as_deref().map(markdown) }),
        readme: markdown(&view.model.settings.description),
        version: version.as_ref().map(facts),
        examples: visitor.take(Line::of_all(app, &examples).await)?,
        own: visitor.take(Line::of_all(app, &own).await)?,
        public: visitor.take(Line::of_all(app, &public).await)?,
    }))
}
