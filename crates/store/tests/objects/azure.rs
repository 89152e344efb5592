//! Azure Blob Storage, by a local server that checks the shared key's signature of every request, and those of signed
//! addresses.

use std::fmt::Write as _;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Response, StatusCode},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use csw_store::{BucketConfig, BucketCredentials, Provider};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use crate::{
    server::{Asked, Memory, answer, rfc1123, serve},
    suite,
};

const ACCOUNT: &str = "sitestore";
const KEY: &[u8] = b"the key of an account in tests";

fn signature(text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// What the shared key signs of a request.
fn request_text(asked: &Asked) -> String {
    let length = Some(asked.header("content-length")).filter(|length| *length != "0").unwrap_or_default();
    let mut lines =
        vec![asked.method.as_str(), asked.header("content-encoding"), asked.header("content-language"), length];
    let rest = [
        "content-md5",
        "content-type",
        "date",
        "if-modified-since",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "range",
    ];
    lines.extend(rest.map(|name| asked.header(name)));
    let mut own: Vec<String> = asked
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-ms-"))
        .map(|name| format!("{name}:{}", asked.header(name.as_str())))
        .collect();
    own.sort();
    let mut text = lines.iter().map(|line| (*line).to_owned()).chain(own).collect::<Vec<_>>().join("\n");
    write!(text, "\n/{ACCOUNT}{}", asked.uri.path()).unwrap();
    for (name, value) in asked.query() {
        write!(text, "\n{}:{value}", name.to_lowercase()).unwrap();
    }
    text
}

/// Whether an address is signed for this blob, for reading, and still good.
fn is_address(asked: &Asked) -> Option<bool> {
    let query = asked.query();
    let get = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let resource = format!("/blob/{ACCOUNT}{}", asked.path());
    let parts = [
        get("sp"),
        get("st"),
        get("se"),
        &resource,
        get("si"),
        get("sip"),
        get("spr"),
        get("sv"),
        get("sr"),
        "",
        "",
        get("rscc"),
        get("rscd"),
        get("rsce"),
        get("rscl"),
        get("rsct"),
    ];
    let good = get("se").parse::<Timestamp>().ok()? > Timestamp::now();
    let reads = get("sp") == "r" && [Method::GET, Method::HEAD].contains(&asked.method);
    Some(good && reads && get("sr") == "b" && signature(&parts.join("\n")) == get("sig"))
}

fn respond(memory: &Memory, asked: &Asked) -> Response<Body> {
    let allowed = match asked.header("authorization").strip_prefix("SharedKey ") {
        Some(given) => given == format!("{ACCOUNT}:{}", signature(&request_text(asked))),
        None => is_address(asked) == Some(true),
    };
    if !allowed {
        return answer(StatusCode::FORBIDDEN, "<Error><Code>AuthenticationFailed</Code></Error>");
    }
    let (path, query) = (asked.path(), asked.query());
    let Some(key) = path.strip_prefix("/results").map(|rest| rest.trim_start_matches('/')) else {
        return answer(StatusCode::NOT_FOUND, "<Error><Code>ContainerNotFound</Code></Error>");
    };
    let part = query.get("comp").map(String::as_str);
    match (&asked.method, part) {
        (&Method::GET, Some("list")) => list(memory, query.get("prefix")),
        (&Method::GET | &Method::HEAD, None) => memory.read(key, asked, query.get("rsct"), query.get("rscd")),
        (&Method::PUT, Some("block")) => {
            let block = query["blockid"].clone();
            memory.parts.lock().unwrap().entry(key.to_owned()).or_default().insert(block, asked.body.clone());
            answer(StatusCode::CREATED, "")
        }
        (&Method::PUT, Some("blocklist")) => {
            let list = String::from_utf8_lossy(&asked.body);
            let parts = memory.parts.lock().unwrap().remove(key).unwrap_or_default();
            let named = list.split("<Uncommitted>").skip(1).filter_map(|rest| rest.split_once("</Uncommitted>"));
            let bytes: Vec<u8> = named.flat_map(|(block, _)| parts[block].to_vec()).collect();
            memory.put(key, bytes.into());
            answer(StatusCode::CREATED, "")
        }
        (&Method::PUT, None) => {
            if asked.header("x-ms-blob-type") != "BlockBlob" {
                return answer(StatusCode::BAD_REQUEST, "<Error><Code>MissingRequiredHeader</Code></Error>");
            }
            if asked.header("if-none-match") == "*" && memory.objects.lock().unwrap().contains_key(key) {
                return answer(StatusCode::CONFLICT, "<Error><Code>BlobAlreadyExists</Code></Error>");
            }
            memory.put(key, asked.body.clone());
            answer(StatusCode::CREATED, "")
        }
        (&Method::POST, Some("batch")) => batch(memory, asked),
        (&Method::DELETE, None) => {
            let was = memory.objects.lock().unwrap().remove(key);
            answer(if was.is_some() { StatusCode::ACCEPTED } else { StatusCode::NOT_FOUND }, "")
        }
        _ => answer(StatusCode::METHOD_NOT_ALLOWED, ""),
    }
}

/// Several requests in one, each of which is signed for itself.
fn batch(memory: &Memory, asked: &Asked) -> Response<Body> {
    let boundary = asked.header("content-type").split_once("boundary=").unwrap().1.to_owned();
    let (body, mut answers) = (String::from_utf8_lossy(&asked.body), String::new());
    for part in body.split(&format!("--{boundary}")).filter(|part| part.contains("HTTP/1.1")) {
        let (head, request) = part.split_once("\r\n\r\n").unwrap();
        let id = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-id: ").map(str::to_owned));
        let mut lines = request.lines();
        let mut words = lines.next().unwrap().split(' ');
        let (method, uri) = (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap());
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.trim().parse::<HeaderValue>().unwrap()))
            .collect();
        let status = respond(memory, &Asked { method, uri, headers, body: Bytes::new() }).status();
        write!(
            answers,
            "--answers\r\nContent-Type: application/http\r\nContent-ID: {}\r\n\r\nHTTP/1.1 {} Done\r\nx-ms-version: \
             2021-12-02\r\n\r\n",
            id.unwrap(),
            status.as_u16()
        )
        .unwrap();
    }
    answers.push_str("--answers--\r\n");
    Response::builder()
        .status(StatusCode::ACCEPTED)
        .header("content-type", "multipart/mixed; boundary=answers")
        .body(answers.into())
        .unwrap()
}

