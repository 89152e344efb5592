//! The server: requests of clients, and what a test does to it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Query, Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use jiff::SignedDuration;
use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    coordination::v1::Lease,
    core::v1::{self, Pod},
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    deployments::{self, Pods},
    fate::Fate,
    fault::{Fault, Faults, Verb},
    jobs,
    ledger::{Ledger, Times},
    node::{Node, NodeConfig},
    objects::{Change, Key, Objects, Refusal, identified, known, listed},
    selector::Selector,
    strict,
};

/// How often a quiet watch is told the version.
const BOOKMARKS: Duration = Duration::from_millis(200);

/// The one credential that the server takes.
const TOKEN: &str = "test-server-token";

/// A running cluster. It ends with its last handle.
pub struct Cluster {
    pub(crate) inner: Arc<Inner>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

pub(crate) struct Inner {
    pub(crate) objects: Objects,
    pub(crate) node: Node,
    faults: Mutex<Faults>,
    fates: Mutex<VecDeque<Fate>>,
    /// What Jobs suffer that were given no fate.
    usual: Mutex<Fate>,
    /// Requests that were carried out, by verb and plural.
    counts: Mutex<HashMap<(Verb, &'static str), u64>>,
    /// Counts the times that it went away, and whether it is there.
    life: watch::Sender<(u64, bool)>,
    pub(crate) ledger: Mutex<Ledger>,
    /// Pods of Deployments.
    pub(crate) pods: Mutex<Pods>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// Starts one on a free port of this machine.
    pub async fn start(node: NodeConfig) -> io::Result<Self> {
        Self::with_skew(node, SignedDuration::ZERO).await
    }

    /// The same, its clock being wrong by so much.
    pub async fn with_skew(node: NodeConfig, skew: SignedDuration) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let inner = Arc::new(Inner {
            objects: Objects::new(skew),
            node: Node::new(node)?,
            faults: Mutex::default(),
            fates: Mutex::default(),
            usual: Mutex::new(Fate::Run),
            counts: Mutex::default(),
            life: watch::Sender::new((0, true)),
            ledger: Mutex::default(),
            pods: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move {
            // A server of a test ends with it, and has nobody to tell.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { inner, address, server })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token it takes.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// Writes a kubeconfig for a namespace.
    pub fn write_kubeconfig(&self, path: &Path, namespace: &str) -> io::Result<()> {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{ "name": "test", "cluster": { "server": self.url() } }],
            "users": [{ "name": "test", "user": { "token": TOKEN } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test", "namespace": namespace } }],
        });
        std::fs::write(path, config.to_string())
    }

    /// What the next Jobs suffer, in this order.
    pub fn fates(&self, fates: impl IntoIterator<Item = Fate>) {
        lock(&self.inner.fates).extend(fates);
    }

    /// What Jobs suffer from now on that are given no fate.
    pub fn usually(&self, fate: Fate) {
        *lock(&self.inner.usual) = fate;
    }

    /// Spoils the next request of this kind.
    pub fn fault(&self, verb: Verb, plural: &'static str, fault: Fault) {
        lock(&self.inner.faults).add(verb, plural, fault);
    }

    /// Requests of this kind that were carried out.
    pub fn count(&self, verb: Verb, plural: &'static str) -> u64 {
        lock(&self.inner.counts).get(&(verb, plural)).copied().unwrap_or_default()
    }

    /// Forgets the history, so that watches get 410 and have to list again.
    pub fn expire_watches(&self) {
        self.inner.objects.forget();
    }

    /// Cuts all watches, and answers nothing until [`Self::come_up`].
    pub fn go_down(&self) {
        self.inner.life.send_modify(|(life, up)| (*life, *up) = (*life + 1, false));
    }

    /// Answers again.
    pub fn come_up(&self) {
        self.inner.life.send_modify(|(_, up)| *up = true);
    }

    /// The objects of a kind in a namespace.
    pub fn objects(&self, plural: &str, namespace: &str) -> Vec<Value> {
        self.inner.objects.list(plural, namespace).0
    }

    /// Deletes a Job as somebody with `kubectl` would.
    pub fn delete_job(&self, namespace: &str, name: &str) {
        let _ = jobs::delete(&self.inner, &("jobs", namespace.to_owned(), name.to_owned()), true);
    }

    /// Kills the process of a Job, which did not want to end.
    pub fn crash_job(&self, name: &str) {
        self.inner.node.crash(name);
    }

    /// Lets a suspended Job begin, as a queue does.
    pub fn admit(&self, namespace: &str, name: &str) {
        let key = ("jobs", namespace.to_owned(), name.to_owned());
        if self.inner.objects.change(&key, |job| job["spec"]["suspend"] = false.into()).is_some() {
            jobs::begin(&self.inner, key);
        }
    }

    /// The most Jobs that were unfinished at once.
    pub fn most_live_jobs(&self) -> usize {
        lock(&self.inner.ledger).peak
    }

    /// Every Job there was, by its name.
    pub fn times(&self) -> BTreeMap<String, Times> {
        lock(&self.inner.ledger).times.clone()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.server.abort();
        self.inner.node.kill_all();
    }
}

impl Inner {
    pub(crate) fn next_fate(&self) -> Fate {
        lock(&self.fates).pop_front().unwrap_or_else(|| lock(&self.usual).clone())
    }
}

/// A request, as it is understood.
struct Asked {
    verb: Verb,
    plural: &'static str,
    namespace: String,
    name: Option<String>,
    log: bool,
    scale: bool,
    query: HashMap<String, String>,
}

async fn answer(
    State(cluster): State<Arc<Inner>>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    if !cluster.life.borrow().1 {
        return cut();
    }
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if sent != Some(&format!("Bearer {TOKEN}")) {
        return refused(&Refusal::new(401, "Unauthorized", "Unauthorized"));
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let asked = match asked(&method, &path, query) {
        Ok(asked) => asked,
        Err(refusal) => return refused(&refusal),
    };
    let Ok(body) = axum::body::to_bytes(request.into_body(), 1 << 20).await else {
        return refused(&Refusal::new(413, "RequestEntityTooLarge", "the body is too large"));
    };
    let fault = lock(&cluster.faults).take(asked.verb, asked.plural);
    match fault {
        None | Some(Fault::AnswerLost) => {}
        Some(fault) => return spoiled(fault),
    }
    *lock(&cluster.counts).entry((asked.verb, asked.plural)).or_default() += 1;
    let answer = carry_out(&cluster, &asked, &body);
    if fault == Some(Fault::AnswerLost) {
        return cut();
    }
    answer.unwrap_or_else(|refusal| refused(&refusal))
}

fn asked(method: &Method, path: &str, query: HashMap<String, String>) -> Result<Asked, Refusal> {
    let missing = || Refusal::new(404, "NotFound", "the server could not find the requested resource");
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["api", "v1", rest @ ..] => ("v1".to_owned(), rest),
        ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
        _ => return Err(missing()),
    };
    let ["namespaces", namespace, plural, rest @ ..] = rest else { return Err(missing()) };
    let plural = known(plural, &group).ok_or_else(missing)?;
    let (name, part) = match rest {
        [] => (None, None),
        [name] => (Some((*name).to_owned()), None),
        [name, part] => (Some((*name).to_owned()), Some(*part)),
        _ => return Err(missing()),
    };
    let (log, scale) = match (plural, part) {
        (_, None) => (false, false),
        ("pods", Some("log")) => (true, false),
        ("deployments", Some("scale")) => (false, true),
        _ => return Err(missing()),
    };
    let watch = query.get("watch").is_some_and(|word| word == "true" || word == "1");
    let verb = match (method.as_str(), &name) {
        ("GET", None) if watch => Verb::Watch,
        ("GET", None) => Verb::List,
        ("GET", Some(_)) => Verb::Get,
        ("POST", None) => Verb::Create,
        ("PUT", Some(_)) => Verb::Replace,
        ("PATCH", Some(_)) => Verb::Patch,
        ("DELETE", Some(_)) => Verb::Delete,
        _ => return Err(Refusal::new(405, "MethodNotAllowed", "the server does not allow this method")),
    };
    Ok(Asked { verb, plural, namespace: (*namespace).to_owned(), name, log, scale, query })
}

fn carry_out(cluster: &Arc<Inner>, asked: &Asked, body: &Bytes) -> Result<Response, Refusal> {
    let objects = &cluster.objects;
    let key = |name: &str| -> Key { (asked.plural, asked.namespace.clone(), name.to_owned()) };
    let name = asked.name.as_deref().unwrap_or_default();
    match asked.verb {
        Verb::Get if asked.log => Ok(cluster.node.log(&key(name))?.into_response()),
        Verb::Get => Ok(json_of(200, &objects.get(&key(name))?)),
        Verb::List => list(cluster, asked),
        Verb::Watch => watch(cluster, asked),
        Verb::Create => {
            let object = decoded(asked, body)?;
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if name.is_empty() {
                return Err(Refusal::new(
                    422,
                    "Invalid",
                    "metadata.name: Required value: name or generateName is required",
                ));
            }
            let made = objects.create(&key(&name), object)?;
            if asked.plural == "jobs" {
                jobs::begin(cluster, key(&name));
            }
            Ok(json_of(201, &made))
        }
        Verb::Replace => Ok(json_of(200, &*objects.replace(&key(name), decoded(asked, body)?)?)),
        Verb::Patch => {
            let mut patch: Value = parsed(body)?;
            if asked.scale {
                // Of a scale there is nothing else to change.
                patch = json!({ "spec": { "replicas": patch["spec"]["replicas"] } });
            }
            let changed = objects.change(&key(name), |object| merge(object, &patch));
            if asked.plural == "deployments" {
                deployments::reconcile(cluster, &key(name));
            }
            changed.map(|object| json_of(200, &object)).ok_or_else(|| Refusal::new(404, "NotFound", "not found"))
        }
        Verb::Delete if asked.plural == "jobs" => {
            let options: Value = if body.is_empty() { json!({}) } else { parsed(body)? };
            let policy = options["propagationPolicy"].as_str().unwrap_or("Background");
            Ok(json_of(200, &jobs::delete(cluster, &key(name), policy != "Foreground")?))
        }
        Verb::Delete => Ok(json_of(200, &*objects.remove(&key(name))?)),
    }
}

fn list(cluster: &Inner, asked: &Asked) -> Result<Response, Refusal> {
    let selector = selector(asked)?;
    let (found, version) = cluster.objects.list(asked.plural, &asked.namespace);
    let found: Vec<Value> = found.into_iter().filter(|object| selector.matches(object)).collect();
    Ok(json_of(200, &listed(asked.plural, &found, version)))
}

fn selector(asked: &Asked) -> Result<Selector, Refusal> {
    let term = |name: &str| asked.query.get(name).map(String::as_str);
    Selector::parse(term("labelSelector"), term("fieldSelector"))
        .map_err(|message| Refusal::new(400, "BadRequest", message))
}

/// What a watch remembers between two looks.
struct Watching {
    cluster: Arc<Inner>,
    selector: Selector,
    plural: &'static str,
    namespace: String,
    version: u64,
    bookmarks: bool,
    life: watch::Receiver<(u64, bool)>,
    born: u64,
    until: tokio::time::Instant,
    over: bool,
}

fn watch(cluster: &Arc<Inner>, asked: &Asked) -> Result<Response, Refusal> {
    let version = asked.query.get("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or_default();
    cluster.objects.since(version, asked.plural, &asked.namespace)?;
    let seconds = asked.query.get("timeoutSeconds").and_then(|text| text.parse().ok()).unwrap_or(300);
    let life = cluster.life.subscribe();
    let (born, _) = *life.borrow();
    let watching = Watching {
        selector: selector(asked)?,
        plural: asked.plural,
        namespace: asked.namespace.clone(),
        version,
        bookmarks: asked.query.get("allowWatchBookmarks").is_some_and(|word| word == "true"),
        born,
        life,
        until: tokio::time::Instant::now() + Duration::from_secs(seconds),
        over: false,
        cluster: Arc::clone(cluster),
    };
    let lines = stream::unfold(watching, |mut watching| async move {
        let next = watching.next().await?;
        Some((next, watching))
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response())
}

impl Watching {
    /// The next lines; an error cuts the connection.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let mut news = self.cluster.objects.news();
        loop {
            if self.over || tokio::time::Instant::now() >= self.until {
                return None;
            }
            if self.life.borrow().0 != self.born {
                self.over = true;
                return Some(Err(io::Error::other("the server is restarted")));
            }
            match self.cluster.objects.since(self.version, self.plural, &self.namespace) {
                Err(refusal) => {
                    self.over = true;
                    return Some(Ok(line(&Event { kind: "ERROR", object: &status(&refusal) })));
                }
                Ok((changes, version)) => {
                    self.version = version;
                    let lines = self.events(&changes);
                    if !lines.is_empty() {
                        return Some(Ok(lines.into()));
                    }
                }
            }
            tokio::select! {
                _ = news.changed() => {}
                _ = self.life.changed() => {}
                () = tokio::time::sleep_until(self.until) => {}
                () = tokio::time::sleep(BOOKMARKS), if self.bookmarks => return Some(Ok(self.bookmark())),
            }
        }
    }

    fn events(&self, changes: &[Change]) -> Vec<u8> {
        let of_interest = changes.iter().filter(|change| self.selector.matches(&change.object));
        of_interest.flat_map(|change| line(&Event { kind: change.kind, object: &change.object })).collect()
    }

    fn bookmark(&self) -> Bytes {
        let object = identified(self.plural, json!({ "metadata": { "resourceVersion": self.version.to_string() } }));
        line(&Event { kind: "BOOKMARK", object: &bare(object) })
    }
}

/// A bookmark's object has the fields that the client's types need.
fn bare(mut object: Value) -> Value {
    if object["kind"] == "Event" {
        object["involvedObject"] = json!({});
    }
    object
}

/// An event of a watch.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    object: &'a Value,
}

fn line(event: &Event) -> Bytes {
    let mut text = serde_json::to_vec(event).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

/// The body as an object of the asked kind, strictly where that is asked for.
fn decoded(asked: &Asked, body: &Bytes) -> Result<Value, Refusal> {
    let object: Value = parsed(body)?;
    if asked.query.get("fieldValidation").is_some_and(|word| word == "Strict") {
        let checked = match asked.plural {
            "jobs" => strict::decode::<Job>(&object).map(drop),
            "pods" => strict::decode::<Pod>(&object).map(drop),
            "events" => strict::decode::<v1::Event>(&object).map(drop),
            "leases" => strict::decode::<Lease>(&object).map(drop),
            _ => strict::decode::<Deployment>(&object).map(drop),
        };
        checked.map_err(|message| Refusal::new(400, "BadRequest", message))?;
    }
    Ok(identified(asked.plural, object))
}

fn parsed(body: &Bytes) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::new(400, "BadRequest", error.to_string()))
}

/// RFC 7386.
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, change) in changes {
        if change.is_null() {
            if let Some(fields) = object.as_object_mut() {
                fields.remove(name);
            }
        } else {
            merge(&mut object[name.as_str()], change);
        }
    }
}

fn status(refusal: &Refusal) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": refusal.message,
        "reason": refusal.reason,
        "code": refusal.code,
    })
}

