//! What every handler shares.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::extract::FromRef;
use csw_app::App;
use tokio_util::sync::CancellationToken;

use crate::{api::schema_cache::SchemaCache, auth::BasicCache};

/// What an operator decides about the face, apart from the use cases.
#[derive(Clone)]
pub struct WebOptions {
    /// Cookies are sent over HTTPS only, under a `__Host-` name. Wrong for a site on plain HTTP.
    pub secure_cookies: bool,
    /// A proxy that we trust sets `X-Forwarded-For`; its last entry is the client.
    pub trust_forwarded: bool,
    /// The text that `/metrics` answers, in Prometheus' format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// A folder for uploaded archives, until a build takes them away. Made if it is not there.
    pub uploads: PathBuf,
    /// Bytes an uploaded archive may have.
    pub upload_limit: usize,
    /// The secret that GitHub signs its webhooks with; without one, none are taken.
    pub webhook_secret: Option<Arc<str>>,
    /// Which downloads are sent on to the object storage; none, where this is not said.
    pub signed_downloads: Option<SignedDownloads>,
    /// Cancelled where this server answers a while longer, and nobody is to be sent to it any more.
    pub leaving: CancellationToken,
}

/// Downloads that the object storage serves itself, under an address that is good for a short time.
#[derive(Debug, Clone, Copy)]
pub struct SignedDownloads {
    /// Smaller ones go through us.
    pub from_bytes: u64,
    /// How long an address is good.
    pub valid: Duration,
}

impl Default for WebOptions {
    fn default() -> Self {
        Self {
            secure_cookies: false,
            trust_forwarded: false,
            metrics: Arc::new(String::new),
            uploads: std::env::temp_dir().join("csw-uploads"),
            upload_limit: 512 << 20,
            webhook_secret: None,
            signed_downloads: None,
            leaving: CancellationToken::new(),
        }
    }
}

/// The state of the router. Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    /// The use cases.
    pub app: App,
    /// What the operator decided.
    pub options: Arc<WebOptions>,
    pub(crate) schemas: Arc<SchemaCache>,
    pub(crate) basic: Arc<BasicCache>,
}

impl WebState {
    /// A state over these use cases.
    pub fn new(app: App, options: WebOptions) -> Self {
        Self { app, options: Arc::new(options), schemas: Arc::default(), basic: Arc::default() }
    }
}

impl FromRef<WebState> for App {
    fn from_ref(state: &WebState) -> Self {
        state.app.clone()
    }
}
