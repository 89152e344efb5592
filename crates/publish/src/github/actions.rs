//! Tokens of GitHub Actions: OpenID Connect tokens that GitHub signs for a job, and whose keys it publishes.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use csw_core::{
    causes::chain,
    ports::{ForgeError, ForgeResult, WorkflowTokenError, WorkflowTokens},
    trust::WorkflowClaims,
};
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::request::client;

/// Who signs the tokens of the public GitHub.
pub const PUBLIC_ISSUER: &str = "https://token.actions.githubusercontent.com";

/// Clocks may differ by so much.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// The keys are asked for at most so often, whatever strangers send.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// After so long they are asked for again, so that one that GitHub gave up is given up here.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

/// No token of GitHub's is longer.
const LONGEST: usize = 16 << 10;

/// Checks the tokens of one issuer.
pub struct ActionsTokens {
    issuer: String,
    http: Client,
    keys: Mutex<Keys>,
}

/// The issuer's keys by their names: modulus and exponent.
#[derive(Default)]
struct Keys {
    known: HashMap<String, (Vec<u8>, Vec<u8>)>,
    asked_at: Option<Timestamp>,
    trouble: Option<String>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    kty: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: i64,
    #[serde(default)]
    nbf: i64,
    repository: String,
    repository_id: String,
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default)]
    environment: String,
}

fn bad(sentence: impl Into<String>) -> WorkflowTokenError {
    WorkflowTokenError::Bad(sentence.into())
}

fn decoded(part: &str) -> Result<Vec<u8>, WorkflowTokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| bad("it is no JSON Web Token"))
}

impl ActionsTokens {
    /// Checks tokens that are signed by `issuer`, whose keys are at `/.well-known/jwks` below it.
    pub fn new(issuer: &str) -> ForgeResult<Self> {
        let issuer = issuer.trim_end_matches('/').to_owned();
        let local =
            ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"].iter().any(|one| issuer.starts_with(one));
        if !issuer.starts_with("https://") && !local {
            return Err(ForgeError::Refused {
                what: "Preparing for tokens of GitHub Actions".to_owned(),
                sentence: format!("`{issuer}` is no https URL: anybody on the way could give keys of their own"),
            });
        }
        Ok(Self { issuer, http: client(Duration::from_secs(10))?, keys: Mutex::default() })
    }

    /// The key with this name.
    async fn key(&self, name: &str, now: Timestamp) -> Result<(Vec<u8>, Vec<u8>), WorkflowTokenError> {
        let mut keys = self.keys.lock().await;
        let age = keys.asked_at.map(|at| now.duration_since(at).abs());
        let wanted = !keys.known.contains_key(name) || age.is_none_or(|age| age > FRESH);
        if wanted && age.is_none_or(|age| age > PAUSE) {
            keys.asked_at = Some(now);
            match self.ask().await {
                Ok(known) => (keys.known, keys.trouble) = (known, None),
                // Those that we have stay good.
                Err(cause) => keys.trouble = Some(cause),
            }
        }
        match (keys.known.get(name), &keys.trouble) {
            (Some(key), _) => Ok(key.clone()),
            (None, Some(cause)) => Err(WorkflowTokenError::Unavailable(cause.clone())),
            (None, None) => Err(bad("it is signed by a key that its issuer does not have")),
        }
    }

    async fn ask(&self) -> Result<HashMap<String, (Vec<u8>, Vec<u8>)>, String> {
        let url = format!("{}/.well-known/jwks", self.issuer);
        let failed = |error: reqwest::Error| format!("{url}: {}", chain(&error));
        let response = self.http.get(&url).send().await.map_err(failed)?.error_for_status().map_err(failed)?;
        let set: KeySet = response.json().await.map_err(failed)?;
        let read = |key: Key| {
            let number = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| !bytes.is_empty());
            Some((key.kid, (number(&key.n)?, number(&key.e)?)))
        };
        Ok(set.keys.into_iter().filter(|key| key.kty == "RSA" && !key.kid.is_empty()).filter_map(read).collect())
    }

    fn check(&self, claims: &Claims, audience: &str, now: Timestamp) -> Result<(), WorkflowTokenError> {
        if claims.iss.trim_end_matches('/') != self.issuer {
            return Err(bad(format!("it is of {}, and this site believes {}", claims.iss, self.issuer)));
        }
        let named: Vec<&str> = match &claims.aud {
            Audience::One(one) => vec![one],
            Audience::Several(all) => all.iter().map(String::as_str).collect(),
        };
        let audience = audience.trim_end_matches('/');
        if !named.iter().any(|one| one.trim_end_matches('/') == audience) {
            return Err(bad(format!("its audience is {}, and must be {audience}", named.join(", "))));
        }
        let now = now.as_second();
        if claims.exp.saturating_add(LEEWAY.as_secs()) <= now {
            return Err(bad("it has expired"));
        }
        if claims.nbf.saturating_sub(LEEWAY.as_secs()) > now {
            return Err(bad("it is not good yet; is the clock right?"));
        }
        Ok(())
    }
}

#[async_trait]
impl WorkflowTokens for ActionsTokens {
    async fn verify(&self, token: &str, audience: &str, now: Timestamp) -> Result<WorkflowClaims, WorkflowTokenError> {
        if token.len() > LONGEST {
            return Err(bad("it is too long"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| bad("it is no JSON Web Token"))?;
        let (head, body) = signed.split_once('.').ok_or_else(|| bad("it is no JSON Web Token"))?;
        let header: Header = serde_json::from_slice(&decoded(head)?).map_err(|_| bad("it is no JSON Web Token"))?;
        // The token itself must not choose how it is checked.
        if header.alg != "RS256" {
            return Err(bad("it is not signed with RS256"));
        }
        let claims: Claims =
            serde_json::from_slice(&decoded(body)?).map_err(|_| bad("it is not one of GitHub Actions"))?;
        // Before keys are asked for: most that is wrong is seen without them.
        self.check(&claims, audience, now)?;
        let (n, e) = self.key(&header.kid, now).await?;
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decoded(signature)?)
            .map_err(|_| bad("its signature is wrong"))?;
        Ok(WorkflowClaims {
            repository: claims.repository,
            repository_id: claims.repository_id,
            reference: claims.reference,
            environment: claims.environment,
        })
    }
}
