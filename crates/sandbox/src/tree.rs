//! Finding and ending the processes of a run, seen from the supervisor.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The direct children of a process. Empty when it is gone.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return vec![] };
    let mut found = vec![];
    for task in tasks.flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|word| word.parse::<i32>().ok()));
    }
    found
}

/// Every process below one, the nearest first.
pub fn descendants(pid: i32) -> Vec<i32> {
    let mut found = children(pid);
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        found.extend(children(pid));
        next += 1;
    }
    found
}

/// The pid, outside, of the process below `ancestor` that calls itself `inner`
/// in its namespace: a run of a zygote knows itself by its inner pid only.
pub fn host_pid(ancestor: i32, inner: i32) -> Option<i32> {
    descendants(ancestor).into_iter().find(|pid| inner_pid(*pid) == Some(inner))
}

fn inner_pid(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
}

/// Kills a run with all its descendants: it is stopped first, so that as the
/// reaper of its orphans it keeps them findable. For machines where no cgroup
/// does this; [`crate::cgroup::Group::kill`] is the better way.
pub fn kill_tree(pid: i32) {
    let root = Pid::from_raw(pid);
    // Each may end at any time: a failed signal is an answer, not an error.
    let _ = kill(root, Signal::SIGSTOP);
    kill_descendants(pid);
    let _ = kill(root, Signal::SIGKILL);
}

/// Kills everything below a process that is its orphans' reaper.
pub(crate) fn kill_descendants(pid: i32) {
    // A bomb may fork while we look; each round stops what it finds before it kills.
    for _ in 0..64 {
        let found: Vec<i32> = descendants(pid).into_iter().filter(|pid| !is_dead(*pid)).collect();
        if found.is_empty() {
            return;
        }
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for pid in &found {
                let _ = kill(Pid::from_raw(*pid), signal);
            }
        }
    }
}

fn is_dead(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything, a parenthesis too.
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_tree_dies_with_its_orphans_to_be() {
        let mut shell = Command::new("sh").args(["-c", "sleep 1000 & sleep 1000 & wait"]).spawn().expect("sh");
        let pid = shell.id().cast_signed();
        while children(pid).len() < 2 {
            std::thread::yield_now();
        }
        let below = descendants(pid);
        assert_eq!(host_pid(std::process::id().cast_signed(), pid), Some(pid));
        kill_tree(pid);
        shell.wait().expect("wait");
        while below.iter().any(|pid| !is_dead(*pid)) {
            std::thread::yield_now();
        }
    }
}
