//! Publishing a model: the repository, what is found in it, and what its publisher decides.

use askama::Template;
use csw_app::AppError;
use csw_core::{look::Found, model::ModelSettings};

use super::{
    account::{errors_of, require_account},
    build::{begin, found},
    found::FoundPart,
    page::{Page, PageResult, problems, show},
    visitor::{Fields, Visitor},
};

#[derive(Template)]
#[template(path = "publish.html")]
struct PublishPage {
    page: Page,
    found: Option<FoundPart>,
    fields: Vec<PublishField>,
    switches: Vec<PublishSwitch>,
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

struct PublishSwitch {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    on: bool,
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
        field("repo_url", "Repository", "https://…", false, true, ""),
        field("repo_tag", "Branch, tag or commit", "Empty takes the default branch.", false, false, ""),
        field("title", "Title", "Letters, digits and -; it is part of the address and stays.", false, true, ""),
        field("oneliner", "One line", "What the model answers.", false, true, ""),
        field("description", "Description", "Markdown.", true, true, ""),
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

fn switches() -> Vec<PublishSwitch> {
    let switch = |name, label, hint| PublishSwitch { name, label, hint, on: true };
    vec![
        switch("is_public", "Public", "Everybody may see and run it. Without it only you, and those whom you let."),
        switch("listed", "Listed", "It shows in the list of models."),
        switch(
            "promote",
            "Make it live when every stage succeeds",
            "Without it the version is staged: you try it, then promote it.",
        ),
        switch("example", "Run its default inputs as an example", "As public as the model."),
    ]
}

impl PublishPage {
    fn blank(visitor: &Visitor) -> Self {
        Self { page: visitor.page(), found: None, fields: fields(), switches: switches() }
    }

    /// With what the visitor has filled in so far.
    fn filled(visitor: &Visitor, sent: &Fields) -> Self {
        let mut page = Self::blank(visitor);
        for field in &mut page.fields {
            sent.get(field.name).clone_into(&mut field.value);
        }
        for switch in &mut page.switches {
            switch.on = sent.is_set(switch.name);
        }
        page
    }

    fn refuse(&mut self, errors: &serde_json::Value) {
        for (name, sentence) in problems(errors) {
            let at = self.fields.iter().position(|field| field.name == name).unwrap_or(0);
            self.fields[at].problem = sentence;
        }
    }

    /// What the repository says stands where the visitor said nothing.
    fn suggest(&mut self, found: &Found, url: &str) {
        let number = |value: Option<f64>| value.map(|value| value.to_string());
        let said = &found.described;
        let title = name_of(url);
        let oneliner = said.oneliner.clone().or_else(|| found.readme_title.clone());
        let said = [
            ("title", Some(title)),
            ("description", said.description.clone().or_else(|| oneliner.clone())),
            ("oneliner", oneliner),
            ("cpu", number(said.cpus)),
            ("memory", number(said.memory_gigabytes)),
            ("exp_task_time", said.expected_seconds.map(|seconds| seconds.to_string())),
        ];
        let untouched = fields();
        for (name, value) in said.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            let before = untouched.iter().find(|field| field.name == name).map(|field| field.value.as_str());
            let field = self.fields.iter_mut().find(|field| field.name == name);
            if let Some(field) = field.filter(|field| field.value.trim().is_empty() || Some(&*field.value) == before) {
                field.value = value;
            }
        }
        self.found = Some(FoundPart::of(found));
    }
}

/// The last part of a URL, as a title.
fn name_of(url: &str) -> String {
    let name = url.trim().trim_end_matches('/').trim_end_matches(".git").rsplit(['/', ':']).next().unwrap_or_default();
    csw_core::names::ModelTitle::cleaned(name).map_or_else(|_| String::new(), String::from)
}

pub(crate) async fn publish_form(visitor: Visitor) -> PageResult {
    require_account(&visitor)?;
    Ok(show(&PublishPage::blank(&visitor)))
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
        is_public: sent.is_set("is_public"),
        listed: sent.is_set("listed"),
        ..ModelSettings::default()
    })
}

async fn look(visitor: &Visitor, sent: &Fields) -> PageResult {
    let mut page = PublishPage::filled(visitor, sent);
    match visitor.app.look(&visitor.caller, sent.get("repo_url"), sent.get("repo_tag")).await {
        Ok(found) => page.suggest(&found, sent.get("repo_url")),
        Err(error) => match errors_of(&error) {
            Some(errors) => page.refuse(errors),
            None => return Err(visitor.fail(error)),
        },
    }
    Ok(show(&page))
}

pub(crate) async fn publish(visitor: Visitor, sent: Fields) -> PageResult {
    require_account(&visitor)?;
    if sent.is_set("look") {
        return look(&visitor, &sent).await;
    }
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
            let mut page = PublishPage::filled(&visitor, &sent);
            page.refuse(errors);
            Ok(show(&page))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_suggests_a_title() {
        assert_eq!(name_of("https://github.com/PSLmodels/Tax-Brain.git/"), "Tax-Brain");
        assert_eq!(name_of("git@github.com:a/my_model"), "my-model");
        assert_eq!(name_of(""), "");
    }
}
