//! Tokens that are good for one attempt at a run.
//!
//! A token is a signature over run and lease, so nothing has to be stored: whoever has the key after a restart, or in
//! another replica, knows them all, and a token is worth nothing once its lease is.

use csw_core::ids::{BuildId, Lease, RunId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &str = "csw1";

/// What those of builds begin with.
const OF_BUILDS: &str = "csw1b";

/// Bytes of a key at least.
const KEY: usize = 32;

/// Makes and checks tokens.
#[derive(Clone)]
pub struct RunKey(Hmac<Sha256>);

impl RunKey {
    /// A key; the error says that it is too short to be one.
    pub fn new(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < KEY {
            return Err(format!("a key of run tokens has {KEY} bytes or more, not {}", secret.len()));
        }
        Hmac::new_from_slice(secret).map(Self).map_err(|error| error.to_string())
    }

    pub(crate) fn token(&self, run: RunId, lease: Lease) -> String {
        let signature = hex::encode(self.over(run, lease).finalize().into_bytes());
        format!("{PREFIX}.{run}.{lease}.{signature}")
    }

    /// The attempt that a token is good for.
    pub(crate) fn check(&self, token: &str) -> Option<(RunId, Lease)> {
        let mut parts = token.split('.');
        let (prefix, run, lease, signature) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if prefix != PREFIX || parts.next().is_some() {
            return None;
        }
        let (run, lease) = (run.parse().ok()?, lease.parse().ok()?);
        // In constant time.
        self.over(run, lease).verify_slice(&hex::decode(signature).ok()?).ok()?;
        Some((run, lease))
    }

    /// A token that is good for one attempt at a build.
    pub(crate) fn build_token(&self, build: BuildId, attempt: u32) -> String {
        let signature = hex::encode(self.over_build(build, attempt).finalize().into_bytes());
        format!("{OF_BUILDS}.{build}.{attempt}.{signature}")
    }

    /// The attempt at a build that a token is good for.
    pub(crate) fn check_build(&self, token: &str) -> Option<(BuildId, u32)> {
        let mut parts = token.split('.');
        let (prefix, build, attempt, signature) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if prefix != OF_BUILDS || parts.next().is_some() {
            return None;
        }
        let (build, attempt) = (build.parse().ok()?, attempt.parse().ok()?);
        // In constant time.
        self.over_build(build, attempt).verify_slice(&hex::decode(signature).ok()?).ok()?;
        Some((build, attempt))
    }

    fn over_build(&self, build: BuildId, attempt: u32) -> Hmac<Sha256> {
        self.0.clone().chain_update(b"build ").chain_update(build.as_uuid()).chain_update(attempt.to_be_bytes())
    }

    fn over(&self, run: RunId, lease: Lease) -> Hmac<Sha256> {
        self.0.clone().chain_update(b"run ").chain_update(run.as_uuid()).chain_update(lease.as_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_attempt_alone() {
        let key = RunKey::new(&[7; KEY]).unwrap();
        let run: RunId = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
        let lease: Lease = "0198c0de-0000-7000-8000-0000000000aa".parse().unwrap();
        let token = key.token(run, lease);
        assert_eq!(key.check(&token), Some((run, lease)));
        assert_eq!(key.check(&token.replace("aa.", "ab.")), None, "of another attempt");
        assert_eq!(RunKey::new(&[8; KEY]).unwrap().check(&token), None, "of another key");
        for broken in ["", "csw1", "csw1...", &token[..token.len() - 2], &format!("{token}.x")] {
            assert_eq!(key.check(broken), None, "{broken}");
        }
        assert!(RunKey::new(b"short").is_err());
    }

    #[test]
    fn a_token_of_a_build_is_good_for_that_alone() {
        let key = RunKey::new(&[7; KEY]).unwrap();
        let build: BuildId = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
        let token = key.build_token(build, 1);
        assert_eq!(key.check_build(&token), Some((build, 1)));
        assert_eq!(key.check_build(&token.replace(".1.", ".2.")), None, "of another attempt");
        assert_eq!(key.check(&token), None, "of a run");
        assert_eq!(
            key.check_build(
                &key.token(build.as_uuid().to_string().parse().unwrap(), build.to_string().parse().unwrap())
            ),
            None
        );
    }
}
