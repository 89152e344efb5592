//! Secrets in rows of the site's own database, sealed by master keys in a file beside it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use csw_core::{
    ports::{Randomness, Rotation, SealedSecret, SecretError, SecretResult, SecretRows, SecretStore, StoreError},
    secret::{SecretInfo, SecretName, SecretScope, SecretValue, Secrets},
};
use jiff::Timestamp;

use crate::{
    keys::{Held, Hold, KeyFile, Keys, called, missing},
    seal::{self, NONCE, Place},
};

/// Versions of a secret that are kept.
pub const VERSIONS: u32 = 10;

/// Rows that are read at once while they are sealed again.
const BATCH: u32 = 100;

/// Times that others may be faster.
const TRIES: u32 = 20;

/// The store of a site without any other.
pub struct Embedded {
    rows: Arc<dyn SecretRows>,
    file: KeyFile,
    randomness: Arc<dyn Randomness>,
    /// As they were last read.
    known: Mutex<Option<Keys>>,
}

impl Embedded {
    /// A store over these rows; the keys are in the file at `keys`, which is made when the first secret is stored.
    pub fn new(rows: Arc<dyn SecretRows>, keys: PathBuf, randomness: Arc<dyn Randomness>) -> Self {
        Self { rows, file: KeyFile::new(keys), randomness, known: Mutex::default() }
    }

    fn remember(&self, keys: &Keys) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys.clone());
    }

    fn known(&self) -> Option<Keys> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys as they are in the file now.
    async fn keys(&self) -> SecretResult<Keys> {
        match self.file.read().await? {
            Some(keys) => {
                self.remember(&keys);
                Ok(keys)
            }
            None => Err(SecretError::Damaged {
                what: "the secrets of this site".to_owned(),
                cause: format!(
                    "their master keys are not in {}; put the copy of that file back",
                    self.file.path().display()
                ),
            }),
        }
    }

    /// The keys, made where nothing was ever sealed.
    async fn keys_or_first(&self, alone: &Held) -> SecretResult<Keys> {
        if self.file.read().await?.is_some() || self.rows.has_secrets().await.map_err(|error| unavailable(&error))? {
            return self.keys().await;
        }
        let keys = Keys::first(&*self.randomness);
        self.file.write(&keys, alone).await?;
        self.remember(&keys);
        Ok(keys)
    }

    /// The lock for storing, and the keys that stay as they are while it is held.
    async fn to_store(&self) -> SecretResult<(Held, Keys)> {
        let together = self.file.hold(Hold::Together).await?;
        if let Some(keys) = self.file.read().await? {
            self.remember(&keys);
            return Ok((together, keys));
        }
        drop(together);
        let alone = self.file.hold(Hold::Alone).await?;
        let keys = self.keys_or_first(&alone).await?;
        Ok((alone, keys))
    }

    fn seal(&self, keys: &Keys, mut row: SealedSecret, value: &SecretValue) -> SecretResult<SealedSecret> {
        let mut nonce = [0; NONCE];
        self.randomness.fill(&mut nonce);
        let damaged =
            |cause: &str| SecretError::Damaged { what: called(&row.scope, &row.name), cause: cause.to_owned() };
        let (name, key) = keys.current().ok_or_else(|| damaged("there is no key to seal it with"))?;
        let place = Place { scope: &row.scope, name: &row.name, version: row.version, key: name };
        let sealed = seal::seal(key, place, nonce, value).ok_or_else(|| damaged("it can't be sealed"))?;
        (row.key, row.sealed) = (name.to_owned(), sealed);
        Ok(row)
    }

    /// Opens a row with the keys at hand, or with those of the file where a rotation came in between.
    async fn open(&self, row: &SealedSecret) -> SecretResult<SecretValue> {
        let keys = match self.known().filter(|keys| keys.named(&row.key).is_some()) {
            Some(keys) => keys,
            None => self.keys().await?,
        };
        open_with(&keys, row)
    }
}

fn open_with(keys: &Keys, row: &SealedSecret) -> SecretResult<SecretValue> {
    let damaged = |cause: String| SecretError::Damaged { what: called(&row.scope, &row.name), cause };
    let key = keys.named(&row.key).ok_or_else(|| {
        damaged(format!("its key {} is not among the master keys; put their copy back, or set it again", row.key))
    })?;
    let place = Place { scope: &row.scope, name: &row.name, version: row.version, key: &row.key };
    seal::open(key, place, &row.sealed)
        .ok_or_else(|| damaged("its row was changed or moved; set it again, or delete it".to_owned()))
}

fn unavailable(error: &StoreError) -> SecretError {
    SecretError::Unavailable { what: "secrets".to_owned(), cause: error.to_string() }
}

fn info(row: &SealedSecret) -> Option<SecretInfo> {
    let name = row.name.parse().ok()?;
    Some(SecretInfo { name, version: row.version, set_by: Some(row.set_by.clone()), set_at: Some(row.set_at) })
}

