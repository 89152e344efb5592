//! Pull requests as those see them who ask, and what each may do with them.

use csw_core::{
    access::Caller,
    build::Build,
    ids::AccountId,
    ports::{Comparison, RepositoryError},
    pull::{Check, CheckState, Pull, PullState},
};

use super::{RepositoryView, proposed::Touched};
use crate::{
    App,
    access_rules::{merger, writer},
    error::{AppError, AppResult},
    models::ModelView,
};

/// A check and the build that tells how it stands.
#[derive(Debug, Clone)]
pub struct CheckView {
    /// What is checked.
    pub check: Check,
    /// Its build, if there is one that the caller may look at.
    pub build: Option<Build>,
    /// How it stands.
    pub state: CheckState,
}

impl CheckView {
    /// What is to be said of it.
    pub fn sentence(&self) -> &str {
        let said = self.build.as_ref().and_then(|build| build.message.as_deref());
        self.check.problem.as_deref().or(said).unwrap_or_default()
    }
}

/// A pull request as one caller sees it.
#[derive(Debug, Clone)]
pub struct PullView {
    /// It.
    pub pull: Pull,
    /// Its checks.
    pub checks: Vec<CheckView>,
    /// What it changes; none in lists, and where git has lost it.
    pub comparison: Option<Comparison>,
    /// Whether the caller may give it another title, close it and open it again.
    pub may_change: bool,
    /// Whether the caller may merge it once its checks have passed.
    pub may_merge: bool,
    /// Whether the caller may merge it before.
    pub may_merge_anyway: bool,
    /// Who merged it.
    pub merged_by: Option<String>,
}

impl PullView {
    /// Whether nothing of it has failed, or is not known yet.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.state == CheckState::Passed)
    }
}

impl App {
    pub(super) async fn outlined(
        &self,
        caller: &Caller,
        repository: &RepositoryView,
        pull: Pull,
    ) -> AppResult<PullView> {
        let merged_by = match &pull.merge {
            Some(merge) if pull.state == PullState::Merged => self.account(merge.by).await.ok(),
            _ => None,
        };
        let mut checks = self.check_views(&pull).await?;
        if repository.model().is_none() {
            self.hide_builds(caller, &mut checks).await?;
        }
        Ok(PullView {
            checks,
            comparison: None,
            may_change: may_change(caller, repository, &pull),
            may_merge: false,
            may_merge_anyway: false,
            merged_by: merged_by.map(|account| account.name.to_string()),
            pull,
        })
    }

    pub(super) async fn check_views(&self, pull: &Pull) -> AppResult<Vec<CheckView>> {
        let mut checks = Vec::with_capacity(pull.checks.len());
        for check in pull.checks.clone() {
            let build = match check.build {
                Some(id) => self.store().build(id).await?,
                None => None,
            };
            checks.push(CheckView { state: check.state(build.as_ref()), check, build });
        }
        Ok(checks)
    }

    /// How a check stands is for everybody who sees its pull request; its build is for those who may look at builds.
    async fn hide_builds(&self, caller: &Caller, checks: &mut [CheckView]) -> AppResult<()> {
        for check in checks {
            let Some(model) = check.build.as_ref().map(|build| build.model) else { continue };
            if !self.view_of(caller, self.model_by_id(model).await?).await?.may_review() {
                check.build = None;
            }
        }
        Ok(())
    }

    pub(super) async fn viewed(&self, caller: &Caller, repository: &RepositoryView, pull: Pull) -> AppResult<PullView> {
        let from = match &pull.merge {
            Some(merge) => merge.from.clone(),
            None => self.branches(repository.id()).await?.tip(&pull.into).unwrap_or_default().to_owned(),
        };
        let comparison = match self.inner.ports.repositories.compare(repository.id(), &from, &pull.head).await {
            Ok(comparison) => Some(comparison),
            Err(RepositoryError::Unusable { .. }) => None,
            // Commits of a closed one may be gone; what is open has to be there.
            Err(_) if pull.state == PullState::Closed => None,
            Err(other) => return Err(other.into()),
        };
        let mut view = self.outlined(caller, repository, pull).await?;
        if let Some(comparison) = comparison.as_ref().filter(|_| view.pull.state == PullState::Open) {
            let touched = self.touched_by(repository, &view.pull, comparison).await?;
            view.may_merge = self.merger_of(caller, repository, &touched).await.is_ok();
            view.may_merge_anyway = view.may_merge && caller.is_maintainer();
        }
        Ok(PullView { comparison, ..view })
    }

    /// What a pull request of the publish repository changes; nothing needs to be known of another one.
    pub(super) async fn touched_by(
        &self,
        repository: &RepositoryView,
        pull: &Pull,
        comparison: &Comparison,
    ) -> AppResult<Touched> {
        match repository {
            RepositoryView::Model(_) => Ok(Touched::default()),
            RepositoryView::Publish => self.touched(&pull.head, comparison).await,
        }
    }

    /// Refuses unless the caller may merge it.
    pub(super) async fn merger_of(
        &self,
        caller: &Caller,
        repository: &RepositoryView,
        touched: &Touched,
    ) -> AppResult<AccountId> {
        let approval = self.inner.config.approval_required;
        if let Some(view) = repository.model() {
            return merger(caller, std::slice::from_ref(view), false, approval);
        }
        let mut models: Vec<ModelView> = Vec::new();
        let mut more = touched.more;
        for model in &touched.models {
            let Ok((name, _)) = &model.said else {
                more = true;
                continue;
            };
            match self.model(caller, name.owner.as_str(), name.title.as_str()).await {
                Ok(view) => models.push(view),
                Err(AppError::NotFound { .. }) => more = true,
                Err(other) => return Err(other),
            }
        }
        merger(caller, &models, more, approval)
    }
}

/// Whether somebody may close it, open it again and give it another title.
pub(super) fn may_change(caller: &Caller, repository: &RepositoryView, pull: &Pull) -> bool {
    let own = caller.account() == Some(pull.author);
    let writes = repository.model().is_some_and(|view| writer(caller, view.role).is_ok());
    caller.active().is_some() && (own || writes || caller.is_maintainer())
}
