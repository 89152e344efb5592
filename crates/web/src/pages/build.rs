//! Publishing a model, its versions, and watching its builds.

use askama::Template;
use csw_app::{AppError, ModelView, PublishOptions};
use csw_core::{
    ids::{BuildId, VersionId},
    model::{Build, BuildState, ModelSettings, Version, VersionState},
    page::PageRequest,
    ports::Source,
};

use super::{
    account::{errors_of, require_account},
    model::{ModelHead, Tab},
    page::{Page, PageError, PageResult, done, go, problems, show},
    render::when,
    visitor::{Fields, Place, Visitor},
};

/// Bytes of a log that a page shows.
const LOG: u64 = 1 << 20;

/// Builds on a page.
const BUILDS: PageRequest = PageRequest { number: 1, size: 20 };

#[derive(Template)]
#[template(path = "publish.html")]
struct PublishPage {
    page: Page,
    fields: Vec<PublishField>,
}

struct PublishField {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    long: bool,
    required: bool,
    value: String,
    problem: String,
}

#[derive(Template)]
#[template(path = "builds.html")]
struct BuildsPage {
    page: Page,
    head: ModelHead,
    repo_url: String,
    repo_tag: String,
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
                BuildState::Running => "busy",
                BuildState::Succeeded => "good",
                BuildState::Failed => "bad",
                BuildState::Cancelled => "warn",
            },
            message: build.message.as_deref().and_then(|text| text.lines().next()).unwrap_or_default().to_owned(),
        }
    }
}

