//! Secrets of models and of the site: who may set, see and read them, the trail of it, and what runs are given.
//!
//! Writers of a model set and delete its secrets, and see their names. A value is told to its admins alone, where the
//! operator lets anybody read at all. The site's secrets are its admins' business. Everything leaves a line in the trail.

use std::collections::BTreeMap;

use csw_core::{
    access::Caller,
    model::Model,
    page::{Page, PageRequest},
    ports::{Rotation, SecretError},
    secret::{
        SECRETS_LIMIT, SecretAction, SecretEvent, SecretInfo, SecretName, SecretScope, SecretTextError, SecretValue,
        Secrets, TOTAL_LIMIT,
    },
};
use sha2::{Digest, Sha256};

use crate::{
    App,
    access_rules::{active, administrator, refused, writer},
    error::{AppError, AppResult},
    models::ModelView,
};

/// How the trail calls whoever works at the server's own machine.
const OPERATOR: &str = "(operator)";

/// Whose secrets somebody asks for.
#[derive(Clone, Copy)]
pub enum SecretsOf<'a> {
    /// The site's.
    Site,
    /// A model's, as the caller sees it.
    Model(&'a ModelView),
}

impl SecretsOf<'_> {
    fn scope(self) -> SecretScope {
        match self {
            Self::Site => SecretScope::Site,
            Self::Model(view) => scope_of(&view.model),
        }
    }
}

fn scope_of(model: &Model) -> SecretScope {
    SecretScope::Model { id: model.id, name: model.name() }
}

/// The operator's answer to one command at the server's own machine.
pub struct OperatorSecrets<'a> {
    app: &'a App,
}

impl App {
    /// Who changes these secrets, if they may.
    fn keeper(caller: &Caller, whose: SecretsOf<'_>) -> AppResult<String> {
        match whose {
            SecretsOf::Model(view) => writer(caller, view.role).map(drop)?,
            SecretsOf::Site => site_admin(caller)?,
        }
        Ok(name_of(caller))
    }

    /// Who reads these values, if they may.
    fn reader(&self, caller: &Caller, whose: SecretsOf<'_>) -> AppResult<String> {
        match whose {
            SecretsOf::Model(view) => administrator(caller, view.role).map(drop)?,
            SecretsOf::Site => site_admin(caller)?,
        }
        if self.inner.config.readable_secrets {
            return Ok(name_of(caller));
        }
        Err(AppError::forbidden("On this site nobody reads the values of secrets; they can be set anew."))
    }

    /// Refuses unless the caller may change the site's secrets.
    pub fn may_keep_site_secrets(&self, caller: &Caller) -> AppResult<()> {
        site_admin(caller)
    }

    /// The secrets without their values, by name, for those who may change them.
    pub async fn secrets(&self, caller: &Caller, whose: SecretsOf<'_>) -> AppResult<Vec<SecretInfo>> {
        Self::keeper(caller, whose)?;
        Ok(self.inner.ports.secrets.list(&whose.scope()).await?)
    }

    /// Stores a value as the next version of a secret.
    pub async fn set_secret(
        &self,
        caller: &Caller,
        whose: SecretsOf<'_>,
        name: &str,
        value: String,
    ) -> AppResult<SecretInfo> {
        let who = Self::keeper(caller, whose)?;
        self.store_secret(&whose.scope(), &who, name, value).await
    }

    /// Removes a secret with all its versions.
    pub async fn delete_secret(&self, caller: &Caller, whose: SecretsOf<'_>, name: &str) -> AppResult<()> {
        let who = Self::keeper(caller, whose)?;
        self.remove_secret(&whose.scope(), &who, name).await
    }

    /// A value, for the admins of its model.
    pub async fn read_secret(&self, caller: &Caller, whose: SecretsOf<'_>, name: &str) -> AppResult<SecretValue> {
        let who = self.reader(caller, whose)?;
        self.tell_secret(&whose.scope(), &who, name, None).await
    }

    /// All values by name, for the admins of the model.
    pub async fn read_secrets(&self, caller: &Caller, whose: SecretsOf<'_>) -> AppResult<Secrets> {
        let who = self.reader(caller, whose)?;
        let scope = whose.scope();
        let values = self.inner.ports.secrets.all(&scope).await?;
        for name in values.keys() {
            self.note(&scope, &who, SecretAction::Read, name, None).await?;
        }
        Ok(values)
    }

    /// Who did what with these secrets, newest first, for those who may change them.
    pub async fn secret_events(
        &self,
        caller: &Caller,
        whose: SecretsOf<'_>,
        page: PageRequest,
    ) -> AppResult<Page<SecretEvent>> {
        Self::keeper(caller, whose)?;
        let scope = whose.scope().key();
        Ok(self.store().secret_events(Some(&scope), page).await?)
    }

