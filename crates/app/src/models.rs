//! Models: looking at them, publishing details, members, versions.

use std::collections::HashMap;

use csw_core::{
    access::{AccountRole, Caller, Grant, Role, effective, may_read},
    ids::{AccountId, ModelId, VersionId},
    model::{Model, ModelSettings, ModelStatus, Version},
    names::ModelTitle,
    page::{Page, PageRequest},
    ports::{ModelFilter, StoreError},
    simulation::Collaborator,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    App,
    access_rules::{active, administrator, publisher},
    error::{AppError, AppResult},
    new_id,
};

/// Models a user's panel shows as recently used.
const RECENT: u32 = 7;

/// From so many simulations on, the counts of a model are kept for a while.
const MANY_SIMULATIONS: u64 = 1000;

/// How long.
const COUNTS_LAST: SignedDuration = SignedDuration::from_secs(10);

/// When they were counted, and the simulations and users of a model.
pub(crate) type Counted = (Timestamp, (u64, u64));

/// A model as one caller sees it.
#[derive(Debug, Clone)]
pub struct ModelView {
    /// The model.
    pub model: Model,
    /// The caller's role, if any.
    pub role: Option<Role>,
    /// Whether the caller is a maintainer of the site, who looks at versions and promotes them.
    pub maintainer: bool,
    /// What a workflow was trusted with that asks; nothing where an account does.
    pub grant: Option<Grant>,
}

impl ModelView {
    /// Whether the caller may publish versions and change details.
    pub fn may_write(&self) -> bool {
        self.role >= Some(Role::Write)
    }

    /// Whether the caller may look at builds, try staged versions, and decide which version is live.
    pub fn may_review(&self) -> bool {
        self.may_write() || self.maintainer
    }
}

impl App {
    /// By owner and title, in any case. A private model does not exist for those who may not see it.
    pub async fn model(&self, caller: &Caller, owner: &str, title: &str) -> AppResult<ModelView> {
        let missing = || AppError::missing(format!("the model {owner}/{title}"));
        let model = self.store().model_by_name(owner, title).await?.ok_or_else(missing)?;
        let view = self.view_of(caller, model).await?;
        // What waits for approval has to be seen by those who give it.
        let reviews = self.inner.config.approval_required && view.maintainer;
        let visible = may_read(caller, view.model.settings.is_public, view.role) || reviews;
        if visible { Ok(view) } else { Err(missing()) }
    }

    pub(crate) async fn model_by_id(&self, id: ModelId) -> AppResult<Model> {
        self.store().model(id).await?.ok_or_else(|| AppError::missing("the model"))
    }

    pub(crate) async fn view_of(&self, caller: &Caller, model: Model) -> AppResult<ModelView> {
        if let Caller::Workflow { grants, .. } = caller {
            return self.view_of_workflow(grants, model).await;
        }
        let stored = match caller.account() {
            Some(account) => self.store().model_role(model.id, account).await?,
            None => None,
        };
        Ok(ModelView { role: effective(caller, stored), maintainer: caller.is_maintainer(), model, grant: None })
    }

    /// The model as a workflow sees it, by the grant that lets it do most. Accounts may trust a repository that is not
    /// theirs: what counts is what they may do with this model.
    async fn view_of_workflow(&self, grants: &[Grant], model: Model) -> AppResult<ModelView> {
        let name = model.name();
        let mut best: Option<(Option<Role>, &Grant)> = None;
        for grant in grants.iter().filter(|grant| grant.covers(&name)) {
            let role = grant.role_on(self.store().model_role(model.id, grant.account).await?);
            let better = |(other, one): &(Option<Role>, &Grant)| {
                (role, grant.promote, grant.role) > (*other, one.promote, one.role)
            };
            // A maintainer decides on the models of others as well.
            let any = role.is_some() || grant.role >= AccountRole::Maintainer;
            if any && best.as_ref().is_none_or(better) {
                best = Some((role, grant));
            }
        }
        let (role, grant) = best.map_or((None, None), |(role, grant)| (role, Some(grant.clone())));
        let maintainer = grant.as_ref().is_some_and(|grant| grant.role >= AccountRole::Maintainer);
        Ok(ModelView { model, role, maintainer, grant })
    }

