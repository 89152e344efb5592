//! rlimits: they are only ever lowered.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use crate::confinement::Limits;
use crate::error::{SandboxError, Step};

/// No core file: it would hold the memory of a run.
pub(super) fn no_core_dump() -> Result<(), SandboxError> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).step("forbidding core files")
}

/// Applies the limits to this process and all it will start.
pub(super) fn apply(limits: &Limits) -> Result<(), SandboxError> {
    no_core_dump()?;
    let wanted = [
        (Resource::RLIMIT_AS, limits.memory_bytes),
        (Resource::RLIMIT_CPU, limits.cpu_seconds),
        (Resource::RLIMIT_NPROC, limits.max_processes),
        (Resource::RLIMIT_FSIZE, limits.max_file_bytes),
        (Resource::RLIMIT_NOFILE, limits.max_open_files),
        (Resource::RLIMIT_DATA, limits.data_bytes),
    ];
    for (resource, value) in wanted {
        let Some(value) = value else { continue };
        let name = format!("setting the limit {resource:?} to {value}");
        let (_, hard) = getrlimit(resource).step(name.clone())?;
        let value = if hard == RLIM_INFINITY { value } else { value.min(hard) };
        setrlimit(resource, value, value).step(name)?;
    }
    Ok(())
}
