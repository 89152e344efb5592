//! Programs that are tried against ours.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::registry::Registry;

/// Whether a program is not there; then it says so, and the test is skipped.
pub(crate) fn missing(programs: &[&str]) -> bool {
    let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let absent: Vec<&str> = programs.iter().copied().filter(|program| !is_there(program)).collect();
    if !absent.is_empty() {
        eprintln!("skipped: {} is not installed; `scripts/setup test` does that", absent.join(", "));
    }
    !absent.is_empty()
}

/// Runs a program that must succeed, and gives what it printed.
pub(crate) fn tool(program: &str, args: &[&str]) -> String {
    let ended = Command::new(program).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{program} {args:?}: {errors}");
    String::from_utf8(ended.stdout).unwrap()
}

/// Podman with a storage of its own.
pub(crate) struct Podman {
    place: PathBuf,
    /// Podman takes no path of more than 50 characters for it, whatever folder temporary files are put into.
    run: TempDir,
}

impl Podman {
    /// Nothing, and a word about it, where podman or runc are missing.
    pub(crate) fn new(place: &Path) -> Option<Self> {
        if missing(&["podman"]) || !Path::new("/usr/sbin/runc").exists() {
            eprintln!("skipped: the image is not run, for podman or runc is missing");
            return None;
        }
        let run = tempfile::Builder::new().prefix("csw").tempdir_in("/tmp").unwrap();
        Some(Self { place: place.to_owned(), run })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command.arg("--root").arg(self.place.join("root")).arg("--runroot").arg(self.run.path());
        command.args(["--runtime", "/usr/sbin/runc", "--cgroup-manager", "cgroupfs"]);
        command
    }

    /// Runs an image of a registry, as a cluster would: its own user, nothing writable but a scratch folder.
    pub(crate) fn run(&self, registry: &Registry, image: &str, options: &[&str], args: &[&str]) -> String {
        let mut pull = self.command();
        pull.args(["pull", "--quiet", "--tls-verify=false", "--creds", &registry.login(), image]);
        let pulled = pull.output().unwrap();
        assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
        let mut command = self.command();
        command.args(["run", "--rm", "--network=none", "--read-only", "--cap-drop=all"]);
        command.args(["--security-opt=no-new-privileges", "--ulimit=nofile=1024:1024", "--ulimit=nproc=2000:2000"]);
        let ended = command.args(options).arg(image).args(args).output().unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        // The helper that stands for the program ends as a sandbox without orders does.
        let is_helper = options.is_empty();
        assert!(ended.status.success() || is_helper, "podman run {image} {args:?}: {errors}");
        let text = if is_helper { ended.stderr } else { ended.stdout };
        String::from_utf8(text).unwrap()
    }

    /// Runs Python of an image.
    pub(crate) fn python(&self, registry: &Registry, image: &str, script: &str) -> String {
        self.run(registry, image, &["--entrypoint=python"], &["-c", script])
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Its own storage alone; the folder goes with the test.
        let _ = self.command().args(["image", "rm", "--all", "--force"]).output();
    }
}
