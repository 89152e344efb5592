//! Before a version becomes live, the simulations that people look at most run again on it, and it is shown what became of
//! their tables. `work` carries that out; `differences` compares outputs.
//!
//! A promotion waits for the comparison, unless whoever promotes does without. The decision is a person's: only a push
//! that is to become live by itself stays staged where a simulation that ran on the live version fails on the new one,
//! and, on a site where maintainers approve, where the comparison could not be completed.

mod differences;
mod work;

use std::time::Duration;

use csw_core::{
    access::Caller,
    build::Build,
    comparison::{Compared, Comparison, ComparisonState, Tally},
    ids::{AccountId, VersionId},
    model::{Model, Version, VersionState},
    ports::{BuildLog, Change},
};
use futures::StreamExt;

use crate::{
    App,
    access_rules::active,
    error::{AppError, AppResult},
    models::ModelView,
};

/// A change that was not told is found after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A comparison as one person sees it.
#[derive(Debug, Clone)]
pub struct ComparisonView {
    /// The comparison.
    pub comparison: Comparison,
    /// What the live version says of itself.
    pub before: String,
    /// What the staged one says.
    pub after: String,
    /// Whether equal inputs give equal outputs; where they do not, differences may be chance.
    pub deterministic: bool,
    /// The simulations that the person may see.
    pub compared: Vec<Compared>,
    /// How many there are, or were left out, that the person may not see.
    pub unseen: u64,
    /// All of them in numbers.
    pub tally: Tally,
}

