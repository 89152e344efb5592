//! Publishing: asking for builds, looking at them, and deciding which version is live. `queue` begins them one after
//! the other, `pipeline` carries one out.

mod log;
mod pipeline;
mod queue;
mod tested;

use bytes::Bytes;
use csw_core::{
    access::Caller,
    build::{Build, BuildOrder, BuildState, Source, Stage, StopReason, Trigger},
    ids::{AccountId, BuildId, PullId, VersionId},
    model::{Model, Version, VersionState},
    page::{Page, PageRequest},
    run::LogOf,
};

pub(crate) use self::{queue::AtWork, tested::takes_defaults};
use crate::{
    App, Duties,
    access_rules::{may_promote, publisher, reviewer},
    error::{AppError, AppResult},
    models::ModelView,
    new_id,
};

/// Promotions that a roll-back looks at.
const LOOK_BACK: u32 = 100;

const STAGED_ONLY: &str = "This workflow is trusted to stage versions, not to make them live.";
const MAINTAINERS_PROMOTE: &str = "On this site a maintainer promotes versions.";

impl App {
    /// Puts a build of a model into the queue. The newest wins: one of the same model (and pull request) that waits or is
    /// at work is cancelled. Where a maintainer has to approve, a member's version stays staged whatever the order says.
    pub async fn publish(
        &self,
        caller: &Caller,
        view: &ModelView,
        order: BuildOrder,
        trigger: Trigger,
    ) -> AppResult<Build> {
        let requested_by = publisher(caller, view)?;
        self.inner.submission_limit.check(&requested_by)?;
        if self.inner.config.builds_at_once == 0 && order.source.is_here() {
            return Err(AppError::Conflict {
                sentence:
                    "This server builds nothing, and no other one has these files: send them to one that builds, or \
                           name a repository by its URL."
                        .to_owned(),
            });
        }
        let order = BuildOrder { promote: order.promote && self.may_promote(caller, view), ..order };
        self.queue_build(requested_by, view, order, trigger).await
    }

    /// Puts a build into the queue that somebody has decided on. It supersedes one of the same model that checks the same
    /// pull request, or none as this one.
    pub(crate) async fn queue_build(
        &self,
        requested_by: AccountId,
        view: &ModelView,
        order: BuildOrder,
        trigger: Trigger,
    ) -> AppResult<Build> {
        self.admit_build(requested_by, view, order.pull).await?;
        let build = Build {
            id: new_id!(self, BuildId),
            model: view.model.id,
            requested_by,
            trigger,
            source: describe(&order.source),
            order,
            commit: None,
            stage: Stage::Fetch,
            stages: vec![],
            state: BuildState::Queued,
            message: None,
            version: None,
            attempt: 0,
            created_at: self.now(),
            finished_at: None,
        };
        // Where pages alone are served, whoever builds has the same folder.
        let here = build.order.source.is_here() && self.inner.config.duties != Duties::Pages;
        for superseded in self.store().insert_build(&build, here).await? {
            forget_upload(&superseded).await;
        }
        self.stop_builds_like(&build).await?;
        self.inner.builds_wake.notify_one();
        Ok(build)
    }

    /// Refuses where somebody has too many builds already, not counting the one that this one would supersede.
    pub(crate) async fn admit_build(
        &self,
        requested_by: AccountId,
        view: &ModelView,
        pull: Option<PullId>,
    ) -> AppResult<()> {
        let limit = self.inner.config.builds_per_account;
        let unfinished = self.store().unfinished_builds().await?;
        let superseded = |one: &Build| one.model == view.model.id && one.order.pull == pull;
        let others = unfinished.iter().filter(|one| one.requested_by == requested_by && !superseded(one));
        if others.count() < limit {
            return Ok(());
        }
        Err(AppError::TooMany {
            sentence: format!(
                "You have {limit} builds waiting or at work, which is the most; wait for one or cancel it."
            ),
            retry_after_seconds: 30,
        })
    }

    /// Stops a build; says whether it was waiting or at work.
    pub async fn cancel_build(&self, caller: &Caller, view: &ModelView, id: BuildId) -> AppResult<bool> {
        publisher(caller, view)?;
        let build = self.build(view, id).await?;
        self.end_early(build, StopReason::OnRequest).await
    }

    /// Stops a build that waits or is at work; says whether it was one.
    pub(crate) async fn end_early(&self, mut build: Build, why: StopReason) -> AppResult<bool> {
        if build.state == BuildState::Queued {
            build.end(BuildState::Cancelled, why.sentence().to_owned(), self.now());
            if self.store().update_build(&build).await? {
                forget_upload(&build).await;
            }
            return Ok(true);
        }
        let is_at_work = build.state == BuildState::Running;
        if is_at_work {
            self.store().stop_build(build.id, why).await?;
        }
        Ok(is_at_work)
    }

