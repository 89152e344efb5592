//! A data folder with published models, made once for all tests and copied for each: building environments takes long.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::{
    Result, Server, SmallDisk,
    command::{csw, example, program},
};

/// Who published the models.
pub(crate) const OWNER: &str = "contract";

/// The model whose own tests are run.
const TESTED: &str = "contract/Null";

/// The file with the owner's token.
pub(crate) const TOKEN: &str = "token-of-the-tests";

/// Models that are published together, of which each folder's own name is its title.
pub(crate) struct Shelf {
    name: &'static str,
    models: &'static [&'static str],
}

/// What most tests need.
pub(crate) const CONTRACT: Shelf = Shelf { name: "template", models: &["contract/Null", "contract/Edge-Cases"] };

/// Models that behave as real ones do.
pub(crate) const REAL: Shelf = Shelf {
    name: "template-real",
    models: &["contract/Oddities", "contract/Compiled", "contract/Cluster", "contract/Chance", "contract/Numbers"],
};

/// Where tests keep what they share: on the disk of the build, so that copies can be links.
fn shared() -> Result<PathBuf> {
    let program = program()?;
    let folder = program.ancestors().nth(2).context("the program is in target/PROFILE")?.join("it");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Downloaded packages, kept from test to test.
pub(crate) fn packages() -> Result<PathBuf> {
    Ok(shared()?.join("packages"))
}

/// A new folder that the users of the sandbox may pass through.
pub(crate) fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("site-").tempdir_in(shared()?)?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
    Ok(folder)
}

/// A new folder whose `data` has nothing but the environments of a shelf: a model of the standard library need not wait
/// until cs-kit and pytest are installed once more.
pub(crate) fn with_tools() -> Result<TempDir> {
    let folder = folder()?;
    let data = folder.path().join("data");
    fs::create_dir(&data)?;
    lend(&made(&CONTRACT)?.join("envs"), &data)?;
    Ok(folder)
}

/// Folders that never change, by their names: each has thousands of files.
fn lend(part: &Path, data: &Path) -> Result {
    let to = data.join(part.file_name().context("a part of the template")?);
    fs::create_dir(&to)?;
    for entry in fs::read_dir(part)? {
        let entry = entry?;
        std::os::unix::fs::symlink(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// A folder whose `data` has the published models of a shelf.
pub(crate) fn copy(shelf: &Shelf) -> Result<TempDir> {
    let folder = folder()?;
    let data = folder.path().join("data");
    fs::create_dir(&data)?;
    // Environments and code never change. Everything else is the server's own.
    fill(&data, shelf, |part, _| lend(part, &data))?;
    Ok(folder)
}

/// The same without links to elsewhere: whoever mounts the folder alone has environments and code too.
pub(crate) fn whole_copy(shelf: &Shelf) -> Result<TempDir> {
    let folder = folder()?;
    let data = folder.path().join("data");
    fs::create_dir(&data)?;
    fill(&data, shelf, |part, _| run("cp", &[Path::new("-a"), part, &data]))?;
    Ok(folder)
}

/// A folder whose `data` is a copy of this one.
pub(crate) fn copy_of(data: &Path) -> Result<TempDir> {
    let folder = folder()?;
    run("cp", &[Path::new("-a"), data, &folder.path().join("data")])?;
    Ok(folder)
}

/// A folder whose `data` has the published models of a shelf, on a file system of so many bytes, which environments and code take nothing of.
pub(crate) fn copy_on_small_disk(bytes: u64) -> Result<(TempDir, SmallDisk)> {
    let folder = folder()?;
    let data = folder.path().join("data");
    fs::create_dir(&data)?;
    let disk = SmallDisk::over(&data, bytes)?;
    fill(&data, &CONTRACT, |part, name| Ok(disk.show(part, name)?))?;
    Ok((folder, disk))
}

fn fill(data: &Path, shelf: &Shelf, link: impl Fn(&Path, &str) -> Result) -> Result {
    for entry in fs::read_dir(made(shelf)?)? {
        let part = entry?.path();
        match part.file_name().and_then(|name| name.to_str()) {
            Some(name @ ("envs" | "code")) => link(&part, name)?,
            _ => run("cp", &[Path::new("-a"), &part, data])?,
        }
    }
    Ok(())
}

fn run(program: &str, words: &[&Path]) -> Result {
    let done = Command::new(program).args(words).output()?;
    ensure!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// Moves what the database of a data folder holds into a new one of PostgreSQL.
pub(crate) fn move_to_postgres(data: &Path, url: &str) -> Result {
    let place = data.display().to_string();
    let words = ["migrate", "--from", "sqlite", "--to", "postgres", "--data", &place];
    let moved = csw(&words, &[("CSW_DATABASE", url)])?;
    ensure!(moved.code == 0, "{}", moved.stderr);
    Ok(fs::remove_file(data.join("csw.db"))?)
}

/// The template of a shelf; made anew when a model or the program changed.
fn made(shelf: &Shelf) -> Result<PathBuf> {
    once(shelf.name, &format!("{:?}", newest(shelf)?), |template| fill_template(shelf, template))
}

/// A folder that the first test makes which needs it, and others wait for. It is made anew when the stamp is another.
pub fn once(name: &str, stamp: &str, make: impl FnOnce(&Path) -> Result) -> Result<PathBuf> {
    let shared = shared()?;
    let place = |ending: &str| shared.join(format!("{name}{ending}"));
    let lock = File::options().create(true).truncate(false).write(true).open(place(".lock"))?;
    lock.lock()?;
    let (folder, complete) = (place(""), place(".complete"));
    if fs::read_to_string(&complete).is_ok_and(|found| found == stamp) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    make(&folder)?;
    fs::write(&complete, stamp)?;
    Ok(folder)
}

fn fill_template(shelf: &Shelf, template: &Path) -> Result {
    let mut server = Server::bare()?;
    let account = server.account(OWNER, "admin")?;
    for name in shelf.models {
        let source = example(name)?.display().to_string();
        let mut words = vec!["models", "-n", name, "publish", "--no-example", "--repo", &source];
        // Own tests of examples have their own check; those of one model bring the tools that others are tested with.
        if *name != TESTED {
            words.push("--skip-test");
        }
        let done = server.csw(&account, &words)?;
        if done.code != 0 {
            bail!("{name} was not published: {}\n{}", done.stdout, done.stderr);
        }
    }
    fs::write(server.data().join(TOKEN), &account.token)?;
    server.stop()?;
    Ok(fs::rename(server.data(), template)?)
}

/// When the program, or a model that most tests need, was last changed.
pub fn newest_model() -> Result<String> {
    Ok(format!("{:?}", newest(&CONTRACT)?))
}

/// When the program or a model was last changed.
fn newest(shelf: &Shelf) -> Result<SystemTime> {
    fn below(path: &Path) -> Result<SystemTime> {
        let metadata = fs::symlink_metadata(path)?;
        let mut time = metadata.modified()?;
        if metadata.is_dir() {
            for entry in fs::read_dir(path)? {
                let path = entry?.path();
                if path.extension().is_none_or(|ending| ending != "pyc") {
                    time = time.max(below(&path)?);
                }
            }
        }
        Ok(time)
    }
    let mut time = fs::metadata(program()?)?.modified()?;
    for name in shelf.models {
        time = time.max(below(&example(name)?)?);
    }
    Ok(time)
}
