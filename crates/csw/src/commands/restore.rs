//! `csw restore`: a data folder from a backup, and the proof that nothing is missing in it.

use std::path::Path;

use csw_store::{BucketObjects, SqlStore};
use serde_json::json;

use super::backup::{
    blocking, empty_folder,
    files::{REPOSITORIES, copy_repositories, copy_tree},
    folders,
    manifest::{self, Database, Manifest},
    postgres, verify,
};
use crate::{
    cli::Place,
    failure::{Failure, Outcome},
    output::Printer,
    settings::Settings,
    wiring,
};

/// The bucket that a backup names, which the settings have to name too.
async fn bucket_of(settings: &Settings, data: &Path, store: &SqlStore, named: &str) -> Outcome<BucketObjects> {
    let bucket = wiring::bucket(settings, data, store).await?;
    bucket.filter(|bucket| bucket.name() == named).ok_or_else(|| {
        Failure::usage(
            format!("the outputs of this backup are in {named}"),
            "name that bucket in [objects] of the configuration file; the folder that was begun has to be removed",
        )
    })
}

pub(crate) async fn run(settings: &Settings, from: &Path, place: &Place, printer: Printer) -> Outcome {
    let manifest = Manifest::read(from)?;
    let data = settings.data(place);
    let database = wiring::Database::choose(settings, place);
    empty_folder(&data)?;
    match (&database, manifest.database) {
        (wiring::Database::Sqlite(file), Database::Sqlite) => {
            if file.exists() {
                return Err(Failure::usage(
                    format!("{} exists already", file.display()),
                    "choose another with `--database`",
                ));
            }
            std::fs::copy(from.join(manifest::SQLITE), file).map_err(|error| Failure::file(file, &error))?;
        }
        (wiring::Database::Postgres(url), Database::Postgres) => {
            let (url, file) = (url.clone(), from.join(manifest::POSTGRES));
            blocking(move || postgres::load(&url, &file)).await?;
        }
        (_, Database::Sqlite) => {
            return Err(Failure::usage("this backup is of SQLite", "leave `--database` away, or give a path"));
        }
        (_, Database::Postgres) => {
            return Err(Failure::usage(
                "this backup is of PostgreSQL",
                "give an empty database: `--database postgres://...`",
            ));
        }
    }
    let store = wiring::open_existing(&database).await?;
    let bucket = match &manifest.bucket {
        Some(named) => Some(bucket_of(settings, &data, &store, named).await?),
        None => None,
    };
    for folder in folders(bucket.as_ref()) {
        let (from, into) = (from.join(folder), data.join(folder));
        blocking(move || copy_tree(&from, &into, folder == wiring::OBJECTS)).await?;
    }
    let (repositories, into) = (from.join(REPOSITORIES), data.join(REPOSITORIES));
    blocking(move || copy_repositories(&repositories, &into)).await?;
    let mut checked = verify::check(&store, &data, bucket.as_ref()).await?;
    let differences = checked.differences(&manifest.counts);
    checked.problems.extend(differences);
    let checked = checked.into_result(&data)?;
    let answer = json!({
        "data": data,
        "proved": true,
        "counts": checked.counts,
        "objects": checked.objects,
        "bytes": checked.bytes,
    });
    printer.result(&answer, || {
        format!(
            "{} is whole: the database is sound, and {} outputs with {} bytes {}",
            data.display(),
            checked.objects,
            checked.bytes,
            if bucket.is_some() { "are in their bucket" } else { "have the right hashes" }
        )
    })
}
