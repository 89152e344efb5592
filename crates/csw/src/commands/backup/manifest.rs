//! What a backup says of itself. It is written last: a folder without one is no backup.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use super::verify::Checked;
use crate::failure::{Failure, Outcome};

/// File names in a backup.
pub(crate) const MANIFEST: &str = "backup.json";
/// The SQLite database.
pub(crate) const SQLITE: &str = "csw.db";
/// The PostgreSQL database, in the form of `pg_dump --format=custom`.
pub(crate) const POSTGRES: &str = "database.dump";

const FORMAT: u32 = 1;

/// Which database it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    made_at: String,
    made_by: String,
    pub(crate) database: Database,
    /// How many accounts, models and simulations.
    pub(crate) counts: BTreeMap<String, u64>,
    /// Distinct outputs.
    pub(crate) objects: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// The bucket they are in, where that is not this folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bucket: Option<String>,
}

impl Manifest {
    pub(crate) fn new(database: Database, checked: Checked, bucket: Option<String>) -> Self {
        Self {
            format: FORMAT,
            made_at: jiff::Timestamp::now().to_string(),
            made_by: concat!("csw ", env!("CARGO_PKG_VERSION")).to_owned(),
            database,
            counts: checked.counts,
            objects: checked.objects,
            bytes: checked.bytes,
            bucket,
        }
    }

    pub(crate) fn write(&self, folder: &Path) -> Outcome {
        let path = folder.join(MANIFEST);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Failure::local(error.to_string(), "report this defect"))?;
        fs::write(&path, text).map_err(|error| Failure::file(&path, &error))
    }

    pub(crate) fn read(folder: &Path) -> Outcome<Self> {
        let path = folder.join(MANIFEST);
        let text = fs::read_to_string(&path).map_err(|error| {
            Failure::local(
                format!("{} is no backup: {}: {error}", folder.display(), path.display()),
                "name the folder that `csw backup --to` made",
            )
        })?;
        let manifest: Self = serde_json::from_str(&text)
            .map_err(|error| Failure::local(format!("{}: {error}", path.display()), "was it made by a newer `csw`?"))?;
        if manifest.format != FORMAT {
            return Err(Failure::local(
                format!("{} has format {}, this program reads {FORMAT}", folder.display(), manifest.format),
                "restore it with the `csw` that made it",
            ));
        }
        Ok(manifest)
    }
}
