//! One group: a folder of the same name in every hierarchy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Controller, Error, Hierarchy, Limits, Version, files};

/// The time over which a processor quota is counted.
const PERIOD_MICROSECONDS: u32 = 100_000;
/// A killed process is gone within a tick or two; a hung file system may take longer.
const ATTEMPTS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(2);

/// A group of processes that share limits and can be killed together.
///
/// Dropping it does nothing: call [`Group::remove`] when its processes are gone.
#[derive(Debug, Clone)]
pub struct Group {
    places: Vec<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    version: Version,
    folder: PathBuf,
    controllers: Vec<Controller>,
}

impl Group {
    pub(super) fn create(hierarchies: &[Hierarchy], name: &str, limits: Limits) -> Result<Self, Error> {
        let group = Self::existing(hierarchies, name);
        let made = group.make().and_then(|()| group.limit(limits));
        if made.is_err() {
            let _ = group.remove();
        }
        made.map(|()| group)
    }

    pub(super) fn existing(hierarchies: &[Hierarchy], name: &str) -> Self {
        let place = |hierarchy: &Hierarchy| Place {
            version: hierarchy.version,
            folder: hierarchy.root.join(name),
            controllers: hierarchy.controllers.clone(),
        };
        Self { places: hierarchies.iter().map(place).collect() }
    }

    fn make(&self) -> Result<(), Error> {
        for Place { folder, .. } in &self.places {
            fs::create_dir(folder).map_err(|error| Error::new(folder, "creating it", error))?;
        }
        Ok(())
    }

    fn limit(&self, limits: Limits) -> Result<(), Error> {
        for place in &self.places {
            for controller in &place.controllers {
                place.limit(*controller, limits)?;
            }
        }
        Ok(())
    }

    /// The folders, for [`crate::Confinement::cgroups`]: a program started so is
    /// in the group before its first instruction, and so is all it starts.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.places.iter().map(|place| place.folder.clone()).collect()
    }

    /// Moves a process (not those it has started already) into the group.
    pub fn add(&self, pid: i32) -> Result<(), Error> {
        for Place { folder, .. } in &self.places {
            fs::write(folder.join("cgroup.procs"), pid.to_string())
                .map_err(|error| Error::new(folder, format!("adding process {pid}"), error))?;
        }
        Ok(())
    }

    /// Kills every process of the group and waits for their end, 0.4 s at most.
    pub fn kill(&self) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let pids = self.pids();
            if pids.is_empty() {
                return Ok(());
            }
            let switch = self.places.iter().map(|place| place.folder.join("cgroup.kill"));
            let switched = switch.filter(|file| file.exists()).any(|file| fs::write(file, "1").is_ok());
            if !switched {
                for pid in &pids {
                    // It may have ended meanwhile.
                    let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
                }
            }
            thread::sleep(PAUSE);
        }
        match self.places.first() {
            Some(place) if !self.pids().is_empty() => {
                let error = io::Error::from(io::ErrorKind::TimedOut);
                Err(Error::new(&place.folder, "killing its processes", error))
            }
            _ => Ok(()),
        }
    }

    /// The processes in the group.
    pub fn pids(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = self.places.iter().flat_map(|place| files::pids(&place.folder)).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// The most memory the group has held at once, where the kernel tells.
    pub fn memory_peak(&self) -> Option<u64> {
        let place = self.place(Controller::Memory)?;
        files::number(&place.folder.join(match place.version {
            Version::One => "memory.max_usage_in_bytes",
            Version::Two => "memory.peak",
        }))
    }

    /// Whether a process of the group was killed because its memory ran out.
    pub fn oom_killed(&self) -> bool {
        let Some(place) = self.place(Controller::Memory) else { return false };
        let file = match place.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        files::keyed(&place.folder.join(file), "oom_kill").is_some_and(|count| count > 0)
    }

    /// The processor time the group has used.
    pub fn cpu_usage(&self) -> Option<Duration> {
        let place = self.place(Controller::CpuAccount)?;
        match place.version {
            Version::One => files::number(&place.folder.join("cpuacct.usage")).map(Duration::from_nanos),
            Version::Two => files::keyed(&place.folder.join("cpu.stat"), "usage_usec").map(Duration::from_micros),
        }
    }

    /// Removes the group; its processes must have ended. Removing it twice is fine.
    pub fn remove(&self) -> Result<(), Error> {
        self.places.iter().try_for_each(|place| remove(&place.folder))
    }

    fn place(&self, controller: Controller) -> Option<&Place> {
        self.places.iter().find(|place| place.controllers.contains(&controller))
    }
}

