//! The first stage: source of any kind becomes a folder of plain files with a pinned commit.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use csw_core::{build::Source, ids::ModelId, model::Described, ports::Checkout};
use jiff::Timestamp;

use crate::{
    archive, background,
    config::PublishConfig,
    described::described,
    failure::Failure,
    git::{Git, too_large},
    layout,
    mask::{Log, mask},
    repository::RepositoryUrl,
    tree,
};

/// The folder of the files, inside one that is the checkout's own.
const FILES: &str = "source";

/// Source on this machine, of a model or not.
pub(crate) struct Obtained {
    pub(crate) checkout: Checkout,
    /// Names that were left out for safety.
    pub(crate) refused: Vec<String>,
}

/// Fetches, checks that it is a model, and says what it is.
pub(crate) async fn fetch(config: &PublishConfig, source: &Source, log: &Log<'_>) -> Result<Checkout, Failure> {
    let Obtained { checkout, .. } = obtain(config, source, log).await?;
    if let Err(failure) = layout::check(&checkout.folder) {
        let config = config.clone();
        // The failure is what matters; leftovers are swept later.
        let _ = background(move || {
            discard(&config, &checkout);
            Ok(())
        })
        .await;
        return Err(failure);
    }
    log.line(&format!("Source at {}", checkout.commit));
    let described = described(&checkout.folder).unwrap_or_else(|sentence| {
        log.line(&sentence);
        Described::default()
    });
    Ok(Checkout { described, ..checkout })
}

/// Gets source of any kind, whatever it is.
pub(crate) async fn obtain(config: &PublishConfig, source: &Source, log: &Log<'_>) -> Result<Obtained, Failure> {
    let own = config.data.join("checkouts").join(uuid::Uuid::now_v7().to_string());
    fs::create_dir_all(&own).map_err(Failure::at("Making the folder", &own))?;
    let folder = own.join(FILES);
    let obtained = match source {
        Source::Git { url, reference } => from_git(config, url, reference.trim(), &folder, log).await,
        Source::Own { model, commit, .. } => from_own(config, *model, commit, &folder, log).await,
        Source::Archive { file, commit, committed_at, url } => {
            let unpacked = from_archive(config, file, commit, &folder, log).await;
            let url = url.as_deref().map(mask);
            let known = |checkout| Checkout { committed_at: *committed_at, url, ..checkout };
            unpacked.map(|checkout| Obtained { checkout: known(checkout), refused: Vec::new() })
        }
        Source::Folder(path) => from_folder(config, path, &folder, log).await,
    };
    if obtained.is_err() {
        // The failure is what matters; leftovers are swept later.
        let _ = background(move || tree::remove(&own)).await;
    }
    obtained
}

async fn from_own(
    config: &PublishConfig,
    model: ModelId,
    commit: &str,
    folder: &Path,
    log: &Log<'_>,
) -> Result<Obtained, Failure> {
    let repository = config.repositories.join(format!("{model}.git"));
    let url = RepositoryUrl::parse(&repository.display().to_string(), true)?;
    let config = PublishConfig { allow_local_repositories: true, ..config.clone() };
    let Obtained { checkout, refused } = from_repository(&config, &url, commit, folder, log).await?;
    Ok(Obtained { checkout: Checkout { url: None, ..checkout }, refused })
}

/// Removes the folder of a checkout, if it is one.
pub(crate) fn discard(config: &PublishConfig, checkout: &Checkout) {
    let place = config.data.join("checkouts");
    let own = checkout.folder.ancestors().find(|path| path.parent() == Some(&place));
    if let Some(own) = own
        && let Err(error) = tree::remove(own)
    {
        tracing::warn!(folder = %own.display(), %error, "a checkout could not be removed");
    }
}

fn room(config: &PublishConfig) -> tree::Room {
    tree::Room { bytes: config.source_bytes, entries: config.source_entries }
}

/// Source that has too much is no fault of this machine's files.
fn too_much(error: io::Error, source: &str, doing: &str, config: &PublishConfig) -> Failure {
    if error.kind() == io::ErrorKind::FileTooLarge { too_large(source, config) } else { Failure::io(doing)(error) }
}

fn tell_refused(names: &[String], log: &Log<'_>) {
    for name in names {
        log.line(&format!("Left out `{name}`: a link that leads nowhere or out of the repository, or no file"));
    }
}

async fn from_git(
    config: &PublishConfig,
    url: &str,
    reference: &str,
    folder: &Path,
    log: &Log<'_>,
) -> Result<Obtained, Failure> {
    let url = RepositoryUrl::parse(url, config.allow_local_repositories)?;
    from_repository(config, &url, reference, folder, log).await
}