#[async_trait]
impl SecretStore for Embedded {
    async fn set(
        &self,
        scope: &SecretScope,
        name: &SecretName,
        value: &SecretValue,
        by: &str,
        at: Timestamp,
    ) -> SecretResult<SecretInfo> {
        let (_held, keys) = self.to_store().await?;
        for _ in 0..TRIES {
            let newest =
                self.rows.secret(&scope.key(), name.as_str(), None).await.map_err(|error| unavailable(&error))?;
            let row = SealedSecret {
                scope: scope.key(),
                name: name.to_string(),
                version: newest.map_or(0, |row| row.version) + 1,
                key: String::new(),
                sealed: Vec::new(),
                set_by: by.to_owned(),
                set_at: at,
            };
            let row = self.seal(&keys, row, value)?;
            match self.rows.insert_secret(&row, VERSIONS).await {
                Ok(()) => {
                    let (set_by, set_at) = (Some(row.set_by), Some(at));
                    return Ok(SecretInfo { name: name.clone(), version: row.version, set_by, set_at });
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(unavailable(&error)),
            }
        }
        Err(SecretError::Unavailable {
            what: called(&scope.title(), name.as_str()),
            cause: "others set it at the same time, again and again".to_owned(),
        })
    }

    async fn get(&self, scope: &SecretScope, name: &SecretName, version: Option<u32>) -> SecretResult<SecretValue> {
        let mut tries = 0;
        loop {
            let row =
                self.rows.secret(&scope.key(), name.as_str(), version).await.map_err(|error| unavailable(&error))?;
            let Some(row) = row else { break };
            match self.open(&row).await {
                // A rotation dropped its key since the row was read; it has another seal by now.
                Err(SecretError::Damaged { .. }) if tries < 3 => tries += 1,
                other => return other,
            }
        }
        match (version, self.rows.secret(&scope.key(), name.as_str(), None).await.map_err(|error| unavailable(&error))?)
        {
            (Some(version), Some(newest)) => Err(SecretError::NotKept {
                name: name.to_string(),
                scope: scope.title(),
                version,
                why: format!("the newest is {}, and the last {VERSIONS} are", newest.version),
            }),
            _ => Err(missing(&scope.title(), name)),
        }
    }

    async fn list(&self, scope: &SecretScope) -> SecretResult<Vec<SecretInfo>> {
        let rows = self.rows.secrets(&scope.key()).await.map_err(|error| unavailable(&error))?;
        Ok(rows.iter().filter_map(info).collect())
    }

    async fn all(&self, scope: &SecretScope) -> SecretResult<Secrets> {
        let mut tries = 0;
        'again: loop {
            let mut found = Secrets::new();
            for row in self.rows.secrets(&scope.key()).await.map_err(|error| unavailable(&error))? {
                match self.open(&row).await {
                    Err(SecretError::Damaged { .. }) if tries < 3 => {
                        tries += 1;
                        continue 'again;
                    }
                    other => found.insert(row.name, other?),
                };
            }
            return Ok(found);
        }
    }

    async fn delete(&self, scope: &SecretScope, name: &SecretName) -> SecretResult<()> {
        if self.rows.delete_secret(&scope.key(), name.as_str()).await.map_err(|error| unavailable(&error))? {
            Ok(())
        } else {
            Err(missing(&scope.title(), name))
        }
    }

    async fn rotate(&self) -> SecretResult<Rotation> {
        let (keys, resumed) = {
            let alone = self.file.hold(Hold::Alone).await?;
            let keys = self.keys_or_first(&alone).await?;
            if keys.len() > 1 {
                (keys, true)
            } else {
                let keys = keys.with_new(&*self.randomness);
                self.file.write(&keys, &alone).await?;
                self.remember(&keys);
                (keys, false)
            }
        };
        // From here on whoever stores uses the new key; an interruption leaves rows of both, and both keys.
        let current = keys.current().map(|(name, _)| name.to_owned()).unwrap_or_default();
        let mut resealed = 0;
        loop {
            let rows = self.rows.secrets_of_other_keys(&current, BATCH).await.map_err(|error| unavailable(&error))?;
            if rows.is_empty() {
                let alone = self.file.hold(Hold::Alone).await?;
                if !self.rows.secrets_of_other_keys(&current, 1).await.map_err(|error| unavailable(&error))?.is_empty()
                {
                    continue;
                }
                let keys = keys.last_only();
                self.file.write(&keys, &alone).await?;
                self.remember(&keys);
                return Ok(Rotation { key: current, resealed, resumed });
            }
            for row in rows {
                let value = open_with(&keys, &row)?;
                let next = self.seal(&keys, row.clone(), &value)?;
                let changed = self
                    .rows
                    .reseal_secret(&row, &next.key, &next.sealed)
                    .await
                    .map_err(|error| unavailable(&error))?;
                resealed += u64::from(changed);
            }
        }
    }
}
