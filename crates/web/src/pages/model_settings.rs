//! What a publisher decides about a model, and who else may.

use askama::Template;
use csw_app::{AppError, AppResult, ModelView};
use csw_core::{
    access::{Caller, Role},
    model::{BuildLimits, ModelSettings},
};

use super::{
    account::{errors_of, require_account},
    model::{ModelHead, Tab},
    page::{Page, PageError, PageResult, done, problems, sentence, show},
    secrets::{self, Secrets},
    visitor::{Fields, Place, Visitor},
};

#[derive(Template)]
#[template(path = "model_settings.html")]
pub(crate) struct SettingsPage {
    page: Page,
    head: ModelHead,
    fields: Vec<Text>,
    switches: Vec<Switch>,
    members: Vec<Member>,
    member_name: String,
    member_problem: String,
    pub(crate) secrets: Secrets,
    sponsor: Sponsor,
    problem: String,
}

/// Who pays for everybody's runs, and what was sent of another.
struct Sponsor {
    /// Their name; empty where there is none.
    name: String,
    note: String,
    /// Whether the visitor may take them away.
    removable: bool,
    /// What the field has: the visitor's own name, unless somebody was named.
    wanted: String,
    problem: String,
}

struct Text {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    long: bool,
    value: String,
    problem: String,
}

struct Switch {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    on: bool,
    /// Only admins of the model turn it.
    locked: bool,
}

struct Member {
    name: String,
    role: &'static str,
    is_owner: bool,
}

fn texts(settings: &ModelSettings) -> Vec<Text> {
    let text = |name, label, hint, value: String| Text {
        name,
        label,
        hint,
        long: name == "description",
        value,
        problem: String::new(),
    };
    vec![
        text("oneliner", "One line", "What the model answers.", settings.oneliner.clone()),
        text("description", "Description", "Markdown.", settings.description.clone()),
        text("repo_url", "Repository", "May stay empty where versions are uploaded.", settings.repo_url.clone()),
        text("repo_tag", "Branch, tag or commit", "", settings.repo_tag.clone()),
        text("cpu", "CPUs of a run", "", settings.cpus.to_string()),
        text("memory", "Memory of a run in GB", "", settings.memory_gigabytes.to_string()),
        text("deadline", "Seconds a run may take", "Longer ones are stopped.", settings.deadline_seconds.to_string()),
        text(
            "exp_task_time",
            "Seconds a run takes, about",
            "May stay empty; learned from the runs.",
            settings.expected_seconds.map_or_else(String::new, |seconds| seconds.to_string()),
        ),
        text("build_cpu", "CPUs of a build", "", settings.build.cpus.to_string()),
        text("build_memory", "Memory of a build in GB", "", settings.build.memory_gigabytes.to_string()),
        text("build_minutes", "Minutes a step of a build may take", "", settings.build.minutes.to_string()),
    ]
}

fn switches(settings: &ModelSettings, admin: bool) -> Vec<Switch> {
    let switch = |name, label, hint, on| Switch { name, label, hint, on, locked: name == "is_public" && !admin };
    vec![
        switch("is_public", "Public", "Everybody may see and run it.", settings.is_public),
        switch("listed", "Listed", "It shows in the list of models.", settings.listed),
        switch("network", "Network", "Its runs may reach the network.", settings.network),
        switch(
            "deterministic",
            "Deterministic",
            "Equal inputs give equal results, so an earlier result may answer again.",
            settings.deterministic,
        ),
        switch(
            "warm_up",
            "Warm-up",
            "Its interpreters may run it once before they are needed, where that makes runs faster.",
            settings.warm_up,
        ),
    ]
}

/// The settings that a browser sent, or what can't be read of them by field.
fn read(sent: &Fields, before: &ModelSettings, admin: bool) -> AppResult<ModelSettings> {
    let text = |name: &str| sent.get(name).trim().to_owned();
    let number = |name: &str| text(name).parse::<f64>().ok().filter(|number| number.is_finite());
    let missing = |name: &str, what: &str| AppError::field(name, format!("Write a {what}."));
    Ok(ModelSettings {
        oneliner: text("oneliner"),
        description: sent.get("description").to_owned(),
        repo_url: text("repo_url"),
        repo_tag: text("repo_tag"),
        cpus: number("cpu").ok_or_else(|| missing("cpu", "number"))?,
        memory_gigabytes: number("memory").ok_or_else(|| missing("memory", "number"))?,
        deadline_seconds: text("deadline").parse().map_err(|_| missing("deadline", "whole number"))?,
        expected_seconds: match text("exp_task_time").as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| missing("exp_task_time", "whole number, or nothing"))?),
        },
        listed: sent.is_set("listed"),
        is_public: if admin { sent.is_set("is_public") } else { before.is_public },
        network: sent.is_set("network"),
        deterministic: sent.is_set("deterministic"),
        warm_up: sent.is_set("warm_up"),
        build: BuildLimits {
            cpus: number("build_cpu").ok_or_else(|| missing("build_cpu", "number"))?,
            memory_gigabytes: number("build_memory").ok_or_else(|| missing("build_memory", "number"))?,
            minutes: text("build_minutes").parse().map_err(|_| missing("build_minutes", "whole number"))?,
        },
    })
}

