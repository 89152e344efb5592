//! Publishing on this machine: from a repository to folders that a run can use.
//!
//! [`UvPublisher`] is the port `Publisher` of the core. It fetches source, finds out what the model asks to be
//! installed, makes one lock of it, and two folders below the data folder:
//!
//! - `envs/<digest>`: a virtual environment with the packages of the lock, shared by all versions with that lock.
//!   `bin/python` is its interpreter, `csw-lock.txt` the lock.
//! - `code/<digest>`: the repository's files, its own packages installed in `csw-site`, and [`PATH_FILE`] with the
//!   entries of `sys.path`, relative to the folder, one a line. `csw-own.json` names these packages.
//!
//! Both are byte-compiled for good, sealed, and put in place by one rename: builds side by side are safe, and an
//! interrupted one leaves nothing that could be mistaken for finished.
//!
//! # Who runs what
//!
//! Nothing of a repository runs with the server's rights. `install.sh`, builds of packages, byte compilation and tests
//! run in the sandbox (`jail`), as a user that can write the build's own folder only. git fetches, and our own uv
//! resolves and installs **wheels of the operator's index with `--no-build`**, outside of it: that executes nothing of
//! theirs, and so the cache they fill is one that no stranger can write. As soon as something must be built or comes
//! from elsewhere (a source distribution, `git+https`, a URL, another index), all of uv's steps move into the sandbox,
//! with the network and a cache that ends with the build.
//!
//! # install.sh
//!
//! It runs once, unmodified, with shims that only write down what it asks for, so that one lock answers all of it.
//! A step of Python that needs the packages fails then; it is put off, and the script runs a second time on a fresh
//! copy when they are there, where it must succeed. Packages of the system are never installed, only looked for (`system`).
//!
//! # What it never does
//!
//! It knows no database and no run; it decides neither when to build nor what goes live. It checks no outputs: that is
//! the conformance check, elsewhere.
//!
//! # Images
//!
//! [`image`] makes an OCI image of a version from the same two folders, and pushes it to a registry.
//!
//! # Forges
//!
//! [`github`] opens pull requests of a publish repository, for the command line.
//!
//! Start reading at `publisher`, then `asked` and `uv`.

mod archive;
mod asked;
mod assets;
mod bytecode;
mod code;
mod config;
mod described;
mod environment;
mod failure;
mod fetch;
mod git;
pub mod github;
pub mod image;
mod interpreter;
mod jail;
mod layout;
mod look;
mod mask;
mod near;
mod process;
mod publisher;
mod repositories;
mod repository;
mod suite;
mod system;
mod tree;
mod uv;

pub use code::PATH_FILE;
pub use config::PublishConfig;
pub use described::described;
pub use failure::UNRESOLVABLE;
pub use jail::index_variables;
pub use publisher::UvPublisher;
pub use repositories::FolderRepositories;

/// Work on files, where it does not hold up anything else.
async fn background<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}