    /// The site's secrets, at the server's own machine.
    pub fn operator_secrets(&self) -> OperatorSecrets<'_> {
        OperatorSecrets { app: self }
    }

    /// What a run of this model finds in its environment.
    pub(crate) async fn secrets_of(&self, model: &Model) -> AppResult<Secrets> {
        Ok(self.inner.ports.secrets.all(&scope_of(model)).await?)
    }

    /// What tells one state of a model's secrets from another, and nothing of their values; `None` where it has none.
    pub(crate) async fn mark_of_secrets(&self, model: &Model) -> AppResult<Option<String>> {
        let infos = self.inner.ports.secrets.list(&scope_of(model)).await?;
        let mut hash = Sha256::new();
        for info in &infos {
            hash.update(format!("{} {} {:?}\n", info.name, info.version, info.set_at));
        }
        Ok((!infos.is_empty()).then(|| hex::encode(hash.finalize())))
    }

    async fn store_secret(&self, scope: &SecretScope, who: &str, name: &str, value: String) -> AppResult<SecretInfo> {
        let name = name_in(name)?;
        let value = SecretValue::checked(value).map_err(|error| AppError::field("value", error.to_string()))?;
        self.check_room(scope, &name, &value).await?;
        let info = self.inner.ports.secrets.set(scope, &name, &value, who, self.now()).await?;
        self.note(scope, who, SecretAction::Set, name.as_str(), Some(info.version)).await?;
        Ok(info)
    }

    /// An environment has no room for everything.
    async fn check_room(&self, scope: &SecretScope, name: &SecretName, value: &SecretValue) -> AppResult<()> {
        let mut others = self.inner.ports.secrets.all(scope).await?;
        others.remove(name.as_str());
        if others.len() >= SECRETS_LIMIT {
            return Err(AppError::field("name", format!("There may be {SECRETS_LIMIT} secrets; delete one first.")));
        }
        let bytes = value.expose().len() + others.values().map(|value| value.expose().len()).sum::<usize>();
        if bytes > TOTAL_LIMIT {
            return Err(AppError::field(
                "value",
                format!("All values together may have {TOTAL_LIMIT} bytes, and would have {bytes}."),
            ));
        }
        Ok(())
    }

    async fn remove_secret(&self, scope: &SecretScope, who: &str, name: &str) -> AppResult<()> {
        let name = name_in(name)?;
        self.inner.ports.secrets.delete(scope, &name).await?;
        self.note(scope, who, SecretAction::Delete, name.as_str(), None).await
    }

    /// Nobody is told a value before the trail has it.
    async fn tell_secret(
        &self,
        scope: &SecretScope,
        who: &str,
        name: &str,
        version: Option<u32>,
    ) -> AppResult<SecretValue> {
        let name = name_in(name)?;
        let value = self.inner.ports.secrets.get(scope, &name, version).await?;
        self.note(scope, who, SecretAction::Read, name.as_str(), version).await?;
        Ok(value)
    }

    async fn note(
        &self,
        scope: &SecretScope,
        who: &str,
        action: SecretAction,
        secret: &str,
        version: Option<u32>,
    ) -> AppResult<()> {
        tracing::info!(scope = %scope.title(), who, action = action.as_str(), secret, "secrets");
        let event = SecretEvent {
            at: self.now(),
            who: who.to_owned(),
            action,
            scope: scope.key(),
            secret: secret.to_owned(),
            version,
        };
        Ok(self.store().note_secret_event(&event).await?)
    }
}

impl OperatorSecrets<'_> {
    /// The site's secrets without their values, by name.
    pub async fn list(&self) -> AppResult<Vec<SecretInfo>> {
        Ok(self.app.inner.ports.secrets.list(&SecretScope::Site).await?)
    }

    /// Stores a value as the next version.
    pub async fn set(&self, name: &str, value: String) -> AppResult<SecretInfo> {
        self.app.store_secret(&SecretScope::Site, OPERATOR, name, value).await
    }

    /// A value, or a former version of it.
    pub async fn get(&self, name: &str, version: Option<u32>) -> AppResult<SecretValue> {
        self.app.tell_secret(&SecretScope::Site, OPERATOR, name, version).await
    }

    /// Removes a secret with all its versions.
    pub async fn delete(&self, name: &str) -> AppResult<()> {
        self.app.remove_secret(&SecretScope::Site, OPERATOR, name).await
    }

    /// Seals all secrets, those of models too, with a new master key.
    pub async fn rotate(&self) -> AppResult<Rotation> {
        let rotation = self.app.inner.ports.secrets.rotate().await?;
        self.app.note(&SecretScope::Site, OPERATOR, SecretAction::Rotate, "", None).await?;
        Ok(rotation)
    }

    /// Who did what with any secret, newest first; scopes of models are told by their names, where those are known.
    pub async fn events(&self, page: PageRequest) -> AppResult<Page<SecretEvent>> {
        let mut page = self.app.store().secret_events(None, page).await?;
        let mut names = BTreeMap::new();
        for event in &mut page.items {
            if !names.contains_key(&event.scope) {
                names.insert(event.scope.clone(), self.title_of(&event.scope).await?);
            }
            if let Some(Some(name)) = names.get(&event.scope) {
                event.scope.clone_from(name);
            }
        }
        Ok(page)
    }

    async fn title_of(&self, scope: &str) -> AppResult<Option<String>> {
        let Some(id) = scope.strip_prefix("model:").and_then(|id| id.parse().ok()) else { return Ok(None) };
        Ok(self.app.store().model(id).await?.map(|model| model.name().to_string()))
    }
}

fn site_admin(caller: &Caller) -> AppResult<()> {
    active(caller)?;
    if caller.is_admin() { Ok(()) } else { Err(refused()) }
}

fn name_of(caller: &Caller) -> String {
    match caller {
        Caller::Account { name, .. } | Caller::Workflow { name, .. } => name.clone(),
        Caller::Anonymous => String::new(),
    }
}

fn name_in(text: &str) -> AppResult<SecretName> {
    text.trim().parse().map_err(|error: SecretTextError| AppError::field("name", error.to_string()))
}

impl From<SecretError> for AppError {
    fn from(error: SecretError) -> Self {
        let sentence = error.to_string();
        match error {
            SecretError::NotFound { name, scope } => Self::missing(format!("the secret `{name}` of {scope}")),
            SecretError::NotKept { .. } | SecretError::Unsupported { .. } => Self::Conflict { sentence },
            SecretError::Refused { .. } | SecretError::Damaged { .. } => Self::Internal { sentence },
            SecretError::Unavailable { .. } => Self::Unavailable { sentence },
        }
    }
}