async fn from_repository(
    config: &PublishConfig,
    url: &RepositoryUrl,
    reference: &str,
    folder: &Path,
    log: &Log<'_>,
) -> Result<Obtained, Failure> {
    let commit = Git::new(config, log).fetch(url, reference, folder).await?;
    let (place, mut room) = (folder.to_path_buf(), room(config));
    let refused = background(move || {
        let refused = tree::purge(&place)?;
        tree::walk(&place, &mut |_, metadata| room.take(metadata.len()))?;
        Ok(refused)
    })
    .await
    .map_err(|error| too_much(error, &url.url, "Checking the files of the repository", config))?;
    tell_refused(&refused, log);
    let checkout = Checkout {
        folder: folder.to_path_buf(),
        commit: commit.id,
        committed_at: commit.time,
        url: Some(mask(&url.url)),
        described: Described::default(),
        build: None,
    };
    Ok(Obtained { checkout, refused })
}

async fn from_archive(
    config: &PublishConfig,
    file: &Path,
    commit: &str,
    folder: &Path,
    log: &Log<'_>,
) -> Result<Checkout, Failure> {
    log.line("Unpacking the uploaded files");
    let (from, to, room) = (file.to_path_buf(), folder.to_path_buf(), room(config));
    let unpacked = background(move || Ok(archive::unpack(&from, &to, room)));
    unpacked.await.map_err(Failure::at("Reading the archive", file))??;
    let folder = inner_folder(folder);
    let commit = if commit.is_empty() { digest(&folder).await? } else { commit.to_owned() };
    Ok(Checkout { folder, commit, committed_at: None, url: None, described: Described::default(), build: None })
}

/// Hosts pack a repository as one folder with its name.
fn inner_folder(folder: &Path) -> PathBuf {
    if folder.join("cs-config").exists() {
        return folder.to_path_buf();
    }
    let entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    match entries.as_slice() {
        [only] if only.join("cs-config").is_dir() && !only.is_symlink() => only.clone(),
        _ => folder.to_path_buf(),
    }
}

async fn digest(folder: &Path) -> Result<String, Failure> {
    let folder = folder.to_path_buf();
    background(move || tree::digest(&folder)).await.map_err(Failure::io("Reading the files of the model"))
}

async fn from_folder(config: &PublishConfig, path: &Path, folder: &Path, log: &Log<'_>) -> Result<Obtained, Failure> {
    let path = path.canonicalize().map_err(|error| {
        Failure::Unusable(format!(
            "The folder `{}` cannot be read: {error}. Give the root of a model's repository",
            path.display()
        ))
    })?;
    if !path.is_dir() {
        return Err(Failure::Unusable(format!(
            "`{}` is no folder: give the root of a model's repository",
            path.display()
        )));
    }
    log.line(&format!("Copying {}", path.display()));
    let git = Git::new(config, log);
    let listed = git.answer(&path, &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).await;
    let only = listed.filter(|bytes| !bytes.is_empty()).map(|bytes| kept_names(&bytes, &path));
    let in_git = only.is_some();
    let (from, to, room) = (path.clone(), folder.to_path_buf(), room(config));
    let refused = background(move || tree::copy(&from, &to, only.as_deref(), room))
        .await
        .map_err(|error| too_much(error, &path.display().to_string(), "Copying the folder", config))?;
    tell_refused(&refused, log);
    let clean =
        in_git && git.answer(&path, &["status", "--porcelain", "--", "."]).await.is_some_and(|text| text.is_empty());
    let (mut commit, mut committed_at): (_, Option<Timestamp>) = (None, None);
    if clean {
        // A folder of a larger repository is of the commit that changed it last: others make no new version of it.
        let below = git.answer_line(&path, &["rev-parse", "--show-prefix"]).await.is_some_and(|line| !line.is_empty());
        let only: &[&str] = if below { &["--", "."] } else { &["--"] };
        let line = git.answer_line(&path, &[&["log", "-1", "--format=%H %cI"], only].concat()).await;
        let (id, time) = line.as_deref().and_then(|line| line.split_once(' ')).unzip();
        (commit, committed_at) = (id.map(str::to_owned), time.and_then(|text| text.parse().ok()));
    }
    let commit = match commit {
        Some(commit) => commit,
        None => digest(folder).await?,
    };
    let url = git.answer_line(&path, &["config", "--get", "remote.origin.url"]).await.map(|url| mask(&url));
    let (folder, url) = (folder.to_path_buf(), url.filter(|_| in_git));
    let checkout = Checkout { folder, commit, committed_at, url, described: Described::default(), build: None };
    Ok(Obtained { checkout, refused })
}

/// The listed files without what no copy takes.
fn kept_names(listed: &[u8], root: &Path) -> Vec<PathBuf> {
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let names = names.map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(name)));
    let kept = |name: &PathBuf| {
        let mut folder = root.to_path_buf();
        name.parent().into_iter().flat_map(Path::components).all(|part| {
            folder.push(part);
            !tree::is_left_out(&part.as_os_str().to_string_lossy(), &folder)
        })
    };
    names.filter(kept).collect()
}
