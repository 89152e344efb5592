//! Merging: the decision is stored, then the branch is moved, then versions are made live. Where the server ends in
//! between, its next start goes on.

use csw_core::{
    access::Caller,
    build::BuildState,
    ids::{ModelId, VersionId},
    ports::{MergeResult, MergeWish},
    pull::{CheckState, Merge, Pull, PullState},
    repository::RepositoryId,
};

use super::{
    RepositoryView,
    checks::Asked,
    proposed::{TouchedModel, settings_with},
    views::{CheckView, PullView},
};
use crate::{
    App,
    error::{AppError, AppResult},
};

/// How to merge.
#[derive(Debug, Clone, Copy, Default)]
pub struct MergeChoices {
    /// Whatever the checks say, for maintainers.
    pub anyway: bool,
    /// Remove the branch that was proposed.
    pub delete_branch: bool,
}

impl App {
    /// Merges a pull request whose checks have passed, and makes live what they staged. Where that is not what the merge
    /// has, the merge is built and becomes live if that succeeds.
    pub async fn merge_pull(
        &self,
        caller: &Caller,
        repository: &RepositoryView,
        number: u32,
        choices: MergeChoices,
    ) -> AppResult<PullView> {
        let _turn = self.inner.merging.lock().await;
        let pull = self.synced(repository, number).await?;
        let conflict = |sentence: String| AppError::Conflict { sentence };
        let pull = match pull.state {
            PullState::Open => self.decide(caller, repository, pull, choices).await?,
            // The rest of a merge that was interrupted.
            PullState::Merging => pull,
            PullState::Merged => return Err(conflict(format!("Pull request {number} is merged."))),
            PullState::Closed => {
                return Err(conflict(format!("Pull request {number} is closed: open it again first.")));
            }
        };
        let pull = self.finish_merge(repository, pull).await?;
        self.tell_author(repository, caller, &pull, "merged").await;
        self.viewed(caller, repository, pull).await
    }

    /// Stores the decision to merge, if the caller may take it now.
    async fn decide(
        &self,
        caller: &Caller,
        repository: &RepositoryView,
        mut pull: Pull,
        choices: MergeChoices,
    ) -> AppResult<Pull> {
        let repositories = &self.inner.ports.repositories;
        let branches = self.branches(repository.id()).await?;
        let gone = || AppError::Conflict { sentence: format!("There is no branch {} any more: push it.", pull.into) };
        let from = branches.tip(&pull.into).ok_or_else(gone)?.to_owned();
        let comparison = repositories.compare(repository.id(), &from, &pull.head).await?;
        let touched = self.touched_by(repository, &pull, &comparison).await?;
        let by = self.merger_of(caller, repository, &touched).await?;
        if choices.anyway && !caller.is_maintainer() {
            return Err(AppError::forbidden("Only a maintainer merges before all checks have passed."));
        }
        if !choices.anyway {
            passed(&self.check_views(&pull).await?)?;
        }
        let account = self.account(by).await?;
        let wish = MergeWish {
            into: from.clone(),
            head: pull.head.clone(),
            message: format!("Merge pull request {} of {}\n\n{}\n", pull.number, pull.branch, pull.title),
            name: account.name.to_string(),
            email: account.email,
            at: self.now(),
        };
        let commit = match repositories.merge(repository.id(), &wish).await? {
            MergeResult::Commit(commit) => commit,
            MergeResult::Conflicts(files) => return Err(in_the_way(&pull, &files)),
        };
        pull.state = PullState::Merging;
        pull.merge = Some(Merge { commit, from, by, delete_branch: choices.delete_branch });
        self.save(pull).await
    }

