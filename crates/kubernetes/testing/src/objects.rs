//! The objects, and the history that watches are served from.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Plural and API group of what is kept.
pub(crate) const KINDS: &[(&str, &str, &str)] = &[
    ("jobs", "batch/v1", "Job"),
    ("pods", "v1", "Pod"),
    ("events", "v1", "Event"),
    ("leases", "coordination.k8s.io/v1", "Lease"),
    ("deployments", "apps/v1", "Deployment"),
];

/// Plural, namespace and name.
pub(crate) type Key = (&'static str, String, String);

/// A change, for watches.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) kind: &'static str,
    pub(crate) key: Key,
    pub(crate) object: Arc<Value>,
}

/// Why something was not done: HTTP status, reason and message.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into() }
    }

    fn missing(key: &Key) -> Self {
        Self::new(404, "NotFound", format!("{} \"{}\" not found", key.0, key.2))
    }
}

struct Inner {
    objects: BTreeMap<Key, Arc<Value>>,
    history: Vec<Change>,
    version: u64,
    /// Versions up to this one can't be watched from.
    forgotten: u64,
}

/// Changes that watches can be served from at least.
const HISTORY: usize = 10_000;

/// All objects of the cluster.
pub(crate) struct Objects {
    inner: Mutex<Inner>,
    news: watch::Sender<u64>,
    /// How far the cluster's clock is from ours.
    skew: SignedDuration,
}

impl Objects {
    pub(crate) fn new(skew: SignedDuration) -> Self {
        let inner = Inner { objects: BTreeMap::new(), history: Vec::new(), version: 1, forgotten: 0 };
        Self { inner: Mutex::new(inner), news: watch::Sender::new(1), skew }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cluster's time, as it writes it.
    pub(crate) fn now(&self) -> String {
        let now = Timestamp::now().checked_add(self.skew).unwrap_or(Timestamp::MAX);
        now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Is told of every change.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    pub(crate) fn get(&self, key: &Key) -> Result<Value, Refusal> {
        let found = self.lock().objects.get(key).cloned().ok_or_else(|| Refusal::missing(key))?;
        Ok((*found).clone())
    }

    /// The objects of a kind in a namespace, and the version at which they were so.
    pub(crate) fn list(&self, plural: &str, namespace: &str) -> (Vec<Value>, u64) {
        let inner = self.lock();
        let Some((plural, ..)) = KINDS.iter().find(|(name, ..)| *name == plural) else {
            return (vec![], inner.version);
        };
        let found = inner.objects.range((*plural, namespace.to_owned(), String::new())..);
        let found = found.take_while(|((kind, space, _), _)| kind == plural && space == namespace);
        (found.map(|(_, object)| (**object).clone()).collect(), inner.version)
    }

    pub(crate) fn create(&self, key: &Key, mut object: Value) -> Result<Arc<Value>, Refusal> {
        let now = self.now();
        let mut inner = self.lock();
        if inner.objects.contains_key(key) {
            return Err(Refusal::new(409, "AlreadyExists", format!("{} \"{}\" already exists", key.0, key.2)));
        }
        let metadata = &mut object["metadata"];
        metadata["name"] = key.2.clone().into();
        metadata["namespace"] = key.1.clone().into();
        metadata["uid"] = uuid::Uuid::new_v4().to_string().into();
        metadata["creationTimestamp"] = now.into();
        Ok(self.put(&mut inner, "ADDED", key, object))
    }

    /// Puts an object in the place of one. With a version in it, only in the place of that version.
    pub(crate) fn replace(&self, key: &Key, object: Value) -> Result<Arc<Value>, Refusal> {
        let mut inner = self.lock();
        let present = inner.objects.get(key).ok_or_else(|| Refusal::missing(key))?;
        let version = |object: &Value| object["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        if version(&object).is_some_and(|wanted| version(present) != Some(wanted)) {
            let message =
                format!("Operation cannot be fulfilled on {} \"{}\": the object has been modified", key.0, key.2);
            return Err(Refusal::new(409, "Conflict", message));
        }
        let mut object = object;
        for kept in ["uid", "creationTimestamp"] {
            object["metadata"][kept] = present["metadata"][kept].clone();
        }
        Ok(self.put(&mut inner, "MODIFIED", key, object))
    }

    /// Changes an object, if it is there.
    pub(crate) fn change(&self, key: &Key, change: impl FnOnce(&mut Value)) -> Option<Arc<Value>> {
        let mut inner = self.lock();
        let mut object = Value::clone(inner.objects.get(key)?);
        change(&mut object);
        Some(self.put(&mut inner, "MODIFIED", key, object))
    }

    pub(crate) fn remove(&self, key: &Key) -> Result<Arc<Value>, Refusal> {
        let mut inner = self.lock();
        let object = inner.objects.remove(key).ok_or_else(|| Refusal::missing(key))?;
        Ok(self.record(&mut inner, "DELETED", key, (*object).clone()))
    }

    fn put(&self, inner: &mut Inner, kind: &'static str, key: &Key, object: Value) -> Arc<Value> {
        let object = self.record(inner, kind, key, object);
        inner.objects.insert(key.clone(), Arc::clone(&object));
        object
    }

    fn record(&self, inner: &mut Inner, kind: &'static str, key: &Key, mut object: Value) -> Arc<Value> {
        inner.version += 1;
        object["metadata"]["resourceVersion"] = inner.version.to_string().into();
        let object = Arc::new(object);
        inner.history.push(Change { version: inner.version, kind, key: key.clone(), object: Arc::clone(&object) });
        if inner.history.len() >= 2 * HISTORY {
            inner.forgotten = inner.history[HISTORY - 1].version;
            inner.history.drain(..HISTORY);
        }
        self.news.send_replace(inner.version);
        object
    }

    /// Changes of a kind after a version; the error is that they are forgotten.
    pub(crate) fn since(&self, version: u64, plural: &str, namespace: &str) -> Result<(Vec<Change>, u64), Refusal> {
        let inner = self.lock();
        if version < inner.forgotten {
            return Err(Refusal::new(
                410,
                "Expired",
                format!("too old resource version: {version} ({})", inner.forgotten),
            ));
        }
        let known = inner.history.partition_point(|change| change.version <= version);
        let new = inner.history[known..].iter().filter(|change| change.key.0 == plural && change.key.1 == namespace);
        Ok((new.cloned().collect(), inner.version))
    }

    /// Forgets the history: watches that are older have to list again.
    pub(crate) fn forget(&self) {
        let mut inner = self.lock();
        inner.history.clear();
        // Also those that have seen everything: as after a restart of a real server with an empty cache.
        inner.version += 1;
        inner.forgotten = inner.version;
    }
}

/// An object of a kind that is being made.
pub(crate) fn identified(plural: &str, mut object: Value) -> Value {
    if let Some((_, version, kind)) = KINDS.iter().find(|(name, ..)| *name == plural) {
        object["apiVersion"] = (*version).into();
        object["kind"] = (*kind).into();
    }
    object
}

/// The plural as it is known here, of a group and version.
pub(crate) fn known(plural: &str, group: &str) -> Option<&'static str> {
    KINDS.iter().find(|(name, version, _)| *name == plural && *version == group).map(|(name, ..)| *name)
}

/// A list as a server answers it.
pub(crate) fn listed(plural: &str, items: &[Value], version: u64) -> Value {
    let (_, api, kind) = KINDS.iter().find(|(name, ..)| *name == plural).unwrap_or(&KINDS[0]);
    json!({
        "apiVersion": api,
        "kind": format!("{kind}List"),
        "metadata": { "resourceVersion": version.to_string() },
        "items": items,
    })
}
