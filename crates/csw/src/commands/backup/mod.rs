//! `csw backup`: a copy of a site as it was at one moment, made while it serves.
//!
//! The database is copied first, at one moment; then the immutable files that this copy refers to. Whoever deletes a
//! simulation in between takes bytes away that the copy still names, so the copy is checked, and made again if need be.

pub(crate) mod files;
pub(crate) mod manifest;
pub(crate) mod postgres;
pub(crate) mod verify;

use std::{fs, os::unix::fs::DirBuilderExt, path::Path};

use csw_store::{BucketObjects, SqlStore};

use self::manifest::{Database, Manifest};
use crate::{
    cli::Place,
    failure::{Failure, Outcome},
    output::Printer,
    settings::Settings,
    wiring,
};

/// Times that a site which deletes all the while gets another copy of its database.
const ROUNDS: u32 = 5;

/// The folders of immutable files, in the data folder and in a backup. What is in a bucket stays there.
pub(crate) fn folders(bucket: Option<&BucketObjects>) -> impl Iterator<Item = &'static str> {
    let objects = bucket.is_none().then_some(wiring::OBJECTS);
    objects.into_iter().chain(["envs", "code"])
}

pub(crate) async fn run(settings: &Settings, place: &Place, to: &Path, printer: Printer) -> Outcome {
    let data = settings.data(place);
    let database = wiring::Database::choose(settings, place);
    let store = wiring::open_existing(&database).await?;
    let bucket = wiring::bucket(settings, &data, &store).await?;
    empty_folder(to)?;
    let mut problems = Vec::new();
    for round in 0..ROUNDS {
        let kind = copy_database(&database, &store, to).await?;
        for folder in folders(bucket.as_ref()) {
            let (from, into) = (data.join(folder), to.join(folder));
            blocking(move || files::copy_tree(&from, &into, folder == wiring::OBJECTS)).await?;
        }
        let (from, into) = (data.join(files::REPOSITORIES), to.join(files::REPOSITORIES));
        blocking(move || files::copy_repositories(&from, &into)).await?;
        let copy = verify::open_copy(&kind, to, &store).await?;
        let mut checked = verify::check(&copy, to, bucket.as_ref()).await?;
        problems = std::mem::take(&mut checked.problems);
        if problems.is_empty() {
            let manifest = Manifest::new(kind, checked, bucket.as_ref().map(BucketObjects::name));
            manifest.write(to)?;
            if let Some(bucket) = &manifest.bucket {
                printer.note(&format!(
                    "outputs stay in {bucket}, which has to keep what it has for as long as this backup"
                ));
            }
            if data.join(wiring::SECRET_KEYS).exists() {
                printer.note("the master keys of secrets are not in it: keep a copy of `secrets.key` apart");
            }
            return printer.result(&manifest, || {
                let holds = if manifest.bucket.is_some() { "names" } else { "holds" };
                format!("{} {holds} {} outputs, {} bytes", to.display(), manifest.objects, manifest.bytes)
            });
        }
        printer.note(&format!("something was deleted meanwhile; copying again ({} of {ROUNDS})", round + 1));
    }
    Err(Failure::failed(
        format!("{} is no whole backup: {}", to.display(), problems.join("; ")),
        "try again while nothing is deleted; if it stays so, the site itself has lost files",
    ))
}

async fn copy_database(database: &wiring::Database, store: &SqlStore, to: &Path) -> Outcome<Database> {
    match database {
        wiring::Database::Sqlite(_) => {
            let file = to.join(manifest::SQLITE);
            if file.exists() {
                fs::remove_file(&file).map_err(|error| Failure::file(&file, &error))?;
            }
            store.backup_to(&file).await?;
            Ok(Database::Sqlite)
        }
        wiring::Database::Postgres(url) => {
            let (url, file) = (url.clone(), to.join(manifest::POSTGRES));
            blocking(move || postgres::dump(&url, &file)).await?;
            Ok(Database::Postgres)
        }
    }
}

/// Makes a folder that only its owner may look into; one that exists must be empty.
pub(crate) fn empty_folder(folder: &Path) -> Outcome {
    let failed = |error| Failure::file(folder, &error);
    if folder.exists() && fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return Err(Failure::usage(
            format!("{} is not empty", folder.display()),
            "choose a folder that does not exist",
        ));
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)
}

/// Work with files, off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Outcome<T> + Send + 'static) -> Outcome<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::local(error.to_string(), "try again"))?
}
