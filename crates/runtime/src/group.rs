//! The cgroup of one run or one zygote, gone when its processes are.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::OwnedFd,
    path::PathBuf,
};

use csw_core::run::Usage;
use csw_sandbox::cgroup::{Group, Limits, Manager, Mode};

/// A group that is removed when this is dropped; its processes must have ended by then.
#[derive(Debug)]
pub(crate) struct RunGroup {
    group: Group,
    limits_cpus: bool,
}

impl RunGroup {
    /// A group with these limits; `None` on a machine that has none.
    pub(crate) fn create(manager: &Manager, name: &str, limits: Limits) -> Result<Option<Self>, String> {
        if manager.mode() == Mode::None {
            return Ok(None);
        }
        let limits_cpus = limits.cpus.is_some();
        manager.create(name, limits).map(|group| Some(Self { group, limits_cpus })).map_err(|error| error.to_string())
    }

    /// For a program that is in the group from its first instruction.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        // A share of the CPUs without a limit would only make a run wait longer for a busy one.
        let needed = |folder: &PathBuf| self.limits_cpus || !folder.join("cpu.cfs_quota_us").exists();
        self.group.folders().into_iter().filter(needed).collect()
    }

    /// Files by which a process of one thread moves itself into the group, by writing 0. Moving itself is some 8 ms
    /// cheaper than being moved: the kernel need not stop all forks and exits of the machine for it. Only version 1
    /// offers that for groups with limits.
    pub(crate) fn own_doors(&self) -> io::Result<Vec<OwnedFd>> {
        let tasks = self.folders().into_iter().map(|folder| folder.join("tasks")).filter(|file| file.exists());
        tasks.map(|file| OpenOptions::new().write(true).open(file).map(File::into)).collect()
    }

    /// Moves a process into the groups that have no such file, where these limit anything.
    pub(crate) async fn admit(&self, pid: i32) -> io::Result<()> {
        let limits = ["memory.max", "cpu.max", "pids.max"];
        let folders: Vec<PathBuf> = self
            .group
            .folders()
            .into_iter()
            .filter(|folder| limits.iter().any(|file| folder.join(file).exists()))
            .collect();
        if folders.is_empty() {
            return Ok(());
        }
        let admit =
            move || folders.iter().try_for_each(|folder| fs::write(folder.join("cgroup.procs"), pid.to_string()));
        tokio::task::spawn_blocking(admit).await.map_err(io::Error::other)?
    }

    /// Whether memory ran out.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.group.oom_killed()
    }

    /// What all its processes have used, where that is more than the run itself knows of.
    pub(crate) fn usage(&self, told: Usage) -> Usage {
        let cpu = self.group.cpu_usage().map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        Usage {
            cpu_milliseconds: told.cpu_milliseconds.max(cpu),
            peak_memory_bytes: told.peak_memory_bytes.max(self.group.memory_peak().unwrap_or(0)),
        }
    }
}

impl Drop for RunGroup {
    fn drop(&mut self) {
        if let Err(error) = self.group.remove() {
            tracing::warn!(%error, "a run's group is still there");
        }
    }
}
