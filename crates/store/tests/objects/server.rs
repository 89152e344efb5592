//! A bucket in memory, and what both dialects of it do alike.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, Method, Response, StatusCode, Uri, header},
};
use bytes::Bytes;
use jiff::Timestamp;

/// A request that was read.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    /// Its path as it was meant.
    pub(crate) fn path(&self) -> String {
        percent_encoding::percent_decode_str(self.uri.path()).decode_utf8().unwrap().into_owned()
    }

    /// The parts of its query, decoded.
    pub(crate) fn query(&self) -> BTreeMap<String, String> {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let parts = self.uri.query().unwrap_or_default().split('&').filter(|part| !part.is_empty());
        parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// An object.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) put: SystemTime,
}

/// What is in the bucket, and parts that are not yet.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) objects: Mutex<BTreeMap<String, Stored>>,
    pub(crate) parts: Mutex<HashMap<String, BTreeMap<String, Bytes>>>,
}

impl Memory {
    pub(crate) fn put(&self, key: &str, bytes: Bytes) {
        let stored = Stored { bytes, put: SystemTime::now() };
        self.objects.lock().unwrap().insert(key.to_owned(), stored);
    }

    pub(crate) fn below(&self, prefix: &str) -> Vec<(String, Stored)> {
        let objects = self.objects.lock().unwrap();
        objects.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(key, one)| (key.clone(), one.clone())).collect()
    }

    /// The answer to a GET or HEAD, with headers that a signed address asks for.
    pub(crate) fn read(
        &self,
        key: &str,
        asked: &Asked,
        kind: Option<&String>,
        saved: Option<&String>,
    ) -> Response<Body> {
        let Some(stored) = self.objects.lock().unwrap().get(key).cloned() else {
            return answer(StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>");
        };
        let length = stored.bytes.len();
        let given =
            if asked.header("x-ms-range").is_empty() { asked.header("range") } else { asked.header("x-ms-range") };
        let range = given.strip_prefix("bytes=").and_then(|text| text.split_once('-')).map(|(from, until)| {
            let until = until.parse::<usize>().map_or(length, |last| (last + 1).min(length));
            (from.parse::<usize>().unwrap(), until)
        });
        if range.is_some_and(|(from, _)| from >= length) {
            return answer(StatusCode::RANGE_NOT_SATISFIABLE, "<Error><Code>InvalidRange</Code></Error>");
        }
        let (from, until) = range.unwrap_or((0, length));
        let mut builder = Response::builder()
            .header(header::ETAG, "\"tag\"")
            .header("x-goog-generation", "1")
            .header(header::LAST_MODIFIED, rfc1123(stored.put))
            .header(header::CONTENT_LENGTH, until - from)
            .header(header::CONTENT_TYPE, kind.map_or("application/octet-stream", String::as_str));
        if let Some(saved) = saved {
            builder = builder.header(header::CONTENT_DISPOSITION, saved);
        }
        if range.is_some() {
            let text = format!("bytes {from}-{}/{length}", until - 1);
            builder = builder.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, text);
        }
        let body = if asked.method == Method::HEAD { Body::empty() } else { stored.bytes.slice(from..until).into() };
        builder.body(body).unwrap()
    }
}

/// A short answer.
pub(crate) fn answer(status: StatusCode, text: &str) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::ETAG, "\"tag\"")
        .header("x-goog-generation", "1")
        .body(text.to_owned().into())
        .unwrap()
}

pub(crate) fn rfc1123(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Serves until the test ends; where.
pub(crate) async fn serve(handler: impl Fn(&Memory, &Asked) -> Response<Body> + Send + Sync + 'static) -> String {
    let (memory, handler) = (Arc::new(Memory::default()), Arc::new(handler));
    let router = Router::new().fallback(move |request: Request| {
        let (memory, handler) = (Arc::clone(&memory), Arc::clone(&handler));
        async move {
            let (head, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            handler(&memory, &Asked { method: head.method, uri: head.uri, headers: head.headers, body })
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}