    /// The models that the caller may see, of those that the filter wants. Unlisted ones, and those that never had a
    /// version, show only to those with a role.
    pub async fn models(&self, caller: &Caller, filter: ModelFilter, page: PageRequest) -> AppResult<Page<Model>> {
        let own = filter.owner.is_some() && filter.owner == caller.account();
        let filter = if caller.is_admin() {
            filter
        } else {
            ModelFilter {
                visible_to: caller.account(),
                public_only: caller.account().is_none(),
                listed_only: filter.listed_only || !own,
                // A maintainer looks at what waits for a first version.
                published_only: !own && !caller.is_maintainer(),
                ..filter
            }
        };
        Ok(self.store().models(&filter, page).await?)
    }

    /// Models, each as the caller sees it.
    pub async fn views(&self, caller: &Caller, models: Vec<Model>) -> AppResult<Vec<ModelView>> {
        let roles = match caller.account() {
            Some(account) if !models.is_empty() => self.store().model_roles(account).await?,
            _ => Vec::new(),
        };
        let role_on = |model: &Model| {
            if caller.account() == Some(model.owner) {
                return Some(Role::Admin);
            }
            roles.iter().find(|(id, _)| *id == model.id).map(|(_, role)| *role)
        };
        let maintainer = caller.is_maintainer();
        let view =
            |model: Model| ModelView { role: effective(caller, role_on(&model)), maintainer, model, grant: None };
        Ok(models.into_iter().map(view).collect())
    }

    /// The models the caller last made simulations of, without those they may not see any more.
    pub async fn recent_models(&self, caller: &Caller) -> AppResult<Vec<ModelView>> {
        let account = caller.account().ok_or(AppError::LoginRequired)?;
        let models = self.store().recent_models(account, RECENT).await?;
        let mut views = self.views(caller, models).await?;
        views.retain(|view| may_read(caller, view.model.settings.is_public, view.role));
        Ok(views)
    }

    /// Publishes a model, without a version yet. The title is cleaned as the publish form always did.
    pub async fn create_model(&self, caller: &Caller, title: &str, settings: ModelSettings) -> AppResult<Model> {
        self.create_model_of(caller, None, title, settings).await
    }

    /// Likewise for a workflow, which several accounts may trust: it says whose the model is to be. An account makes its
    /// own.
    pub async fn create_model_of(
        &self,
        caller: &Caller,
        owner: Option<&str>,
        title: &str,
        settings: ModelSettings,
    ) -> AppResult<Model> {
        let cleaned = ModelTitle::cleaned(title);
        let owner = match caller {
            Caller::Workflow { name, grants } => maker(name, grants, owner, cleaned.as_ref().ok())?,
            _ => active(caller)?,
        };
        self.inner.submission_limit.check(&owner)?;
        let title = cleaned.map_err(|error| AppError::name("title", &error))?;
        check(&settings)?;
        let account = self.account(owner).await?;
        let model = Model {
            id: new_id!(self, ModelId),
            owner,
            owner_name: account.name,
            title,
            settings,
            status: ModelStatus::Pending,
            live_version: None,
            latest_tag: None,
            staging_tag: None,
            sponsor: None,
            sponsor_message: None,
            created_at: self.now(),
        };
        match self.store().insert_model(&model).await {
            Err(StoreError::Conflict { .. }) => {
                Err(AppError::field("project_exists", format!("A project named {} already exists.", model.name())))
            }
            other => {
                other?;
                Ok(model)
            }
        }
    }

    /// Changes what the publisher decides. It makes nothing live: only a promoted version does.
    pub async fn update_model(&self, caller: &Caller, view: &ModelView, settings: ModelSettings) -> AppResult<Model> {
        publisher(caller, view)?;
        check(&settings)?;
        if settings.is_public != view.model.settings.is_public {
            administrator(caller, view.role)?;
        }
        Ok(self.store().update_model(view.model.id, &view.model.settings, &settings).await?)
    }

