//! What a model asks to be installed.
//!
//! `cs-config/install.sh` runs unmodified, with shims in place of the installers ([`shim`]); what they wrote down is
//! read by [`pip`] and [`conda`] into one [`Plan`], which a single lock then satisfies. A repository without
//! `install.sh` gets the script that its other files imply ([`standard`]), so there is one way only.

pub(crate) mod conda;
pub(crate) mod environment_yml;
pub(crate) mod pip;
pub(crate) mod plan;
pub(crate) mod shim;
pub(crate) mod standard;

pub(crate) use plan::{Own, Plan};