impl App {
    /// The comparison of a version with the one that was live, for those who decide.
    pub async fn comparison(
        &self,
        caller: &Caller,
        view: &ModelView,
        version: VersionId,
    ) -> AppResult<Option<ComparisonView>> {
        active(caller)?;
        if !view.may_review() {
            return Err(crate::access_rules::refused());
        }
        let version = self.version(view, version).await?;
        let Some(comparison) = self.store().comparison(version.id).await? else { return Ok(None) };
        let baseline = self.any_version(comparison.baseline).await?;
        let all = self.store().compared(version.id).await?;
        let tally = Tally::of(&all);
        let private: Vec<_> = all.iter().filter(|one| !one.is_public).map(|one| one.simulation).collect();
        let roles = self.roles_on(caller, &private).await?;
        let (compared, unseen): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|one| one.is_public || roles.iter().any(|(simulation, _)| *simulation == one.simulation));
        Ok(Some(ComparisonView {
            before: baseline.map_or_else(String::new, |version| version.reported),
            deterministic: view.model.settings.deterministic
                && version.facts.get("deterministic") != Some(&serde_json::json!(false)),
            after: version.reported,
            unseen: comparison.hidden + unseen.len() as u64,
            compared,
            tally,
            comparison,
        }))
    }

    /// Begins the comparison of a staged version with the live one anew; says whether there is anything to compare.
    pub async fn compare(&self, caller: &Caller, view: &ModelView, version: VersionId) -> AppResult<bool> {
        let by = active(caller)?;
        if !view.may_review() {
            return Err(crate::access_rules::refused());
        }
        let version = self.version(view, version).await?;
        if version.state != VersionState::Staged {
            let sentence = "Only a staged version is compared with the live one; others were live already.";
            return Err(AppError::Conflict { sentence: sentence.to_owned() });
        }
        self.inner.submission_limit.check(&by)?;
        Ok(self.begin_comparison(&view.model, &version, by).await?.is_some())
    }

    /// The comparison that a promotion has to wait for or to look at: the present one, or one that begins now. None where
    /// there is nothing to compare.
    async fn present_comparison(
        &self,
        model: &Model,
        version: &Version,
        by: AccountId,
    ) -> AppResult<Option<Comparison>> {
        if version.state != VersionState::Staged || model.live_version.is_none_or(|live| live == version.id) {
            return Ok(None);
        }
        match self.store().comparison(version.id).await? {
            Some(present) if Some(present.baseline) == model.live_version => Ok(Some(present)),
            _ => self.begin_comparison(model, version, by).await,
        }
    }

    async fn begin_comparison(&self, model: &Model, version: &Version, by: AccountId) -> AppResult<Option<Comparison>> {
        let limit = self.inner.config.compared_simulations;
        let Some(live) = model.live_version.filter(|live| *live != version.id && limit > 0) else { return Ok(None) };
        self.flush_views().await?;
        let everything = self.store().account(by).await?.is_some_and(|account| account.caller().is_admin());
        let (candidates, hidden) = self.store().candidates(model.id, live, by, everything, limit).await?;
        if candidates.is_empty() {
            return Ok(None);
        }
        let comparison = Comparison {
            version: version.id,
            model: model.id,
            baseline: live,
            requested_by: by,
            state: ComparisonState::Running,
            hidden,
            created_at: self.now(),
            finished_at: None,
        };
        for key in self.store().begin_comparison(&comparison, &candidates).await? {
            if let Err(error) = self.delete_object(&key).await {
                tracing::warn!(%error, "an object of a former comparison stays");
            }
        }
        self.work_at_comparison(comparison.clone());
        Ok(Some(comparison))
    }

    /// Refuses to promote while the comparison is at work.
    pub(crate) async fn await_comparison(&self, by: AccountId, view: &ModelView, version: &Version) -> AppResult<()> {
        let Some(comparison) = self.present_comparison(&view.model, version, by).await? else { return Ok(()) };
        if comparison.state != ComparisonState::Running {
            return Ok(());
        }
        let tally = Tally::of(&self.store().compared(version.id).await?);
        Err(AppError::Conflict {
            sentence: format!(
                "The simulations that are looked at most run again on this version: {}. Wait for them, and look at \
                 {}/{}/versions/{}/comparison/; or promote it without comparison.",
                tally.sentence(),
                self.inner.config.public_url,
                view.model.name(),
                version.id
            ),
        })
    }

    /// Begins the comparison of what a build has staged, for the one who is going to promote it.
    pub(crate) async fn compare_staged(&self, build: &Build, model: &Model, version: &Version, log: &dyn BuildLog) {
        match self.present_comparison(model, version, build.requested_by).await {
            Ok(Some(_)) => log.write(
                "The simulations that are looked at most run again on this version; its page shows what is different\n",
            ),
            Ok(None) => {}
            Err(error) => log.write(&format!("The version could not be compared with the live one: {error}\n")),
        }
    }

    /// Compares what a build is about to make live with what is so, to the end; why it should stay staged, if it should.
    pub(crate) async fn compare_before_promotion(
        &self,
        comparison: &Comparison,
        log: &dyn BuildLog,
    ) -> AppResult<Option<String>> {
        let version = comparison.version;
        let mut changes = self.store().changes();
        loop {
            // One that is gone was begun anew by somebody who promotes another version.
            let Some(present) = self.store().comparison(version).await? else { return Ok(None) };
            if present.state == ComparisonState::Running {
                let told = async {
                    while let Some(change) = changes.next().await {
                        if matches!(change, Change::Missed) || change == Change::Comparison(version) {
                            return;
                        }
                    }
                };
                let _ = tokio::time::timeout(LOOK_AGAIN, told).await;
                continue;
            }
            let tally = Tally::of(&self.store().compared(version).await?);
            log.write(&format!("compared with the live version: {}\n", tally.sentence()));
            return Ok(self.reservation(&present, tally));
        }
    }

    /// Whether what is asked for needs a comparison first.
    pub(crate) async fn comparison_of_build(
        &self,
        build: &Build,
        model: &Model,
        version: &Version,
    ) -> AppResult<Option<Comparison>> {
        if build.order.skip_comparison {
            return Ok(None);
        }
        self.present_comparison(model, version, build.requested_by).await
    }

    /// Why a version does not become live by itself.
    fn reservation(&self, comparison: &Comparison, tally: Tally) -> Option<String> {
        if tally.failed > 0 {
            return Some(format!(
                "{} of the {} simulations that are looked at most fail on it",
                tally.failed, tally.all
            ));
        }
        let incomplete = comparison.state == ComparisonState::Incomplete && self.inner.config.approval_required;
        incomplete.then(|| "it could not be compared with the live version to the end".to_owned())
    }
}
