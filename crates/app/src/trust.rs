//! Trust in workflows: an account lets the workflows of a repository elsewhere publish in its name, without a stored token.

use csw_core::{
    access::{Caller, Grant},
    account::Account,
    ids::{AccountId, TrustId},
    ports::WorkflowTokenError,
    trust::Trust,
};
use jiff::SignedDuration;

use crate::{
    App,
    access_rules::{active, refused},
    error::{AppError, AppResult},
    new_id,
};

/// Repositories an account may trust.
const TRUSTS: usize = 100;

/// Characters of a branch or an environment.
const LONGEST: usize = 255;

/// What an account is to trust.
#[derive(Debug, Clone, Default)]
pub struct NewTrust {
    /// `owner/name`.
    pub repository: String,
    /// `refs/heads/main`, `main`, or a beginning followed by `*`.
    pub reference: String,
    /// Empty where any will do.
    pub environment: String,
    /// `owner/title`; none means all that the account may publish.
    pub models: Vec<String>,
    /// Whether versions may be made live.
    pub promote: bool,
}

impl App {
    /// Whether the site takes tokens of workflows at all.
    pub fn trusts_workflows(&self) -> bool {
        self.inner.ports.workflow_tokens.is_some()
    }

    /// Who asks with a token of a workflow.
    pub async fn caller_of_workflow(&self, token: &str) -> AppResult<Caller> {
        let Some(tokens) = &self.inner.ports.workflow_tokens else {
            return Err(AppError::Credential { sentence: "This site takes no tokens of workflows.".to_owned() });
        };
        let now = self.now();
        let claims = tokens.verify(token, &self.inner.config.public_url, now).await.map_err(|error| {
            let sentence = error.to_string();
            match error {
                WorkflowTokenError::Bad(_) => AppError::Credential { sentence },
                WorkflowTokenError::Unavailable(_) => AppError::Unavailable { sentence },
            }
        })?;
        let mut grants = Vec::new();
        for trust in self.store().trusts_in(&claims.repository).await? {
            if !trust.covers(&claims) {
                continue;
            }
            let Some(account) = self.store().account(trust.account).await?.filter(|account| account.is_active) else {
                continue;
            };
            let stale = trust.last_used_at.is_none_or(|last| now.duration_since(last) > SignedDuration::from_hours(1));
            if stale || trust.repository_id.is_none() {
                self.store().touch_trust(trust.id, &claims.repository_id, now).await?;
            }
            grants.push(Grant {
                account: account.id,
                name: account.name.to_string(),
                role: account.role,
                models: trust.models,
                promote: trust.promote,
            });
        }
        let name = format!("{} at {}", claims.repository, claims.reference);
        if grants.is_empty() {
            let environment = match claims.environment.as_str() {
                "" => String::new(),
                name => format!(", environment {name}"),
            };
            return Err(AppError::forbidden(format!(
                "No account of this site trusts workflows of {name}{environment}. Add them under Settings, Trusted \
                 workflows, or with `csw accounts trust add --repository {}`.",
                claims.repository
            )));
        }
        Ok(Caller::Workflow { name, grants })
    }

    /// Whose trust the caller decides on: their own, or for admins that of the account they name.
    async fn truster(&self, caller: &Caller, own: AccountId, account: Option<&str>) -> AppResult<Account> {
        let own = self.account(own).await?;
        match account.filter(|name| !name.is_empty() && name.to_lowercase() != own.name.folded()) {
            None => Ok(own),
            Some(name) if caller.is_admin() => self.account_by_name(name).await,
            Some(_) => Err(refused()),
        }
    }

    /// What an account trusts, newest first.
    pub async fn trusts(&self, caller: &Caller, account: Option<&str>) -> AppResult<Vec<Trust>> {
        let own = caller.account().ok_or(AppError::LoginRequired)?;
        let account = self.truster(caller, own, account).await?;
        Ok(self.store().trusts(account.id).await?)
    }

