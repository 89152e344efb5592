//! Pushes elsewhere: a forge that is not ours tells of them, and every model that is published from what was pushed is
//! built.

use csw_core::{
    build::{BuildOrder, Source, Trigger},
    check::ForgeCommit,
    ids::BuildId,
    model::Model,
    names::ModelName,
    page::PageRequest,
    ports::ModelFilter,
    repository::identity,
};

use jiff::SignedDuration;

use crate::{App, error::AppResult};

/// How long a delivery is remembered. What is sent again later builds the same head once more, and does no harm.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Models looked at in one step.
const STEP: u32 = 200;

/// A repository on somebody else's forge.
#[derive(Debug, Clone, Default)]
pub struct ElsewhereRepository {
    /// `owner/name`.
    pub name: String,
    /// Its URLs, any of which a model's settings may name.
    pub urls: Vec<String>,
    /// Whether only some may see it.
    pub is_private: bool,
    /// The branch that is meant where none is named; empty where the forge did not say.
    pub default_branch: String,
}

/// A push that somebody else's forge tells of.
#[derive(Debug, Clone)]
pub struct PushElsewhere {
    /// Where.
    pub repository: ElsewhereRepository,
    /// The full name of what was pushed: `refs/heads/main`, `refs/tags/v1`.
    pub reference: String,
    /// The commit that is its head now, where the forge said so.
    pub commit: Option<String>,
}

/// What news from elsewhere led to for one model.
#[derive(Debug)]
pub struct Told {
    /// Which.
    pub model: ModelName,
    /// Whether everybody may know of it.
    pub is_public: bool,
    /// The build that waits now, or why there is none.
    pub outcome: Result<BuildId, String>,
}

impl App {
    /// Notes a delivery under its keys. False where one of them was noted before, by whichever server of the site.
    pub async fn take_delivery(&self, keys: &[String]) -> AppResult<bool> {
        let now = self.now();
        Ok(self.store().take_delivery(keys, now, now - REMEMBERED).await?)
    }

    /// Forgets a delivery that could not be handled.
    pub async fn give_back_delivery(&self, keys: &[String]) -> AppResult<()> {
        Ok(self.store().give_back_delivery(keys).await?)
    }

    /// Asks for a build of every model that is published from the branch or tag that was pushed, as its owner would.
    /// The branch's head is what is built, whichever commit the push was of: news may come late, and twice. That one
    /// model can't be built keeps no other from it.
    pub async fn pushed_elsewhere(&self, push: &PushElsewhere) -> AppResult<Vec<Told>> {
        let mut told = Vec::new();
        for model in self.models_of(&push.repository, &push.reference).await? {
            let settings = &model.settings;
            let source = Source::Git { url: settings.repo_url.clone(), reference: settings.repo_tag.clone() };
            let on = push.commit.as_ref().map(|commit| ForgeCommit {
                repository: push.repository.name.clone(),
                commit: commit.clone(),
                pull_request: None,
                fork: None,
            });
            let check = on.is_some() && self.may_check(&model, &push.repository);
            let order = BuildOrder { forge: on, check, ..BuildOrder::of(source) };
            told.push(self.build_for_owner(model, order, Trigger::Webhook).await);
        }
        Ok(told)
    }

    /// Whether a check of the model may be shown there: it tells nobody of a model who may not know of it.
    pub(crate) fn may_check(&self, model: &Model, repository: &ElsewhereRepository) -> bool {
        self.inner.ports.checks.is_some() && (model.settings.is_public || repository.is_private)
    }

    /// The models that are published from a branch or tag of a repository.
    pub(crate) async fn models_of(&self, repository: &ElsewhereRepository, reference: &str) -> AppResult<Vec<Model>> {
        let places: Vec<String> = repository.urls.iter().map(|url| identity(url)).collect();
        let mut models = self.every_model().await?;
        models.retain(|model| {
            let settings = &model.settings;
            !settings.repo_url.is_empty()
                && places.contains(&identity(&settings.repo_url))
                && names(&settings.repo_tag, reference, &repository.default_branch)
        });
        Ok(models)
    }

    pub(crate) async fn build_for_owner(&self, model: Model, order: BuildOrder, trigger: Trigger) -> Told {
        let (name, is_public) = (model.name(), model.settings.is_public);
        let build = async {
            let owner = self.account(model.owner).await?.caller();
            let view = self.view_of(&owner, model).await?;
            self.publish(&owner, &view, order, trigger).await
        };
        let outcome = build.await.map(|build| build.id).map_err(|error| {
            tracing::warn!(model = %name, %error, "news from elsewhere could not be built");
            error.to_string()
        });
        Told { model: name, is_public, outcome }
    }

    async fn every_model(&self) -> AppResult<Vec<Model>> {
        let mut all = Vec::new();
        for number in 1.. {
            let page = self.store().models(&ModelFilter::default(), PageRequest { number, size: STEP }).await?;
            let last = page.items.len() < STEP as usize;
            all.extend(page.items);
            if last {
                break;
            }
        }
        Ok(all)
    }
}

/// Whether a branch or tag, as a model's settings name it, is what was pushed. Settings without any mean the default
/// branch of the repository; where the forge does not say which that is, it is one of two.
fn names(wanted: &str, pushed: &str, default_branch: &str) -> bool {
    match (wanted, default_branch) {
        ("", "") => ["refs/heads/main", "refs/heads/master"].contains(&pushed),
        ("", branch) => pushed.strip_prefix("refs/heads/") == Some(branch),
        _ => [format!("refs/heads/{wanted}"), format!("refs/tags/{wanted}"), wanted.to_owned()]
            .iter()
            .any(|name| name == pushed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_or_tag_is_named_with_or_without_its_kind() {
        assert!(names("main", "refs/heads/main", "dev"));
        assert!(names("v1", "refs/tags/v1", ""));
        assert!(names("refs/tags/v1", "refs/tags/v1", ""));
        assert!(names("", "refs/heads/master", ""));
        assert!(names("", "refs/heads/dev", "dev"));
        assert!(!names("", "refs/heads/master", "dev"));
        assert!(!names("main", "refs/heads/main2", ""));
        assert!(!names("main", "refs/heads/x/main", ""));
        assert!(!names("", "refs/tags/main", ""));
        assert!(!names("", "refs/tags/dev", "dev"));
    }
}
