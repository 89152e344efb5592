//! Answers of the input-schema routes, ready to be sent: a form is looked at far more often than it changes.
//!
//! Two stages. A ready answer is kept for each version and set of meta parameter values: the text is never parsed nor
//! compressed again. In front of it, requests for a public model within a fraction of a second share one look at the
//! database, so that a crowd at a popular form costs next to nothing; a promotion shows after that fraction.

use std::{
    collections::HashMap,
    hash::Hash,
    io::Write,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use csw_app::SchemaView;
use csw_core::{ids::VersionId, memo::canonical};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::range::is_known;

/// Bytes of ready answers that are kept.
const BYTES: usize = 64 << 20;

/// Requests that are remembered for a moment.
const REQUESTS: usize = 2_000;

/// For how long.
const MOMENT: Duration = Duration::from_millis(250);

/// Answers below this size are not worth compressing.
const SMALL: usize = 1_000;

/// An answer. Cheap to clone.
#[derive(Clone)]
pub(super) struct Ready {
    plain: Bytes,
    gzip: Option<Bytes>,
    etag: HeaderValue,
}

/// What a request asked for: model name in small letters, and meta parameters.
pub(super) type RequestKey = (String, String);

/// The caches. Bounded, and emptied whole where the bound is reached.
#[derive(Default)]
pub(crate) struct SchemaCache {
    ready: Mutex<Bounded<(VersionId, String)>>,
    recent: Mutex<HashMap<RequestKey, (Instant, Ready)>>,
}

struct Bounded<K> {
    answers: HashMap<K, Ready>,
    bytes: usize,
}

impl<K> Default for Bounded<K> {
    fn default() -> Self {
        Self { answers: HashMap::new(), bytes: 0 }
    }
}

impl<K: Hash + Eq> Bounded<K> {
    fn insert(&mut self, key: K, ready: Ready) {
        let size = ready.plain.len() + ready.gzip.as_ref().map_or(0, Bytes::len);
        if self.bytes + size > BYTES {
            self.answers.clear();
            self.bytes = 0;
        }
        self.bytes += size;
        self.answers.insert(key, ready);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SchemaCache {
    /// The key of a request.
    pub(super) fn key(owner: &str, title: &str, meta: &Value) -> RequestKey {
        (format!("{owner}/{title}").to_lowercase(), canonical(meta))
    }

    /// The answer to a request that was answered a moment ago.
    pub(super) fn recent(&self, key: &RequestKey) -> Option<Ready> {
        let recent = lock(&self.recent);
        let (at, ready) = recent.get(key)?;
        (at.elapsed() < MOMENT).then(|| ready.clone())
    }

    /// Remembers an answer that anybody may have.
    pub(super) fn remember(&self, key: RequestKey, ready: Ready) {
        let mut recent = lock(&self.recent);
        if recent.len() >= REQUESTS {
            recent.clear();
        }
        recent.insert(key, (Instant::now(), ready));
    }

    /// The ready answer of a schema.
    pub(super) fn ready(&self, schema: &SchemaView) -> Ready {
        let key = (schema.version, canonical(&schema.meta_values));
        if let Some(ready) = lock(&self.ready).answers.get(&key) {
            return ready.clone();
        }
        let ready = Ready::new(schema);
        lock(&self.ready).insert(key, ready.clone());
        ready
    }
}

impl Ready {
    fn new(schema: &SchemaView) -> Self {
        let extend = if schema.extend { ",\"extend\":true" } else { "" };
        let text = format!(
            "{{\"meta_parameters\":{},\"model_parameters\":{}{extend}}}",
            schema.meta_parameters, schema.model_parameters
        );
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        let etag = HeaderValue::try_from(format!("W/\"{}\"", digest.get(..32).unwrap_or_default()));
        let gzip = (text.len() >= SMALL).then(|| compressed(text.as_bytes())).flatten();
        Self { plain: Bytes::from(text), gzip, etag: etag.unwrap_or(HeaderValue::from_static("W/\"\"")) }
    }

    /// The answer to a request with these headers.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let known = self.etag.to_str().is_ok_and(|etag| is_known(headers, etag));
        let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut response = match (&self.gzip, known) {
            (_, true) => StatusCode::NOT_MODIFIED.into_response(),
            (Some(gzip), false) if accepts_gzip(accepts) => {
                let mut response = Body::from(gzip.clone()).into_response();
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                response
            }
            _ => Body::from(self.plain.clone()).into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        response
    }
}

fn accepts_gzip(accepts: &str) -> bool {
    accepts.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && weight.trim().replace(' ', "") != "q=0"
    })
}

fn compressed(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::default());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        assert!(accepts_gzip("br, gzip"));
        assert!(accepts_gzip("GZIP;q=0.5"));
        assert!(!accepts_gzip("gzip; q=0"));
        assert!(!accepts_gzip("identity"));
    }
}