    /// Has an account trust workflows.
    pub async fn add_trust(&self, caller: &Caller, account: Option<&str>, new: &NewTrust) -> AppResult<Trust> {
        let account = self.truster(caller, active(caller)?, account).await?;
        let wanted = checked(new)?;
        if self.store().trusts(account.id).await?.len() >= TRUSTS {
            let sentence = format!("An account may trust {TRUSTS} repositories and branches; remove one first.");
            return Err(AppError::field("repository", sentence));
        }
        for (at, model) in wanted.models.iter().enumerate() {
            if wanted.models[..at].contains(model) {
                return Err(AppError::field("models", format!("`{model}` is named twice.")));
            }
        }
        let trust = Trust {
            id: new_id!(self, TrustId),
            account: account.id,
            repository: wanted.repository,
            reference: wanted.reference,
            environment: wanted.environment,
            models: wanted.models,
            promote: wanted.promote,
            repository_id: None,
            created_at: self.now(),
            last_used_at: None,
        };
        self.store().insert_trust(&trust).await?;
        Ok(trust)
    }

    /// Ends a trust; says whether there was one.
    pub async fn remove_trust(&self, caller: &Caller, account: Option<&str>, id: TrustId) -> AppResult<bool> {
        let account = self.truster(caller, active(caller)?, account).await?;
        Ok(self.store().delete_trust(account.id, id).await?)
    }
}

/// Names in one text, with spaces, commas or line ends between them.
pub fn names_in(text: &str) -> Vec<String> {
    let names = text.split(|c: char| c.is_whitespace() || c == ',').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// What was written, as it is kept; errors by field.
fn checked(new: &NewTrust) -> AppResult<NewTrust> {
    let repository = new.repository.trim().trim_end_matches('/').trim_end_matches(".git");
    let plain = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let repository = repository.strip_prefix("https://").map_or(repository, |rest| {
        // The address of its page is as good.
        rest.split_once('/').map_or(rest, |(_, path)| path)
    });
    if !repository.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name)) {
        return Err(AppError::field("repository", "Write OWNER/NAME, as on GitHub."));
    }
    let fits = |text: &str| text.len() <= LONGEST && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let reference = match new.reference.trim() {
        "" => return Err(AppError::field("reference", "Name a branch, such as main, or * for all.")),
        text if text == "*" || text.starts_with("refs/") => text.to_owned(),
        branch => format!("refs/heads/{branch}"),
    };
    if !fits(&reference) || reference.trim_end_matches('*').contains('*') || reference.ends_with("**") {
        return Err(AppError::field("reference", "Write a branch or refs/..., with a * at its end at most."));
    }
    let environment = new.environment.trim();
    if environment.chars().count() > LONGEST || environment.contains(char::is_control) {
        return Err(AppError::field("environment", "Write the name of an environment, as on GitHub."));
    }
    let mut models = Vec::new();
    for model in new.models.iter().map(|model| model.trim()).filter(|model| !model.is_empty()) {
        let name: csw_core::names::ModelName = model.parse().map_err(|error| AppError::name("models", &error))?;
        models.push(name.to_string());
    }
    Ok(NewTrust {
        repository: repository.to_owned(),
        reference,
        environment: environment.to_owned(),
        models,
        promote: new.promote,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_trusted_is_written_in_one_way() {
        let of = |repository: &str, reference: &str| {
            let new =
                NewTrust { repository: repository.to_owned(), reference: reference.to_owned(), ..NewTrust::default() };
            checked(&new).map(|new| (new.repository, new.reference)).map_err(|error| error.to_string())
        };
        let kept = Ok(("PSL/publish".to_owned(), "refs/heads/main".to_owned()));
        assert_eq!(of(" https://github.com/PSL/publish.git ", "main"), kept);
        assert_eq!(of("PSL/publish", "refs/heads/main"), kept);
        assert_eq!(of("PSL/publish", "refs/pull/*").unwrap().1, "refs/pull/*");
        for (repository, reference, field) in [
            ("PSL", "main", "repository"),
            ("PSL/a/b", "main", "repository"),
            ("*/*", "main", "repository"),
            ("PSL/a", "", "reference"),
            ("PSL/a", "a*b", "reference"),
            ("PSL/a", "x y", "reference"),
            ("PSL/a", "**", "reference"),
        ] {
            assert!(of(repository, reference).unwrap_err().contains(field), "{repository} {reference}");
        }
    }
}
