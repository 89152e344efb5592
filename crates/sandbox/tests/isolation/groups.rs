//! Real control groups, where the machine has them.

use std::ops::Deref;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::support::{Sandbox, helper};
use csw_sandbox::cgroup::{Controller, Limits, Manager, Mode};
use csw_sandbox::doctor;

/// A manager that leaves no folder behind, however the test ends.
struct Closing(Manager);

impl Deref for Closing {
    type Target = Manager;

    fn deref(&self) -> &Manager {
        &self.0
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn detect(test: &str) -> Manager {
    Manager::detect(&format!("test-{test}-{}", std::process::id()))
}

fn manager(test: &str) -> Closing {
    Closing(detect(test))
}

#[test]
fn too_much_memory_is_killed_and_told() {
    let manager = manager("memory");
    if !manager.limits(Controller::Memory) {
        println!("skipped: memory cannot be limited here");
        return;
    }
    let limits = Limits { memory_bytes: Some(64 << 20), cpus: Some(1.0), max_processes: Some(50) };
    let group = manager.create("run", limits).expect("group");
    let mut sandbox = Sandbox::new();
    sandbox.confinement.cgroups = group.folders();
    sandbox.python("bytes(8 << 20)");
    assert!(!group.oom_killed());
    let output = sandbox.run("/usr/bin/python3", &["-c", "x = bytearray(b'x') * (512 << 20)"]);
    assert_eq!(output.status.signal(), Some(9));
    assert!(group.oom_killed());
    assert!(group.memory_peak().is_none_or(|peak| peak > 8 << 20));
    assert!(group.cpu_usage().is_some());
    group.kill().expect("kill");
    group.remove().expect("remove");
    assert!(group.folders().iter().all(|folder| !folder.exists()));
}

#[test]
fn a_group_is_killed_whole_and_leftovers_at_the_next_start() {
    let manager = manager("kill");
    if manager.mode() == Mode::None {
        println!("skipped: no groups here");
        return;
    }
    for next_start in [false, true] {
        let group = manager.create("run", Limits::default()).expect("group");
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep");
        group.add(child.id().cast_signed()).expect("add");
        assert_eq!(group.pids(), [child.id().cast_signed()]);
        let waiter = std::thread::spawn(move || child.wait().expect("wait"));
        if next_start {
            assert_eq!(detect("kill").mode(), manager.mode());
        } else {
            group.kill().expect("kill");
            group.remove().expect("remove");
        }
        assert_eq!(waiter.join().expect("thread").signal(), Some(9));
        assert!(group.folders().iter().all(|folder| !folder.exists()));
    }
}

#[test]
fn what_nobody_runs_any_more_is_removed_by_anybody() {
    let (used, left) = (manager("used"), detect("left"));
    if used.mode() == Mode::None {
        println!("skipped: no groups here");
        return;
    }
    let (kept, lost) =
        (used.create("run", Limits::default()).expect("group"), left.create("run", Limits::default()).expect("group"));
    drop(manager("next"));
    assert!([&kept, &lost].iter().all(|group| group.folders().iter().all(|folder| folder.exists())));
    drop(left);
    drop(manager("next"));
    assert!(kept.folders().iter().all(|folder| folder.exists()));
    assert!(lost.folders().iter().all(|folder| !folder.exists() && folder.parent().is_some_and(|root| !root.exists())));
}

#[test]
fn the_report_names_every_layer() {
    let layers = doctor::layers(&helper(), &manager("doctor")).expect("layers");
    for layer in &layers {
        println!("{:?} {}: {}", layer.state, layer.name, layer.detail);
        assert!(!layer.detail.is_empty() && !layer.cost_of_absence.is_empty());
    }
    let sandbox = layers.last().expect("some");
    assert_eq!(sandbox.name, "sandbox");
    assert_ne!(sandbox.state, doctor::State::Missing, "{}", sandbox.detail);
}
