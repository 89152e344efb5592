//! What a pull request of the publish repository is about: the files of models that it changes, and who may propose that.

use csw_core::{
    access::Caller,
    model::{Model, ModelSettings},
    names::ModelName,
    ports::{ChangeKind, Comparison, RepositoryError},
    repository::RepositoryId,
};

use crate::{
    App,
    access_rules::writer,
    error::{AppError, AppResult},
    models::{ModelView, check},
    publish_repository::{FOLDER, ModelConfig, clash, is_about_a_model, name_of_path},
};

/// What a pull request changes.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) models: Vec<TouchedModel>,
    /// Whether it changes something else as well, such as the notes for people.
    pub(super) more: bool,
}

/// A file that is about a model, or should be.
pub(super) struct TouchedModel {
    pub(super) path: String,
    /// What it says, or what is wrong with it.
    pub(super) said: Result<(ModelName, ModelConfig), String>,
}

impl TouchedModel {
    /// What to call it.
    pub(super) fn name(&self) -> String {
        self.said.as_ref().map_or_else(|_| self.path.clone(), |(name, _)| name.to_string())
    }
}

impl App {
    /// What the commit `head` of the publish repository changes, by its comparison with the branch it is meant for.
    pub(super) async fn touched(&self, head: &str, comparison: &Comparison) -> AppResult<Touched> {
        let mut touched = Touched { more: comparison.more_files, ..Touched::default() };
        let files = self.inner.ports.repositories.files(RepositoryId::Publish, head, FOLDER).await?;
        let clash = clash(files.iter().map(String::as_str));
        for file in &comparison.files {
            if file.kind == ChangeKind::Removed || !is_about_a_model(&file.path) {
                touched.more = true;
                continue;
            }
            let said = match &clash {
                Some(sentence) => Err(sentence.clone()),
                None => self.said_of_model(head, &file.path).await?,
            };
            touched.models.push(TouchedModel { path: file.path.clone(), said });
        }
        Ok(touched)
    }

    /// What the file of a model says in a commit of the publish repository.
    pub(super) async fn said_of_model(
        &self,
        commit: &str,
        path: &str,
    ) -> AppResult<Result<(ModelName, ModelConfig), String>> {
        let name = match name_of_path(path) {
            Ok(name) => name,
            Err(sentence) => return Ok(Err(sentence)),
        };
        match self.inner.ports.repositories.text(RepositoryId::Publish, commit, path).await {
            Ok(Some(text)) => Ok(ModelConfig::parse(&name, &text).map(|config| (name, config))),
            Ok(None) => Ok(Err(format!("{path} is gone"))),
            Err(RepositoryError::Unusable { sentence }) => Ok(Err(sentence)),
            Err(other) => Err(other.into()),
        }
    }

    /// The model of this name, if the caller may propose to publish it: who may change it, or whose it would be.
    pub(super) async fn proposable(&self, caller: &Caller, name: &ModelName) -> AppResult<Option<ModelView>> {
        let (owner, title) = (name.owner.as_str(), name.title.as_str());
        match self.model(caller, owner, title).await {
            Ok(view) => {
                let called = view.model.name();
                if writer(caller, view.role).is_err() {
                    return Err(AppError::forbidden(format!("Only those who may change {called} propose it.")));
                }
                if called != *name {
                    return Err(AppError::field("branch", format!("The model is called {called}: rename its file.")));
                }
                Ok(Some(view))
            }
            Err(AppError::NotFound { .. }) => {
                let account = self.account(caller.account().ok_or(AppError::LoginRequired)?).await?;
                if account.name == name.owner {
                    return Ok(None);
                }
                Err(AppError::forbidden(format!(
                    "There is no model {name} that you may change; only {owner} makes it."
                )))
            }
            Err(other) => Err(other),
        }
    }

    /// The same, made where it is new.
    pub(super) async fn proposed_model(
        &self,
        caller: &Caller,
        name: &ModelName,
        config: &ModelConfig,
    ) -> AppResult<ModelView> {
        if let Some(view) = self.proposable(caller, name).await? {
            check(&settings_with(&view.model, config))?;
            return Ok(view);
        }
        let blank = ModelSettings::undescribed(name.title.as_str());
        let settings = said_by(blank, config);
        let model = self.create_model(caller, name.title.as_str(), settings).await?;
        self.view_of(caller, model).await
    }
}

/// The settings of a model as its file says them.
pub(super) fn settings_with(model: &Model, config: &ModelConfig) -> ModelSettings {
    said_by(model.settings.clone(), config)
}

fn said_by(settings: ModelSettings, config: &ModelConfig) -> ModelSettings {
    ModelSettings {
        repo_url: config.repo_url.clone().unwrap_or(settings.repo_url),
        repo_tag: config.repo_tag.clone().unwrap_or(settings.repo_tag),
        cpus: config.resources.cpu.unwrap_or(settings.cpus),
        memory_gigabytes: config.resources.memory.unwrap_or(settings.memory_gigabytes),
        ..settings
    }
}
