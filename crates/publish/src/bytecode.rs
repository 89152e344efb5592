//! Byte code of everything, made once: an interpreter never compiles at run time, and never writes.

use std::{
    fs,
    os::unix::fs::lchown,
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

/// Compiles all of a folder that is going to be at `place`.
///
/// The compiler reads strangers' text, so it works in the sandbox and writes into the room; what it made is then moved
/// beside the sources. Byte code is never compared with its source again: both are sealed together.
pub(crate) async fn compile(
    jail: &Jail<'_>,
    interpreter: &Interpreter,
    folder: &Path,
    place: &Path,
    config: &PublishConfig,
) -> Result<(), Failure> {
    let made = jail.room.join(format!("pyc-{}", uuid::Uuid::new_v4()));
    let words = [folder, place, &made].map(|path| path.display().to_string());
    let mut args = ["-I", "-S", "-c", COMPILER].map(str::to_owned).to_vec();
    args.extend(words);
    args.push(processes(config).to_string());
    let mut read_only = interpreter.shown();
    read_only.push(folder.to_path_buf());
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
    background(move || gather(&made, &to)).await.map_err(Failure::io("Moving the byte code"))
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

fn gather(from: &Path, to: &Path) -> std::io::Result<()> {
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
        let folder = to.join(parent.strip_prefix(from).map_err(std::io::Error::other)?);
        // Only where the source is: nothing else may appear.
        if !folder.is_dir() {
            continue;
        }
        let cache = folder.join("__pycache__");
        if !cache.is_dir() {
            fs::create_dir(&cache)?;
        }
        lchown(&file, owner, owner)?;
        fs::rename(&file, cache.join(name))?;
    }
    Ok(())
}
