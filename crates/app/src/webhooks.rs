//! Pushes to repositories elsewhere, of which the forge there tells: models that are published from them are built.

use csw_core::{
    build::{BuildOrder, Source, Trigger},
    ids::BuildId,
    model::Model,
    names::ModelName,
    page::PageRequest,
    ports::ModelFilter,
    repository::identity,
};

use crate::{App, error::AppResult};

/// Models looked at in one step.
const STEP: u32 = 200;

/// A push that somebody else's forge tells of.
#[derive(Debug, Clone)]
pub struct PushElsewhere {
    /// The URLs of the repository, any of which a model's settings may name.
    pub urls: Vec<String>,
    /// The full name of what was pushed: `refs/heads/main`, `refs/tags/v1`.
    pub reference: String,
}

/// What a push led to for one model.
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
    /// Asks for a build of every model that is published from the branch or tag that was pushed, as its owner would.
    /// The branch's head is what is built, whichever commit the push was of: news may come late, and twice. That one
    /// model can't be built keeps no other from it.
    pub async fn pushed_elsewhere(&self, push: &PushElsewhere) -> AppResult<Vec<Told>> {
        let places: Vec<String> = push.urls.iter().map(|url| identity(url)).collect();
        let mut told = Vec::new();
        for model in self.every_model().await? {
            let settings = &model.settings;
            if settings.repo_url.is_empty() || !places.contains(&identity(&settings.repo_url)) {
                continue;
            }
            if !names(&settings.repo_tag, &push.reference) {
                continue;
            }
            let (name, is_public) = (model.name(), settings.is_public);
            let outcome = self.build_for_owner(model).await.map_err(|error| {
                tracing::warn!(model = %name, %error, "a push elsewhere could not be built");
                error.to_string()
            });
            told.push(Told { model: name, is_public, outcome });
        }
        Ok(told)
    }

    async fn build_for_owner(&self, model: Model) -> AppResult<BuildId> {
        let owner = self.account(model.owner).await?.caller();
        let settings = &model.settings;
        let source = Source::Git { url: settings.repo_url.clone(), reference: settings.repo_tag.clone() };
        let view = self.view_of(&owner, model).await?;
        Ok(self.publish(&owner, &view, BuildOrder::of(source), Trigger::Webhook).await?.id)
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
/// branch of the repository, which is one of two.
fn names(wanted: &str, pushed: &str) -> bool {
    match wanted {
        "" => ["refs/heads/main", "refs/heads/master"].contains(&pushed),
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
        assert!(names("main", "refs/heads/main"));
        assert!(names("v1", "refs/tags/v1"));
        assert!(names("refs/tags/v1", "refs/tags/v1"));
        assert!(names("", "refs/heads/master"));
        assert!(!names("main", "refs/heads/main2"));
        assert!(!names("main", "refs/heads/x/main"));
        assert!(!names("", "refs/tags/main"));
    }
}