fn json_of(code: u16, value: &Value) -> Response {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, [(header::CONTENT_TYPE, "application/json")], serde_json::to_vec(value).unwrap_or_default()).into_response()
}

fn refused(refusal: &Refusal) -> Response {
    json_of(refusal.code, &status(refusal))
}

fn spoiled(fault: Fault) -> Response {
    match fault {
        Fault::TooMany(seconds) => {
            let mut answer = status(&Refusal::new(429, "TooManyRequests", "too many requests, please try again later"));
            answer["details"] = json!({ "retryAfterSeconds": seconds });
            let mut response = json_of(429, &answer);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            response
        }
        Fault::Internal => refused(&Refusal::new(500, "InternalError", "etcdserver: request timed out")),
        Fault::Unavailable => refused(&Refusal::new(503, "ServiceUnavailable", "the server is shutting down")),
        Fault::Forbidden(message) => refused(&Refusal::new(403, "Forbidden", message)),
        Fault::Conflict => refused(&Refusal::new(409, "Conflict", "the object has been modified")),
        Fault::Cut | Fault::AnswerLost => cut(),
    }
}

/// An answer whose connection breaks before it is complete.
fn cut() -> Response {
    let broken = stream::once(async { Err::<Bytes, _>(io::Error::other("cut")) });
    let mut response = Response::new(Body::from_stream(broken));
    response.headers_mut().insert(header::CONTENT_LENGTH, 10.into());
    response
}
