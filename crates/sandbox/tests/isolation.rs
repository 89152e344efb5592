//! Programs in real sandboxes: what they must not be able to do, and what they must.
#![allow(missing_docs)]

mod isolation {
    pub mod files;
    pub mod groups;
    pub mod life;
    pub mod processes;
    pub mod support;
    pub mod zygote;
}
