//! The proof of a copy: the database is sound, and every file it names is there, with the right bytes.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use csw_core::{
    page::PageRequest,
    ports::{ModelFilter, ObjectStorage, SimulationFilter, Store},
};
use csw_store::{BucketObjects, SqlStore};
use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::{
    blocking,
    manifest::{self, Database},
};
use crate::{
    failure::{Failure, Outcome},
    wiring,
};

/// Problems that are told one by one; further ones are counted.
const TOLD: usize = 20;

/// Objects that a bucket is asked for at once.
const AT_ONCE: usize = 32;

/// What a check found.
pub(crate) struct Checked {
    /// How many accounts, models and simulations.
    pub(crate) counts: BTreeMap<String, u64>,
    /// Distinct outputs.
    pub(crate) objects: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// What is broken; an empty list is the proof.
    pub(crate) problems: Vec<String>,
}

/// The database of a backup. One of PostgreSQL is inside a dump, so the live one answers for it.
pub(crate) async fn open_copy(kind: &Database, folder: &Path, live: &SqlStore) -> Outcome<SqlStore> {
    match kind {
        Database::Sqlite => wiring::open_existing(&wiring::Database::Sqlite(folder.join(manifest::SQLITE))).await,
        Database::Postgres => Ok(live.clone()),
    }
}

/// Checks a database, and the outputs that it names: files below `folder`, or objects of a bucket. Of files all bytes are
/// read; a bucket is asked whether it has them, and how long they are.
pub(crate) async fn check(store: &SqlStore, folder: &Path, bucket: Option<&BucketObjects>) -> Outcome<Checked> {
    let mut problems = Vec::new();
    let integrity = store.integrity().await?;
    if integrity != "ok" {
        problems.push(format!("the database says: {integrity}"));
    }
    let named = store.referenced_objects().await?;
    let objects = named.len() as u64;
    let bytes = named.iter().map(|(_, _, size)| size).sum();
    problems.extend(if let Some(bucket) = bucket {
        missing_objects(bucket, named).await?
    } else {
        let folder = folder.to_owned();
        blocking(move || Ok(broken_objects(&folder, &named))).await?
    });
    if problems.len() > TOLD {
        let more = problems.len() - TOLD;
        problems.truncate(TOLD);
        problems.push(format!("and {more} more"));
    }
    Ok(Checked { counts: counts(store).await?, objects, bytes, problems })
}

async fn counts(store: &dyn Store) -> Outcome<BTreeMap<String, u64>> {
    let one = PageRequest { number: 1, size: 1 };
    let counts = [
        ("accounts", store.accounts(one).await?.total),
        ("models", store.models(&ModelFilter::default(), one).await?.total),
        ("simulations", store.simulations(&SimulationFilter::default(), one).await?.total),
    ];
    Ok(counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect())
}

async fn missing_objects(bucket: &BucketObjects, named: Vec<(String, String, u64)>) -> Outcome<Vec<String>> {
    let name = bucket.name();
    let asked = stream::iter(named).map(|(key, _, size)| async move { (bucket.size(&key).await, key, size) });
    let mut answers = asked.buffer_unordered(AT_ONCE);
    let mut problems = Vec::new();
    while let Some((found, key, size)) = answers.next().await {
        match found.map_err(wiring::unusable)? {
            Some(length) if length == size => {}
            Some(length) => problems.push(format!("{name}/{key} has {length} bytes and not {size}")),
            None => problems.push(format!("{name}/{key} is not there")),
        }
    }
    Ok(problems)
}

fn broken_objects(folder: &Path, named: &[(String, String, u64)]) -> Vec<String> {
    let mut problems = Vec::new();
    for (key, sha256, size) in named {
        let path = folder.join("objects").join(key);
        match digest(&path) {
            Ok((found, length)) if found == *sha256 && length == *size => {}
            Ok(_) => problems.push(format!("{} does not hold what its name says", path.display())),
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
    problems
}

fn digest(path: &PathBuf) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut length = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((hex::encode(hasher.finalize()), length));
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        length += count as u64;
    }
}

impl Checked {
    /// The counts that differ from those a backup says it has.
    pub(crate) fn differences(&self, counts: &BTreeMap<String, u64>) -> Vec<String> {
        counts
            .iter()
            .filter_map(|(what, wanted)| {
                let found = self.counts.get(what).copied().unwrap_or_default();
                (found != *wanted).then(|| format!("it has {found} {what}, and had {wanted}"))
            })
            .collect()
    }

    /// An error that names every problem.
    pub(crate) fn into_result(self, what: &Path) -> Outcome<Self> {
        if self.problems.is_empty() {
            return Ok(self);
        }
        Err(Failure::failed(
            format!("{} is not whole: {}", what.display(), self.problems.join("; ")),
            "restore an older backup",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_gone_or_changed_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let sha256 = hex::encode(Sha256::digest(b"good"));
        let path = folder.path().join("objects").join(csw_core::output::object_key(&sha256));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let named = [(csw_core::output::object_key(&sha256), sha256, 4)];
        assert_eq!(broken_objects(folder.path(), &named).len(), 1);
        std::fs::write(&path, b"good").unwrap();
        assert_eq!(broken_objects(folder.path(), &named), Vec::<String>::new());
        std::fs::write(&path, b"evil").unwrap();
        assert_eq!(broken_objects(folder.path(), &named).len(), 1);
    }
}
