//! The site's own forge. Each model has a repository, and what is pushed to its branch is built; one more has a file for
//! each model, whose pull requests publish them. `pulls` opens and changes pull requests, `views` shows them, `proposed` finds
//! out what they are about, `checks` has it built, and `merging` brings them to their end.

mod checks;
mod merging;
mod proposed;
mod pulls;
mod telling;
mod views;

use csw_core::{
    access::{Caller, Role},
    build::{BuildOrder, Source, Trigger},
    model::{Model, ModelSettings},
    names::ModelTitle,
    ports::{GitAnswer, GitRequest, GitService, RefChange},
    repository::{PUBLISH, RepositoryId},
};

pub use self::{
    merging::MergeChoices,
    pulls::{NewPull, PullChanges},
    views::{CheckView, PullView},
};
use crate::{
    App,
    access_rules::{active, reviewer, writer},
    error::{AppError, AppResult},
    models::ModelView,
    publish_repository::TEMPLATE,
};

/// The branch of settings that nobody touched, and what git calls the same branch today.
const DEFAULT_BRANCHES: [&str; 2] = ["master", "main"];

/// A repository of this site, as one caller sees it.
#[derive(Debug, Clone)]
pub enum RepositoryView {
    /// The source of a model.
    Model(Box<ModelView>),
    /// The one that all models are published from.
    Publish,
}

impl RepositoryView {
    /// Its identifier.
    pub fn id(&self) -> RepositoryId {
        match self {
            Self::Model(view) => RepositoryId::Model(view.model.id),
            Self::Publish => RepositoryId::Publish,
        }
    }

    /// `ada/Model`, or `publish`: what it is called in addresses.
    pub fn name(&self) -> String {
        match self {
            Self::Model(view) => view.model.name().to_string(),
            Self::Publish => PUBLISH.to_owned(),
        }
    }

    /// Its model, if it is one's.
    pub fn model(&self) -> Option<&ModelView> {
        match self {
            Self::Model(view) => Some(view),
            Self::Publish => None,
        }
    }
}

impl App {
    /// The model that a repository belongs to, for those who may change it: a model's source is theirs, also where
    /// everybody may run it. A first push makes the model: it needs no other preparation.
    pub async fn model_of_repository(
        &self,
        caller: &Caller,
        owner: &str,
        title: &str,
        service: GitService,
    ) -> AppResult<RepositoryView> {
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
            self.admit_build(account, &view, None).await?;
        }
        Ok(RepositoryView::Model(Box::new(view)))
    }

    /// The repository that models are published from, for everybody with an account. It is made when it is first asked
    /// for.
    pub async fn publish_repository(&self, caller: &Caller) -> AppResult<RepositoryView> {
        active(caller)?;
        self.inner.ports.repositories.begin(RepositoryId::Publish, &TEMPLATE, self.now()).await?;
        Ok(RepositoryView::Publish)
    }

    /// The repository of a model, for those who may look at its pull requests.
    pub async fn reviewed_repository(&self, caller: &Caller, owner: &str, title: &str) -> AppResult<RepositoryView> {
        let view = self.model(caller, owner, title).await?;
        reviewer(caller, &view)?;
        Ok(RepositoryView::Model(Box::new(view)))
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

    /// Answers git. A push to what is published is built, and one to a branch that is proposed is checked.
    pub async fn git(
        &self,
        caller: &Caller,
        repository: &RepositoryView,
        mut request: GitRequest,
    ) -> AppResult<GitAnswer> {
        let url = &self.inner.config.public_url;
        let name = repository.name();
        match repository {
            RepositoryView::Model(view) => {
                writer(caller, view.role)?;
                let branch = published_branch(&view.model);
                request.note = format!(
                    "Compute Studio builds what is pushed to {branch}: {url}/{name}/builds/\n\
                     Other branches are proposed with a pull request: {url}/{name}/pulls/"
                );
            }
            RepositoryView::Publish => {
                active(caller)?;
                request.only = self.pushable(caller).await?;
                request.refusal = format!(
                    "You may push branches named YOU/... and publish/OWNER/TITLE of models that you may change; \
                     main changes by pull requests: {url}/{name}/pulls/"
                );
                request.note = format!("Models are published by pull requests: {url}/{name}/pulls/");
            }
        }
        let answer = self.inner.ports.repositories.serve(repository.id(), request).await?;
        if let RepositoryView::Model(view) = repository {
            self.build_push(caller, view, &answer.changed, &answer.options).await?;
        }
        for change in &answer.changed {
            if let Some(branch) = change.name.strip_prefix("refs/heads/") {
                self.branch_moved(repository, branch, change.commit.as_deref()).await;
            }
        }
        Ok(answer)
    }

    async fn build_push(
        &self,
        caller: &Caller,
        view: &ModelView,
        changed: &[RefChange],
        said: &[String],
    ) -> AppResult<()> {
        let Some((commit, branch)) = self.published(view, changed).await? else { return Ok(()) };
        let order = order_of(Source::Own { model: view.model.id, commit, branch }, said);
        if let Err(error) = self.publish(caller, view, order, Trigger::Push).await {
            // The push itself is done: what it changed is built with the next one, or on request.
            tracing::warn!(model = %view.model.name(), %error, "a push could not be built");
        }
        Ok(())
    }

    /// What somebody may push to the publish repository: everything for maintainers, who have no entry; for others
    /// branches below their own name, and the branches that `csw publish` makes for models which they may change.
    pub(crate) async fn pushable(&self, caller: &Caller) -> AppResult<Vec<String>> {
        let id = active(caller)?;
        if caller.is_maintainer() {
            return Ok(Vec::new());
        }
        let name = self.account(id).await?.name;
        let mut names = vec![format!("refs/heads/{name}/"), format!("refs/heads/{PUBLISH}/{name}/")];
        for (model, role) in self.store().model_roles(id).await? {
            if role >= Role::Write {
                names.push(format!("refs/heads/{PUBLISH}/{}", self.model_by_id(model).await?.name()));
            }
        }
        Ok(names)
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
        let refs = self.inner.ports.repositories.refs(RepositoryId::Model(view.model.id)).await?;
        let has_wanted = refs.iter().any(|(name, _)| *name == format!("refs/heads/{wanted}"));
        Ok((!has_wanted).then(|| (commit, other.to_owned())))
    }
}

