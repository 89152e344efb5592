//! Object storage: a folder of this machine, or a bucket elsewhere.

mod azure;
mod bucket;
mod folder;
mod place;

pub use bucket::BucketObjects;
pub use folder::FolderObjects;
pub use place::{BucketConfig, BucketCredentials, Provider};

/// Whether a text is a key: names with slashes between them, none of them hidden. No key leads out of its storage.
fn is_key(text: &str) -> bool {
    !text.is_empty() && text.split('/').all(|name| !name.is_empty() && !name.starts_with('.'))
}
