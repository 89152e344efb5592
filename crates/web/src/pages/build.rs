//! Publishing a model, and watching its builds.

use askama::Template;
use axum::{
    extract::Path,
    response::{IntoResponse, Redirect},
};
use csw_app::{AppError, ModelView};
use csw_core::{
    ids::BuildId,
    model::{BuildState, ModelSettings},
    ports::{BuildOptions, Source},
};

use super::{
    account::{errors_of, require_account},
    model::BuildLine,
    page::{Page, PageResult, problems, show},
    render::when,
    visitor::{Fields, Visitor},
};

/// Bytes of a log that a page shows.
const LOG: u64 = 1 << 20;

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
#[template(path = "build.html")]
struct BuildPage {
    page: Page,
    name: String,
    tone: &'static str,
    state: &'static str,
    stage: &'static str,
    source: String,
    when: String,
    busy: bool,
    events: String,
    url: String,
    message: String,
    log: String,
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
        field("title", "Title", "Letters, digits and -; it is part of the address.", false, true, ""),
        field("oneliner", "One line", "What the model answers.", false, true, ""),
        field("description", "Description", "Markdown.", true, true, ""),
        field("repo_url", "Repository", "https://…", false, true, ""),
        field("repo_tag", "Branch, tag or commit", "", false, false, "master"),
        field("cpu", "CPUs of a run", "", false, true, "2"),
        field("memory", "Memory of a run in GB", "", false, true, "6"),
        field("exp_task_time", "Seconds a run takes, about", "", false, false, ""),
    ]
}

pub(crate) async fn publish_form(visitor: Visitor) -> PageResult {
    require_account(&visitor)?;
    Ok(show(&PublishPage { page: visitor.page(), fields: fields() }))
}

pub(crate) async fn publish(visitor: Visitor, sent: Fields) -> PageResult {
    let number = |name: &str, default: f64| sent.get(name).trim().parse().unwrap_or(default);
    let settings = ModelSettings {
        oneliner: sent.get("oneliner").to_owned(),
        description: sent.get("description").to_owned(),
        repo_url: sent.get("repo_url").trim().to_owned(),
        repo_tag: sent.get("repo_tag").trim().to_owned(),
        cpus: number("cpu", -1.0),
        memory_gigabytes: number("memory", -1.0),
        expected_seconds: sent.get("exp_task_time").trim().parse().ok(),
        ..ModelSettings::default()
    };
    let made = visitor.app.create_model(&visitor.caller, sent.get("title"), settings).await;
    match made {
        Ok(model) => {
            let name = model.name();
            let view =
                visitor.take(visitor.app.model(&visitor.caller, name.owner.as_str(), name.title.as_str()).await)?;
            begin(&visitor, &view, sent.get("repo_url"), sent.get("repo_tag")).await
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

async fn begin(visitor: &Visitor, view: &ModelView, url: &str, reference: &str) -> PageResult {
    let source = Source::Git { url: url.trim().to_owned(), reference: reference.trim().to_owned() };
    let build = visitor.app.publish(&visitor.caller, view, source, BuildOptions::default()).await;
    let build = visitor.take(build)?;
    Ok(Redirect::to(&format!("/{}/builds/{}/", view.model.name(), build.id)).into_response())
}

pub(crate) async fn start(visitor: Visitor, Path((owner, title)): Path<(String, String)>, sent: Fields) -> PageResult {
    let view = visitor.take(visitor.app.model(&visitor.caller, &owner, &title).await)?;
    let settings = ModelSettings {
        repo_url: sent.get("repo_url").trim().to_owned(),
        repo_tag: sent.get("repo_tag").trim().to_owned(),
        ..view.model.settings.clone()
    };
    visitor.take(visitor.app.update_model(&visitor.caller, &view, settings).await)?;
    begin(&visitor, &view, sent.get("repo_url"), sent.get("repo_tag")).await
}

pub(crate) async fn build(visitor: Visitor, Path((owner, title, id)): Path<(String, String, String)>) -> PageResult {
    let view = visitor.take(visitor.app.model(&visitor.caller, &owner, &title).await)?;
    let id: BuildId = visitor.take(id.parse().map_err(|_| AppError::missing("the build")))?;
    let build = visitor.take(visitor.app.build(&view, id).await)?;
    let busy = build.state == BuildState::Running;
    let (log, _) = visitor.take(visitor.app.build_log(&view, id, 0, LOG).await)?;
    let line = BuildLine::of(&build);
    let name = view.model.name().to_string();
    Ok(show(&BuildPage {
        page: visitor.page(),
        tone: line.tone,
        state: line.state,
        stage: build.stage.as_str(),
        source: line.source,
        when: when(build.created_at),
        busy,
        events: format!("/publish/api/{name}/builds/{id}/events/?offset={}", log.len()),
        url: format!("/{name}/builds/{id}/"),
        message: build.message.unwrap_or_default(),
        log: String::from_utf8_lossy(&log).into_owned(),
        name,
    }))
}
