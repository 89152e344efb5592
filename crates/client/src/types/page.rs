//! A part of a long list.

use serde::{Deserialize, Serialize};

/// A part of a long list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page<T> {
    /// Length of the whole list.
    pub count: u64,
    /// Address of the next part.
    pub next: Option<String>,
    /// Address of the part before.
    pub previous: Option<String>,
    /// This part.
    pub results: Vec<T>,
}
