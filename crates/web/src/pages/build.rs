//! The versions of a model, and watching its builds.

use askama::Template;
use csw_app::{AppError, ModelView};
use csw_core::{
    build::{Build, BuildOrder, BuildState, Source, Stage, StageRecord, StageState, Trigger},
    ids::{BuildId, VersionId},
    model::{ModelSettings, Version, VersionState},
    page::PageRequest,
};

use super::{
    account::{errors_of, require_account},
    found::FoundPart,
    model::{ModelHead, Tab},
    page::{Page, PageError, PageResult, done, go, sentence, show},
    render::{first_line, when},
    visitor::{Fields, Place, Visitor},
};

/// Bytes of a log that a page shows.
const LOG: u64 = 1 << 20;

/// Builds on a page.
const BUILDS: PageRequest = PageRequest { number: 1, size: 20 };

#[derive(Template)]
#[template(path = "builds.html")]
struct BuildsPage {
    page: Page,
    head: ModelHead,
    /// Whether the visitor may make versions live.
    promoter: bool,
    /// What a roll-back makes live.
    former: Option<String>,
    repo_url: String,
    repo_tag: String,
    /// What was found there, and what is wrong with the address.
    found: Option<FoundPart>,
    problem: String,
    /// The branch or tag that a push publishes.
    branch: String,
    versions: Vec<VersionLine>,
    builds: Vec<BuildLine>,
}

struct VersionLine {
    id: String,
    reported: String,
    commit: String,
    when: String,
    state: &'static str,
    tone: &'static str,
    staged: bool,
    /// Day of the packages, if not that of the build.
    as_of: String,
    promotable: bool,
}

#[derive(Template)]
#[template(path = "build.html")]
struct BuildPage {
    page: Page,
    name: String,
    line: BuildLine,
    stage: &'static str,
    stages: Vec<StageLine>,
    /// The version it made, while it is staged.
    staged: Option<String>,
    promoter: bool,
    busy: bool,
    events: String,
    url: String,
    message: String,
    log: String,
}

struct BuildLine {
    id: String,
    when: String,
    source: String,
    state: &'static str,
    tone: &'static str,
    message: String,
}

impl BuildLine {
    fn of(build: &Build) -> Self {
        Self {
            id: build.id.to_string(),
            when: when(build.created_at),
            source: build.source.clone(),
            state: build.state.as_str(),
            tone: match build.state {
                BuildState::Queued | BuildState::Running => "busy",
                BuildState::Succeeded => "good",
                BuildState::Failed => "bad",
                BuildState::Cancelled => "warn",
            },
            message: first_line(build.message.as_deref().unwrap_or_default()),
        }
    }
}

struct StageLine {
    name: &'static str,
    state: &'static str,
    tone: &'static str,
    seconds: String,
}

impl StageLine {
    fn of(stage: Stage, record: Option<&StageRecord>) -> Self {
        let (state, tone) = match record.map(|record| record.state) {
            None => ("to come", ""),
            Some(state) => (
                state.as_str(),
                match state {
                    StageState::Running => "busy",
                    StageState::Passed => "good",
                    StageState::Failed => "bad",
                    StageState::Cancelled => "warn",
                },
            ),
        };
        let seconds = record.and_then(|record| Some((record.started_at, record.finished_at?)));
        let seconds =
            seconds.map_or_else(String::new, |(from, to)| format!("{:.1} s", to.duration_since(from).as_secs_f64()));
        Self { name: stage.as_str(), state, tone, seconds }
    }

    /// Every stage of a build that is to be done; a build that was begun again may have entered one twice.
    fn all(build: &Build) -> Vec<Self> {
        let record = |stage: Stage| build.stages.iter().rev().find(|record| record.stage == stage);
        let due = |stage: &Stage| match stage {
            // Most have nothing to compare.
            Stage::Compare => record(*stage).is_some(),
            Stage::Promote => build.order.promote,
            _ => true,
        };
        Stage::ALL.into_iter().filter(due).map(|stage| Self::of(stage, record(stage))).collect()
    }
}

impl VersionLine {
    fn of(version: &Version) -> Self {
        Self {
            id: version.id.to_string(),
            reported: first_line(&version.reported),
            commit: version.commit.chars().take(12).collect(),
            when: when(version.created_at),
            state: version.state.as_str(),
            tone: match version.state {
                VersionState::Live => "good",
                VersionState::Failed => "bad",
                VersionState::Staged | VersionState::Retired => "",
            },
            staged: version.state == VersionState::Staged,
            as_of: version
                .facts
                .get("as_of")
                .and_then(serde_json::Value::as_str)
                .and_then(|time| time.get(..10))
                .unwrap_or_default()
                .to_owned(),
            promotable: matches!(version.state, VersionState::Staged | VersionState::Retired),
        }
    }
}

pub(crate) async fn found(visitor: &Visitor, owner: &str, title: &str) -> Result<ModelView, PageError> {
    visitor.take(visitor.app.model(&visitor.caller, owner, title).await)
}

pub(crate) async fn begin(visitor: &Visitor, view: &ModelView, sent: &Fields) -> PageResult {
    let source =
        Source::Git { url: sent.get("repo_url").trim().to_owned(), reference: sent.get("repo_tag").trim().to_owned() };
    let order = BuildOrder {
        promote: sent.is_set("promote"),
        example: sent.is_set("example"),
        skip_tests: sent.is_set("skip_tests"),
        skip_comparison: sent.is_set("skip_comparison"),
        ..BuildOrder::of(source)
    };
    let build = visitor.app.publish(&visitor.caller, view, order, Trigger::Request).await;
    let build = visitor.take(build)?;
    Ok(go(&format!("/{}/builds/{}/", view.model.name(), build.id)))
}

