//! Checks of pull requests: builds that stay staged, of what is proposed.

use csw_core::{
    access::Caller,
    build::{Build, BuildOrder, Proposed, Source, StopReason, Trigger},
    ids::{AccountId, ModelId},
    model::Model,
    ports::Comparison,
    pull::{Check, Pull},
    repository::RepositoryId,
};

use super::{
    proposed::{Touched, TouchedModel},
    published_among, published_branch,
};
use crate::{
    App,
    access_rules::writer,
    error::{AppError, AppResult},
    models::ModelView,
    publish_repository::{ModelConfig, asks_to_skip_tests},
};

/// Who asks for a build, and whether its version becomes live by itself.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) by: AccountId,
    pub(super) promote: bool,
}

impl App {
    /// Has the head of a pull request built, in the name of its author. What was built of an older one is stopped. That
    /// something can't be built is no error, but what its check says.
    pub(super) async fn check(&self, mut pull: Pull, comparison: &Comparison) -> AppResult<Pull> {
        let author = self.account(pull.author).await?.caller();
        pull.skip_tests =
            [&pull.title, &pull.body, &comparison.message].into_iter().any(|text| asks_to_skip_tests(text));
        let before = std::mem::take(&mut pull.checks);
        pull.checks = match pull.repository {
            RepositoryId::Model(model) => vec![self.check_model(&author, &pull, model).await?],
            RepositoryId::Publish => {
                let touched = self.touched(&pull.head, comparison).await?;
                self.check_touched(&author, &pull, &touched).await
            }
        };
        self.stop_checks(&before).await?;
        self.save(pull).await
    }

    async fn check_model(&self, author: &Caller, pull: &Pull, model: ModelId) -> AppResult<Check> {
        let view = self.view_of(author, self.model_by_id(model).await?).await?;
        let asked = writer(author, view.role).map(|by| Asked { by, promote: false });
        let built = match asked {
            Ok(asked) => self.build_commit(&view, pull, &pull.head, &pull.branch, asked).await,
            Err(error) => Err(error),
        };
        Ok(check_of(Some(model), view.model.name().to_string(), built))
    }

    /// Builds a commit of a model's own repository.
    pub(super) async fn build_commit(
        &self,
        view: &ModelView,
        pull: &Pull,
        commit: &str,
        branch: &str,
        asked: Asked,
    ) -> AppResult<Build> {
        let source = Source::Own { model: view.model.id, commit: commit.to_owned(), branch: branch.to_owned() };
        let order = BuildOrder {
            promote: asked.promote,
            skip_tests: pull.skip_tests,
            pull: Some(pull.id),
            ..BuildOrder::of(source)
        };
        self.queue_build(asked.by, view, order, Trigger::PullRequest).await
    }

    async fn check_touched(&self, author: &Caller, pull: &Pull, touched: &Touched) -> Vec<Check> {
        let mut checks = Vec::new();
        for model in &touched.models {
            checks.push(match self.build_touched(author, pull, model).await {
                Ok(build) => check_of(Some(build.model), model.name(), Ok(build)),
                Err(error) => check_of(None, model.name(), Err(error)),
            });
        }
        checks
    }

    async fn build_touched(&self, author: &Caller, pull: &Pull, touched: &TouchedModel) -> AppResult<Build> {
        let (name, config) = touched.said.as_ref().map_err(|sentence| AppError::field("branch", sentence.clone()))?;
        let view = self.proposed_model(author, name, config).await?;
        let asked = Asked { by: writer(author, view.role)?, promote: false };
        self.build_proposal(&view, pull, config, asked).await
    }

    /// Builds a model as its file proposes it.
    pub(super) async fn build_proposal(
        &self,
        view: &ModelView,
        pull: &Pull,
        config: &ModelConfig,
        asked: Asked,
    ) -> AppResult<Build> {
        let order = BuildOrder {
            promote: asked.promote,
            skip_tests: pull.skip_tests,
            pull: Some(pull.id),
            proposed: Proposed { cpus: config.resources.cpu, memory_gigabytes: config.resources.memory },
            ..BuildOrder::of(self.source_of(&view.model, config).await?)
        };
        self.queue_build(asked.by, view, order, Trigger::PullRequest).await
    }

    /// Where the source of a model is: in the repository that its file names, or its settings, or in its own one here.
    async fn source_of(&self, model: &Model, config: &ModelConfig) -> AppResult<Source> {
        let settings = &model.settings;
        let url = config.repo_url.as_ref().unwrap_or(&settings.repo_url);
        if !url.is_empty() {
            // The model's own reference belongs to its own repository.
            let own = if *url == settings.repo_url { settings.repo_tag.as_str() } else { "" };
            let reference = config.repo_tag.as_deref().unwrap_or(own).to_owned();
            return Ok(Source::Git { url: url.clone(), reference });
        }
        let branches = self.branches(RepositoryId::Model(model.id)).await?;
        let wanted = config.repo_tag.as_deref();
        let branch = wanted.or_else(|| published_among(model, &branches)).unwrap_or_else(|| published_branch(model));
        match branches.named(branch) {
            Some(commit) => Ok(Source::Own { model: model.id, commit: commit.to_owned(), branch: branch.to_owned() }),
            None => Err(AppError::field(
                "branch",
                format!(
                    "The model has no source: name its `repo_url` in its file, or push `{branch}` to {}/git/{}.git.",
                    self.inner.config.public_url,
                    model.name()
                ),
            )),
        }
    }

    /// Stops what is still being built of a pull request.
    pub(super) async fn stop_checks(&self, checks: &[Check]) -> AppResult<()> {
        for id in checks.iter().filter_map(|check| check.build) {
            if let Some(build) = self.store().build(id).await? {
                self.end_early(build, StopReason::NotWanted).await?;
            }
        }
        Ok(())
    }
}

fn check_of(model: Option<ModelId>, name: String, built: AppResult<Build>) -> Check {
    match built {
        Ok(build) => Check { model, name, build: Some(build.id), problem: None },
        Err(error) => Check { model, name, build: None, problem: Some(error.sentence()) },
    }
}
