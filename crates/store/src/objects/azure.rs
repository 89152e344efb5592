//! What Azure does its own way: connection strings, and signed addresses that say which headers the answer has.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use csw_core::ports::DownloadHeaders;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

/// The version of the service whose rules the signature follows.
const VERSION: &str = "2021-12-02";

/// What stays as it is in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The parts of a connection string.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) account: Option<String>,
    pub(super) key: String,
    pub(super) endpoint: Option<String>,
}

/// Reads a connection string; any other text is a key.
pub(super) fn connection(text: &str) -> Connection {
    let part = |name: &str| {
        text.trim()
            .split(';')
            .find_map(|part| part.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, value)| value)
    };
    match part("AccountKey") {
        Some(key) => Connection {
            account: part("AccountName").map(str::to_owned),
            key: key.to_owned(),
            endpoint: part("BlobEndpoint").map(str::to_owned),
        },
        None => Connection { account: None, key: text.trim().to_owned(), endpoint: None },
    }
}

/// Signs addresses of blobs with an account's key.
#[derive(Clone)]
pub(super) struct SasSigner {
    account: String,
    key: Vec<u8>,
    container: String,
    endpoint: String,
}

impl SasSigner {
    /// `None` if the key is none.
    pub(super) fn new(account: &str, key: &str, container: &str, endpoint: Option<&str>) -> Option<Self> {
        let own = || format!("https://{account}.blob.core.windows.net");
        Some(Self {
            account: account.to_owned(),
            key: BASE64_STANDARD.decode(key.trim()).ok()?,
            container: container.to_owned(),
            endpoint: endpoint.map_or_else(own, |url| url.trim_end_matches('/').to_owned()),
        })
    }

    /// An address that reads one blob until `valid` is over.
    pub(super) fn sign(
        &self,
        blob: &str,
        headers: &DownloadHeaders,
        now: Timestamp,
        valid: Duration,
    ) -> Option<String> {
        let expiry = now.checked_add(valid).ok()?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let protocols = if self.endpoint.starts_with("https://") { "https" } else { "https,http" };
        let resource = format!("/blob/{}/{}/{blob}", self.account, self.container);
        let (disposition, kind) = (&headers.content_disposition, &headers.content_type);
        // Permissions, start, expiry, resource, identifier, address, protocol, version, kind of resource, snapshot,
        // encryption scope, then the answer's caching, disposition, encoding, language and type.
        let text = format!("r\n\n{expiry}\n{resource}\n\n\n{protocols}\n{VERSION}\nb\n\n\n\n{disposition}\n\n\n{kind}");
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(text.as_bytes());
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        let query = [
            ("sv", VERSION),
            ("sp", "r"),
            ("se", &expiry),
            ("sr", "b"),
            ("spr", protocols),
            ("rscd", disposition),
            ("rsct", kind),
            ("sig", &signature),
        ]
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .join("&");
        Some(format!("{}/{}/{}?{query}", self.endpoint, self.container, utf8_percent_encode(blob, PATH)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_has_parts_and_a_key_is_one() {
        let text = "DefaultEndpointsProtocol=https;AccountName=site;AccountKey=a2V5PT0=;BlobEndpoint=https://b/";
        let parts = connection(text);
        assert_eq!((parts.account.as_deref(), parts.key.as_str()), (Some("site"), "a2V5PT0="));
        assert_eq!(parts.endpoint.as_deref(), Some("https://b/"));
        assert_eq!(connection("a2V5PT0=\n"), Connection { account: None, key: "a2V5PT0=".to_owned(), endpoint: None });
    }
}
