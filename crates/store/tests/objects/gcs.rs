//! Google Cloud Storage, by a local server that speaks its XML API: it checks the tokens that a service account signs,
//! and signed addresses of version 4, both with the public half of the account's key.

use std::process::Command;

use axum::{
    body::Body,
    http::{Method, Response, StatusCode},
};
use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use csw_store::{BucketConfig, BucketCredentials, Provider};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    server::{Asked, Memory, answer, serve},
    suite,
};

const ACCOUNT: &str = "site@project.iam.gserviceaccount.com";

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A new key, as PEM, and its public half.
fn key() -> (String, Vec<u8>) {
    let made = Command::new("openssl")
        .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()
        .unwrap();
    let pem = String::from_utf8(made.stdout).unwrap();
    let lines: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(lines).unwrap()).unwrap();
    (pem, pair.public_key().as_ref().to_vec())
}

fn is_signed(public: &[u8], text: &str, signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(text.as_bytes(), signature).is_ok()
}

/// Whether a token is one that the account signed for itself, and for storage.
fn is_token(public: &[u8], token: &str) -> Option<bool> {
    let (text, signature) = token.rsplit_once('.')?;
    let (_, claims) = text.split_once('.')?;
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let now = Timestamp::now().as_second();
    let fits = claims["iss"] == ACCOUNT
        && claims["sub"] == ACCOUNT
        && claims["scope"].as_str()?.contains("googleapis.com/auth/")
        && (now..=now + 3600).contains(&claims["exp"].as_i64()?)
        && claims["iat"].as_i64()? <= now;
    Some(fits && is_signed(public, text, &BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?))
}

/// Whether an address is signed, and still good.
fn is_address(public: &[u8], asked: &Asked) -> Option<bool> {
    let query = asked.query();
    let (date, scope) = (query.get("X-Goog-Date")?, query.get("X-Goog-Credential")?.split_once('/')?.1);
    let begun = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp();
    let valid = SignedDuration::from_secs(query.get("X-Goog-Expires")?.parse().ok()?);
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let signed: Vec<String> = query
        .iter()
        .filter(|(name, _)| *name != "X-Goog-Signature")
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    let request = format!(
        "{}\n{}\n{}\nhost:storage.googleapis.com\n\nhost\nUNSIGNED-PAYLOAD",
        asked.method,
        asked.uri.path(),
        signed.join("&")
    );
    let text = format!("GOOG4-RSA-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(request)));
    let good = Timestamp::now() <= begun + valid;
    Some(good && is_signed(public, &text, &hex::decode(query.get("X-Goog-Signature")?).ok()?))
}

fn xml(text: &str) -> Response<Body> {
    answer(StatusCode::OK, &format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{text}"))
}

fn respond(public: &[u8], memory: &Memory, asked: &Asked) -> Response<Body> {
    let allowed = match asked.header("authorization").strip_prefix("Bearer ") {
        Some(token) => is_token(public, token),
        None => is_address(public, asked),
    };
    if allowed != Some(true) {
        return answer(StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>");
    }
    let (path, query) = (asked.path(), asked.query());
    let Some(key) = path.strip_prefix("/results").map(|rest| rest.trim_start_matches('/')) else {
        return answer(StatusCode::NOT_FOUND, "<Error><Code>NoSuchBucket</Code></Error>");
    };
    match (&asked.method, query.get("uploadId")) {
        (&Method::GET, _) if query.contains_key("list-type") => list(memory, query.get("prefix")),
        (&Method::GET | &Method::HEAD, _) => {
            memory.read(key, asked, query.get("response-content-type"), query.get("response-content-disposition"))
        }
        (&Method::PUT, Some(upload)) => {
            let number = format!("{:0>5}", query["partNumber"]);
            memory.parts.lock().unwrap().entry(upload.clone()).or_default().insert(number, asked.body.clone());
            answer(StatusCode::OK, "")
        }
        (&Method::PUT, None) => {
            let there = memory.objects.lock().unwrap().contains_key(key);
            if there && asked.header("x-goog-if-generation-match") == "0" {
                return answer(StatusCode::PRECONDITION_FAILED, "<Error><Code>PreconditionFailed</Code></Error>");
            }
            memory.put(key, asked.body.clone());
            answer(StatusCode::OK, "")
        }
        (&Method::POST, Some(upload)) => {
            let parts = memory.parts.lock().unwrap().remove(upload).unwrap();
            memory.put(key, parts.into_values().collect::<Vec<_>>().concat().into());
            xml("<CompleteMultipartUploadResult><ETag>\"tag\"</ETag></CompleteMultipartUploadResult>")
        }
        (&Method::POST, None) => {
            let upload = format!("{:p}-{}", asked, Timestamp::now());
            xml(&format!(
                "<InitiateMultipartUploadResult><Bucket>results</Bucket><Key>{key}</Key><UploadId>{upload}</UploadId>\
                 </InitiateMultipartUploadResult>"
            ))
        }
        (&Method::DELETE, None) => {
            let was = memory.objects.lock().unwrap().remove(key);
            answer(if was.is_some() { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }, "")
        }
        _ => answer(StatusCode::METHOD_NOT_ALLOWED, ""),
    }
}

fn list(memory: &Memory, prefix: Option<&String>) -> Response<Body> {
    let contents: Vec<String> = memory
        .below(prefix.map_or("", String::as_str))
        .into_iter()
        .map(|(key, stored)| {
            let (put, size) = (Timestamp::try_from(stored.put).unwrap(), stored.bytes.len());
            format!(
                "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>{put}</LastModified><ETag>\"tag\"</ETag></Contents>"
            )
        })
        .collect();
    xml(&format!("<ListBucketResult><Name>results</Name>{}</ListBucketResult>", contents.concat()))
}

#[tokio::test]
async fn google_cloud_storage_keeps_the_contract() {
    let (pem, public) = key();
    let url = serve(move |memory, asked| respond(&public, memory, asked)).await;
    let account = |pem: &str| {
        let text = json!({
            "type": "service_account", "client_email": ACCOUNT, "private_key_id": "1", "private_key": pem,
        });
        BucketConfig {
            endpoint: Some(url.clone()),
            credentials: BucketCredentials::Text(text.to_string()),
            ..BucketConfig::new(Provider::Gcs, "results")
        }
    };
    suite::run_bucket(&account(&pem)).await;
    let (other, _) = key();
    suite::refuses(account(&other), &other).await;
}
