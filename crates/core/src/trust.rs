//! Trust in workflows: which repository's workflows may publish in the name of an account, without a stored token.

use jiff::Timestamp;

use crate::ids::{AccountId, TrustId};

/// What an account trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Its identifier.
    pub id: TrustId,
    /// In whose name they act.
    pub account: AccountId,
    /// `owner/name` of the repository on the forge.
    pub repository: String,
    /// The full name of the branch or tag, `refs/heads/main`; `*` at the end stands for anything.
    pub reference: String,
    /// The environment that the job must have been admitted to; empty where any will do.
    pub environment: String,
    /// `owner/title` of the models that may be published; none means all that the account may.
    pub models: Vec<String>,
    /// Whether they may make versions live, or only stage them.
    pub promote: bool,
    /// The forge's number of the repository, since a token was first accepted: another repository may come to have its name.
    pub repository_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a token was last accepted by it, to the hour.
    pub last_used_at: Option<Timestamp>,
}

/// What a workflow's token says of it, once its signature was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowClaims {
    /// `owner/name`.
    pub repository: String,
    /// The forge's number of the repository.
    pub repository_id: String,
    /// The full name of the branch or tag that it runs on.
    pub reference: String,
    /// The environment that the job was admitted to; empty where it asked for none.
    pub environment: String,
}

impl Trust {
    /// Whether a workflow is one of those that are trusted.
    #[must_use]
    pub fn covers(&self, claims: &WorkflowClaims) -> bool {
        let reference = match self.reference.strip_suffix('*') {
            Some(beginning) => claims.reference.starts_with(beginning),
            None => claims.reference == self.reference,
        };
        self.repository.eq_ignore_ascii_case(&claims.repository)
            && reference
            && (self.environment.is_empty() || self.environment.eq_ignore_ascii_case(&claims.environment))
            && self.repository_id.as_ref().is_none_or(|id| *id == claims.repository_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(reference: &str, environment: &str) -> Trust {
        let at = Timestamp::UNIX_EPOCH;
        Trust {
            id: TrustId::new(at, [0; 10]),
            account: AccountId::new(at, [0; 10]),
            repository: "PSL/publish".to_owned(),
            reference: reference.to_owned(),
            environment: environment.to_owned(),
            models: vec![],
            promote: true,
            repository_id: None,
            created_at: at,
            last_used_at: None,
        }
    }

    fn claims(reference: &str, environment: &str) -> WorkflowClaims {
        WorkflowClaims {
            repository: "psl/Publish".to_owned(),
            repository_id: "7".to_owned(),
            reference: reference.to_owned(),
            environment: environment.to_owned(),
        }
    }

    #[test]
    fn only_the_workflows_that_are_named_are_trusted() {
        let main = claims("refs/heads/main", "");
        assert!(trust("refs/heads/main", "").covers(&main));
        assert!(trust("*", "").covers(&main));
        assert!(trust("refs/pull/*", "").covers(&claims("refs/pull/7/merge", "")));
        assert!(!trust("refs/pull/*", "").covers(&main));
        assert!(!trust("refs/heads/main", "").covers(&claims("refs/heads/main2", "")));
        assert!(!trust("refs/heads/main", "production").covers(&main));
        assert!(trust("refs/heads/main", "production").covers(&claims("refs/heads/main", "Production")));
        assert!(!Trust { repository: "PSL/publish2".to_owned(), ..trust("*", "") }.covers(&main));
        assert!(!Trust { repository_id: Some("8".to_owned()), ..trust("*", "") }.covers(&main));
    }
}