    /// Does what was decided, from wherever it was interrupted.
    async fn finish_merge(&self, repository: &RepositoryView, mut pull: Pull) -> AppResult<Pull> {
        let Some(merge) = pull.merge.clone() else {
            return Err(AppError::Internal { sentence: format!("pull request {} has no decision", pull.id) });
        };
        if !self.move_target(repository.id(), &pull, &merge).await? {
            (pull.state, pull.merge) = (PullState::Open, None);
            let pull = self.save(pull).await?;
            return Err(AppError::Conflict { sentence: format!("{} has moved meanwhile: merge again.", pull.into) });
        }
        pull.outcome = Some(match self.make_live(repository, &mut pull, &merge).await {
            Ok(sentence) => sentence,
            // What does not answer now will do so when this is done again.
            Err(error @ AppError::Unavailable { .. }) => return Err(error),
            Err(error) => format!("Merged, and nothing is live yet: {}", error.sentence()),
        });
        if merge.delete_branch && pull.branch != pull.into {
            // One that has moved meanwhile holds something new.
            self.inner.ports.repositories.move_branch(repository.id(), &pull.branch, &pull.head, None).await?;
        }
        (pull.state, pull.closed_at) = (PullState::Merged, Some(self.now()));
        self.save(pull).await
    }

    /// Whether the branch has the merge now.
    async fn move_target(&self, at: RepositoryId, pull: &Pull, merge: &Merge) -> AppResult<bool> {
        let repositories = &self.inner.ports.repositories;
        let branches = self.branches(at).await?;
        let Some(tip) = branches.tip(&pull.into) else { return Ok(false) };
        if repositories.contains(at, tip, &merge.commit).await? {
            return Ok(true);
        }
        Ok(repositories.move_branch(at, &pull.into, &merge.from, Some(&merge.commit)).await?)
    }

    async fn make_live(&self, repository: &RepositoryView, pull: &mut Pull, merge: &Merge) -> AppResult<String> {
        match repository.id() {
            RepositoryId::Model(model) => self.make_model_live(pull, merge, model).await,
            RepositoryId::Publish => {
                let comparison =
                    self.inner.ports.repositories.compare(RepositoryId::Publish, &merge.from, &pull.head).await?;
                let touched = self.touched(&pull.head, &comparison).await?;
                let mut told = Vec::new();
                for model in &touched.models {
                    let sentence = match self.make_proposed_live(pull, merge, model).await {
                        Ok(sentence) => sentence,
                        Err(error @ AppError::Unavailable { .. }) => return Err(error),
                        // One that can't be published keeps no other from it.
                        Err(error) => format!("not live: {}", error.sentence()),
                    };
                    told.push(format!("{}: {sentence}", model.name()));
                }
                Ok(if told.is_empty() { "No model is published by it.".to_owned() } else { told.join("\n") })
            }
        }
    }

    /// The version that the check of a model staged.
    async fn staged(&self, pull: &Pull, model: ModelId) -> AppResult<Option<VersionId>> {
        let Some(build) = pull.checks.iter().find(|check| check.model == Some(model)).and_then(|check| check.build)
        else {
            return Ok(None);
        };
        let build = self.store().build(build).await?;
        Ok(build.filter(|build| build.state == BuildState::Succeeded).and_then(|build| build.version))
    }

    async fn promote_staged(&self, merge: &Merge, model: ModelId, version: VersionId) -> AppResult<String> {
        // Done again, it would be another promotion.
        let (model, version) = (self.model_by_id(model).await?, self.version_by_id(version).await?);
        if model.live_version != Some(version.id) {
            self.go_live(&model, &version, merge.by).await?;
        }
        Ok(format!("Version {} is live.", version.reported))
    }

    async fn make_model_live(&self, pull: &mut Pull, merge: &Merge, model: ModelId) -> AppResult<String> {
        let repositories = &self.inner.ports.repositories;
        if let Some(version) = self.staged(pull, model).await? {
            let tested = repositories.tree(pull.repository, &pull.head).await?;
            if tested == repositories.tree(pull.repository, &merge.commit).await? {
                return self.promote_staged(merge, model, version).await;
            }
        }
        let view = self.view_of(&Caller::Anonymous, self.model_by_id(model).await?).await?;
        let asked = Asked { by: merge.by, promote: true };
        let build = self.build_commit(&view, pull, &merge.commit, &pull.into, asked).await?;
        if let Some(check) = pull.checks.iter_mut().find(|check| check.model == Some(model)) {
            (check.build, check.problem) = (Some(build.id), None);
        }
        Ok("The merge is being built, and is live when that succeeds.".to_owned())
    }

