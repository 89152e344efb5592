//! Pull requests elsewhere: what would be merged into the branch that a model is published from is built, tested and
//! staged; what is merged comes as a push. Checks that somebody on the forge asks for again are built again.

use std::collections::HashSet;

use csw_core::{
    build::{BuildOrder, Source, StopReason, Trigger},
    check::{ForgeCommit, KeptCheck},
    ids::CheckId,
    model::Model,
};

use crate::{
    App,
    error::AppResult,
    new_id,
    webhooks::{ElsewhereRepository, Told},
};

const FORK: &str = "It comes from a fork: not built until a maintainer says so.";

/// What is to become of a pull request's builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Its head is new, or it is open again.
    Build,
    /// It is closed, merged or not.
    End,
}

/// News of a pull request on somebody else's forge.
#[derive(Debug, Clone)]
pub struct PullRequestNews {
    /// The repository that it is to be merged in.
    pub repository: ElsewhereRepository,
    /// Its number there.
    pub number: u64,
    /// The branch that it is to be merged into.
    pub base: String,
    /// The commit that is its head.
    pub commit: String,
    /// The repository that it comes from, where that is another one.
    pub fork: Option<String>,
    /// What is to become of it.
    pub wish: Wish,
}

/// Somebody on the forge asked for checks again.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `owner/name` of the repository.
    pub repository: String,
    /// Beside which commit.
    pub commit: String,
    /// Which one; all that are beside the commit where nothing is said.
    pub check: Option<CheckId>,
    /// Whether they said that foreign code may be built.
    pub allowed: bool,
}

impl App {
    /// Asks for a build of every model that is published from the branch that a pull request is to be merged into, as
    /// its owner would; its version stays staged. The end of a pull request ends its builds.
    pub async fn pull_request_elsewhere(&self, news: &PullRequestNews) -> AppResult<Vec<Told>> {
        let on = ForgeCommit {
            repository: news.repository.name.clone(),
            commit: news.commit.clone(),
            pull_request: Some(news.number),
            fork: news.fork.clone(),
        };
        if news.wish == Wish::End {
            self.end_builds_of(&on).await?;
            return Ok(Vec::new());
        }
        let mut told = Vec::new();
        for model in self.models_of(&news.repository, &format!("refs/heads/{}", news.base)).await? {
            let check = self.may_check(&model, &news.repository);
            if on.fork.is_some() && !self.inner.config.build_forks {
                told.push(self.wait_for_word(&model, &on, check).await?);
            } else {
                told.push(self.build_head(model, on.clone(), check).await);
            }
        }
        Ok(told)
    }

    async fn build_head(&self, model: Model, on: ForgeCommit, check: bool) -> Told {
        let source = Source::Git { url: model.settings.repo_url.clone(), reference: on.commit.clone() };
        let order = BuildOrder { promote: false, example: false, check, forge: Some(on), ..BuildOrder::of(source) };
        self.build_for_owner(model, order, Trigger::PullRequest).await
    }

    /// Code of strangers is not run on their word alone; the check says whose word it takes.
    async fn wait_for_word(&self, model: &Model, on: &ForgeCommit, check: bool) -> AppResult<Told> {
        // What they had pushed before, and somebody allowed, is of no interest any more.
        self.end_builds_of(on).await?;
        if check {
            let kept = KeptCheck::new(new_id!(self, CheckId), model.id, on.clone(), self.now());
            self.store().insert_check(&kept).await?;
        }
        Ok(Told { model: model.name(), is_public: model.settings.is_public, outcome: Err(FORK.to_owned()) })
    }

    async fn end_builds_of(&self, on: &ForgeCommit) -> AppResult<()> {
        let line = on.line();
        for build in self.store().unfinished_builds().await? {
            if build.order.line() == line {
                self.end_early(build, StopReason::Closed).await?;
            }
        }
        Ok(())
    }

    /// Builds again what checks are about, as the owner of the model would.
    pub async fn check_asked_again(&self, asked: &Asked) -> AppResult<Vec<Told>> {
        let kept = match asked.check {
            Some(id) => self.store().check(id).await?.into_iter().collect(),
            None => self.store().checks_of_commit(&asked.repository, &asked.commit).await?,
        };
        let mut models = HashSet::new();
        let mut told = Vec::new();
        // The newest of each model comes first.
        for check in kept {
            let here = check.on.repository.eq_ignore_ascii_case(&asked.repository)
                && check.on.commit.eq_ignore_ascii_case(&asked.commit);
            if here && models.insert(check.model) {
                told.extend(self.build_check_again(check, asked.allowed).await?);
            }
        }
        Ok(told)
    }

    async fn build_check_again(&self, check: KeptCheck, allowed: bool) -> AppResult<Option<Told>> {
        let Some(model) = self.store().model(check.model).await? else { return Ok(None) };
        Ok(match self.store().build(check.build()).await? {
            Some(build) => Some(self.build_for_owner(model, build.order, build.trigger).await),
            None if allowed => Some(self.build_head(model, check.on, true).await),
            None => {
                let is_public = model.settings.is_public;
                Some(Told { model: model.name(), is_public, outcome: Err(FORK.to_owned()) })
            }
        })
    }
}
