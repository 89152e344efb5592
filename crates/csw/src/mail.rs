//! Mail: files in a folder, or SMTP. Both are chosen by the settings.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use csw_core::ports::{Mail, MailError, Mailer};
use lettre::{
    AsyncFileTransport, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor, message::Mailbox,
    message::header::ContentType,
};

use crate::failure::{Failure, Outcome};

/// Where mail goes.
enum Transport {
    /// A file a message, for a site that has no mail yet.
    Folder(AsyncFileTransport<Tokio1Executor>),
    /// A mail server.
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

/// Sends mail from one address.
pub(crate) struct Post {
    from: Mailbox,
    transport: Transport,
}

impl Post {
    /// Writes each message into a file of `folder`.
    pub(crate) fn to_folder(from: &str, folder: PathBuf) -> Outcome<Self> {
        std::fs::create_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))?;
        Ok(Self { from: address(from)?, transport: Transport::Folder(AsyncFileTransport::new(folder)) })
    }

    /// Hands each message to the server at `url`: `smtps://USER:PASSWORD@HOST` or `smtp://HOST:PORT?tls=required`.
    pub(crate) fn to_smtp(from: &str, url: &str) -> Outcome<Self> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|error| {
            // The URL holds a password, so it is not repeated.
            Failure::usage(
                format!("the URL of the mail server can't be used: {error}"),
                "write smtps://USER:PASSWORD@HOST",
            )
        })?;
        let transport = builder.timeout(Some(Duration::from_secs(30))).build();
        Ok(Self { from: address(from)?, transport: Transport::Smtp(transport) })
    }
}

fn address(text: &str) -> Outcome<Mailbox> {
    text.parse().map_err(|error| {
        Failure::usage(format!("`{text}` is no address for mail: {error}"), "write `Name <name@example.org>`")
    })
}

#[async_trait]
impl Mailer for Post {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let failed = |cause: String| MailError { to: mail.to.clone(), cause };
        let to: Mailbox = mail.to.parse().map_err(|error| failed(format!("no address: {error}")))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(mail.subject.clone())
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.clone())
            .map_err(|error| failed(error.to_string()))?;
        match &self.transport {
            Transport::Folder(folder) => {
                folder.send(message).await.map(drop).map_err(|error| failed(error.to_string()))
            }
            Transport::Smtp(server) => server.send(message).await.map(drop).map_err(|error| failed(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_becomes_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let post = Post::to_folder("Compute Studio <no-reply@localhost>", folder.path().join("mail")).unwrap();
        let mail =
            Mail { to: "ann@example.org".to_owned(), subject: "Ready".to_owned(), body: "It is done.\n".to_owned() };
        post.send(&mail).await.unwrap();
        let file = std::fs::read_dir(folder.path().join("mail")).unwrap().next().unwrap().unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(text.contains("To: ann@example.org") && text.contains("It is done."), "{text}");
        let refused = post.send(&Mail { to: "nobody".to_owned(), ..mail }).await;
        assert!(refused.is_err());
    }
}
