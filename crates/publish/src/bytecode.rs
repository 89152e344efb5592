//! Byte code of everything, made once: an interpreter never compiles at run time, and never writes.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, lchown},
    },
    path::{Path, PathBuf},
};

use crate::{
    background,
    config::PublishConfig,
    failure::Failure,
    interpreter::Interpreter,
    jail::{Jail, Step},
    process::Output,
    tree,
};

const COMPILER: &str = include_str!("compile.py");

/// Where an interpreter looks for byte code, beside the module.
const CACHE: &str = "__pycache__";

/// How many modules have byte code now, and where it comes from.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compiled {
    /// Given to the compiler.
    pub(crate) anew: usize,
    /// Taken from the former folder.
    pub(crate) taken: usize,
}

/// Compiles all of a folder that is going to be at `place`. Modules that are the same in a `former` folder share its byte
/// code: an interpreter itself corrects the path in it.
///
/// The compiler reads strangers' text, so it works in the sandbox and writes into the room; what it made is then moved
/// beside the sources. Byte code is never compared with its source again: both are sealed together. What strangers' text
/// might do to the compiler it could have done to the byte code of its neighbours, so a former folder must be one whose
/// packages the same model trusts already.
pub(crate) async fn compile(
    jail: &Jail<'_>,
    interpreter: &Interpreter,
    folder: &Path,
    place: &Path,
    former: Option<PathBuf>,
    config: &PublishConfig,
) -> Result<Compiled, Failure> {
    let (within, tag) = (folder.to_path_buf(), interpreter.cache_tag.clone());
    let found = background(move || {
        let modules = modules(&within)?;
        let all = modules.len();
        let left: Vec<PathBuf> = match former {
            Some(former) => modules.into_iter().filter(|module| !take_over(&former, &within, module, &tag)).collect(),
            None => modules,
        };
        Ok((Compiled { anew: left.len(), taken: all - left.len() }, left))
    });
    let (counted, left) = found.await.map_err(Failure::at("Looking for modules", folder))?;
    if left.is_empty() {
        return Ok(counted);
    }
    let list = jail.desk.join(format!("modules-{}", uuid::Uuid::new_v4()));
    let names: Vec<u8> = left.iter().flat_map(|module| [module.as_os_str().as_bytes(), b"\0"].concat()).collect();
    fs::write(&list, names).map_err(Failure::at("Writing", &list))?;
    let made = jail.room.join(format!("pyc-{}", uuid::Uuid::new_v4()));
    let mut args = ["-I", "-S", "-c", COMPILER].map(str::to_owned).to_vec();
    args.extend([folder, place, &made].map(|path| path.display().to_string()));
    args.extend([processes(config).to_string(), list.display().to_string()]);
    let mut read_only = interpreter.shown();
    read_only.extend([folder.to_path_buf(), list]);
    // What was not compiled is compiled where it is imported: the status says nothing.
    jail.run(Step {
        what: "Compiling byte code",
        program: &interpreter.executable,
        args,
        working_dir: jail.room.clone(),
        env: vec![],
        read_only,
        network: false,
        seconds: config.build_seconds,
        output: Output::Quiet,
    })
    .await?;
    let to = folder.to_path_buf();
    background(move || gather(&made, &to)).await.map_err(Failure::io("Moving the byte code"))?;
    Ok(counted)
}

/// How many processes compile a folder at most.
///
/// What a compiler writes depends a little on what it compiled before. Where equal packages must give equal bytes on all
/// machines, one process compiles all of them, in order.
fn processes(config: &PublishConfig) -> usize {
    if config.place.is_some() {
        return 1;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "settings are checked to 0.1..=1024")]
    let allowed = config.limits.cpus.ceil() as usize;
    std::thread::available_parallelism().map_or(1, usize::from).min(allowed).max(1)
}

/// The modules below a folder, in order.
fn modules(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![];
    tree::walk(folder, &mut |path, metadata| {
        if !metadata.is_dir() && path.extension().is_some_and(|ending| ending == "py") {
            found.push(path.strip_prefix(folder).map_err(io::Error::other)?.to_path_buf());
        }
        Ok(())
    })?;
    Ok(found)
}

/// Gives a module the byte code it has in the former folder, if it is the same module there. What can't be taken over is
/// compiled.
fn take_over(former: &Path, folder: &Path, module: &Path, tag: &str) -> bool {
    let (Some(parent), Some(stem)) = (module.parent(), module.file_stem()) else { return false };
    let mut name = OsString::from(stem);
    name.push(format!(".{tag}.pyc"));
    let cache = parent.join(CACHE);
    let (from, to) = (former.join(&cache).join(&name), folder.join(&cache).join(&name));
    let taken = || -> io::Result<bool> {
        // A link could lead to where nothing was compiled for this folder.
        if !fs::symlink_metadata(&from)?.is_file() || !is_same(&former.join(module), &folder.join(module))? {
            return Ok(false);
        }
        fs::create_dir_all(folder.join(&cache))?;
        // A package may have brought some of its own.
        let _ = fs::remove_file(&to);
        fs::hard_link(&from, &to)?;
        Ok(true)
    };
    taken().unwrap_or(false)
}

/// Whether two files are one, or say the same.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (first, second) = (fs::symlink_metadata(one)?, fs::symlink_metadata(other)?);
    if !first.is_file() || !second.is_file() || first.len() != second.len() {
        return Ok(false);
    }
    Ok((first.dev(), first.ino()) == (second.dev(), second.ino()) || fs::read(one)? == fs::read(other)?)
}

fn gather(from: &Path, to: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(from).is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    let owner = nix::unistd::geteuid().is_root().then_some(0);
    let mut files: Vec<PathBuf> = vec![];
    tree::walk(from, &mut |path, metadata| {
        if metadata.is_file() && path.extension().is_some_and(|ending| ending == "pyc") {
            files.push(path.to_path_buf());
        }
        Ok(())
    })?;
    for file in files {
        let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else { continue };
        let folder = to.join(parent.strip_prefix(from).map_err(io::Error::other)?);
        // Only where the source is: nothing else may appear.
        if !folder.is_dir() {
            continue;
        }
        let cache = folder.join(CACHE);
        if !cache.is_dir() {
            fs::create_dir(&cache)?;
        }
        lchown(&file, owner, owner)?;
        fs::rename(&file, cache.join(name))?;
    }
    Ok(())
}