pub(crate) async fn found(visitor: &Visitor, owner: &str, title: &str) -> Result<ModelView, PageError> {
    require_account(visitor)?;
    let view = visitor.take(visitor.app.model(&visitor.caller, owner, title).await)?;
    if view.may_write() {
        return Ok(view);
    }
    Err(visitor.fail(AppError::forbidden("Only those who may publish versions of this model see its settings.")))
}

pub(crate) async fn page_of(visitor: &Visitor, view: &ModelView) -> AppResult<SettingsPage> {
    let head = ModelHead::new(visitor, view, Tab::Settings);
    let members = if head.admin { visitor.app.model_members(&visitor.caller, view).await? } else { Vec::new() };
    Ok(SettingsPage {
        page: visitor.page(),
        fields: texts(&view.model.settings),
        switches: switches(&view.model.settings, head.admin),
        members: members
            .into_iter()
            .map(|one| Member { name: one.name, role: one.role.as_str(), is_owner: one.is_owner })
            .collect(),
        member_name: String::new(),
        member_problem: String::new(),
        secrets: secrets::part(visitor, view).await?,
        sponsor: sponsor(visitor, view).await?,
        problem: String::new(),
        head,
    })
}

async fn sponsor(visitor: &Visitor, view: &ModelView) -> AppResult<Sponsor> {
    let name = visitor.app.sponsor(view).await?.unwrap_or_default();
    let own = view.model.sponsor.is_some() && view.model.sponsor == visitor.caller.account();
    let visitors = match &visitor.caller {
        Caller::Account { name, .. } => name.clone(),
        Caller::Workflow { .. } | Caller::Anonymous => String::new(),
    };
    Ok(Sponsor {
        removable: !name.is_empty() && (own || visitor.caller.is_admin()),
        wanted: if name.is_empty() { visitors } else { name.clone() },
        note: view.model.sponsor_message.clone().unwrap_or_default(),
        name,
        problem: String::new(),
    })
}

/// Sets who pays for everybody's runs, or takes them away.
pub(crate) async fn set_sponsor(
    visitor: Visitor,
    Place((owner, title)): Place<(String, String)>,
    sent: Fields,
) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    let (name, note) = (sent.get("sponsor").trim(), sent.get("message"));
    let wanted = (!sent.is_set("remove")).then_some((name, note));
    match visitor.app.set_sponsor(&visitor.caller, &view, wanted).await {
        Ok(_) => Ok(done(&format!("/{}/settings/", view.model.name()), "saved")),
        Err(error) => {
            let mut page = visitor.take(page_of(&visitor, &view).await)?;
            name.clone_into(&mut page.sponsor.wanted);
            note.clone_into(&mut page.sponsor.note);
            page.sponsor.problem = sentence(&error);
            Ok(show(&page))
        }
    }
}

pub(crate) async fn settings(visitor: Visitor, Place((owner, title)): Place<(String, String)>) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    Ok(show(&visitor.take(page_of(&visitor, &view).await)?))
}

pub(crate) async fn change(
    visitor: Visitor,
    Place((owner, title)): Place<(String, String)>,
    sent: Fields,
) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    let mut page = visitor.take(page_of(&visitor, &view).await)?;
    let changed = match read(&sent, &view.model.settings, page.head.admin) {
        Ok(settings) => visitor.app.update_model(&visitor.caller, &view, settings).await,
        Err(error) => Err(error),
    };
    let Err(error) = changed else {
        return Ok(done(&format!("/{}/settings/", view.model.name()), "saved"));
    };
    let Some(errors) = errors_of(&error) else { return Err(visitor.fail(error)) };
    for field in &mut page.fields {
        sent.get(field.name).clone_into(&mut field.value);
    }
    for switch in page.switches.iter_mut().filter(|switch| !switch.locked) {
        switch.on = sent.is_set(switch.name);
    }
    for (name, sentence) in problems(errors) {
        match page.fields.iter_mut().find(|field| field.name == name) {
            Some(field) => field.problem = sentence,
            None => page.problem = sentence,
        }
    }
    Ok(show(&page))
}

/// Gives, changes or takes a role on the model.
pub(crate) async fn set_member(
    visitor: Visitor,
    Place((owner, title)): Place<(String, String)>,
    sent: Fields,
) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    let name = sent.get("username").trim();
    let role = Role::parse(sent.get("role"));
    match visitor.app.set_model_role(&visitor.caller, &view, name, role).await {
        Ok(()) => {
            let word = if role.is_some() { "shared" } else { "removed" };
            Ok(done(&format!("/{}/settings/", view.model.name()), word))
        }
        Err(error) => {
            let mut page = visitor.take(page_of(&visitor, &view).await)?;
            name.clone_into(&mut page.member_name);
            page.member_problem = sentence(&error);
            Ok(show(&page))
        }
    }
}
