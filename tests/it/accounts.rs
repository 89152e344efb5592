//! Accounts, made beside a running server, and their tokens.

use csw_client::Client;
use csw_tests::{Result, Server, csw};
use serde_json::Value;

#[tokio::test]
async fn accounts_are_made_beside_a_running_server() -> Result {
    let server = Server::empty()?;
    let ann = server.account("ann", "admin")?;
    let client = server.client(Some(&ann))?;
    assert_eq!(client.own_name().await?.as_deref(), Some("ann"));
    assert_eq!(server.client(None)?.own_name().await?, None);
    let words = ["accounts", "create", "Ann", "--data", &server.place(), "--json"];
    let taken = csw(&words, &[])?;
    assert_eq!(taken.code, 3, "{}", taken.stderr);
    assert!(taken.stderr.contains("already exists"), "{}", taken.stderr);
    let reserved = csw(&["accounts", "create", "publish", "--data", &server.place()], &[])?;
    assert_eq!(reserved.code, 3, "{}", reserved.stderr);
    let listed: Vec<Value> = csw(&["accounts", "list", "--data", &server.place(), "--json"], &[])?.json()?;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["role"], "admin");
    Ok(())
}

#[tokio::test]
async fn tokens_are_named_shown_once_and_revocable() -> Result {
    let server = Server::empty()?;
    let ann = server.account("ann", "member")?;
    let client = server.client(Some(&ann))?;
    let made = client.create_token("laptop", Some(30)).await?;
    let other = Client::new(server.url()?, Some(&made.token))?;
    assert_eq!(other.own_name().await?.as_deref(), Some("ann"));
    let tokens = client.tokens().await?;
    assert_eq!(tokens.len(), 2);
    assert!(tokens.iter().any(|token| token.name == "laptop" && token.expires_at.is_some()));
    client.delete_token(&made.id).await?;
    assert!(other.tokens().await.is_err());
    Ok(())
}

#[tokio::test]
async fn passwords_log_in_and_wrong_ones_do_not() -> Result {
    let server = Server::empty()?;
    let (status, _) = server.client(None)?.probe("/healthz").await?;
    assert_eq!(status, 200);
    let client = server.client(None)?;
    let body = serde_json::json!({
        "username": "bob", "email": "bob@example.org", "password1": "correct horse", "password2": "correct horse",
    });
    let made: Value = client.post("/rest-auth/registration/", &body).await?;
    assert!(made["key"].as_str().is_some_and(|key| key.len() == 40), "{made}");
    let token = client.log_in("BOB", "correct horse").await?;
    assert_eq!(client.with_token(Some(&token)).own_name().await?.as_deref(), Some("bob"));
    let wrong = client.log_in("bob", "wrong horse").await;
    assert_eq!(wrong.err().and_then(|error| error.status()), Some(400));
    Ok(())
}
