//! The file of master keys. It has one key, and a second one while a rotation is at work; the last is the current one.
//!
//! Whoever stores a secret holds the file's lock in common until the row is there, and whoever changes the keys holds it
//! alone: so no row can come to be under a key that a rotation has just dropped.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use csw_core::{
    ports::{Randomness, SecretError, SecretResult},
    secret::SecretName,
};
use zeroize::Zeroizing;

use crate::seal::Key;

/// Stands in the file for whoever finds it.
const HEAD: &str = "# Master keys of the secrets of this site: a name and 32 bytes a line; the last one is current.
# Whoever has this file and the database reads every secret. Keep a copy of it, and keep it apart from backups.
";

/// Keys by name, the current one last; never empty.
#[derive(Clone)]
pub(crate) struct Keys(Vec<(String, Key)>);

impl Keys {
    /// The key that seals.
    pub(crate) fn current(&self) -> Option<(&str, &Key)> {
        self.0.last().map(|(name, key)| (name.as_str(), key))
    }

    /// The key of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Key> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, key)| key)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// With a new key as the current one.
    pub(crate) fn with_new(mut self, randomness: &dyn Randomness) -> Self {
        self.0.push(fresh(randomness));
        self
    }

    /// The current key alone.
    pub(crate) fn last_only(mut self) -> Self {
        self.0.drain(..self.0.len().saturating_sub(1));
        self
    }

    /// A first key.
    pub(crate) fn first(randomness: &dyn Randomness) -> Self {
        Self(vec![fresh(randomness)])
    }
}

/// A key with a name that no other one has, lost ones included.
fn fresh(randomness: &dyn Randomness) -> (String, Key) {
    let mut key = Zeroizing::new([0; 32]);
    randomness.fill(key.as_mut_slice());
    let mut name = [0; 6];
    randomness.fill(&mut name);
    (format!("k-{}", hex::encode(name)), key)
}

/// Where the keys are.
#[derive(Debug, Clone)]
pub(crate) struct KeyFile {
    path: PathBuf,
}

/// The lock of the file, until it is dropped.
pub(crate) struct Held(#[expect(dead_code, reason = "closing it gives the lock back")] File);

/// How the lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// With others who store.
    Together,
    /// By whoever changes the keys.
    Alone,
}

impl KeyFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the lock.
    pub(crate) async fn hold(&self, how: Hold) -> SecretResult<Held> {
        let path = self.path.with_extension("lock");
        let work = move || {
            let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
            match how {
                Hold::Together => file.lock_shared()?,
                Hold::Alone => file.lock()?,
            }
            Ok(Held(file))
        };
        self.blocking(work).await
    }

    /// The keys; `None` where there is no file.
    pub(crate) async fn read(&self) -> SecretResult<Option<Keys>> {
        let path = self.path.clone();
        let text = self.blocking(move || match read_private(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        });
        let Some(text) = text.await? else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| SecretError::Damaged {
            what: format!("the master keys in {}", self.path.display()),
            cause: "the file is not as it was written; put its copy back".to_owned(),
        })
    }

    /// Replaces the file at once and for good. The caller holds the lock alone.
    pub(crate) async fn write(&self, keys: &Keys, _alone: &Held) -> SecretResult<()> {
        let path = self.path.clone();
        let mut text = Zeroizing::new(HEAD.to_owned());
        for (name, key) in &keys.0 {
            let encoded = Zeroizing::new(STANDARD.encode(key.as_slice()));
            text.extend([name.as_str(), " ", encoded.as_str(), "\n"]);
        }
        self.blocking(move || {
            let next = path.with_extension("next");
            let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&next)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&next, &path)?;
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                File::open(folder)?.sync_all()?;
            }
            Ok(())
        })
        .await
    }

    /// Work with the file, off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> SecretResult<T> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(io::Error::other).flatten().map_err(|error| SecretError::Unavailable {
            what: format!("the master keys in {}", self.path.display()),
            cause: error.to_string(),
        })
    }
}

/// The text of a file that nobody else may read.
fn read_private(path: &Path) -> io::Result<Zeroizing<String>> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        let sentence = format!("others may read it; `chmod 600 {}`, and rotate the keys", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence));
    }
    fs::read_to_string(path).map(Zeroizing::new)
}

fn parse(text: &str) -> Option<Keys> {
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, encoded) = line.split_once(' ')?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
        let key: [u8; 32] = bytes.as_slice().try_into().ok()?;
        keys.push((name.to_owned(), Zeroizing::new(key)));
    }
    (!keys.is_empty()).then_some(Keys(keys))
}

/// How errors call a secret.
pub(crate) fn called(scope: &str, name: &str) -> String {
    format!("the secret `{name}` of {scope}")
}

/// The same by its parts.
pub(crate) fn missing(scope: &str, name: &SecretName) -> SecretError {
    SecretError::NotFound { name: name.to_string(), scope: scope.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_noticed() {
        assert!(parse("").is_none());
        assert!(parse("# only words\n").is_none());
        assert!(parse("k-1 short\n").is_none());
        assert!(parse(&format!("k-1 {}\n", STANDARD.encode([1; 31]))).is_none());
        let keys =
            parse(&format!("{HEAD}k-1 {}\nk-2 {}\n", STANDARD.encode([1; 32]), STANDARD.encode([2; 32]))).unwrap();
        assert_eq!(keys.current().map(|(name, _)| name), Some("k-2"));
        assert!(keys.named("k-1").is_some() && keys.named("k-3").is_none());
        assert_eq!(keys.last_only().len(), 1);
    }
}
