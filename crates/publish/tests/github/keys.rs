//! RSA keys of a test, and tokens that are signed with them.

use std::process::Command;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};

/// A key pair.
pub(crate) struct Keys {
    /// As GitHub gives the key of an App.
    pub(crate) pem: String,
    pub(crate) pair: RsaKeyPair,
}

impl Keys {
    /// A new one; OpenSSL makes it.
    pub(crate) fn new() -> Self {
        let made = Command::new("openssl").args(["genpkey", "-algorithm", "RSA", "-quiet"]).output().unwrap();
        let made = if made.status.success() {
            made
        } else {
            Command::new("openssl").args(["genpkey", "-algorithm", "RSA"]).output().unwrap()
        };
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let pem = String::from_utf8(made.stdout).unwrap();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        Self { pair: RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap(), pem }
    }

    pub(crate) fn public(&self) -> PublicKeyComponents<Vec<u8>> {
        PublicKeyComponents::from(self.pair.public_key())
    }

    /// As a set of keys has it.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let PublicKeyComponents { n, e } = self.public();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": number(&n), "e": number(&e) })
    }

    /// A token with this header and these claims.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let head = unsigned(header, claims);
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), head.as_bytes(), &mut signature).unwrap();
        format!("{head}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What is signed.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}