    /// Sets the tags that compute-studio clients keep.
    pub async fn set_tags(
        &self,
        caller: &Caller,
        view: &ModelView,
        latest: Option<Option<&str>>,
        staging: Option<Option<&str>>,
    ) -> AppResult<Model> {
        publisher(caller, view)?;
        for tag in [latest, staging].into_iter().flatten().flatten() {
            if tag.is_empty() || tag.len() > 64 {
                return Err(AppError::field("tag", "A tag has 1 to 64 characters."));
            }
        }
        Ok(self.store().set_model_tags(view.model.id, latest, staging).await?)
    }

    /// Refuses unless the caller may take models off, or back on.
    pub fn may_set_model_status(&self, caller: &Caller) -> AppResult<()> {
        active(caller)?;
        if caller.is_maintainer() {
            Ok(())
        } else {
            Err(AppError::forbidden("Only a maintainer changes the status of a model."))
        }
    }

    /// Takes a model off, or back on, for maintainers.
    pub async fn set_model_status(&self, caller: &Caller, view: &ModelView, status: ModelStatus) -> AppResult<()> {
        self.may_set_model_status(caller)?;
        Ok(self.store().set_model_status(view.model.id, status).await?)
    }

    /// Everybody with a role on the model, for its admins.
    pub async fn model_members(&self, caller: &Caller, view: &ModelView) -> AppResult<Vec<Collaborator>> {
        administrator(caller, view.role)?;
        Ok(self.store().model_members(view.model.id).await?)
    }

    /// Gives, changes or takes a role on the model.
    pub async fn set_model_role(
        &self,
        caller: &Caller,
        view: &ModelView,
        name: &str,
        role: Option<Role>,
    ) -> AppResult<()> {
        administrator(caller, view.role)?;
        let account = self.account_by_name(name).await?;
        if account.id == view.model.owner {
            return Err(AppError::forbidden("The owner of a model keeps every right on it."));
        }
        Ok(self.store().set_model_role(view.model.id, account.id, role).await?)
    }

    /// Simulations and users of a model, for those who may write it. Large numbers may be a few seconds old: they would
    /// be counted anew for every look at one of the many simulations.
    pub async fn counts(&self, view: &ModelView) -> AppResult<Option<(u64, u64)>> {
        if !view.may_write() {
            return Ok(None);
        }
        let (id, now) = (view.model.id, self.now());
        let fresh = |at: &Timestamp| now.duration_since(*at) < COUNTS_LAST;
        if let Some((_, counts)) = self.counted().get(&id).filter(|(at, _)| fresh(at)) {
            return Ok(Some(*counts));
        }
        let counts = self.store().model_counts(id).await?;
        let mut counted = self.counted();
        counted.retain(|_, (at, _)| fresh(at));
        if counts.0 >= MANY_SIMULATIONS {
            counted.insert(id, (now, counts));
        }
        Ok(Some(counts))
    }

    fn counted(&self) -> std::sync::MutexGuard<'_, HashMap<ModelId, Counted>> {
        self.inner.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The versions a caller may choose: live and retired ones, and staged ones for reviewers; newest first.
    pub async fn versions(&self, view: &ModelView) -> AppResult<Vec<Version>> {
        use csw_core::model::VersionState::{Live, Retired};
        let mut versions = self.store().versions(view.model.id).await?;
        versions.retain(|version| view.may_review() || matches!(version.state, Live | Retired));
        Ok(versions)
    }

    /// One of these versions; another one is not there.
    pub async fn version(&self, view: &ModelView, id: VersionId) -> AppResult<Version> {
        use csw_core::model::VersionState::{Live, Retired};
        let version = self.version_by_id(id).await?;
        let visible = version.model == view.model.id && (view.may_review() || matches!(version.state, Live | Retired));
        if visible { Ok(version) } else { Err(AppError::missing("the version")) }
    }

