//! What registries do to those who push: they are down, slow, refuse, are full, lose the thread. Each ends in a
//! sentence that names the registry and the way out, or is survived.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;

use super::{
    Credentials, ImageError, Layout, Patience, Place, PushOptions, Pushed,
    oci::{self, Manifest},
    push,
};

const LAYER: usize = 3 << 20;

/// What goes wrong, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Each request waits for ever.
    Silent,
    /// Every write ends so.
    Refuses(StatusCode, &'static str),
    /// So many requests end so.
    Passing(StatusCode, u32),
    /// The first time, an upload is cut after so many bytes.
    Cuts(usize),
    /// So many uploads arrive with a byte too many.
    Spoils(u32),
}

struct Fake {
    fault: Fault,
    times: AtomicU32,
    /// A token that has to be shown, and what it was asked for.
    token: Option<&'static str>,
    scopes: Mutex<Vec<String>>,
    blobs: Mutex<HashMap<String, Vec<u8>>>,
    uploads: Mutex<HashMap<String, Vec<u8>>>,
    ranges: Mutex<Vec<String>>,
}

impl Fake {
    fn new(fault: Fault) -> Arc<Self> {
        Self::with_token(fault, None)
    }

    fn with_token(fault: Fault, token: Option<&'static str>) -> Arc<Self> {
        Arc::new(Self {
            fault,
            times: AtomicU32::new(0),
            token,
            scopes: Mutex::default(),
            blobs: Mutex::default(),
            uploads: Mutex::default(),
            ranges: Mutex::default(),
        })
    }
}

