//! The processes of runs, as somebody at the machine sees them.

use std::{fs, path::Path};

use csw_sandbox::tree;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::Result;

/// The interpreters of one model below a server: `csw — guardian — init — zygote — child`.
#[derive(Debug, Default)]
pub struct Processes {
    /// Those that were started, parked or not.
    pub zygotes: Vec<i32>,
    /// Those that were forked, one a run.
    pub children: Vec<i32>,
}

impl Processes {
    /// The interpreters of the model with this title, now.
    pub fn of(server: i32, title: &str) -> Self {
        let mark = format!("TITLE={title}\0");
        let ours = |pid: &i32| contains(*pid, "environ", &mark);
        let all: Vec<i32> = tree::descendants(server).into_iter().filter(ours).collect();
        let is_forked = |pid: &i32| parent(*pid).is_some_and(|parent| all.contains(&parent));
        let (children, zygotes) = all.iter().partition(|pid| is_forked(pid));
        Self { zygotes, children }
    }

    /// Those on the whole machine that were started from a folder.
    pub fn from_folder(folder: &Path) -> Result<Vec<i32>> {
        let mark = folder.canonicalize()?.display().to_string();
        let pids = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(pids.filter(|pid| contains(*pid, "cmdline", &mark) && contains(*pid, "cmdline", "python")).collect())
    }

    /// The first process of the namespaces that a zygote is in.
    pub fn init_of(zygote: i32) -> Option<i32> {
        parent(zygote)
    }

    /// What holds those namespaces for the server.
    pub fn guardian_of(zygote: i32) -> Option<i32> {
        parent(zygote).and_then(parent)
    }

    /// Ends a process as the kernel does when memory is short; says whether it was still there.
    pub fn kill(pid: i32) -> bool {
        kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok()
    }
}

fn contains(pid: i32, file: &str, text: &str) -> bool {
    fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|found| String::from_utf8_lossy(&found).contains(text))
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split_whitespace().nth(1)?.parse().ok()
}
