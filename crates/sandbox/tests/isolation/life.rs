//! Beginning and end: codes, signals, and nothing left behind.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use super::support::{Sandbox, helper, text};
use csw_sandbox::{LayerSet, SETUP_FAILED, tree};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn it_ends_as_the_program_ends() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run("/bin/sh", &["-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(sandbox.run("/bin/sh", &["-c", "kill -SEGV $$"]).status.signal(), Some(11));
    assert_eq!(sandbox.run("/bin/sh", &["-c", "kill -KILL $$"]).status.signal(), Some(9));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let output = Sandbox::new().run("/usr/bin/no-such-program", &[]);
    assert_eq!(output.status.code(), Some(i32::from(SETUP_FAILED)));
    assert!(text(&output.stderr).contains("no-such-program"), "{}", text(&output.stderr));
}

#[test]
fn signals_are_passed_on() {
    let sandbox = Sandbox::new();
    let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = sandbox.command("/bin/sh", &["-c", script], vec![]).spawn().expect("helper");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("out")).read_line(&mut line).expect("line");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("kill");
    assert_eq!(child.wait().expect("wait").code(), Some(5));
}

#[test]
fn what_the_program_started_ends_with_it() {
    let mut sandbox = Sandbox::new();
    for namespaces in [true, false] {
        if !namespaces {
            let layers = sandbox.confinement.layers;
            sandbox.confinement.layers = LayerSet { namespaces, user_namespace: false, ..layers };
        }
        // The end of the pipe shows the end of the last process that holds it.
        let output =
            sandbox.run("/bin/sh", &["-c", "setsid sleep 1000 & setsid sh -c 'sleep 1000 & sleep 1000' & exit 0"]);
        assert!(output.status.success());
    }
}

/// Kills the process that `victim` picks, without warning, and waits for the
/// last process of the sandbox to let go of its output.
fn kill_and_wait(victim: impl Fn(&[i32]) -> i32) {
    let sandbox = Sandbox::new();
    let script = "trap '' TERM INT HUP; setsid sleep 1000 & echo ready; sleep 1000; sleep 1000";
    let mut child = sandbox.command("/bin/sh", &["-c", script], vec![]).spawn().expect("helper");
    let mut out = BufReader::new(child.stdout.take().expect("out"));
    let mut line = String::new();
    out.read_line(&mut line).expect("line");
    assert_eq!(line, "ready\n");
    let mut chain = vec![child.id().cast_signed()];
    chain.extend(tree::descendants(chain[0]));
    assert!(chain.len() >= 4, "guardian, init, shell, sleeps: {chain:?}");
    kill(Pid::from_raw(victim(&chain)), Signal::SIGKILL).expect("kill");
    line.clear();
    assert_eq!(out.read_line(&mut line).expect("end"), 0);
    child.wait().expect("wait");
    for pid in &chain[1..] {
        while std::fs::exists(format!("/proc/{pid}")).expect("look") {
            std::thread::yield_now();
        }
    }
}

#[test]
fn the_guardians_death_kills_everything() {
    kill_and_wait(|chain| chain[0]);
}

#[test]
fn inits_death_kills_everything() {
    kill_and_wait(|chain| chain[1]);
}

const SUPERVISOR: &str = "CSW_TEST_SUPERVISOR";

/// Not a test by itself: the process that the next test kills. It starts a
/// sandbox from a thread that ends at once, as a pool's threads do.
#[test]
fn supervisor_process() {
    if std::env::var_os(SUPERVISOR).is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let started = std::thread::scope(|scope| {
        let start = || {
            let script = "setsid sleep 1000 & echo ready; sleep 1000";
            let mut command = sandbox.command("/bin/sh", &["-c", script], vec![]);
            command.stdout(Stdio::inherit()).stderr(Stdio::inherit()).spawn().expect("helper")
        };
        scope.spawn(start).join()
    });
    started.expect("thread").wait().expect("wait");
}

#[test]
fn the_supervisors_death_leaves_no_process() {
    assert!(helper().exists());
    let mut supervisor = Command::new(std::env::current_exe().expect("exe"))
        .args(["--exact", "isolation::life::supervisor_process", "--nocapture"])
        .env(SUPERVISOR, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("supervisor");
    let mut out = BufReader::new(supervisor.stdout.take().expect("out"));
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        assert_ne!(out.read_line(&mut line).expect("line"), 0, "ended early");
    }
    let everything = tree::descendants(supervisor.id().cast_signed());
    assert!(everything.len() >= 4, "{everything:?}");
    supervisor.kill().expect("kill -9");
    supervisor.wait().expect("wait");
    // The pipe ends only with the last of them.
    line.clear();
    while out.read_line(&mut line).expect("end") != 0 {}
    for pid in everything {
        while is_alive(pid) {
            std::thread::yield_now();
        }
    }
}

fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
