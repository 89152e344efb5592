//! Where Redis is, and a connection to it as one of its users.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisError,
    RedisResult, TlsCertificates, aio::MultiplexedConnection,
};
use thiserror::Error;
use tokio::sync::Mutex;

/// A server that does not answer for so long is not there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a text is not the address of a Redis.
#[derive(Debug, Error)]
pub enum BadAddress {
    /// It can't be read.
    #[error("it is no address of a Redis: {0}")]
    Unreadable(String),
    /// It names a user or has a password.
    #[error("it names a user, or has a password, which everybody would see who sees the address")]
    Credentials,
    /// The certificates can't be used.
    #[error("its authorities' certificates can't be used: {0}")]
    Certificates(String),
}

/// The address of a Redis, without a user.
#[derive(Debug, Clone)]
pub struct RedisAddress {
    url: String,
    /// Certificates of the authorities that its own may be signed by, as PEM; those of the system otherwise.
    ca: Option<String>,
}

impl RedisAddress {
    /// Reads `redis://HOST:PORT/NUMBER`, or `rediss://` for TLS.
    pub fn new(url: &str, ca: Option<String>) -> Result<Self, BadAddress> {
        let info = url.into_connection_info().map_err(|error| BadAddress::Unreadable(without_url(&error)))?;
        let settings = info.redis_settings();
        if settings.username().is_some() || settings.password().is_some() {
            return Err(BadAddress::Credentials);
        }
        let address = Self { url: url.to_owned(), ca };
        address.client("nobody", "nothing").map_err(|error| BadAddress::Certificates(without_url(&error)))?;
        Ok(address)
    }

    /// As it was given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authorities' certificates.
    pub(crate) fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Whether what goes there can be read on the way.
    pub fn is_clear(&self) -> bool {
        let info = self.url.as_str().into_connection_info();
        info.is_ok_and(|info| matches!(info.addr(), ConnectionAddr::Tcp(..)))
    }

    fn client(&self, user: &str, password: &str) -> RedisResult<Client> {
        let info = self.url.as_str().into_connection_info()?;
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let settings = if user.is_empty() { settings } else { settings.set_username(user).set_password(password) };
        let info = info.set_redis_settings(settings);
        match (&self.ca, info.addr()) {
            (Some(ca), ConnectionAddr::TcpTls { .. }) => {
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(ca.clone().into_bytes()) };
                Client::build_with_tls(info, certificates)
            }
            _ => Client::open(info),
        }
    }

    /// A connection as a user, made when it is first needed; as nobody with an empty name.
    pub(crate) fn link(&self, user: &str, password: &str) -> RedisResult<Link> {
        Ok(Link { client: self.client(user, password)?, connection: Mutex::default() })
    }
}

/// What an error says, which may not be an address with a password in it.
fn without_url(error: &RedisError) -> String {
    error.detail().unwrap_or_else(|| error.category()).to_owned()
}

/// A connection that is made again when it breaks.
pub(crate) struct Link {
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Link {
    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    /// Sends a command. One whose connection broke is sent once more: none of ours does harm twice.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match self.ask_once(command).await {
            Err(error) if error.is_connection_dropped() => self.ask_once(command).await,
            answer => answer,
        }
    }

    async fn ask_once<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut connection).await;
        if answer.as_ref().is_err_and(|error| !is_a_word(error)) {
            *self.connection.lock().await = None;
        }
        answer
    }
}

/// Whether an error is the server's own word, and not that it can't be reached.
pub(crate) fn is_a_word(error: &RedisError) -> bool {
    error.code().is_some() || error.kind() == ErrorKind::AuthenticationFailed
}
