//! Thumbnails: small pictures of what simulations found, drawn by a headless browser.
//!
//! An output is a stranger's markup, and a bokeh document a stranger's program. So every picture has a browser of its own,
//! which starts in the sandbox of models and builds: no network but an empty loopback, a user and a folder of its own,
//! bounds of memory, processor time and patience, and the lowest priority of the machine. In it the output is a frame
//! without an origin, below a policy that lets nothing be fetched ([`document`]).
//!
//! It decides neither what is drawn nor when, and keeps nothing. Start reading at [`Chromium`].

mod browser;
mod chromium;
mod document;
mod png;
mod room;

pub use browser::NAMES;
pub use chromium::{Chromium, ThumbnailConfig};
