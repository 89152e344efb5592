//! What draws outputs, so that people see in a list what a simulation found.

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use crate::output::MediaType;

/// What is to be drawn. Nobody trusts it: a stranger's model made it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What the bytes are.
    pub media_type: MediaType,
    /// The output, or its beginning.
    pub bytes: Bytes,
    /// BokehJS, where the output is a bokeh document: scripts of the model's own environment.
    pub scripts: Vec<Bytes>,
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DrawError {
    /// There is nothing to be seen in it, today or ever.
    #[error("there is nothing to be seen: {why}")]
    Nothing {
        /// Why.
        why: String,
    },
    /// It was given up: the output took too long, or too much. Another attempt mostly ends the same.
    #[error("drawing was given up: {why}")]
    GivenUp {
        /// Why.
        why: String,
    },
    /// Nothing can be drawn now, whatever it is.
    #[error("nothing can be drawn now: {cause}")]
    Unavailable {
        /// What happened.
        cause: String,
    },
}

/// Draws outputs: without a network, without our rights, and within bounds of time and memory, whatever they hold.
#[async_trait]
pub trait Illustrator: Send + Sync {
    /// A PNG of at most 600 pixels a side. Dropping the future ends whatever draws.
    async fn draw(&self, subject: &Subject) -> Result<Bytes, DrawError>;
}
