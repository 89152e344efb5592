//! Environments: one folder per lock, shared by every version with that lock.

use std::{
    fs,
    os::unix::fs::lchown,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    background, bytecode,
    failure::Failure,
    process::Output,
    tree,
    uv::{Lock, Uv, sync_args, target_args},
};

/// The lock inside the folder.
const LOCK: &str = "csw-lock.txt";
/// Its first line where packages were built in the sandbox.
const CONFINED: &str = "# built in the sandbox\n";

/// A finished environment.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    /// Name of the folder.
    pub(crate) digest: String,
    /// The folder.
    pub(crate) folder: PathBuf,
    /// Whether it was there already.
    pub(crate) found: bool,
}

impl Environment {
    /// The environment with this digest.
    pub(crate) fn at(data: &Path, digest: &str) -> Self {
        Self { digest: digest.to_owned(), folder: data.join("envs").join(digest), found: true }
    }

    /// Its interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.folder.join("bin").join("python")
    }

    /// The lock it was made from.
    pub(crate) fn lock(&self) -> Result<Lock, Failure> {
        let file = self.folder.join(LOCK);
        let text = fs::read_to_string(&file).map_err(Failure::at("Reading the lock", &file))?;
        Ok(match text.strip_prefix(CONFINED) {
            Some(text) => Lock { text: text.to_owned(), confined: true },
            None => Lock { text, confined: false },
        })
    }

    /// Where its packages are.
    pub(crate) fn packages(&self) -> Result<PathBuf, Failure> {
        packages(&self.folder)
    }
}

fn packages(folder: &Path) -> Result<PathBuf, Failure> {
    let lib = folder.join("lib");
    let versions = fs::read_dir(&lib).map_err(Failure::at("Reading the environment", &lib))?;
    let found = versions.flatten().map(|entry| entry.path().join("site-packages")).find(|path| path.is_dir());
    found.ok_or_else(|| {
        Failure::Unusable(format!("`{}` has no `site-packages`: remove the folder and build again", lib.display()))
    })
}

/// Makes the environment of a lock, or finds it. What is as in a former one of the same model is not compiled again.
pub(crate) async fn build(uv: &Uv<'_>, lock: &Lock, former: Option<&Environment>) -> Result<Environment, Failure> {
    let digest = digest(uv, lock);
    let mut environment = Environment::at(&uv.config.data, &digest);
    if environment.python().exists() && environment.folder.join(LOCK).is_file() {
        uv.log.line(&format!("The environment {} is there already", &digest[..12]));
        return Ok(environment);
    }
    environment.found = false;
    let all = uv.config.data.join("envs");
    fs::create_dir_all(&all).map_err(Failure::at("Making the folder", &all))?;
    let staging = all.join(format!(".staging-{}", uuid::Uuid::now_v7()));
    let made = fill(uv, lock, former, &staging, &environment.folder).await;
    let (from, to) = (staging.clone(), environment.folder.clone());
    let settled = match made {
        Ok(()) => {
            background(move || tree::settle(&from, &to)).await.map_err(Failure::at("Finishing", &environment.folder))
        }
        Err(failure) => Err(failure),
    };
    if settled.is_err() {
        // The failure is what matters; leftovers are swept later.
        let _ = background(move || tree::remove(&staging)).await;
    }
    settled.map(|()| environment)
}

fn digest(uv: &Uv<'_>, lock: &Lock) -> String {
    let python = uv.interpreter;
    let head = format!(
        "environment 1\n{} {} {}\n{}\n{}\n",
        python.version(),
        python.soabi,
        python.platform,
        python.executable.display(),
        lock.confined
    );
    let mut all = Sha256::new();
    all.update(head);
    all.update(&lock.text);
    hex::encode(all.finalize())
}

async fn fill(
    uv: &Uv<'_>,
    lock: &Lock,
    former: Option<&Environment>,
    staging: &Path,
    place: &Path,
) -> Result<(), Failure> {
    let python = uv.interpreter.executable.display().to_string();
    let folder = staging.display().to_string();
    let args = ["venv", "--no-project", "--relocatable", "--quiet", "--python", &python, &folder].map(str::to_owned);
    uv.trusted("Making the environment", &args, Output::Logged).await?.success("Making the environment")?;
    let packages = packages(staging)?;
    if !lock.text.is_empty() {
        uv.log.line(&format!("Installing {} packages", lock.packages().count()));
        let file = uv.jail.desk.join(format!("{}.lock", uuid::Uuid::now_v7()));
        fs::write(&file, &lock.text).map_err(Failure::at("Writing", &file))?;
        if lock.confined {
            install_confined(uv, &file, &packages).await?;
        } else {
            let args = sync_args(&file, &staging.join("bin/python"));
            uv.trusted("Installing the packages", &args, Output::Logged).await?.success("Installing the packages")?;
        }
        uv.log.line("Compiling byte code");
        let inside = packages.strip_prefix(staging).unwrap_or(&packages);
        let place = uv.config.used_at(place).join(inside);
        // One that was removed meanwhile is none.
        let former = former.and_then(|former| former.packages().ok());
        let compiled = bytecode::compile(uv.jail, uv.interpreter, &packages, &place, former, uv.config).await?;
        if compiled.taken > 0 {
            uv.log.line(&format!("{} modules are as they were, {} were compiled", compiled.taken, compiled.anew));
        }
    }
    let head = if lock.confined { CONFINED } else { "" };
    let file = staging.join(LOCK);
    fs::write(&file, format!("{head}{}", lock.text)).map_err(Failure::at("Writing", &file))
}

/// Installs in the sandbox, into the room, and moves what came of it.
async fn install_confined(uv: &Uv<'_>, lock: &Path, packages: &Path) -> Result<(), Failure> {
    let made = uv.jail.room.join(format!("packages-{}", uuid::Uuid::new_v4()));
    let args = target_args(lock, &made, &uv.interpreter.executable);
    let ended = uv.confined("Installing the packages", args, None, Output::Logged).await?;
    ended.success("Installing the packages")?;
    let to = packages.to_path_buf();
    background(move || take(&made, &to)).await.map_err(Failure::io("Moving the packages"))
}

/// Moves what the sandbox made into a folder of ours, as ours.
pub(crate) fn take(made: &Path, to: &Path) -> std::io::Result<()> {
    tree::purge(made)?;
    let owner = nix::unistd::geteuid().is_root().then_some(0);
    tree::walk(made, &mut |path, _| lchown(path, owner, owner))?;
    for entry in fs::read_dir(made)? {
        let entry = entry?;
        let name = entry.file_name();
        // Programs would name the interpreter without the packages; uv's own mark is none of theirs.
        if name != "bin" && name != ".lock" {
            fs::rename(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}
