//! Publishing by a push: each model has a repository on this site, and what is pushed to its branch is built.

use csw_core::{
    access::Caller,
    build::{BuildOrder, Source, Trigger},
    model::{Model, ModelSettings},
    names::ModelTitle,
    ports::{GitAnswer, GitRequest, GitService, RefChange},
};

use crate::{
    App,
    access_rules::writer,
    error::{AppError, AppResult},
    models::ModelView,
};

/// The branch of settings that nobody touched, and what git calls the same branch today.
const DEFAULT_BRANCHES: [&str; 2] = ["master", "main"];

impl App {
    /// The model that a repository belongs to, for those who may change it: a model's source is theirs, also where
    /// everybody may run it. A first push makes the model: it needs no other preparation.
    pub async fn model_of_repository(
        &self,
        caller: &Caller,
        owner: &str,
        title: &str,
        service: GitService,
    ) -> AppResult<ModelView> {
        if caller.account().is_none() {
            return Err(AppError::LoginRequired);
        }
        let view = match self.model(caller, owner, title).await {
            Err(AppError::NotFound { .. }) if service == GitService::ReceivePack => {
                self.model_by_push(caller, owner, title).await?
            }
            other => other?,
        };
        let account = writer(caller, view.role)?;
        if service == GitService::ReceivePack {
            self.admit_build(account, &view).await?;
        }
        Ok(view)
    }

    async fn model_by_push(&self, caller: &Caller, owner: &str, title: &str) -> AppResult<ModelView> {
        let account = self.account(caller.account().ok_or(AppError::LoginRequired)?).await?;
        if account.name.folded() != owner.to_lowercase() {
            return Err(AppError::missing(format!("the model {owner}/{title}; only {owner} can make it by a push")));
        }
        let cleaned = ModelTitle::cleaned(title).map_err(|error| AppError::name("title", &error))?;
        if cleaned.as_str() != title {
            let sentence = format!("A title has letters, digits and -: push to {owner}/{cleaned}.git instead.");
            return Err(AppError::field("title", sentence));
        }
        let model = self.create_model(caller, title, ModelSettings::undescribed(title)).await?;
        self.view_of(caller, model).await
    }

    /// Answers git, and asks for a build where a push changed what is published.
    pub async fn git(&self, caller: &Caller, view: &ModelView, mut request: GitRequest) -> AppResult<GitAnswer> {
        writer(caller, view.role)?;
        let name = view.model.name();
        let branch = published_branch(&view.model);
        request.note = format!(
            "Compute Studio builds what is pushed to {branch}: {}/{name}/builds/",
            self.inner.config.public_url
        );
        let answer = self.inner.ports.repositories.serve(view.model.id, request).await?;
        if let Some((commit, branch)) = self.published(view, &answer.changed).await? {
            let order = order_of(Source::Own { model: view.model.id, commit, branch }, &answer.options);
            let build = self.publish(caller, view, order, Trigger::Push).await;
            if let Err(error) = build {
                // The push itself is done: what it changed is built with the next one, or on request.
                tracing::warn!(model = %name, %error, "a push could not be built");
            }
        }
        Ok(answer)
    }

    /// The commit that a push put where versions come from, and the branch or tag.
    async fn published(&self, view: &ModelView, changed: &[RefChange]) -> AppResult<Option<(String, String)>> {
        let wanted = published_branch(&view.model);
        let found = |name: &str| {
            let full = [format!("refs/heads/{name}"), format!("refs/tags/{name}")];
            changed.iter().find(|change| full.contains(&change.name)).and_then(|change| change.commit.clone())
        };
        if let Some(commit) = found(wanted) {
            return Ok(Some((commit, wanted.to_owned())));
        }
        if !DEFAULT_BRANCHES.contains(&wanted) {
            return Ok(None);
        }
        // Settings that nobody touched name one of two; a repository has the other, unless it has both.
        let Some((commit, other)) = DEFAULT_BRANCHES.iter().find_map(|name| Some((found(name)?, *name))) else {
            return Ok(None);
        };
        let refs = self.inner.ports.repositories.refs(view.model.id).await?;
        let has_wanted = refs.iter().any(|(name, _)| *name == format!("refs/heads/{wanted}"));
        Ok((!has_wanted).then(|| (commit, other.to_owned())))
    }
}

/// What is to be done with a push, by what was said with it: `git push -o stage -o skip-test -o no-example`.
fn order_of(source: Source, said: &[String]) -> BuildOrder {
    let has = |word: &str| said.iter().any(|one| one == word);
    BuildOrder {
        promote: !has("stage"),
        skip_tests: has("skip-test"),
        example: !has("no-example"),
        ..BuildOrder::of(source)
    }
}

/// The branch, tag or commit that versions of a model are made of: what a push to it publishes.
pub fn published_branch(model: &Model) -> &str {
    let tag = model.settings.repo_tag.as_str();
    if tag.is_empty() { DEFAULT_BRANCHES[1] } else { tag }
}
