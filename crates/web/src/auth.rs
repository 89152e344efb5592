//! Who asks, and from where: session cookie, HTTP Basic, an API token, or the token of a workflow that an account trusts.
//!
//! An `Authorization` header counts before a cookie, so that a request which names its credential never borrows the
//! browser's. Requests that change something on the strength of a cookie must come from our own pages: see
//! [`crate::layers::same_origin`].

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Mutex,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use csw_app::AppError;
use csw_core::{access::Caller, account::Account};
use sha2::{Digest, Sha256};

use crate::{
    error::{ApiError, ApiResult},
    state::WebState,
};

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// As the use cases know them.
    pub(crate) caller: Caller,
    /// The account, where there is one.
    pub(crate) account: Option<Account>,
    /// From which address.
    pub(crate) from: IpAddr,
    /// The secret of the session, where one was used.
    pub(crate) session: Option<String>,
}

impl Identity {
    /// Somebody without a name.
    pub(crate) fn anonymous(parts: &Parts, state: &WebState) -> Self {
        Self { caller: Caller::Anonymous, account: None, from: address(parts, state), session: None }
    }

    fn of(parts: &Parts, state: &WebState, account: Account, session: Option<String>) -> Self {
        Self { caller: account.caller(), account: Some(account), from: address(parts, state), session }
    }

    /// The caller's name, where they have one.
    pub(crate) fn name(&self) -> Option<&str> {
        self.account.as_ref().map(|account| account.name.as_str())
    }
}

impl FromRequestParts<WebState> for Identity {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> ApiResult<Self> {
        if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
            let text = value.to_str().map_err(|_| bad("Invalid token header."))?;
            let (scheme, credential) = text.split_once(' ').unwrap_or((text, ""));
            let credential = credential.trim();
            let account = match scheme.to_ascii_lowercase().as_str() {
                "token" | "bearer" if is_signed_token(credential) => {
                    let caller = state.app.caller_of_workflow(credential).await?;
                    return Ok(Self { caller, ..Self::anonymous(parts, state) });
                }
                "token" | "bearer" => by_token(state, credential).await?,
                "basic" => by_password(state, credential, address(parts, state)).await?,
                _ => return Err(bad("Use Authorization: Token, Bearer or Basic.")),
            };
            return Ok(Self::of(parts, state, account, None));
        }
        let Some(secret) = cookie(&parts.headers, cookie_name(state)) else {
            return Ok(Self::anonymous(parts, state));
        };
        match state.app.caller_of_session(&secret).await? {
            Some(account) => Ok(Self::of(parts, state, account, Some(secret))),
            None => Ok(Self::anonymous(parts, state)),
        }
    }
}

/// Whether it is a JSON Web Token, such as workflows have, and none of ours.
fn is_signed_token(credential: &str) -> bool {
    credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

fn bad(sentence: &str) -> ApiError {
    ApiError::not_authenticated(sentence)
}

async fn by_token(state: &WebState, token: &str) -> ApiResult<Account> {
    state.app.caller_of_token(token).await?.ok_or_else(|| bad("Invalid token."))
}

/// Basic authentication takes a password, or a token in its place.
async fn by_password(state: &WebState, credential: &str, from: IpAddr) -> ApiResult<Account> {
    let decoded = STANDARD.decode(credential).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((name, password)) = decoded.as_deref().and_then(|text| text.split_once(':')) else {
        return Err(bad("Invalid basic header. Credentials not correctly base64 encoded."));
    };
    if password.len() == 40 && password.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let account = state.app.caller_of_token(password).await?;
        if let Some(account) = account.filter(|account| account.name.folded() == name.to_lowercase()) {
            return Ok(account);
        }
    }
    if let Some(expected) = state.basic.expected(name, password)
        && let Ok(account) = state.app.account_by_name(name).await
        && account.is_active
        && account.password_hash.as_deref() == Some(expected.as_str())
    {
        return Ok(account);
    }
    match state.app.log_in(name, password, from).await {
        Ok(account) => {
            state.basic.remember(name, password, &account);
            Ok(account)
        }
        Err(AppError::Invalid { .. }) => Err(bad("Invalid username/password.")),
        Err(other) => Err(other.into()),
    }
}

/// Pairs of name and password that were right a while ago, as keyed digests, with the stored hash they were right for: a
/// password hash takes tens of milliseconds, too long for each request of a client. A changed password ends them.
#[derive(Default)]
pub(crate) struct BasicCache {
    known: Mutex<HashMap<[u8; 32], String>>,
    key: std::sync::OnceLock<[u8; 16]>,
}

/// Pairs that are remembered.
const PAIRS: usize = 1_000;

impl BasicCache {
    fn digest(&self, name: &str, password: &str) -> [u8; 32] {
        let key = self.key.get_or_init(|| *uuid::Uuid::new_v4().as_bytes());
        let mut hash = Sha256::new();
        hash.update(key);
        hash.update(name.to_lowercase().as_bytes());
        hash.update([0]);
        hash.update(password.as_bytes());
        hash.finalize().into()
    }

    fn expected(&self, name: &str, password: &str) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.get(&self.digest(name, password)).cloned()
    }

    fn remember(&self, name: &str, password: &str, account: &Account) {
        let Some(hash) = &account.password_hash else { return };
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.len() >= PAIRS {
            known.clear();
        }
        known.insert(self.digest(name, password), hash.clone());
    }
}

/// The client's address, as limits count it: the peer's, or what a proxy that we trust says.
pub(crate) fn address(parts: &Parts, state: &WebState) -> IpAddr {
    let forwarded =
        parts.headers.get_all("x-forwarded-for").iter().next_back().filter(|_| state.options.trust_forwarded);
    // Earlier entries are the client's own words.
    let last = forwarded.and_then(|value| value.to_str().ok()).and_then(|list| list.rsplit(',').next());
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(peer)| peer.ip());
    counted(last.and_then(read_address).unwrap_or(peer))
}

/// An address as proxies write it, some with a port.
fn read_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

/// What belongs to one customer counts as one address: of IPv6 that is a network of 64 bits.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

fn cookie_name(state: &WebState) -> &'static str {
    if state.options.secure_cookies { "__Host-csw_session" } else { "csw_session" }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

/// The `Set-Cookie` value that keeps a session.
pub(crate) fn session_cookie(state: &WebState, secret: &str) -> String {
    let seconds = state.app.config().session_days.saturating_mul(86_400);
    cookie_text(state, secret, seconds)
}

/// The `Set-Cookie` value that forgets a session.
pub(crate) fn expired_cookie(state: &WebState) -> String {
    cookie_text(state, "", 0)
}

fn cookie_text(state: &WebState, value: &str, seconds: i64) -> String {
    let secure = if state.options.secure_cookies { "; Secure" } else { "" };
    format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", cookie_name(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_customer_are_one() {
        let of = |text| read_address(text).map(counted).map(|address| address.to_string());
        assert_eq!(of(" 192.0.2.7 ").as_deref(), Some("192.0.2.7"));
        assert_eq!(of("192.0.2.7:4711").as_deref(), Some("192.0.2.7"));
        assert_eq!(of("::ffff:192.0.2.7").as_deref(), Some("192.0.2.7"));
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("[2001:db8:1:2:ffff::1]:80"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("unknown"), None);
    }

    #[test]
    fn cookies_are_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; csw_session=secret; b=2".parse().unwrap());
        assert_eq!(cookie(&headers, "csw_session").as_deref(), Some("secret"));
        assert_eq!(cookie(&headers, "session"), None);
    }
}