fn list(memory: &Memory, prefix: Option<&String>) -> Response<Body> {
    let blobs: Vec<String> = memory
        .below(prefix.map_or("", String::as_str))
        .into_iter()
        .map(|(key, stored)| {
            format!(
                "<Blob><Name>{key}</Name><Properties><Last-Modified>{}</Last-Modified><Content-Length>{}</Content-Length>\
                 <Content-Type>application/octet-stream</Content-Type><Etag>tag</Etag></Properties></Blob>",
                rfc1123(stored.put),
                stored.bytes.len()
            )
        })
        .collect();
    let text = format!(
        "<?xml version=\"1.0\"?><EnumerationResults><Blobs>{}</Blobs><NextMarker/></EnumerationResults>",
        blobs.concat()
    );
    answer(StatusCode::OK, &text)
}

#[tokio::test]
async fn azure_blob_storage_keeps_the_contract() {
    let url = serve(respond).await;
    let with = |key: &[u8]| {
        let key = BASE64_STANDARD.encode(key);
        let text = format!("AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={url}");
        BucketConfig {
            // Where it asks is taken from here; how it is asked, from the text.
            endpoint: Some(url.clone()),
            credentials: BucketCredentials::Text(text),
            ..BucketConfig::new(Provider::Azure, "results")
        }
    };
    suite::run_bucket(&with(KEY)).await;
    suite::refuses(with(b"another key"), &BASE64_STANDARD.encode(b"another key")).await;
}
