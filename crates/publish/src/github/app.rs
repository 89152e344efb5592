//! A GitHub App: it proves who it is with its private key, and gets tokens that are good for one repository and an hour.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use csw_core::ports::{ForgeError, ForgeResult};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::{
    read,
    request::{Requests, Secret},
    said,
};

/// GitHub takes no proof that is good for longer than ten minutes; its clock may be behind ours.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(9);
const BEFORE: SignedDuration = SignedDuration::from_mins(1);

/// A token is replaced so long before it ends.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);

const KEY_HINT: &str = "it must be the App's private key as GitHub gave it: a PEM file of an RSA key";

/// A GitHub App, and the tokens that it has.
pub struct App {
    id: String,
    key: RsaKeyPair,
    tokens: Mutex<HashMap<String, Installed>>,
}

/// A token of an installation, for one repository.
struct Installed {
    token: Secret,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct Issued {
    token: String,
    expires_at: Timestamp,
}

impl App {
    /// The App with this number (or client id) and private key, as text in PEM form.
    pub fn new(id: &str, pem: &str) -> ForgeResult<Self> {
        let wrong = |cause: String| ForgeError::Refused {
            what: "Reading the private key of the GitHub App".to_owned(),
            sentence: format!("{cause}; {KEY_HINT}"),
        };
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        let key = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(wrong("it is of another kind".to_owned())),
        };
        let key = key.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { id: id.to_owned(), key, tokens: Mutex::default() })
    }

    /// A proof of who we are: a token that we sign ourselves.
    fn proof(&self, now: Timestamp) -> ForgeResult<Secret> {
        let claims = json!({ "iat": (now - BEFORE).as_second(), "exp": (now + GOOD_FOR).as_second(), "iss": self.id });
        let encoded = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = format!("{}.{}", encoded(&json!({ "alg": "RS256", "typ": "JWT" })), encoded(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), head.as_bytes(), &mut signature).map_err(|_| {
            ForgeError::Refused {
                what: "Signing with the private key of the GitHub App".to_owned(),
                sentence: KEY_HINT.to_owned(),
            }
        })?;
        Ok(Secret::new(format!("{head}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    /// A token for a repository: the one that there is, or a new one where that ends soon.
    pub(super) async fn token(&self, requests: &Requests, owner: &str, name: &str) -> ForgeResult<Secret> {
        let repository = format!("{owner}/{name}");
        let key = repository.to_lowercase();
        // Held while GitHub is asked, so that many at once ask for one token.
        let mut tokens = self.tokens.lock().await;
        let now = Timestamp::now();
        tokens.retain(|_, one| one.expires_at - MARGIN > now);
        if let Some(one) = tokens.get(&key) {
            return Ok(one.token.clone());
        }
        let what = format!("Getting a token of the GitHub App for {repository}");
        let refused = |sentence: String| ForgeError::Refused { what: what.clone(), sentence };
        let proof = self.proof(now)?;
        let path = format!("/repos/{owner}/{name}/installation");
        let answer = requests.send(&what, &proof, Method::GET, &path, &[], None).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                return Err(refused(format!(
                    "GitHub says \"{}\"; are `github.app_id` and the private key of one App, and is the clock right?",
                    said(&answer.body)
                )));
            }
            StatusCode::NOT_FOUND => {
                return Err(refused(format!("the App is not installed in {repository}; install it there")));
            }
            status => return Err(refused(format!("GitHub answers {status}: {}", said(&answer.body)))),
        }
        let installation: Installation = read(&what, answer)?;
        let path = format!("/app/installations/{}/access_tokens", installation.id);
        let body = json!({ "repositories": [name] });
        let answer = requests.send(&what, &proof, Method::POST, &path, &[], Some(&body)).await?;
        if answer.status != StatusCode::CREATED {
            return Err(refused(format!("GitHub answers {}: {}", answer.status, said(&answer.body))));
        }
        let issued: Issued = read(&what, answer)?;
        let token = Secret::new(issued.token);
        tokens.insert(key, Installed { token: token.clone(), expires_at: issued.expires_at });
        Ok(token)
    }

    /// Forgets the token of a repository, which GitHub does not take any more.
    pub(super) async fn forget(&self, owner: &str, name: &str) {
        self.tokens.lock().await.remove(&format!("{owner}/{name}").to_lowercase());
    }
}
