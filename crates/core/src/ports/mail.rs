//! Mail.

use async_trait::async_trait;
use thiserror::Error;

/// A message to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// Why a message was not sent.
#[derive(Debug, Error)]
#[error("mail to {to} was not sent: {cause}")]
pub struct MailError {
    /// Address.
    pub to: String,
    /// What the transport said.
    pub cause: String,
}

/// Sends mail: to a folder in development, by SMTP in production.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands the message to the transport.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}
