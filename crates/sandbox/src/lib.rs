//! Confinement of programs that nobody trusts: the models, and their builds.
//!
//! A supervisor describes what a program may see and use ([`Confinement`]) and
//! starts it with [`command`]. That spawns a helper (`csw exec-sandbox`, which
//! calls [`enter`] before it starts a thread), because namespaces, credentials
//! and filters belong to a process with one thread, not to a forked copy of a
//! threaded server. The helper becomes two small guardians and the program:
//!
//! ```text
//! supervisor
//! └─ guardian   waits for the program, dies with the supervisor     (enter)
//!    └─ init    pid 1 of the namespaces, reaps; its end ends all    (enter::init)
//!       └─ program, confined                                       (enter::program)
//! ```
//!
//! The layers: namespaces with a root of their own (`enter::root`), an own
//! unprivileged user, no capabilities, no-new-privileges, Landlock, a filter of
//! system calls, rlimits, and cgroups ([`cgroup`]). [`doctor`] tells which of
//! them a machine has. A layer that [`LayerSet`] names and that cannot be had
//! is an error, never skipped.
//!
//! # Two stages: the runs of a zygote
//!
//! A zygote is one interpreter that forks a child per run. It is started with
//! [`Stage::Zygote`] behind all of these layers; each child then confines
//! itself with `python/confine_child.py` ([`CONFINE_CHILD`], [`ChildConfinement`]).
//! Rust cannot fork an interpreter for it, so the child does it by ctypes. With
//! the module imported before the fork and 21 paths that takes 1.4 to 2.1 ms,
//! measured on a busy machine with two processors.
//!
//! As root the sandbox has a user namespace with a range of users
//! ([`UserRange`]), made *after* all mounts, so that nothing inside owns any
//! other namespace; the zygote keeps two capabilities in it, to change user and
//! group, which the child uses once and gives up. A user per run is cheap and
//! strong: the kernel refuses signals, tracing and files of mode 0700 between
//! runs. A mount namespace per run was the alternative; it needs the right to
//! mount inside the zygote, open to the model's own import-time code, for the
//! sake of a private `/tmp`. Not as root only one user can be mapped: there
//! Landlock alone separates files, signals and tracing between runs, `/tmp` and
//! `/dev/shm` are closed to them, and `max_processes` counts the runs together.
//!
//! # What it never does
//!
//! It decides no policy, keeps no state outside its cgroup folders, and reads
//! no configuration. It is the only crate with `unsafe` code: the system calls
//! that nix has no safe form of, all in `sys`.
//!
//! Start reading at [`Confinement`], then [`enter`].

pub mod cgroup;
mod command;
mod confinement;
pub mod doctor;
mod enter;
mod error;
mod layers;
mod sys;
pub mod tree;

pub use command::{HELPER_SUBCOMMAND, PassedFd, SETUP_FAILED, command};
pub use confinement::{ChildConfinement, Confinement, Limits, NetworkAccess, Stage, UserRange};
pub use enter::enter;
pub use error::SandboxError;
pub use layers::LayerSet;

/// Hides this process from others of its user: they can read neither its memory nor its environment, and what it starts
/// inherits nothing of that. For who holds a credential beside programs that nobody trusts, where no other user is to be had.
pub fn hide() -> Result<(), SandboxError> {
    use error::Step;
    nix::sys::prctl::set_dumpable(false).map_err(std::io::Error::from).step("hiding this process")
}

/// The text of `python/confine_child.py`: the module `confine_child`, which a
/// zygote imports before it forks. Standard library and ctypes only.
pub const CONFINE_CHILD: &str = include_str!("../python/confine_child.py");
