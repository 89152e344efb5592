//! OCI images of versions, made without a daemon and without unpacking anything.
//!
//! An image is a list of layers, each of which changes for a reason of its own, so that a change of code moves little:
//!
//! 1. the base, taken from a registry blob by blob, or nothing;
//! 2. the interpreter, unless the base has it: shared by all images with this Python (`python`);
//! 3. the environment: shared by all versions with an equal lock;
//! 4. this program;
//! 5. the model's code.
//!
//! Equal files make equal layers (`layer`), so that registries, nodes and other models' images have them already.
//! Environment and code are where a data folder has them, below [`ROOT`]; byte code was compiled for that place
//! ([`crate::PublishConfig::place`]).
//!
//! Images are kept in a folder, the OCI image layout (`store`), and pushed from there (`push`, `registry`). A container
//! tool is asked only for what can't be done otherwise: a repository's own Containerfile, and packages of the system
//! (`container`).
//!
//! Start reading at `build`.

mod base;
mod build;
mod challenge;
mod container;
mod credentials;
mod failure;
#[cfg(test)]
mod faults;
mod layer;
mod libraries;
mod name;
mod oci;
mod push;
mod python;
mod registry;
mod site;
mod store;

use std::sync::Arc;

pub use build::{Image, ImageLayer, ImageOptions, containerfile};
pub use container::Tool;
pub use credentials::Credentials;
pub use failure::ImageError;
pub use name::{ImageName, Place, check_tag};
pub use push::{PushOptions, Pushed, newest_tag, push};
pub use registry::Patience;
pub use site::{ImagePublisher, Target};
pub use store::Layout;

/// Where environments and code are in an image: what a data folder is on a machine.
pub const ROOT: &str = "/opt/csw";

/// The user that images run as unless their base names one: nobody in particular.
pub(crate) const USER: u32 = 65532;

/// Takes a running count per byte.
pub type Counter = Arc<dyn Fn(u64) + Send + Sync>;

/// Is told how far blobs are.
pub trait Progress: Send + Sync {
    /// So much of `what` is done.
    fn moved(&self, what: &str, done: u64, total: u64);

    /// A counter of the bytes of `what` from `from` on, for where they pass out of sight.
    fn counter(&self, what: &str, from: u64, total: u64) -> Counter;
}

/// For callers who do not watch.
impl Progress for () {
    fn moved(&self, _: &str, _: u64, _: u64) {}

    fn counter(&self, _: &str, _: u64, _: u64) -> Counter {
        Arc::new(|_| {})
    }
}

/// Work on files, where it does not hold up anything else.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(ImageError::Build(format!("A step of the image stopped: {error}"))))
}