/// What is to be done with a push, by what was said with it: `git push -o stage -o skip-test -o skip-comparison
/// -o no-example`.
fn order_of(source: Source, said: &[String]) -> BuildOrder {
    let has = |word: &str| said.iter().any(|one| one == word);
    BuildOrder {
        promote: !has("stage"),
        skip_tests: has("skip-test"),
        skip_comparison: has("skip-comparison"),
        example: !has("no-example"),
        ..BuildOrder::of(source)
    }
}

/// The branch, tag or commit that versions of a model are made of: what a push to it publishes.
pub fn published_branch(model: &Model) -> &str {
    let tag = model.settings.repo_tag.as_str();
    if tag.is_empty() { DEFAULT_BRANCHES[1] } else { tag }
}

/// The branch among these that pull requests of a model are merged into: the one that is published.
fn published_among<'a>(model: &'a Model, branches: &Branches) -> Option<&'a str> {
    let wanted = published_branch(model);
    if branches.tip(wanted).is_some() {
        return Some(wanted);
    }
    let other = DEFAULT_BRANCHES.into_iter().find(|name| branches.tip(name).is_some());
    other.filter(|_| DEFAULT_BRANCHES.contains(&wanted))
}

/// The branches of a repository.
struct Branches(Vec<(String, String)>);

impl Branches {
    fn tip(&self, branch: &str) -> Option<&str> {
        self.iter().find(|(name, _)| *name == branch).map(|(_, commit)| commit)
    }

    /// The commit of a branch or tag.
    fn named(&self, name: &str) -> Option<&str> {
        let tag = format!("refs/tags/{name}");
        let tagged = self.0.iter().find(|(full, _)| *full == tag).map(|(_, commit)| commit.as_str());
        self.tip(name).or(tagged)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, commit)| Some((name.strip_prefix("refs/heads/")?, commit.as_str())))
    }
}

impl App {
    async fn branches(&self, at: RepositoryId) -> AppResult<Branches> {
        Ok(Branches(self.inner.ports.repositories.refs(at).await?))
    }
}
