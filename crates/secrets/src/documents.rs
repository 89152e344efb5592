//! What the remote stores share: the secrets of a scope are one document there, so that a run needs one answer and two
//! who change different secrets at once are told apart by the store's own versions.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use csw_core::{
    masking::Masks,
    ports::{Rotation, SecretError, SecretResult, SecretStore},
    secret::{SecretInfo, SecretName, SecretScope, SecretValue, Secrets},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::keys::{called, missing};

/// Times that others may be faster.
const TRIES: u32 = 20;

/// The member of a JSON document that tells about the others. No secret can have this name.
const ABOUT: &str = "compute.studio/about";

/// Who set a secret, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// How often it was set.
    pub version: u32,
    /// Who did last.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// The secrets of a scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// By name.
    pub values: Secrets,
    /// About those that were set through us.
    pub about: BTreeMap<String, About>,
}

impl Document {
    /// As one JSON object: names and values, and one more member about them.
    pub(crate) fn to_json(&self) -> Value {
        let mut map: Map<String, Value> =
            self.values.iter().map(|(name, value)| (name.clone(), json!(value.expose()))).collect();
        map.insert(ABOUT.to_owned(), json!(self.about));
        Value::Object(map)
    }

    /// The other way. Members that others put there count as secrets, whatever their type.
    pub(crate) fn of_json(value: &Value) -> Self {
        let mut document = Self::default();
        for (name, value) in value.as_object().into_iter().flatten() {
            if name == ABOUT {
                document.about = serde_json::from_value(value.clone()).unwrap_or_default();
            } else {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                document.values.insert(name.clone(), SecretValue::from(text));
            }
        }
        document
    }

    /// A sentence of a server without any of the values.
    pub(crate) fn masked(&self, sentence: &str) -> String {
        Masks::of(self.values.values()).text(sentence)
    }

    fn infos(&self) -> Vec<SecretInfo> {
        let about = |name: SecretName| {
            let known = self.about.get(name.as_str());
            SecretInfo {
                version: known.map_or(1, |about| about.version),
                set_by: known.map(|about| about.by.clone()),
                set_at: known.map(|about| about.at),
                name,
            }
        };
        self.values.keys().filter_map(|name| name.parse().ok()).map(about).collect()
    }
}

/// The store's own mark of a state of a document.
pub type Revision = String;

/// A remote store as this crate needs it.
#[async_trait]
pub trait Documents: Send + Sync {
    /// A document and its revision, if there is one.
    async fn read(&self, scope: &SecretScope) -> SecretResult<Option<(Document, Revision)>>;
    /// Replaces the document if it still has this revision, or makes it where none was; the new revision, or `None` where
    /// somebody was faster.
    async fn write(
        &self,
        scope: &SecretScope,
        document: &Document,
        after: Option<&Revision>,
    ) -> SecretResult<Option<Revision>>;
    /// Destroys what the store keeps of former states.
    async fn forget(&self, scope: &SecretScope, current: &Revision) -> SecretResult<()>;
    /// What it is called.
    fn title(&self) -> &'static str;
}

/// Secrets in a remote store.
pub struct DocumentStore<D> {
    documents: D,
    /// What a run gets may be so old.
    fresh: Duration,
    known: Mutex<HashMap<String, (Instant, Document)>>,
}

