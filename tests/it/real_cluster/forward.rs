//! A way to the inputs servers of the cluster for a server that is not in it: kubectl forwards a port of their pods.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use csw_tests::Result;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use super::kubectl::{Kubectl, Way};

/// Passes `/NAME/...` on to a pod of the inputs server of this name.
pub(super) struct Forward {
    address: SocketAddr,
    server: JoinHandle<()>,
    ways: Arc<Ways>,
}

struct Ways {
    kubectl: Kubectl,
    client: reqwest::Client,
    /// By pod.
    open: Mutex<HashMap<String, Way>>,
}

impl Forward {
    pub(super) async fn start(kubectl: Kubectl) -> Result<Self> {
        // Every client needs cryptography, this one too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build()?;
        let ways = Arc::new(Ways { kubectl, client, open: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(pass).with_state(Arc::clone(&ways));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, server, ways })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.server.abort();
        self.ways.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

async fn pass(State(ways): State<Arc<Ways>>, request: Request) -> Response {
    match forward(&ways, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

async fn forward(ways: &Arc<Ways>, request: Request) -> Result<Response> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let (name, rest) = path.split_once('/').context("the name of an inputs server")?;
    let (own, name) = (Arc::clone(ways), name.to_owned());
    let port = tokio::task::spawn_blocking(move || own.port(&name)).await??;
    let (head, body) = request.into_parts();
    let mut passed = ways.client.request(head.method, format!("http://127.0.0.1:{port}/{rest}"));
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != "host" && *name != "content-length") {
        passed = passed.header(name, value);
    }
    let answer = passed.body(axum::body::to_bytes(body, 1 << 20).await?).send().await?;
    let status = answer.status();
    Ok((status, Body::from_stream(answer.bytes_stream())).into_response())
}

impl Ways {
    /// The port of this machine that leads to a pod of an inputs server, opened where it is not yet.
    fn port(&self, name: &str) -> Result<u16> {
        let pods = self.kubectl.list("pods", &format!("studio.compute/inputs={name}"))?;
        let pod = pods.iter().find(|pod| is_ready(pod)).context("no pod of it is ready")?;
        let pod = pod["metadata"]["name"].as_str().context("its name")?.to_owned();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(way) = open.get(&pod) {
            return Ok(way.port());
        }
        let way = Way::open(self.kubectl.command(&["port-forward", &format!("pod/{pod}"), ":8888"]))?;
        let port = way.port();
        open.insert(pod, way);
        Ok(port)
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    pod["metadata"]["deletionTimestamp"].is_null() && conditions.is_some_and(|all| all.iter().any(ready))
}
