//! Mail by SMTP, to a server that is really asked.

use std::time::Duration;

use csw_tests::{MailServer, Result, Server, csw};
use serde_json::{Value, json};

/// Signs somebody up, who gets mail for that.
async fn sign_up(server: &Server, name: &str) -> Result {
    let body = json!({
        "username": name, "email": format!("{name}@example.org"), "password1": "correct horse", "password2": "correct horse",
    });
    server.client(None)?.post::<Value>("/rest-auth/registration/", &body).await?;
    Ok(())
}

/// The line of the log that says why mail was not sent, once it is there.
async fn complaint(server: &Server) -> Result<String> {
    loop {
        if let Some(line) = server.log()?.lines().find(|line| line.contains("was not sent")) {
            return Ok(line.to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_message_reaches_the_mail_server() -> Result {
    let mail = MailServer::start()?;
    let settings = format!("[mail]\nfrom = 'Studio <studio@example.org>'\nsmtp = 'smtp://{}'\n", mail.address());
    let server = Server::configured(&settings)?;
    sign_up(&server, "ann").await?;
    let message = mail.message()?;
    assert_eq!((message.from.as_str(), message.to.as_str()), ("studio@example.org", "ann@example.org"));
    assert!(message.text.contains("From: Studio <studio@example.org>"), "{}", message.text);
    assert!(message.text.contains("Subject: Welcome to Compute Studio"), "{}", message.text);
    assert!(message.text.contains(server.url()?), "{}", message.text);
    assert!(!server.data().join("mail").exists(), "nothing goes into files");
    // A mail server that says no is no reason to refuse an account.
    sign_up(&server, "nobody-at-all").await?;
    let line = complaint(&server).await?;
    assert!(line.contains("nobody-at-all@example.org") && line.contains("no such person"), "{line}");
    Ok(())
}

#[tokio::test]
async fn mail_that_must_be_encrypted_is_not_sent_in_the_clear() -> Result {
    let mail = MailServer::start()?;
    let server = Server::configured(&format!("[mail]\nsmtp = 'smtp://{}?tls=required'\n", mail.address()))?;
    sign_up(&server, "ann").await?;
    let line = complaint(&server).await?;
    assert!(line.contains("STARTTLS"), "{line}");
    assert_eq!(mail.count(), 0);
    Ok(())
}

#[test]
fn a_mail_server_that_can_not_be_one_is_told_at_the_start() -> Result {
    let folder = tempfile::tempdir()?;
    for (settings, word) in [
        ("[mail]\nsmtp = 'mail.example.org'\n", "mail server"),
        ("[mail]\nsmtp = 'smtps://user:secret@'\n", "mail server"),
        ("[mail]\nfrom = 'nobody'\n", "no address for mail"),
        ("[mail]\nserver = 'x'\n", "unknown field `mail.server`"),
    ] {
        let file = folder.path().join("config.toml");
        std::fs::write(&file, settings)?;
        let (file, data) = (file.display().to_string(), folder.path().join("data").display().to_string());
        let done = csw(&["up", "--config", &file, "--data", &data, "--listen", "127.0.0.1:0", "--json"], &[])?;
        assert_eq!(done.code, 2, "{settings}: {}", done.stderr);
        assert!(done.stderr.contains(word) && !done.stderr.contains("secret"), "{settings}: {}", done.stderr);
    }
    Ok(())
}
