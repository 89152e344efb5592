//! Requests to the servers of remote stores: with time limits, and tried again while a server is busy or out of reach.

use std::{path::Path, time::Duration};

use csw_core::{
    causes::with_causes,
    ports::{SecretError, SecretResult},
};
use reqwest::{Certificate, Client, RequestBuilder, StatusCode, header};
use serde_json::Value;

/// Times that a request is made.
const TRIES: u32 = 5;

/// Before the second time; twice as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// What a server asks to wait is heeded up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// An answer that is no passing trouble.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// A client for one server, which may have a certificate authority of its own.
pub(crate) fn client(authority: Option<&Path>) -> SecretResult<Client> {
    let what = "the client of the secret store".to_owned();
    let mut builder = Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(20))
        // A redirect would carry the credential to whoever is named in it.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("csw/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = authority {
        let refused = |cause: String| SecretError::Refused {
            what: what.clone(),
            cause: format!("{}: {cause}", path.display()),
            way_out: "Name the PEM file of the server's certificate authority as `ca_file`".to_owned(),
        };
        let pem = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
        let known = Certificate::from_pem_bundle(&pem).map_err(|error| refused(error.to_string()))?;
        builder = builder.tls_certs_only(known);
    }
    builder.build().map_err(|error| SecretError::Unavailable { what, cause: chain(&error) })
}

/// Sends what `request` makes until the server answers for good. `what` says what is asked, of which object.
pub(crate) async fn send(what: &str, request: impl Fn() -> RequestBuilder) -> SecretResult<Answer> {
    let mut pause = FIRST_PAUSE;
    for left in (0..TRIES).rev() {
        let (cause, wanted) = match request().send().await {
            Ok(response) if is_passing(response.status()) => {
                let wanted = response
                    .headers()
                    .get(header::RETRY_AFTER)
                    .and_then(|value| value.to_str().ok()?.parse().ok())
                    .map(Duration::from_secs);
                (format!("the server answers {}", response.status()), wanted)
            }
            Ok(response) => {
                let status = response.status();
                match response.bytes().await {
                    Ok(bytes) => {
                        return Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() });
                    }
                    Err(error) => (chain(&error), None),
                }
            }
            Err(error) => (chain(&error), None),
        };
        if left == 0 {
            return Err(SecretError::Unavailable { what: what.to_owned(), cause });
        }
        tracing::debug!(what, cause, "a secret store is asked again");
        tokio::time::sleep(wanted.unwrap_or(pause).min(LONGEST_PAUSE)).await;
        pause *= 2;
    }
    Err(SecretError::Unavailable { what: what.to_owned(), cause: "it was not asked".to_owned() })
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT
}

/// An error and its causes on one line, without the URL, which may name more than a reader of logs should know.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let text = if error.is_timeout() {
        "the server does not answer in time"
    } else if error.is_connect() {
        "the server can't be reached"
    } else {
        "the answer can't be read"
    };
    with_causes(text.to_owned(), error)
}
