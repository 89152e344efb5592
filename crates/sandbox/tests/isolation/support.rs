//! A sandbox with a scratch folder, and Python in it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use csw_sandbox::cgroup::Manager;
use csw_sandbox::{Confinement, Limits, PassedFd, UserRange, command, doctor};

pub fn helper() -> PathBuf {
    env!("CARGO_BIN_EXE_csw-sandbox-helper").into()
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A sandbox for one test; its users are its own, so that tests can run at once.
pub struct Sandbox {
    pub confinement: Confinement,
    pub folder: tempfile::TempDir,
}

static SLOT: AtomicU32 = AtomicU32::new(0);

impl Sandbox {
    pub fn new() -> Self {
        let number = SLOT.fetch_add(1, Ordering::Relaxed) + std::process::id() % 1_000 * 100;
        let users = UserRange::slot(1_000_000, 64, number);
        let folder = tempfile::tempdir().expect("folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        let scratch = folder.path().join("scratch");
        fs::create_dir(&scratch).expect("scratch");
        own(&scratch, users, UserRange::PROGRAM);
        let report = doctor::report(&helper(), &Manager::none()).expect("report");
        let mut confinement = Confinement {
            writable: vec![scratch.clone()],
            working_dir: scratch.clone(),
            users,
            layers: report.usable,
            limits: Limits { max_open_files: Some(256), ..Limits::default() },
            ..Confinement::default()
        };
        for (name, value) in [("PATH", "/usr/bin:/bin"), ("HOME", scratch.to_str().expect("text"))] {
            confinement.env.insert(name.into(), value.into());
        }
        Self { confinement, folder }
    }

    pub fn scratch(&self) -> &Path {
        &self.confinement.working_dir
    }

    pub fn command(&self, program: &str, args: &[&str], passed: Vec<PassedFd>) -> Command {
        let mut command = command(&helper(), &self.confinement, Path::new(program), args, passed).expect("command");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, program: &str, args: &[&str]) -> Output {
        self.command(program, args, vec![]).output().expect("helper")
    }

    /// Runs a script that must succeed, and answers what it printed.
    pub fn python(&self, script: &str) -> String {
        let output = self.run("/usr/bin/python3", &["-c", script]);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{}: {out}{err}", output.status);
        out
    }
}

pub fn own(path: &Path, users: UserRange, inside: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("mode");
    if is_root() {
        let id = users.host_id(inside);
        chown(path, id, id).expect("owner");
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Python that tells how each expression ends.
pub const TELL: &str = "
import os, sys
def tell(name, act):
    try:
        print(name, 'done', act())
    except OSError as e:
        print(name, 'refused', e.errno)
";
