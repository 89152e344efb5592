//! `csw restore`: a data folder from a backup, and the proof that nothing is missing in it.

use std::path::Path;

use serde_json::json;

use super::backup::{
    FOLDERS, blocking, empty_folder,
    files::{REPOSITORIES, copy_repositories, copy_tree},
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
    for folder in FOLDERS {
        let (from, into) = (from.join(folder), data.join(folder));
        blocking(move || copy_tree(&from, &into, folder == "objects")).await?;
    }
    let (repositories, into) = (from.join(REPOSITORIES), data.join(REPOSITORIES));
    blocking(move || copy_repositories(&repositories, &into)).await?;
    let store = wiring::open_existing(&database).await?;
    let mut checked = verify::check(&store, &data).await?;
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
            "{} is whole: the database is sound, and {} outputs with {} bytes have the right hashes",
            data.display(),
            checked.objects,
            checked.bytes
        )
    })
}