    async fn make_proposed_live(&self, pull: &mut Pull, merge: &Merge, touched: &TouchedModel) -> AppResult<String> {
        let merged = self.said_of_model(&merge.commit, &touched.path).await?;
        let (name, config) = merged.as_ref().map_err(|sentence| AppError::field("branch", sentence.clone()))?;
        // What is said of a model is said in its author's name; that it becomes live is the decision of who merged.
        let author = self.account(pull.author).await?.caller();
        let view = self.proposed_model(&author, name, config).await?;
        let settings = settings_with(&view.model, config);
        let model = self.update_model(&author, &view, settings).await?;
        if merged == touched.said
            && let Some(version) = self.staged(pull, model.id).await?
        {
            return self.promote_staged(merge, model.id, version).await;
        }
        let view = self.view_of(&author, model).await?;
        let asked = Asked { by: merge.by, promote: true };
        let build = self.build_proposal(&view, pull, config, asked).await?;
        if let Some(check) = pull.checks.iter_mut().find(|check| check.name == name.to_string()) {
            (check.model, check.build, check.problem) = (Some(view.model.id), Some(build.id), None);
        }
        Ok("it is being built, and is live when that succeeds.".to_owned())
    }

    /// Goes on with what was decided before the server ended.
    pub(crate) async fn resume_merges(&self) {
        let _turn = self.inner.merging.lock().await;
        let pulls = match self.store().merging_pulls().await {
            Ok(pulls) => pulls,
            Err(error) => return tracing::warn!(%error, "merges of a former process can't be resumed"),
        };
        for pull in pulls {
            let (id, number) = (pull.id, pull.number);
            if let Err(error) = self.resume_merge(pull).await {
                tracing::warn!(pull = %id, number, %error, "a merge of a former process waits to be asked for again");
            }
        }
    }

    async fn resume_merge(&self, pull: Pull) -> AppResult<()> {
        let repository = match pull.repository {
            RepositoryId::Publish => RepositoryView::Publish,
            RepositoryId::Model(model) => {
                let model = self.model_by_id(model).await?;
                RepositoryView::Model(Box::new(self.view_of(&Caller::Anonymous, model).await?))
            }
        };
        let by = pull.merge.as_ref().map(|merge| merge.by);
        let pull = self.finish_merge(&repository, pull).await?;
        if let Some(by) = by {
            let by = self.account(by).await?.caller();
            self.tell_author(&repository, &by, &pull, "merged").await;
        }
        Ok(())
    }
}

/// Refuses with the first check that has not passed.
fn passed(checks: &[CheckView]) -> AppResult<()> {
    let Some(check) = checks.iter().find(|check| check.state != CheckState::Passed) else { return Ok(()) };
    let name = &check.check.name;
    let sentence = match check.state {
        CheckState::Failed => format!(
            "The check of {name} has failed: {} Mend it and push again, or a maintainer merges it anyway.",
            check.sentence()
        ),
        _ => format!("The check of {name} is not over: wait for it, or a maintainer merges anyway."),
    };
    Err(AppError::Conflict { sentence })
}

/// What conflicts, and the way out.
fn in_the_way(pull: &Pull, files: &[String]) -> AppError {
    let (branch, into) = (&pull.branch, &pull.into);
    let shown: Vec<&str> = files.iter().map(String::as_str).take(20).collect();
    let more =
        if files.len() > shown.len() { format!(" and {} more", files.len() - shown.len()) } else { String::new() };
    AppError::Conflict {
        sentence: format!(
            "{branch} and {into} have both changed {}{more}. Settle it there: `git checkout {branch}`, `git fetch origin`, \
             `git merge origin/{into}`, edit these files, commit, and push.",
            shown.join(", ")
        ),
    }
}
