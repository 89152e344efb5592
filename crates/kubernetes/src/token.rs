//! Tokens that are good for one attempt at a run.
//!
//! A token is a signature over run and lease, so nothing has to be stored: whoever has the key after a restart, or in
//! another replica, knows them all, and a token is worth nothing once its lease is.

use csw_core::ids::{BuildId, Lease, RunId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::wire::Head;

const PREFIX: &str = "csw1";

/// What the token of services begins with.
const SERVICE: &str = "csw-service1";

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
        let (run, lease, signature) = parts(token)?;
        // In constant time.
        self.over(run, lease).verify_slice(&hex::decode(signature).ok()?).ok()?;
        Some((run, lease))
    }

    /// What services of the site know each other by.
    pub fn service_token(&self) -> String {
        format!("{SERVICE}.{}", hex::encode(self.over_service().finalize().into_bytes()))
    }

    /// Whether a token is that of a service.
    pub fn is_service(&self, token: &str) -> bool {
        let signature = token.strip_prefix(SERVICE).and_then(|rest| hex::decode(rest.strip_prefix('.')?).ok());
        signature.is_some_and(|signature| self.over_service().verify_slice(&signature).is_ok())
    }

    fn over_service(&self) -> Hmac<Sha256> {
        self.0.clone().chain_update(b"service")
    }

    /// The word that an output of an attempt is in object storage.
    pub(crate) fn receipt(&self, run: RunId, lease: Lease, head: &Head) -> String {
        hex::encode(self.over_output(run, lease, head).finalize().into_bytes())
    }

    /// Whether somebody with this key gave that word.
    pub(crate) fn is_receipt(&self, run: RunId, lease: Lease, head: &Head, receipt: &str) -> bool {
        let signature = hex::decode(receipt).unwrap_or_default();
        self.over_output(run, lease, head).verify_slice(&signature).is_ok()
    }

    fn over_output(&self, run: RunId, lease: Lease, head: &Head) -> Hmac<Sha256> {
        let signed = self.0.clone().chain_update(b"output ").chain_update(run.as_uuid()).chain_update(lease.as_uuid());
        signed.chain_update(head.encode())
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

/// The attempt that a token names, for whoever can't tell whether it is good.
pub(crate) fn names(token: &str) -> Option<(RunId, Lease)> {
    parts(token).map(|(run, lease, _)| (run, lease))
}

fn parts(token: &str) -> Option<(RunId, Lease, &str)> {
    let mut parts = token.split('.');
    let (prefix, run, lease, signature) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if prefix != PREFIX || parts.next().is_some() {
        return None;
    }
    Some((run.parse().ok()?, lease.parse().ok()?, signature))
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
    fn services_know_each_other_and_no_run_is_one() {
        let key = RunKey::new(&[7; KEY]).unwrap();
        let run: RunId = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
        let lease: Lease = "0198c0de-0000-7000-8000-0000000000aa".parse().unwrap();
        assert!(key.is_service(&key.service_token()));
        assert!(!RunKey::new(&[8; KEY]).unwrap().is_service(&key.service_token()));
        let of_a_run = key.token(run, lease);
        let signature = of_a_run.rsplit('.').next().unwrap();
        for stranger in ["", "csw-service1.", &of_a_run, &format!("csw-service1.{signature}")] {
            assert!(!key.is_service(stranger), "{stranger}");
        }
        assert_eq!(key.check(&key.service_token()), None);
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
