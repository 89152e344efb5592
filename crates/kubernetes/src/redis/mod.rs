//! Arguments of runs on their way to Jobs, in Redis 6 or later.
//!
//! Each attempt has a key of its own, and a user that can read this key and do nothing else; both are gone when the attempt
//! is over, and expire where nobody could remove them. [`acl`] has the other users. Redis is a way, not a place: what is
//! lost there is asked of the server, which has it from the database. No secret of a model goes this way.

mod acl;
mod address;
mod arguments;
mod fetch;

pub use self::{
    acl::{AclError, Passwords, acl_file, set_up},
    address::{BadAddress, RedisAddress},
    arguments::Redis,
    fetch::REDIS_CA,
};
pub(crate) use self::{address::Link, arguments::Arguments, fetch::fetch};

use csw_core::ids::{Lease, RunId};
use sha2::{Digest, Sha256};

/// The variable with the address of Redis, without a user.
pub const REDIS_URL: &str = "CSW_REDIS_URL";

/// What names of the users of runs begin with.
const OF_RUN: &str = "run-";

/// Where the arguments of an attempt are.
fn key(run: RunId, lease: Lease) -> String {
    format!("job-{run}-{lease}")
}

/// Who may read them.
fn user(lease: Lease) -> String {
    format!("{OF_RUN}{lease}")
}

/// The password of that user: whoever has the attempt's token can tell it, and it tells nothing about the token.
fn password(token: &str) -> String {
    hex::encode(Sha256::new().chain_update(b"redis ").chain_update(token.as_bytes()).finalize())
}

/// A password as rules have it, so that it is never sent.
fn hashed(password: &str) -> String {
    format!("#{}", hex::encode(Sha256::digest(password.as_bytes())))
}
