//! Sealing with XChaCha20-Poly1305. A seal says which row it is of: rows that change places do not open.

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use csw_core::secret::SecretValue;
use zeroize::Zeroizing;

/// A master key.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// Bytes of a nonce; long enough to be drawn at random for every seal.
pub(crate) const NONCE: usize = 24;

/// The form of a seal: this byte, the nonce, and the ciphertext with its tag.
const FORM: u8 = 1;

/// What a seal is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) scope: &'a str,
    pub(crate) name: &'a str,
    pub(crate) version: u32,
    pub(crate) key: &'a str,
}

impl Place<'_> {
    /// Each part with its length before it, so that no two places have the same bytes.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"csw secret".to_vec();
        bytes.push(FORM);
        for part in [self.scope, self.name, self.key] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes
    }
}

/// Seals a value for its place; `None` only for a value that is longer than the cipher can take, by far.
pub(crate) fn seal(key: &Key, place: Place<'_>, nonce: [u8; NONCE], value: &SecretValue) -> Option<Vec<u8>> {
    let cipher = XChaCha20Poly1305::new_from_slice(key.as_slice()).ok()?;
    let aad = place.bytes();
    let payload = Payload { msg: value.expose().as_bytes(), aad: &aad };
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
    let mut bytes = Vec::with_capacity(1 + NONCE + sealed.len());
    bytes.push(FORM);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&sealed);
    Some(bytes)
}

/// Opens a seal at its place; `None` where it is not of this key and place, or was changed.
pub(crate) fn open(key: &Key, place: Place<'_>, sealed: &[u8]) -> Option<SecretValue> {
    let (form, rest) = sealed.split_first()?;
    let (nonce, rest) = rest.split_at_checked(NONCE)?;
    let nonce: [u8; NONCE] = nonce.try_into().ok()?;
    if *form != FORM {
        return None;
    }
    let cipher = XChaCha20Poly1305::new_from_slice(key.as_slice()).ok()?;
    let aad = place.bytes();
    let bytes = Zeroizing::new(cipher.decrypt(&XNonce::from(nonce), Payload { msg: rest, aad: &aad }).ok()?);
    std::str::from_utf8(&bytes).ok().map(SecretValue::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { scope: "site", name: "a", version: 1, key: "k" };

    #[test]
    fn what_is_sealed_opens_at_its_place_only() {
        let key = Zeroizing::new([7; 32]);
        let value = SecretValue::from("hunter2");
        let sealed = seal(&key, PLACE, [1; NONCE], &value).unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(open(&key, PLACE, &sealed), Some(value));
        for other in [
            Place { scope: "model:x", ..PLACE },
            Place { name: "b", ..PLACE },
            Place { version: 2, ..PLACE },
            Place { key: "l", ..PLACE },
        ] {
            assert_eq!(open(&key, other, &sealed), None, "{other:?}");
        }
        assert_eq!(open(&Zeroizing::new([8; 32]), PLACE, &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&key, PLACE, &changed), None, "byte {at}");
        }
        assert_eq!(open(&key, PLACE, &sealed[..10]), None);
        assert_eq!(open(&key, PLACE, &[]), None);
    }

    #[test]
    fn parts_of_a_place_do_not_run_into_each_other() {
        let one = Place { scope: "ab", name: "c", ..PLACE };
        let two = Place { scope: "a", name: "bc", ..PLACE };
        assert_ne!(one.bytes(), two.bytes());
    }
}