fn remove(folder: &Path) -> Result<(), Error> {
    for attempt in 1.. {
        match fs::remove_dir(folder) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            // The last process is dead but not yet buried.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && attempt < ATTEMPTS => {
                thread::sleep(PAUSE);
            }
            Err(error) => return Err(Error::new(folder, "removing it", error)),
        }
    }
    Ok(())
}

impl Place {
    fn limit(&self, controller: Controller, limits: Limits) -> Result<(), Error> {
        match (controller, self.version) {
            (Controller::Memory, _) => limits.memory_bytes.map_or(Ok(()), |bytes| self.limit_memory(bytes)),
            (Controller::Cpu, version) => match (limits.cpus.map(quota), version) {
                (None, _) => Ok(()),
                (Some(quota), Version::One) => {
                    self.write("cpu.cfs_period_us", &PERIOD_MICROSECONDS.to_string())?;
                    self.write("cpu.cfs_quota_us", &quota.to_string())
                }
                (Some(quota), Version::Two) => self.write("cpu.max", &format!("{quota} {PERIOD_MICROSECONDS}")),
            },
            (Controller::Pids, _) => {
                limits.max_processes.map_or(Ok(()), |count| self.write("pids.max", &count.to_string()))
            }
            (Controller::CpuAccount, _) => Ok(()),
        }
    }

    fn limit_memory(&self, bytes: u64) -> Result<(), Error> {
        let text = bytes.to_string();
        match self.version {
            Version::One => {
                self.write("memory.limit_in_bytes", &text)?;
                self.write_if_there("memory.memsw.limit_in_bytes", &text)
            }
            Version::Two => {
                self.write("memory.max", &text)?;
                self.write_if_there("memory.swap.max", "0")?;
                // A run without one of its processes is no run: all of them go.
                self.write_if_there("memory.oom.group", "1")
            }
        }
    }

    fn write(&self, file: &str, text: &str) -> Result<(), Error> {
        fs::write(self.folder.join(file), text)
            .map_err(|error| Error::new(&self.folder, format!("writing `{text}` to {file}"), error))
    }

    fn write_if_there(&self, file: &str, text: &str) -> Result<(), Error> {
        if self.folder.join(file).exists() { self.write(file, text) } else { Ok(()) }
    }
}

/// Microseconds per period; the kernel refuses less than a millisecond.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
fn quota(cpus: f64) -> u64 {
    (cpus * f64::from(PERIOD_MICROSECONDS)).clamp(1_000.0, 1e12) as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Claim;
    use super::*;

    /// A plain folder stands for a hierarchy: the files are what matters.
    fn fake(version: Version) -> (tempfile::TempDir, Vec<Hierarchy>) {
        let folder = tempfile::tempdir().expect("folder");
        let controllers = Controller::ALL.to_vec();
        let claim = Arc::new(Claim::make(folder.path()).expect("claim"));
        let hierarchy = Hierarchy { version, root: folder.path().into(), controllers, claim };
        (folder, vec![hierarchy])
    }

    const LIMITS: Limits = Limits { memory_bytes: Some(1_000), cpus: Some(1.5), max_processes: Some(7) };

    fn read(folder: &Path, file: &str) -> String {
        fs::read_to_string(folder.join(file)).expect(file)
    }

    #[test]
    fn version_2_files() {
        let (_keep, hierarchies) = fake(Version::Two);
        let group = Group::create(&hierarchies, "g", LIMITS).expect("group");
        let folder = &group.folders()[0];
        assert_eq!(read(folder, "memory.max"), "1000");
        assert_eq!(read(folder, "cpu.max"), "150000 100000");
        assert_eq!(read(folder, "pids.max"), "7");
        fs::write(folder.join("memory.events"), "oom 1\noom_kill 1\n").expect("write");
        fs::write(folder.join("memory.peak"), "900\n").expect("write");
        fs::write(folder.join("cpu.stat"), "usage_usec 5\nuser_usec 4\n").expect("write");
        assert!(group.oom_killed());
        assert_eq!(group.memory_peak(), Some(900));
        assert_eq!(group.cpu_usage(), Some(Duration::from_micros(5)));
    }

    #[test]
    fn version_1_files() {
        let (_keep, hierarchies) = fake(Version::One);
        let group = Group::create(&hierarchies, "g", LIMITS).expect("group");
        let folder = &group.folders()[0];
        assert_eq!(read(folder, "memory.limit_in_bytes"), "1000");
        assert_eq!(read(folder, "cpu.cfs_quota_us"), "150000");
        assert!(!group.oom_killed(), "a missing file is no kill");
        assert_eq!(group.memory_peak(), None);
    }

    #[test]
    fn removing_twice_is_fine() {
        let (_keep, hierarchies) = fake(Version::Two);
        let group = Group::create(&hierarchies, "g", Limits::default()).expect("group");
        group.remove().expect("first");
        group.remove().expect("second");
    }
}