pub(crate) async fn builds(visitor: Visitor, Place((owner, title)): Place<(String, String)>) -> PageResult {
    require_account(&visitor)?;
    let view = found(&visitor, &owner, &title).await?;
    Ok(show(&builds_of(&visitor, &view).await?))
}

async fn builds_of(visitor: &Visitor, view: &ModelView) -> Result<BuildsPage, PageError> {
    let builds = visitor.take(visitor.app.builds(&visitor.caller, view, BUILDS).await)?;
    let versions = visitor.take(visitor.app.versions(view).await)?;
    let former = visitor.take(visitor.app.former_version(view).await)?;
    Ok(BuildsPage {
        page: visitor.page(),
        head: ModelHead::new(visitor, view, Tab::Builds),
        promoter: visitor.app.may_promote(&visitor.caller, view),
        former: former.map(|version| first_line(&version.reported)),
        repo_url: view.model.settings.repo_url.clone(),
        repo_tag: view.model.settings.repo_tag.clone(),
        found: None,
        problem: String::new(),
        branch: csw_app::published_branch(&view.model).to_owned(),
        versions: versions.iter().map(VersionLine::of).collect(),
        builds: builds.items.iter().map(BuildLine::of).collect(),
    })
}

pub(crate) async fn start(
    visitor: Visitor,
    Place((owner, title)): Place<(String, String)>,
    sent: Fields,
) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    if sent.is_set("look") {
        return look(&visitor, &view, &sent).await;
    }
    let settings = ModelSettings {
        repo_url: sent.get("repo_url").trim().to_owned(),
        repo_tag: sent.get("repo_tag").trim().to_owned(),
        ..view.model.settings.clone()
    };
    visitor.take(visitor.app.update_model(&visitor.caller, &view, settings).await)?;
    begin(&visitor, &view, &sent).await
}

/// Shows what is found in the repository that the visitor named; the settings stay as they are.
async fn look(visitor: &Visitor, view: &ModelView, sent: &Fields) -> PageResult {
    let mut page = builds_of(visitor, view).await?;
    (page.repo_url, page.repo_tag) = (sent.get("repo_url").to_owned(), sent.get("repo_tag").to_owned());
    match visitor.app.look(&visitor.caller, &page.repo_url, &page.repo_tag).await {
        Ok(found) => page.found = Some(FoundPart::of(&found)),
        Err(error) if errors_of(&error).is_some() => page.problem = sentence(&error),
        Err(error) => return Err(visitor.fail(error)),
    }
    Ok(show(&page))
}

pub(crate) async fn build(visitor: Visitor, Place((owner, title, id)): Place<(String, String, String)>) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    let id: BuildId = visitor.take(id.parse().map_err(|_| AppError::missing("the build")))?;
    let build = visitor.take(visitor.app.build(&view, id).await)?;
    let (log, _) = visitor.take(visitor.app.build_log(&view, id, 0, LOG).await)?;
    let name = view.model.name().to_string();
    let versions = visitor.take(visitor.app.versions(&view).await)?;
    let staged = versions.iter().find(|one| Some(one.id) == build.version && one.state == VersionState::Staged);
    Ok(show(&BuildPage {
        page: visitor.page(),
        line: BuildLine::of(&build),
        stage: build.stage.as_str(),
        stages: StageLine::all(&build),
        staged: staged.map(|version| version.id.to_string()),
        promoter: visitor.app.may_promote(&visitor.caller, &view),
        busy: !build.state.is_final(),
        events: format!("/publish/api/{name}/builds/{id}/events/?offset={}", log.len()),
        url: format!("/{name}/builds/{id}/"),
        message: build.message.unwrap_or_default(),
        log: String::from_utf8_lossy(&log).into_owned(),
        name,
    }))
}

pub(crate) async fn stop(visitor: Visitor, Place((owner, title, id)): Place<(String, String, String)>) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    let id: BuildId = visitor.take(id.parse().map_err(|_| AppError::missing("the build")))?;
    visitor.take(visitor.app.cancel_build(&visitor.caller, &view, id).await)?;
    Ok(go(&format!("/{}/builds/{id}/", view.model.name())))
}

/// Makes a version live, an older one too. Where its comparison is at work, that is shown.
pub(crate) async fn promote(
    visitor: Visitor,
    Place((owner, title, id)): Place<(String, String, String)>,
    sent: Fields,
) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    let id: VersionId = visitor.take(id.parse().map_err(|_| AppError::missing("the version")))?;
    let promoted = visitor.app.promote(&visitor.caller, &view, id, sent.is_set("skip_comparison")).await;
    if matches!(promoted, Err(AppError::Conflict { .. }))
        && visitor.take(visitor.app.comparison(&visitor.caller, &view, id).await)?.is_some()
    {
        return Ok(go(&format!("/{}/versions/{id}/comparison/", view.model.name())));
    }
    visitor.take(promoted)?;
    Ok(done(&format!("/{}/builds/", view.model.name()), "promoted"))
}

/// Makes the version live that was so before.
pub(crate) async fn roll_back(visitor: Visitor, Place((owner, title)): Place<(String, String)>) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    visitor.take(visitor.app.roll_back(&visitor.caller, &view).await)?;
    Ok(done(&format!("/{}/builds/", view.model.name()), "promoted"))
}