/// Serves it, and tells its address.
async fn serve(fake: &Arc<Fake>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new().fallback(answer).with_state((Arc::clone(fake), address.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn said(status: StatusCode, code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": message, "detail": message }] });
    (status, axum::Json(body)).into_response()
}

async fn answer(State((fake, address)): State<(Arc<Fake>, String)>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let headers = request.headers().clone();
    if path == "/token" {
        fake.scopes.lock().unwrap().push(query);
        return match headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
            Some("Basic bWU6cGFzcw==") => axum::Json(serde_json::json!({ "token": fake.token })).into_response(),
            _ => said(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "wrong password"),
        };
    }
    if let Some(token) = fake.token
        && headers.get(header::AUTHORIZATION).is_none_or(|value| value != &format!("Bearer {token}"))
    {
        let challenge = format!("Bearer realm=\"http://{address}/token\",service=\"fake\"");
        let mut refusal = said(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
        refusal.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.parse().unwrap());
        return refusal;
    }
    match fake.fault {
        Fault::Silent => tokio::time::sleep(Duration::from_mins(10)).await,
        Fault::Refuses(status, message) if method != Method::HEAD => return said(status, "DENIED", message),
        Fault::Passing(status, times) if fake.times.fetch_add(1, Ordering::Relaxed) < times => {
            let mut passing = said(status, "TOOMANYREQUESTS", "later");
            passing.headers_mut().insert(header::RETRY_AFTER, "0".parse().unwrap());
            return passing;
        }
        _ => {}
    }
    carry_out(&fake, &method, &path, &query, &headers, request.into_body()).await
}

async fn carry_out(fake: &Fake, method: &Method, path: &str, query: &str, headers: &HeaderMap, body: Body) -> Response {
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    if path.contains("/manifests/") {
        return StatusCode::CREATED.into_response();
    }
    let is_upload = path.contains("/blobs/uploads/");
    if !is_upload {
        let known = fake.blobs.lock().unwrap().contains_key(&name);
        return if known { StatusCode::OK } else { StatusCode::NOT_FOUND }.into_response();
    }
    let place = |name: &str| [(header::LOCATION, format!("/v2/x/blobs/uploads/{name}"))];
    match *method {
        Method::POST => {
            let id = uuid::Uuid::new_v4().to_string();
            fake.uploads.lock().unwrap().insert(id.clone(), vec![]);
            (StatusCode::ACCEPTED, place(&id)).into_response()
        }
        Method::GET => match fake.uploads.lock().unwrap().get(&name).map(Vec::len) {
            Some(length) => {
                let range = [(header::RANGE, format!("0-{}", length.saturating_sub(1)))];
                (StatusCode::NO_CONTENT, range, place(&name)).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::PATCH => {
            let range = headers.get(header::CONTENT_RANGE).map(|value| value.to_str().unwrap().to_owned());
            fake.ranges.lock().unwrap().extend(range);
            let cut = match fake.fault {
                Fault::Cuts(bytes) if fake.times.fetch_add(1, Ordering::Relaxed) == 0 => bytes,
                _ => usize::MAX,
            };
            let mut stream = body.into_data_stream();
            while let Some(Ok(chunk)) = stream.next().await {
                let mut uploads = fake.uploads.lock().unwrap();
                let got = uploads.get_mut(&name).unwrap();
                got.extend_from_slice(&chunk);
                if got.len() >= cut {
                    return said(StatusCode::BAD_GATEWAY, "UNKNOWN", "lost");
                }
            }
            (StatusCode::ACCEPTED, place(&name)).into_response()
        }
        _ => {
            let mut bytes = fake.uploads.lock().unwrap().remove(&name).unwrap();
            if matches!(fake.fault, Fault::Spoils(times) if fake.times.fetch_add(1, Ordering::Relaxed) < times) {
                bytes.push(0);
            }
            let digest = query.strip_prefix("digest=").unwrap();
            if oci::digest(&bytes) != digest {
                return said(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "digest invalid");
            }
            fake.blobs.lock().unwrap().insert(digest.to_owned(), bytes);
            StatusCode::CREATED.into_response()
        }
    }
}

/// A folder with a small image that does not compress.
fn layout() -> (tempfile::TempDir, Layout) {
    let place = tempfile::tempdir().unwrap();
    let layout = Layout::open(place.path()).unwrap();
    let mut state = 1_u32;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(LAYER)
    .collect();
    let layer = layout.put(oci::LAYER, &bytes).unwrap();
    let config = layout.put(oci::CONFIG, b"{}").unwrap();
    let manifest = Manifest {
        schema_version: 2,
        media_type: oci::MANIFEST.to_owned(),
        config,
        layers: vec![layer],
        annotations: BTreeMap::new(),
    };
    let manifest = layout.put(oci::MANIFEST, &serde_json::to_vec(&manifest).unwrap()).unwrap();
    layout.name("ann/null:1", &manifest).unwrap();
    (place, layout)
}

async fn send(address: &str, credentials: Option<Credentials>) -> Result<Pushed, ImageError> {
    let (_place, layout) = layout();
    push::push(&layout, &"ann/Null".parse().unwrap(), "1", options(address, credentials), &()).await
}

fn options(address: &str, credentials: Option<Credentials>) -> PushOptions {
    PushOptions {
        place: Place::parse(&format!("{address}/studio")).unwrap(),
        tag: None,
        // Never those of the machine that runs the tests.
        credentials: Some(credentials.unwrap_or(Credentials { user: "me".into(), password: "pass".into() })),
        insecure: false,
        patience: Patience { attempts: 3, pause: Duration::from_millis(20), silence: Duration::from_millis(400) },
    }
}

async fn refusal(fault: Fault) -> String {
    let address = serve(&Fake::new(fault)).await;
    let error = send(&address, None).await.unwrap_err();
    let sentence = error.to_string();
    assert!(sentence.contains(&address), "{sentence}");
    sentence
}

#[tokio::test]
async fn a_registry_that_is_down_is_told_with_what_to_do() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = send(&address, None).await.unwrap_err();
    assert!(error.is_temporary(), "{error:?}");
    let sentence = error.to_string();
    assert!(sentence.contains("does not answer") && sentence.contains("try again"), "{sentence}");
}

#[tokio::test]
async fn a_registry_that_falls_silent_is_not_waited_for_without_end() {
    let sentence = tokio::time::timeout(Duration::from_secs(20), refusal(Fault::Silent)).await.unwrap();
    assert!(sentence.contains("took no more bytes"), "{sentence}");
}

#[tokio::test]
async fn a_refusal_names_who_asked_and_for_what() {
    let sentence = refusal(Fault::Refuses(StatusCode::FORBIDDEN, "no right here")).await;
    for part in ["`me`", "studio/ann/null", "no right here", "--registry"] {
        assert!(sentence.contains(part), "{sentence}");
    }
    let sentence = refusal(Fault::Refuses(StatusCode::UNAUTHORIZED, "who are you")).await;
    assert!(sentence.contains("who are you") && sentence.contains("CSW_REGISTRY_USER"), "{sentence}");
}

#[tokio::test]
async fn a_full_registry_is_told_from_a_failing_one() {
    for (status, message) in [
        (StatusCode::PAYLOAD_TOO_LARGE, "too large"),
        (StatusCode::INSUFFICIENT_STORAGE, "no room"),
        (StatusCode::INTERNAL_SERVER_ERROR, "write: no space left on device"),
    ] {
        let sentence = refusal(Fault::Refuses(status, message)).await;
        assert!(sentence.contains("has no room") && sentence.contains(&LAYER.to_string()), "{sentence}");
    }
    let sentence = refusal(Fault::Refuses(StatusCode::INTERNAL_SERVER_ERROR, "broken")).await;
    assert!(sentence.contains("failed 3 times") && sentence.contains("broken"), "{sentence}");
    let sentence = refusal(Fault::Refuses(StatusCode::IM_A_TEAPOT, "tea")).await;
    assert!(sentence.contains("Is the address that of a registry?"), "{sentence}");
}

#[tokio::test]
async fn what_passes_is_survived() {
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_GATEWAY] {
        let address = serve(&Fake::new(Fault::Passing(status, 2))).await;
        let pushed = send(&address, None).await.unwrap();
        assert_eq!((pushed.layers_sent, pushed.layers_present), (1, 0));
        assert!(pushed.reference.starts_with(&format!("{address}/studio/ann/null@sha256:")), "{}", pushed.reference);
    }
}

#[tokio::test]
async fn an_upload_that_was_cut_goes_on_where_it_was() {
    let fake = Fake::new(Fault::Cuts(LAYER / 2));
    let address = serve(&fake).await;
    let pushed = send(&address, None).await.unwrap();
    let ranges = fake.ranges.lock().unwrap().clone();
    assert_eq!(ranges.len(), 1, "{ranges:?}");
    let from: usize = ranges[0].split('-').next().unwrap().parse().unwrap();
    assert!(from >= LAYER / 2 && ranges[0].ends_with(&format!("-{}", LAYER - 1)), "{ranges:?}");
    // Half of it again at the very most: what was under way when it was cut.
    assert!(pushed.bytes_sent < (LAYER + LAYER / 2 + 4096) as u64, "{}", pushed.bytes_sent);
    assert_eq!(fake.blobs.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_arrived_wrong_is_sent_again_and_then_told() {
    let address = serve(&Fake::new(Fault::Spoils(2))).await;
    assert_eq!(send(&address, None).await.unwrap().layers_sent, 1);
    let sentence = refusal(Fault::Spoils(u32::MAX)).await;
    assert!(sentence.contains("got other bytes of blob sha256:") && sentence.contains("proxy"), "{sentence}");
}

#[tokio::test]
async fn a_layer_that_was_damaged_here_is_removed_so_that_it_is_made_again() {
    let (_place, layout) = layout();
    let (_, manifest) = layout.find("ann/null:1").unwrap().unwrap();
    let path = layout.blob(&manifest.layers[0].digest).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[7] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let address = serve(&Fake::new(Fault::None)).await;
    let error = push::push(&layout, &"ann/Null".parse().unwrap(), "1", options(&address, None), &()).await.unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_token_is_asked_for_what_is_done_and_a_wrong_password_is_told() {
    let fake = Fake::with_token(Fault::None, Some("t0ken"));
    let address = serve(&fake).await;
    send(&address, None).await.unwrap();
    let scopes = fake.scopes.lock().unwrap().clone();
    assert_eq!(scopes.len(), 1, "{scopes:?}");
    assert!(scopes[0].contains("scope=repository%3Astudio%2Fann%2Fnull%3Apull%2Cpush"), "{scopes:?}");
    let wrong = Credentials { user: "me".into(), password: "wr0ng".into() };
    let sentence = send(&address, Some(wrong)).await.unwrap_err().to_string();
    assert!(
        sentence.contains("does not know `me`, or not with this password") && sentence.contains("wrong password"),
        "{sentence}"
    );
    assert!(!sentence.contains("wr0ng"), "{sentence}");
}

#[tokio::test]
async fn an_image_that_was_not_built_is_told_with_those_that_were() {
    let (_place, layout) = layout();
    let options = PushOptions {
        place: Place::parse("127.0.0.1:9/x").unwrap(),
        tag: None,
        credentials: None,
        insecure: false,
        patience: Patience::default(),
    };
    let error = push::push(&layout, &"ann/Null".parse().unwrap(), "2", options, &()).await.unwrap_err().to_string();
    assert!(error.contains("only 1") && error.contains("build --image"), "{error}");
}
