//! What connects a site with GitHub: what it asks with, checks beside commits, tokens of workflows.

use std::sync::Arc;

use csw_core::{
    ports::{Checks, SecretStore, WorkflowTokens},
    secret::SecretScope,
};
use csw_publish::github::{ActionsTokens, App, Credential, GitHubChecks, PUBLIC_ISSUER};

use crate::{
    failure::{Failure, Outcome},
    settings::GitHubSettings,
};

const HINT: &str = "docs/operators.md tells how to connect a GitHub App";

/// What GitHub is asked with: an App where one is named, or a token. The private key of an App may be one of the site's
/// secrets, for those who have these.
pub(crate) async fn credential(
    settings: &GitHubSettings,
    secrets: Option<&dyn SecretStore>,
) -> Outcome<Option<Credential>> {
    let Some(id) = settings.app_id() else {
        return Ok(settings.token().map(|token| Credential::token(&token)));
    };
    let key = match (settings.app_key_file(), &settings.app_key_secret, secrets) {
        (Some(path), _, _) => std::fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?,
        (None, Some(name), Some(secrets)) => {
            let wrong = |cause: String| Failure::usage(format!("github.app_key_secret: {cause}"), HINT);
            let name = name.parse().map_err(|error: csw_core::secret::SecretTextError| wrong(error.to_string()))?;
            let value = secrets.get(&SecretScope::Site, &name, None).await.map_err(|error| wrong(error.to_string()))?;
            value.expose().to_owned()
        }
        // The command line has no secrets of the site; a token does as well.
        (None, Some(_), None) => return Ok(settings.token().map(|token| Credential::token(&token))),
        (None, None, _) => {
            let sentence = "github.app_id names an App, and nothing says where its private key is";
            return Err(Failure::usage(sentence, "set `github.app_key_file`, or `github.app_key_secret`"));
        }
    };
    Ok(Some(Credential::App(Box::new(App::new(&id, &key)?))))
}

/// What shows checks, where the site has a credential.
pub(super) async fn checks(settings: &GitHubSettings, secrets: &dyn SecretStore) -> Outcome<Option<Arc<dyn Checks>>> {
    let Some(credential) = credential(settings, Some(secrets)).await? else { return Ok(None) };
    Ok(Some(Arc::new(GitHubChecks::new(&settings.api_url(), credential)?)))
}

/// What checks the tokens of workflows, unless the operator takes none.
pub(super) fn workflow_tokens(settings: &GitHubSettings) -> Outcome<Option<Arc<dyn WorkflowTokens>>> {
    let issuer = settings.oidc_issuer.as_deref().unwrap_or(PUBLIC_ISSUER);
    if issuer.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(ActionsTokens::new(issuer)?)))
}