    /// The version that new simulations use.
    pub async fn live_version(&self, model: &Model) -> AppResult<Option<Version>> {
        match model.live_version {
            Some(id) => Ok(self.store().version(id).await?),
            None => Ok(None),
        }
    }

    /// A version by its identifier.
    pub async fn any_version(&self, id: VersionId) -> AppResult<Option<Version>> {
        Ok(self.store().version(id).await?)
    }

    pub(crate) async fn version_by_id(&self, id: VersionId) -> AppResult<Version> {
        self.store().version(id).await?.ok_or_else(|| AppError::missing("the version"))
    }
}

/// In whose name a workflow makes a model.
fn maker(name: &str, grants: &[Grant], owner: Option<&str>, title: Option<&ModelTitle>) -> AppResult<AccountId> {
    let named = |grant: &&Grant| owner.is_none_or(|owner| owner.eq_ignore_ascii_case(&grant.name));
    let covered = |grant: &&Grant| {
        let model = title.map(|title| format!("{}/{title}", grant.name).to_lowercase());
        grant.models.is_empty() || grant.models.iter().any(|one| Some(one.to_lowercase()) == model)
    };
    let mut accounts: Vec<&Grant> = grants.iter().filter(named).filter(covered).collect();
    accounts.dedup_by_key(|grant| grant.account);
    match accounts[..] {
        [one] => Ok(one.account),
        [] => Err(AppError::forbidden(format!(
            "No account that trusts workflows of {name} lets them make this model: its owner makes it first."
        ))),
        _ => Err(AppError::field("owner", "Several accounts trust this workflow: say whose model it is to be.")),
    }
}

pub(crate) fn check(settings: &ModelSettings) -> AppResult<()> {
    let mut errors = serde_json::Map::new();
    let mut refuse = |field: &str, sentence: String| {
        errors.insert(field.to_owned(), serde_json::json!([sentence]));
    };
    for (field, text) in [("oneliner", &settings.oneliner), ("description", &settings.description)] {
        if text.trim().is_empty() {
            refuse(field, "This field may not be blank.".to_owned());
        } else if text.chars().count() > 10_000 {
            refuse(field, "Ensure this field has no more than 10000 characters.".to_owned());
        }
    }
    if !settings.repo_url.is_empty() && !is_repository(&settings.repo_url) {
        refuse("repo_url", "Enter a valid URL: https://, ssh:// or git://.".to_owned());
    }
    if settings.repo_tag.chars().count() > 200 || settings.repo_tag.starts_with('-') {
        refuse("repo_tag", "Enter a branch, a tag or a commit.".to_owned());
    }
    if !(0.1..=64.0).contains(&settings.cpus) {
        refuse("cpu", "Ask for 0.1 to 64 CPUs.".to_owned());
    }
    if !(0.1..=1024.0).contains(&settings.memory_gigabytes) {
        refuse("memory", "Ask for 0.1 to 1024 GB of memory.".to_owned());
    }
    if !(0.1..=64.0).contains(&settings.build.cpus) {
        refuse("build_cpu", "Ask for 0.1 to 64 CPUs.".to_owned());
    }
    if !(0.1..=1024.0).contains(&settings.build.memory_gigabytes) {
        refuse("build_memory", "Ask for 0.1 to 1024 GB of memory.".to_owned());
    }
    if !(1..=24 * 60).contains(&settings.build.minutes) {
        refuse("build_minutes", "A step of a build may take a minute to a day.".to_owned());
    }
    if !(1..=7 * 86_400).contains(&settings.deadline_seconds) {
        refuse("deadline", "A deadline is between a second and a week.".to_owned());
    }
    if errors.is_empty() { Ok(()) } else { Err(AppError::Invalid { errors: serde_json::Value::Object(errors) }) }
}

fn is_repository(url: &str) -> bool {
    let known = ["https://", "http://", "ssh://", "git://", "file://"].iter().any(|scheme| url.starts_with(scheme));
    known && url.len() <= 2000 && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}
