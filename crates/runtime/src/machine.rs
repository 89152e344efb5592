//! What this machine has, and what processes of it use.

use std::fs;

use csw_core::ports::Capacity;

/// Executions at once, whatever their size: each is a process or more.
const RUNS: u32 = 64;

/// What this process may use: CPUs by affinity and quota, memory by the machine's size or the limit of its cgroup.
pub(crate) fn capacity() -> Capacity {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    #[allow(clippy::cast_precision_loss, reason = "a number of CPUs")]
    Capacity { cpus: cpus as f64, memory_bytes: memory_limit().min(meminfo("MemTotal:")), runs: RUNS }
}

/// Bytes that could be used without swapping.
pub(crate) fn available_memory() -> u64 {
    meminfo("MemAvailable:")
}

fn meminfo(name: &str) -> u64 {
    field(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), name).unwrap_or(u64::MAX)
}

/// The limit that a container puts on this process, by cgroup v2 or v1.
fn memory_limit() -> u64 {
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
        .min()
        .unwrap_or(u64::MAX)
}

/// Bytes of memory that would be free without this process: its own, and its share of what it has in common.
pub(crate) fn memory_of(pid: i32) -> u64 {
    let read = |file: &str, name: &str| field(&fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?, name);
    read("smaps_rollup", "Pss:").or_else(|| read("status", "VmRSS:")).unwrap_or(0)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_something() {
        let capacity = capacity();
        assert!(capacity.cpus >= 1.0);
        assert!(capacity.memory_bytes > 1 << 20);
        assert!(memory_of(std::process::id().cast_signed()) > 1 << 16);
    }

    #[test]
    fn fields_are_in_kilobytes() {
        assert_eq!(field("A: 1 kB\nPss:      12 kB\n", "Pss:"), Some(12 * 1024));
        assert_eq!(field("Pss: many\n", "Pss:"), None);
    }
}
