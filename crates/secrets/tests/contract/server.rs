//! A local server that stands for a remote store: its rules, and troubles to order.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

/// Troubles that the next requests meet.
#[derive(Default)]
pub struct Troubles {
    /// Statuses that the next requests get instead of an answer.
    passing: Vec<StatusCode>,
    /// What every writing request is refused with: the status, and a body in which `{}` is what was sent.
    refusal: Option<(StatusCode, String)>,
    /// The token that is good now.
    pub token: String,
    /// Requests so far, as `METHOD path`.
    pub asked: Vec<String>,
}

#[derive(Clone)]
pub struct Server {
    pub url: String,
    pub troubles: Arc<Mutex<Troubles>>,
    kept: Arc<dyn Fn() -> String + Send + Sync>,
}

impl Server {
    /// Serves these routes; `kept` tells all values that the server still has, in the clear.
    pub async fn start(
        routes: impl FnOnce(Arc<Mutex<Troubles>>) -> Router,
        kept: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        let troubles = Arc::new(Mutex::new(Troubles { token: "token-1".to_owned(), ..Troubles::default() }));
        let router = routes(Arc::clone(&troubles)).layer(middleware::from_fn_with_state(Arc::clone(&troubles), meet));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, troubles, kept: Arc::new(kept) }
    }

    pub fn kept(&self) -> String {
        (self.kept)()
    }

    /// The next requests get these statuses instead of an answer.
    pub fn trouble(&self, statuses: &[u16]) {
        let statuses = statuses.iter().rev().map(|status| StatusCode::from_u16(*status).unwrap());
        self.troubles.lock().unwrap().passing.extend(statuses);
    }

    /// From now on writing is refused.
    pub fn refuse(&self, status: u16, body: &str) {
        self.troubles.lock().unwrap().refusal = Some((StatusCode::from_u16(status).unwrap(), body.to_owned()));
    }

    /// Another token is good from now on.
    pub fn renew(&self, token: &str) {
        token.clone_into(&mut self.troubles.lock().unwrap().token);
    }

    /// What was asked since the last time.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.troubles.lock().unwrap().asked)
    }
}

async fn meet(State(troubles): State<Arc<Mutex<Troubles>>>, request: Request, next: Next) -> Response {
    let about_tokens = request.uri().path().contains("/token") || request.uri().path().contains("/login");
    let writes = request.method() != "GET" && !about_tokens;
    let (passing, refusal) = {
        let mut troubles = troubles.lock().unwrap();
        troubles.asked.push(format!("{} {}", request.method(), request.uri()));
        let passing = if about_tokens { None } else { troubles.passing.pop() };
        (passing, troubles.refusal.clone().filter(|_| writes))
    };
    if let Some(status) = passing {
        return (status, [("retry-after", "0")], "busy").into_response();
    }
    if let Some((status, body)) = refusal {
        let sent = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
        let sent = String::from_utf8(sent.to_vec()).unwrap().replace('\\', "").replace('"', "'");
        return (status, [("content-type", "application/json")], Body::from(body.replace("{}", &sent))).into_response();
    }
    next.run(request).await
}
