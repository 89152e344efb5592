//! Inputs servers: what is asked of a model before a run (its version, its form, a validation) is answered by a process
//! that stays beside the model's code for a while, in the place of a Job for each question.
//!
//! `csw models config` writes an inputs server as a Deployment and a Service ([`manifest`]). The executor scales it from
//! nothing when something is asked, to several where much is asked, and back to nothing after quiet time ([`servers`]), and
//! passes questions on ([`serve`]). [`pod`] is the other side. A version that has none, or whose server does not come up,
//! is asked by Jobs.

pub(crate) mod manifest;
pub mod pod;
pub(crate) mod serve;
pub(crate) mod servers;

/// The port of an inputs server in its pod, and of its Service.
pub const PORT: u16 = 8888;

/// The variable with the address that an inputs server listens at.
pub const LISTEN: &str = "CSW_INPUTS_LISTEN";

/// The variable with the version it has.
pub const VERSION: &str = "CSW_VERSION";

/// The variable with the number of questions it answers at once.
pub const AT_ONCE: &str = "CSW_INPUTS_AT_ONCE";
