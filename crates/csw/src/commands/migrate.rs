//! `csw migrate`: a site that is down gets another kind of database, and its outputs go into a bucket.
//!
//! Outputs are sent first, each of them checked; what is there already is not sent again, so that an interrupted move goes
//! on. Then all rows go over in one transaction, checked table by table: the target has everything, or nothing. Nothing is
//! removed where they came from.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use csw_core::ports::ObjectStorage;
use csw_store::{BucketObjects, SqlStore, TableCopy, transfer};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::backup::{blocking, verify};
use crate::{
    cli::migrate::{DatabaseWord, Migrate},
    failure::{Failure, Outcome},
    folder::Folder,
    output::{Printer, table},
    settings::Settings,
    wiring,
};

/// Outputs that are sent at once.
const AT_ONCE: usize = 4;

/// Outputs that went into a bucket.
struct Sent {
    objects: u64,
    bytes: u64,
    bucket: String,
}

pub(crate) async fn run(settings: &Settings, options: &Migrate, printer: Printer) -> Outcome {
    if options.from == options.to {
        return Err(Failure::usage(
            "the site has that kind of database already",
            "name two: --from sqlite --to postgres",
        ));
    }
    let data = settings.data(&options.place);
    if !data.is_dir() {
        return Err(Failure::local(format!("there is no folder {}", data.display()), "name the site's with `--data`"));
    }
    // A server that runs has taken it; what starts meanwhile can't.
    let folder = Folder::take(&data, "stop the server; it must not write while its rows are moved")?;
    let data = folder.path();
    let (file, url) = places(settings, options, data)?;
    let (from, to) = match options.to {
        DatabaseWord::Postgres => (wiring::open_existing(&file).await?, wiring::open_database(&url).await?),
        DatabaseWord::Sqlite => {
            absent(&file)?;
            (wiring::open_existing(&url).await?, wiring::open_database(&file).await?)
        }
    };
    alone(&from, &to).await?;
    let sent = if options.objects { Some(send(settings, data, &from, printer).await?) } else { None };
    let moved = transfer(&from, &to).await;
    if moved.is_err() && options.to == DatabaseWord::Sqlite {
        to.close().await;
        forget(&file);
    }
    let tables = moved.map_err(|error| Failure::failed(error.to_string(), "give an empty database, and try again"))?;
    tell(&tables, sent.as_ref(), &data.join(wiring::SECRET_KEYS), printer)
}

/// The file and the server.
fn places(settings: &Settings, options: &Migrate, data: &Path) -> Outcome<(wiring::Database, wiring::Database)> {
    let url = wiring::Database::choose(settings, &options.place);
    if !matches!(url, wiring::Database::Postgres(_)) {
        return Err(Failure::usage(
            "which database of PostgreSQL?",
            "name it with `--database postgres://...`, or better in CSW_DATABASE",
        ));
    }
    let file = options.file.clone().unwrap_or_else(|| data.join(wiring::SQLITE_FILE));
    Ok((wiring::Database::Sqlite(file), url))
}

fn absent(file: &wiring::Database) -> Outcome {
    match file {
        wiring::Database::Sqlite(path) if path.exists() => Err(Failure::usage(
            format!("{} exists already", path.display()),
            "move it away, or name another with `--file`",
        )),
        _ => Ok(()),
    }
}

/// A file that was made for nothing.
fn forget(file: &wiring::Database) {
    if let wiring::Database::Sqlite(path) = file {
        for ending in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(ending);
            // It may not be there.
            let _ = fs::remove_file(PathBuf::from(name));
        }
    }
}

async fn alone(from: &SqlStore, to: &SqlStore) -> Outcome {
    if from.other_servers().await? + to.other_servers().await? == 0 {
        return Ok(());
    }
    Err(Failure::local("a server uses the database of PostgreSQL", "stop all its servers first"))
}

/// Sends what is in the folder of outputs.
async fn send(settings: &Settings, data: &Path, from: &SqlStore, printer: Printer) -> Outcome<Sent> {
    let bucket = wiring::bucket(settings, data, from).await?.ok_or_else(|| {
        Failure::usage("which bucket?", "name one in [objects] of the configuration file, see docs/operators.md")
    })?;
    let folder = data.join(wiring::OBJECTS);
    // A folder that has lost outputs is no good beginning.
    verify::check(from, data, None).await?.into_result(data)?;
    let files = blocking({
        let folder = folder.clone();
        move || objects_below(&folder)
    })
    .await?;
    printer.note(&format!("sending {} objects to {}", files.len(), bucket.name()));
    let objects = files.len() as u64;
    let bytes = files.iter().map(|(_, size)| size).sum();
    let sends = files.into_iter().map(|(key, size)| send_one(&bucket, folder.join(&key), key, size));
    stream::iter(sends).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(Sent { objects, bytes, bucket: bucket.name() })
}

async fn send_one(bucket: &BucketObjects, file: PathBuf, key: String, size: u64) -> Outcome {
    if bucket.size(&key).await.map_err(wiring::unusable)? != Some(size) {
        bucket.put_file(&key, &file).await.map_err(wiring::unusable)?;
    }
    match bucket.size(&key).await.map_err(wiring::unusable)? {
        Some(arrived) if arrived == size => Ok(()),
        other => Err(Failure::failed(
            format!("{key} has {size} bytes, and {} arrived", other.unwrap_or_default()),
            "try again; nothing was moved",
        )),
    }
}

/// Keys and sizes of the files below a folder; what begins with a dot is none.
fn objects_below(folder: &Path) -> Outcome<Vec<(String, u64)>> {
    fn walk(folder: &Path, prefix: &str, found: &mut Vec<(String, u64)>) -> std::io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let (key, metadata) = (format!("{prefix}{name}"), entry.metadata()?);
            if metadata.is_dir() {
                walk(&entry.path(), &format!("{key}/"), found)?;
            } else {
                found.push((key, metadata.len()));
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    if folder.exists() {
        walk(folder, "", &mut found).map_err(|error| Failure::file(folder, &error))?;
    }
    Ok(found)
}

fn tell(tables: &[TableCopy], sent: Option<&Sent>, keys: &Path, printer: Printer) -> Outcome {
    let answer = json!({
        "tables": tables
            .iter()
            .map(|copy| json!({ "table": copy.table, "rows": copy.rows, "checksum": copy.checksum }))
            .collect::<Vec<_>>(),
        "objects": sent.map(|sent| json!({ "bucket": sent.bucket, "objects": sent.objects, "bytes": sent.bytes })),
    });
    printer.result(&answer, || {
        let row = |copy: &TableCopy| {
            [copy.table.clone(), copy.rows.to_string(), copy.checksum.chars().take(16).collect::<String>()]
        };
        let mut text = table(["TABLE", "ROWS", "CHECKSUM"], &tables.iter().map(row).collect::<Vec<_>>());
        if let Some(sent) = sent {
            // A text takes all that is written.
            let _ = write!(text, "\n{} has {} objects, {} bytes", sent.bucket, sent.objects, sent.bytes);
        }
        text
    })?;
    printer.note("Every row arrived as it was. Start the site with the new database and the same data folder.");
    if keys.exists() {
        printer
            .note("Secrets went over as they are sealed: the data folder has to keep `secrets.key`, which opens them.");
    }
    Ok(())
}
