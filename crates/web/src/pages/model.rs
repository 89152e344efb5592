//! The page of a model.

use askama::Template;
use axum::extract::Path;
use csw_core::{
    model::{Build, BuildState, Version},
    page::PageRequest,
};

use super::{
    page::{Page, PageResult, show},
    render::{Card, markdown, seconds, size, when},
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "model.html")]
struct ModelPage {
    page: Page,
    card: Card,
    runnable: bool,
    writer: bool,
    expected: String,
    cost: Option<String>,
    readme: String,
    version: Option<VersionFacts>,
    repo_url: String,
    repo_tag: String,
    builds: Vec<BuildLine>,
}

struct VersionFacts {
    reported: String,
    commit: String,
    facts: Vec<(String, String)>,
    warnings: Vec<String>,
}

pub(crate) struct BuildLine {
    pub(crate) id: String,
    pub(crate) when: String,
    pub(crate) source: String,
    pub(crate) state: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) message: String,
}

impl BuildLine {
    pub(crate) fn of(build: &Build) -> Self {
        Self {
            id: build.id.to_string(),
            when: when(build.created_at),
            source: build.source.clone(),
            state: build.state.as_str(),
            tone: match build.state {
                BuildState::Running => "busy",
                BuildState::Succeeded => "good",
                BuildState::Failed => "bad",
                BuildState::Cancelled => "warn",
            },
            message: build.message.as_deref().and_then(|text| text.lines().next()).unwrap_or_default().to_owned(),
        }
    }
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

pub(crate) async fn model(visitor: Visitor, Path((owner, title)): Path<(String, String)>) -> PageResult {
    let app = &visitor.app;
    let view = visitor.take(app.model(&visitor.caller, &owner, &title).await)?;
    let version = visitor.take(app.live_version(&view.model).await)?;
    let estimate = visitor.take(app.estimate(&view).await)?;
    let writer = view.may_write();
    let builds = if writer {
        let page = PageRequest { number: 1, size: 20 };
        visitor.take(app.builds(&visitor.caller, &view, page).await)?.items
    } else {
        Vec::new()
    };
    Ok(show(&ModelPage {
        page: visitor.page(),
        card: Card::of(&view.model),
        runnable: view.model.status.is_runnable() && version.is_some(),
        writer,
        expected: seconds(estimate.seconds),
        cost: (estimate.cost >= 0.0001).then(|| format!("${:.4} of compute", estimate.cost)),
        readme: markdown(&view.model.settings.description),
        version: version.as_ref().map(facts),
        repo_url: view.model.settings.repo_url.clone(),
        repo_tag: view.model.settings.repo_tag.clone(),
        builds: builds.iter().map(BuildLine::of).collect(),
    }))
}