impl VersionLine {
    fn of(version: &Version) -> Self {
        Self {
            id: version.id.to_string(),
            reported: version.reported.lines().next().unwrap_or_default().to_owned(),
            commit: version.commit.chars().take(12).collect(),
            when: when(version.created_at),
            state: version.state.as_str(),
            tone: match version.state {
                VersionState::Live => "good",
                VersionState::Failed => "bad",
                VersionState::Staged | VersionState::Retired => "",
            },
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

fn fields() -> Vec<PublishField> {
    let field = |name, label, hint, long, required, value: &str| PublishField {
        name,
        label,
        hint,
        long,
        required,
        value: value.to_owned(),
        problem: String::new(),
    };
    vec![
        field("title", "Title", "Letters, digits and -; it is part of the address and stays.", false, true, ""),
        field("oneliner", "One line", "What the model answers.", false, true, ""),
        field("description", "Description", "Markdown.", true, true, ""),
        field("repo_url", "Repository", "https://…", false, true, ""),
        field("repo_tag", "Branch, tag or commit", "", false, false, "master"),
        field("cpu", "CPUs of a run", "", false, true, "2"),
        field("memory", "Memory of a run in GB", "", false, true, "6"),
        field(
            "exp_task_time",
            "Seconds a run takes, about",
            "May stay empty; learned from the runs.",
            false,
            false,
            "",
        ),
    ]
}

pub(crate) async fn publish_form(visitor: Visitor) -> PageResult {
    require_account(&visitor)?;
    Ok(show(&PublishPage { page: visitor.page(), fields: fields() }))
}

/// The settings of a new model. Numbers that can't be read are out of every range, so that they are refused by name.
fn settings(sent: &Fields) -> Result<ModelSettings, AppError> {
    let number = |name: &str| sent.get(name).trim().parse().unwrap_or(-1.0);
    let seconds = sent.get("exp_task_time").trim();
    let expected_seconds = match seconds.parse() {
        Ok(seconds) => Some(seconds),
        Err(_) if seconds.is_empty() => None,
        Err(_) => return Err(AppError::field("exp_task_time", "Write a whole number, or nothing.")),
    };
    Ok(ModelSettings {
        oneliner: sent.get("oneliner").to_owned(),
        description: sent.get("description").to_owned(),
        repo_url: sent.get("repo_url").trim().to_owned(),
        repo_tag: sent.get("repo_tag").trim().to_owned(),
        cpus: number("cpu"),
        memory_gigabytes: number("memory"),
        expected_seconds,
        ..ModelSettings::default()
    })
}

pub(crate) async fn publish(visitor: Visitor, sent: Fields) -> PageResult {
    require_account(&visitor)?;
    let made = match settings(&sent) {
        Ok(settings) => visitor.app.create_model(&visitor.caller, sent.get("title"), settings).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(model) => {
            let name = model.name();
            let view = found(&visitor, name.owner.as_str(), name.title.as_str()).await?;
            begin(&visitor, &view, &sent).await
        }
        Err(error) => {
            let Some(errors) = errors_of(&error) else { return Err(visitor.fail(error)) };
            let mut fields = fields();
            for field in &mut fields {
                sent.get(field.name).clone_into(&mut field.value);
            }
            for (name, sentence) in problems(errors) {
                let at = fields.iter().position(|field| field.name == name).unwrap_or(0);
                fields[at].problem = sentence;
            }
            Ok(show(&PublishPage { page: visitor.page(), fields }))
        }
    }
}

async fn found(visitor: &Visitor, owner: &str, title: &str) -> Result<ModelView, PageError> {
    visitor.take(visitor.app.model(&visitor.caller, owner, title).await)
}

async fn begin(visitor: &Visitor, view: &ModelView, sent: &Fields) -> PageResult {
    let source =
        Source::Git { url: sent.get("repo_url").trim().to_owned(), reference: sent.get("repo_tag").trim().to_owned() };
    let build = visitor.app.publish(&visitor.caller, view, source, PublishOptions::default()).await;
    let build = visitor.take(build)?;
    Ok(go(&format!("/{}/builds/{}/", view.model.name(), build.id)))
}

pub(crate) async fn builds(visitor: Visitor, Place((owner, title)): Place<(String, String)>) -> PageResult {
    require_account(&visitor)?;
    let view = found(&visitor, &owner, &title).await?;
    let builds = visitor.take(visitor.app.builds(&visitor.caller, &view, BUILDS).await)?;
    let versions = visitor.take(visitor.app.versions(&view).await)?;
    Ok(show(&BuildsPage {
        page: visitor.page(),
        head: ModelHead::new(&visitor, &view, Tab::Builds),
        repo_url: view.model.settings.repo_url.clone(),
        repo_tag: view.model.settings.repo_tag.clone(),
        versions: versions.iter().map(VersionLine::of).collect(),
        builds: builds.items.iter().map(BuildLine::of).collect(),
    }))
}

pub(crate) async fn start(
    visitor: Visitor,
    Place((owner, title)): Place<(String, String)>,
    sent: Fields,
) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    let settings = ModelSettings {
        repo_url: sent.get("repo_url").trim().to_owned(),
        repo_tag: sent.get("repo_tag").trim().to_owned(),
        ..view.model.settings.clone()
    };
    visitor.take(visitor.app.update_model(&visitor.caller, &view, settings).await)?;
    begin(&visitor, &view, &sent).await
}

pub(crate) async fn build(visitor: Visitor, Place((owner, title, id)): Place<(String, String, String)>) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    let id: BuildId = visitor.take(id.parse().map_err(|_| AppError::missing("the build")))?;
    let build = visitor.take(visitor.app.build(&view, id).await)?;
    let (log, _) = visitor.take(visitor.app.build_log(&view, id, 0, LOG).await)?;
    let name = view.model.name().to_string();
    Ok(show(&BuildPage {
        page: visitor.page(),
        line: BuildLine::of(&build),
        stage: build.stage.as_str(),
        busy: build.state == BuildState::Running,
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

/// Makes a version live, an older one too.
pub(crate) async fn promote(
    visitor: Visitor,
    Place((owner, title, id)): Place<(String, String, String)>,
) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    let id: VersionId = visitor.take(id.parse().map_err(|_| AppError::missing("the version")))?;
    visitor.take(visitor.app.promote(&visitor.caller, &view, id).await)?;
    Ok(done(&format!("/{}/builds/", view.model.name()), "promoted"))
}