    /// A build of this model, for its writers and the site's maintainers.
    pub async fn build(&self, view: &ModelView, id: BuildId) -> AppResult<Build> {
        let build = self.store().build(id).await?.filter(|build| build.model == view.model.id);
        match build {
            Some(build) if view.may_review() => Ok(build),
            _ => Err(AppError::missing("the build")),
        }
    }

    /// The builds of a model, newest first, for its writers and the site's maintainers.
    pub async fn builds(&self, caller: &Caller, view: &ModelView, page: PageRequest) -> AppResult<Page<Build>> {
        reviewer(caller, view)?;
        Ok(self.store().builds(view.model.id, page).await?)
    }

    /// Text of a build's log from `offset`, and the length of the whole.
    pub async fn build_log(&self, view: &ModelView, id: BuildId, offset: u64, limit: u64) -> AppResult<(Bytes, u64)> {
        let build = self.build(view, id).await?;
        let log = LogOf::Build(build.id);
        Ok((self.store().read_log(log, offset, limit).await?, self.store().log_length(log).await?))
    }

    /// Whether the caller may make versions of the model live, where they may publish it.
    pub fn may_promote(&self, caller: &Caller, view: &ModelView) -> bool {
        may_promote(caller, view, self.inner.config.approval_required)
    }

    fn promoter(&self, caller: &Caller, view: &ModelView) -> AppResult<AccountId> {
        let account = reviewer(caller, view)?;
        if self.may_promote(caller, view) {
            return Ok(account);
        }
        let staged_only = view.grant.as_ref().is_some_and(|grant| !grant.promote);
        Err(AppError::forbidden(if staged_only { STAGED_ONLY } else { MAINTAINERS_PROMOTE }))
    }

    /// Makes a version live: a pointer moves, nothing is built. Simulations keep their versions. A staged version is
    /// compared with the live one before; while that is at work this is refused, unless `skip_comparison`.
    pub async fn promote(
        &self,
        caller: &Caller,
        view: &ModelView,
        version: VersionId,
        skip_comparison: bool,
    ) -> AppResult<Model> {
        let by = self.promoter(caller, view)?;
        let found = self.version_by_id(version).await?;
        if found.model != view.model.id {
            return Err(AppError::missing("the version"));
        }
        if !skip_comparison {
            self.await_comparison(by, view, &found).await?;
        }
        self.go_live(&view.model, &found, by).await
    }

    /// Makes the version live that was so before the present one.
    pub async fn roll_back(&self, caller: &Caller, view: &ModelView) -> AppResult<Model> {
        let by = self.promoter(caller, view)?;
        let nowhere =
            || AppError::field("version", "No other version of this model was live: promote one by its name.");
        let former = self.former_version(view).await?.ok_or_else(nowhere)?;
        Ok(self.store().promote(view.model.id, former.id, by, self.now()).await?)
    }

    /// The version that a roll-back makes live.
    pub async fn former_version(&self, view: &ModelView) -> AppResult<Option<Version>> {
        let Some(live) = view.model.live_version else { return Ok(None) };
        let promotions = self.store().promotions(view.model.id, LOOK_BACK).await?;
        for promotion in promotions.iter().filter(|one| one.version != live) {
            if let Some(version) = self.store().version(promotion.version).await?
                && version.state != VersionState::Failed
            {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// Whether the caller may publish at all, for faces that take an upload before they ask.
    pub fn may_publish(&self, caller: &Caller, view: &ModelView) -> AppResult<()> {
        publisher(caller, view).map(|_| ())
    }
}

/// Removes the files that were uploaded for a build which is over.
async fn forget_upload(build: &Build) {
    if let Source::Archive { file, .. } = &build.order.source
        && let Err(error) = tokio::fs::remove_file(file).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(build = %build.id, %error, "the upload of a build could not be removed");
    }
}

fn describe(source: &Source) -> String {
    match source {
        Source::Git { url, reference } => {
            let shown = match url.split_once("://") {
                Some((scheme, rest)) => match rest.split_once('@') {
                    Some((_, host)) => format!("{scheme}://{host}"),
                    None => url.clone(),
                },
                None => url.clone(),
            };
            if reference.is_empty() { shown } else { format!("{shown} at {reference}") }
        }
        Source::Own { commit, branch, .. } => {
            format!("commit {} of {branch}", commit.chars().take(12).collect::<String>())
        }
        Source::Archive { commit, .. } if commit.is_empty() => "uploaded files".to_owned(),
        Source::Archive { commit, .. } => format!("uploaded files of commit {commit}"),
        Source::Folder(folder) => folder.display().to_string(),
    }
}
