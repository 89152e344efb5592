//! Which hierarchies there are, and which of them this process may use.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Claim, Controller, Hierarchy, Version, files};

/// What the names of all instances' folders begin with.
const PREFIX: &str = "csw-";

/// The group that processes move to which were where groups are made.
const MOVED: &str = "csw-server";

/// A mounted hierarchy, from `/proc/self/mountinfo`.
#[derive(Debug, PartialEq)]
struct Mount {
    version: Version,
    /// The group that the mount point shows.
    shows: String,
    point: PathBuf,
    controllers: Vec<Controller>,
}

pub(super) fn hierarchies(instance: &str) -> Vec<Hierarchy> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let folder = format!("{PREFIX}{instance}");
    let mounts = parse_mounts(&mounts);
    mounts.iter().filter_map(|mount| usable(mount, &own, &folder)).collect()
}

fn usable(mount: &Mount, own: &str, folder: &str) -> Option<Hierarchy> {
    let base = own_folder(mount, own)?;
    let root = base.join(folder);
    if mount.version == Version::One && mount.controllers.is_empty() {
        return None;
    }
    let claim = Arc::new(Claim::make(&root)?);
    let controllers = match mount.version {
        Version::One => mount.controllers.clone(),
        Version::Two => delegate(&base, &root),
    };
    // The proof is in a group: read-only mounts and foreign owners show here.
    let trial = root.join("trial");
    let works = make(&trial).is_some() && controllers.iter().all(|c| has_files(&trial, mount.version, *c));
    let _ = fs::remove_dir(&trial);
    works.then_some(Hierarchy { version: mount.version, root, controllers, claim })
}

/// The folders of instances in a group.
pub(super) fn instances(base: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|one| one.file_name());
    folders.filter(|name| name != MOVED && name.as_encoded_bytes().starts_with(PREFIX.as_bytes())).collect()
}

fn make(folder: &Path) -> Option<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => None,
        _ => Some(()),
    }
}

fn has_files(group: &Path, version: Version, controller: Controller) -> bool {
    let file = match (version, controller) {
        (Version::One, Controller::Memory) => "memory.limit_in_bytes",
        (Version::One, Controller::Cpu) => "cpu.cfs_quota_us",
        (Version::One, Controller::CpuAccount) => "cpuacct.usage",
        (Version::Two, Controller::Memory) => "memory.max",
        (Version::Two, Controller::Cpu) => "cpu.max",
        (Version::Two, Controller::CpuAccount) => "cpu.stat",
        (_, Controller::Pids) => "pids.max",
    };
    group.join(file).exists()
}

/// Hands the controllers down to our groups; answers those that arrived.
fn delegate(base: &Path, root: &Path) -> Vec<Controller> {
    let offered = fs::read_to_string(base.join("cgroup.controllers")).unwrap_or_default();
    let wanted: Vec<Controller> =
        Controller::ALL.into_iter().filter(|c| offered.split_whitespace().any(|word| word == c.name())).collect();
    if wanted.is_empty() {
        return vec![];
    }
    if !hand_down(base, &wanted) {
        // Version 2 hands nothing down from a group that has processes itself.
        let server = base.join(MOVED);
        if make(&server).is_some() {
            for pid in files::pids(base) {
                let _ = fs::write(server.join("cgroup.procs"), pid.to_string());
            }
        }
        hand_down(base, &wanted);
    }
    hand_down(root, &wanted);
    let arrived = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
    let mut arrived: Vec<Controller> =
        wanted.into_iter().filter(|c| arrived.split_whitespace().any(|word| word == c.name())).collect();
    // Version 2 accounts for processor time in every group.
    arrived.push(Controller::CpuAccount);
    arrived
}

fn hand_down(folder: &Path, controllers: &[Controller]) -> bool {
    let file = folder.join("cgroup.subtree_control");
    // One at a time: a missing one must not take the others along.
    controllers.iter().map(|c| fs::write(&file, format!("+{}", c.name())).is_ok()).fold(true, |a, b| a & b)
}

/// The folder of the group this process is in.
fn own_folder(mount: &Mount, own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, names, path) = (fields.next()?, fields.next()?, fields.next()?);
        let ours = match mount.version {
            Version::Two => names.is_empty(),
            Version::One => names.split(',').any(|name| mount.controllers.iter().any(|c| c.name() == name)),
        };
        ours.then_some(path)
    })?;
    // Within a container the mount may show a group that is not the root.
    let below = if mount.shows == "/" { path } else { path.strip_prefix(&mount.shows).unwrap_or("") };
    let folder = mount.point.join(below.trim_start_matches('/'));
    // A path that leads out of our namespace begins with `/..`.
    (!below.contains("..") && folder.join("cgroup.procs").exists()).then_some(folder)
}

fn parse_mounts(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_mount).collect()
}

fn parse_mount(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ').skip(3);
    let (shows, point) = (front.next()?.to_owned(), PathBuf::from(front.next()?));
    let mut back = back.split(' ');
    let (kind, _, options) = (back.next()?, back.next()?, back.next()?);
    let version = match kind {
        "cgroup" => Version::One,
        "cgroup2" => Version::Two,
        _ => return None,
    };
    let named = |c: &Controller| version == Version::One && options.split(',').any(|o| o == c.name());
    let controllers = Controller::ALL.into_iter().filter(named).collect();
    Some(Mount { version, shows, point, controllers })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 20 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:3 - cgroup cgroup rw,cpu,cpuacct
32 30 0:27 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
33 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate";

    #[test]
    fn both_versions_are_recognised() {
        let mounts = parse_mounts(HYBRID);
        assert_eq!(mounts.len(), 3);
        assert_eq!(mounts[0].controllers, [Controller::Cpu, Controller::CpuAccount]);
        assert_eq!(mounts[1].shows, "/docker/ab");
        assert_eq!(mounts[2].version, Version::Two);
    }

    fn mount(point: &Path, version: Version, shows: &str) -> Mount {
        let controllers = if version == Version::One { vec![Controller::Memory] } else { vec![] };
        Mount { version, shows: shows.into(), point: point.into(), controllers }
    }

    #[test]
    fn the_own_group_is_found_through_what_the_mount_shows() {
        let folder = tempfile::tempdir().expect("folder");
        fs::create_dir_all(folder.path().join("x/y")).expect("folders");
        fs::write(folder.path().join("x/y/cgroup.procs"), "").expect("file");
        let own = "4:memory:/docker/ab/x/y\n0::/x/y\n";
        for mount in [mount(folder.path(), Version::One, "/docker/ab"), mount(folder.path(), Version::Two, "/")] {
            assert_eq!(own_folder(&mount, own), Some(folder.path().join("x/y")));
        }
        assert_eq!(own_folder(&mount(folder.path(), Version::Two, "/"), "0::/../z\n"), None);
    }

    #[test]
    fn version_2_hands_down_what_it_is_offered() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().join("csw-test");
        fs::create_dir(&root).expect("folder");
        fs::write(folder.path().join("cgroup.controllers"), "cpu io memory\n").expect("file");
        // A plain file keeps the last word only; the kernel keeps all of them.
        let arrived = delegate(folder.path(), &root);
        assert!(arrived.contains(&Controller::CpuAccount));
        let asked = fs::read_to_string(root.join("cgroup.subtree_control")).expect("written");
        assert_eq!(asked, "+cpu");
    }
}
