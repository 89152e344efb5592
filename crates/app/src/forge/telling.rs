//! Mail about pull requests.

use csw_core::{
    access::{Caller, Role},
    ids::AccountId,
    page::PageRequest,
    ports::Mail,
    pull::Pull,
};

use super::RepositoryView;
use crate::{
    App,
    error::{AppError, AppResult},
    models::ModelView,
};

/// Accounts that are told of a pull request, at most.
const MAINTAINERS: PageRequest = PageRequest { number: 1, size: 200 };

impl App {
    /// Writes to those who may decide on it: who may change the model, or the maintainers of the site.
    pub(super) async fn tell_deciders(&self, repository: &RepositoryView, pull: &Pull, said: &str) {
        let found = match repository {
            RepositoryView::Model(view) => self.writers_of(view).await,
            RepositoryView::Publish => self.store().accounts(MAINTAINERS).await.map_err(AppError::from).map(|page| {
                let maintainers = page.items.into_iter().filter(|one| one.is_active && one.caller().is_maintainer());
                maintainers.map(|account| account.id).collect()
            }),
        };
        match found {
            Ok(deciders) => {
                for id in deciders.into_iter().filter(|id| *id != pull.author) {
                    self.tell_of_pull(repository, pull, id, said).await;
                }
            }
            Err(error) => tracing::warn!(pull = pull.number, %error, "nobody could be told of a pull request"),
        }
    }

    async fn writers_of(&self, view: &ModelView) -> AppResult<Vec<AccountId>> {
        let members = self.store().model_members(view.model.id).await?;
        let writers = members.into_iter().filter(|member| member.role >= Role::Write).map(|member| member.account);
        Ok(writers.chain([view.model.owner]).collect())
    }

    /// Writes to the author what somebody else did.
    pub(super) async fn tell_author(&self, repository: &RepositoryView, by: &Caller, pull: &Pull, what: &str) {
        if by.account() == Some(pull.author) {
            return;
        }
        let name = match by {
            Caller::Account { name, .. } => name,
            Caller::Workflow { .. } | Caller::Anonymous => return,
        };
        let more = pull.outcome.as_deref().unwrap_or_default();
        self.tell_of_pull(repository, pull, pull.author, &format!("{name} {what} it. {more}")).await;
    }

    async fn tell_of_pull(&self, repository: &RepositoryView, pull: &Pull, to: AccountId, said: &str) {
        let Some(to) = self.address_of(to).await else { return };
        let name = repository.name();
        let url = format!("{}/{name}/pulls/{}/", self.inner.config.public_url, pull.number);
        let subject = format!("Pull request {} of {name}: {}", pull.number, pull.title.replace(['\n', '\r'], " "));
        self.mail(Mail { to, subject, body: format!("{said}\n\n{url}\n") });
    }
}
