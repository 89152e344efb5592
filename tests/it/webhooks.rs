//! A push elsewhere, told by a webhook, as a whole: the head of the branch is what becomes live.

use std::time::Duration;

use csw_client::Build;
use csw_tests::{Draft, Result, Server, WorkingCopy};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

const MODEL: &str = "ada/Hooked";
const SECRET: &str = "a long random one";

async fn deliver(server: &Server, id: &str, body: &Value, secret: &str) -> Result<(u16, Value)> {
    let body = body.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(body.as_bytes());
    let response = reqwest::Client::new()
        .post(format!("{}/hooks/github/", server.url()?))
        .header("content-type", "application/json")
        .header("x-github-event", "push")
        .header("x-github-delivery", id)
        .header("x-hub-signature-256", format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
        .body(body)
        .send()
        .await?;
    Ok((response.status().as_u16(), response.json().await?))
}

#[tokio::test]
async fn a_signed_push_makes_the_head_of_the_branch_live() -> Result {
    let settings = format!("[github]\nwebhook_secret = '{SECRET}'\n[build]\nallow_local_repositories = true\n");
    let server = Server::configured(&settings)?;
    let ada = server.account("ada", "member")?;
    let client = server.client(Some(&ada))?;
    let draft = Draft::new(&server.beside("hooked"), "")?;
    let copy = WorkingCopy::at(draft.folder(), &ada).begin("main")?;
    let url = format!("file://{}", draft.folder().display());
    let model = json!({
        "title": "Hooked", "oneliner": "H.", "description": "H.", "cpu": 0.5, "memory": 0.75,
        "repo_url": url, "repo_tag": "main",
    });
    let _: Value = client.post("/publish/api/", &model).await?;
    let first = copy.done(&["rev-parse", "HEAD"])?.stdout.trim().to_owned();
    draft.file("cs-config/cs_config/more.py", "MORE = 1\n")?;
    let head = copy.commit("second")?;

    // News of the first commit come after the second was made.
    let push = json!({
        "ref": "refs/heads/main", "after": first, "deleted": false,
        "repository": { "full_name": "ada/hooked", "clone_url": format!("{url}/"), "html_url": "https://example.org/ada/hooked" },
    });
    let (status, told) = deliver(&server, "1", &push, "another").await?;
    assert_eq!(status, 401, "{told}");
    let (status, told) = deliver(&server, "1", &push, SECRET).await?;
    assert_eq!((status, &told["builds"][0]["model"]), (200, &json!(MODEL)), "{told}");
    let build = loop {
        let build = client.builds(MODEL).await?.results.into_iter().next();
        if let Some(build) = build.filter(Build::is_over) {
            break build;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((build.state.as_str(), build.trigger.as_str()), ("succeeded", "webhook"), "{:?}", build.message);
    assert_eq!(build.commit.as_deref(), Some(head.as_str()));
    assert_eq!(client.model(MODEL).await?.status, "live");
    let (_, told) = deliver(&server, "2", &push, SECRET).await?;
    assert_eq!(told["detail"], "This delivery was taken before.");
    assert_eq!(client.builds(MODEL).await?.results.len(), 1);
    let shown = server.csw(&ada, &["config", "show"])?;
    assert!(!shown.stdout.contains(SECRET), "{}", shown.stdout);
    Ok(())
}
