//! Reading the small text files of the kernel.

use std::fs;
use std::path::Path;

/// The number a file consists of; `None` when it is missing or says `max`.
pub(super) fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number after a key in a file of `key number` lines.
pub(super) fn keyed(path: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The pids in a group's folder, 0 (out of our namespace) left out.
pub(super) fn pids(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_whole_words() {
        let file = tempfile::NamedTempFile::new().expect("file");
        fs::write(file.path(), "oom 3\noom_kill 2\noom_group_kill 1\n").expect("write");
        assert_eq!(keyed(file.path(), "oom_kill"), Some(2));
        assert_eq!(keyed(file.path(), "oom"), Some(3));
        assert_eq!(keyed(file.path(), "under"), None);
        fs::write(file.path(), "max\n").expect("write");
        assert_eq!(number(file.path()), None);
    }
}