impl<D: Documents> DocumentStore<D> {
    /// A store over these documents. For so long runs are given what was read before, where nothing was changed through
    /// this process.
    pub fn new(documents: D, fresh: Duration) -> Self {
        Self { documents, fresh, known: Mutex::default() }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Instant, Document)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, scope: &SecretScope) -> SecretResult<Option<(Document, Revision)>> {
        let found = self.documents.read(scope).await?;
        let document = found.as_ref().map(|(document, _)| document.clone()).unwrap_or_default();
        let mut known = self.known();
        known.retain(|_, (at, _)| at.elapsed() < self.fresh);
        known.insert(scope.key(), (Instant::now(), document));
        Ok(found)
    }

    /// Changes the document until nobody else was faster.
    async fn change<T>(
        &self,
        scope: &SecretScope,
        name: &SecretName,
        change: impl Fn(&mut Document) -> SecretResult<T>,
    ) -> SecretResult<(T, Revision)> {
        for number in 0..TRIES {
            let (mut document, revision) = match self.read(scope).await? {
                Some((document, revision)) => (document, Some(revision)),
                None => (Document::default(), None),
            };
            let result = change(&mut document)?;
            let written = self.documents.write(scope, &document, revision.as_ref()).await;
            self.known().remove(&scope.key());
            if let Some(revision) = written? {
                return Ok((result, revision));
            }
            // Those who were faster are given time to end.
            tokio::time::sleep(Duration::from_millis(5) * number.min(20)).await;
        }
        Err(SecretError::Unavailable {
            what: called(&scope.title(), name.as_str()),
            cause: "others change secrets at the same time, again and again".to_owned(),
        })
    }
}

#[async_trait]
impl<D: Documents> SecretStore for DocumentStore<D> {
    async fn set(
        &self,
        scope: &SecretScope,
        name: &SecretName,
        value: &SecretValue,
        by: &str,
        at: Timestamp,
    ) -> SecretResult<SecretInfo> {
        let change = |document: &mut Document| {
            let version = match (document.about.get(name.as_str()), document.values.contains_key(name.as_str())) {
                (Some(about), _) => about.version + 1,
                (None, there) => 1 + u32::from(there),
            };
            document.values.insert(name.to_string(), value.clone());
            document.about.insert(name.to_string(), About { version, by: by.to_owned(), at });
            Ok(version)
        };
        let (version, _) = self.change(scope, name, change).await?;
        Ok(SecretInfo { name: name.clone(), version, set_by: Some(by.to_owned()), set_at: Some(at) })
    }

    async fn get(&self, scope: &SecretScope, name: &SecretName, version: Option<u32>) -> SecretResult<SecretValue> {
        let document = self.read(scope).await?.map(|(document, _)| document).unwrap_or_default();
        let value = document.values.get(name.as_str()).ok_or_else(|| missing(&scope.title(), name))?;
        let newest = document.about.get(name.as_str()).map_or(1, |about| about.version);
        match version.filter(|version| *version != newest) {
            Some(version) => Err(SecretError::NotKept {
                name: name.to_string(),
                scope: scope.title(),
                version,
                why: format!("the newest is {newest}; former ones are in the history of {}", self.documents.title()),
            }),
            None => Ok(value.clone()),
        }
    }

    async fn list(&self, scope: &SecretScope) -> SecretResult<Vec<SecretInfo>> {
        Ok(self.read(scope).await?.map(|(document, _)| document.infos()).unwrap_or_default())
    }

    async fn all(&self, scope: &SecretScope) -> SecretResult<Secrets> {
        let recent = self.known().get(&scope.key()).filter(|(at, _)| at.elapsed() < self.fresh).cloned();
        let document = match recent {
            Some((_, document)) => document,
            None => self.read(scope).await?.map(|(document, _)| document).unwrap_or_default(),
        };
        let mut values = document.values;
        values.retain(|name, _| name.parse::<SecretName>().is_ok());
        Ok(values)
    }

    async fn delete(&self, scope: &SecretScope, name: &SecretName) -> SecretResult<()> {
        let change = |document: &mut Document| {
            document.about.remove(name.as_str());
            document.values.remove(name.as_str()).map(drop).ok_or_else(|| missing(&scope.title(), name))
        };
        let ((), revision) = self.change(scope, name, change).await?;
        self.documents.forget(scope, &revision).await
    }

    async fn rotate(&self) -> SecretResult<Rotation> {
        Err(SecretError::Unsupported {
            what: format!("{} seals secrets with keys of its own; rotate them there", self.documents.title()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_put_there_counts() {
        let document = Document::of_json(&json!({ "super": "secret", "port": 5432 }));
        assert_eq!(document.values["port"].expose(), "5432");
        assert_eq!(document.infos().len(), 2);
        assert_eq!(Document::of_json(&document.to_json()), document);
        assert_eq!(document.masked("invalid: secret"), "invalid: ***");
    }
}
