//! Every operation of the document, asked by everybody: nobody, a stranger, a reader, the owner, an admin.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::rig::{ADMIN, OWNER, READER, Rig, STRANGER};

/// Method and path of the document, the body that is sent, and the statuses by caller.
type Row = (&'static str, &'static str, Value, [u16; 5]);

const CALLERS: [&str; 5] = ["", STRANGER, READER, OWNER, ADMIN];

fn simulations() -> Vec<Row> {
    let at = |rest: &str| -> &'static str { format!("/{{owner}}/{{title}}/api/v1/{{model_pk}}/{rest}").leak() };
    vec![
        ("post", "/{owner}/{title}/api/v1/", json!({}), [403, 201, 201, 201, 201]),
        ("post", "/{owner}/{title}/api/v1/new/", json!({}), [403, 201, 201, 201, 201]),
        ("get", at(""), Value::Null, [403, 403, 200, 200, 200]),
        ("post", at(""), json!({}), [403, 403, 403, 400, 400]),
        ("put", at(""), json!({ "title": "New" }), [403, 403, 403, 200, 200]),
        ("delete", at(""), Value::Null, [403, 403, 403, 204, 204]),
        ("get", at("remote/"), Value::Null, [403, 403, 200, 200, 200]),
        ("get", at("edit/"), Value::Null, [403, 403, 200, 200, 200]),
        ("post", at("fork/"), Value::Null, [403, 403, 201, 201, 201]),
        ("post", at("cancel/"), Value::Null, [403, 403, 403, 409, 409]),
        ("get", at("log/"), Value::Null, [403, 403, 200, 200, 200]),
        ("get", at("events/"), Value::Null, [403, 403, 200, 200, 200]),
        ("get", at("outputs/{id}/"), Value::Null, [403, 403, 200, 200, 200]),
        ("get", "/{owner}/{title}/{model_pk}/download/", Value::Null, [403, 403, 200, 200, 200]),
        ("put", at("access/"), json!([{ "username": STRANGER, "role": "read" }]), [403, 403, 403, 204, 204]),
        ("put", at("authors/"), json!({ "authors": [{ "username": STRANGER }] }), [403, 403, 403, 200, 200]),
        ("delete", at("authors/{author}/"), Value::Null, [403, 403, 403, 404, 404]),
        ("get", "/{owner}/{title}/api/v1/inputs/", Value::Null, [200; 5]),
        ("post", "/{owner}/{title}/api/v1/inputs/", json!({ "meta_parameters": { "year": 2027 } }), [200; 5]),
        ("get", "/api/v1/sims/", Value::Null, [403, 200, 200, 200, 200]),
        ("get", "/api/v1/sims/{username}/", Value::Null, [200; 5]),
    ]
}

fn models() -> Vec<Row> {
    let at = |rest: &str| -> &'static str { format!("/publish/api/{{owner}}/{{title}}/{rest}").leak() };
    let writers = [401, 403, 403, 200, 200];
    let role = json!({ "username": READER, "role": null });
    vec![
        ("get", "/publish/api/", Value::Null, [200; 5]),
        ("post", "/publish/api/", json!({}), [401, 400, 400, 400, 400]),
        ("get", at("detail/"), Value::Null, [200; 5]),
        ("put", at("detail/"), json!({ "oneliner": "New" }), writers),
        ("get", at("deployments/"), Value::Null, [200; 5]),
        ("post", at("deployments/"), json!({ "latest_tag": "v5" }), writers),
        ("get", at("access/"), Value::Null, writers),
        ("put", at("access/"), role, [401, 403, 403, 204, 204]),
        ("get", at("versions/"), Value::Null, [200; 5]),
        ("post", at("promote/"), json!({ "version": "{version}" }), writers),
        ("post", at("versions/{version}/promote/"), Value::Null, writers),
        ("get", at("builds/"), Value::Null, writers),
        ("post", at("builds/"), json!({}), [401, 403, 403, 400, 400]),
        ("get", at("builds/{build}/"), Value::Null, [404, 404, 404, 200, 200]),
        ("post", at("builds/{build}/cancel/"), Value::Null, [401, 403, 403, 409, 409]),
        ("get", at("builds/{build}/log/"), Value::Null, [404, 404, 404, 200, 200]),
        ("get", at("builds/{build}/events/"), Value::Null, [404, 404, 404, 200, 200]),
        ("get", "/api/v1/models/", Value::Null, [403, 200, 200, 200, 200]),
        ("get", "/api/v1/models/recent/", Value::Null, [403, 200, 200, 200, 200]),
        ("get", "/api/v1/models/{username}/", Value::Null, [200; 5]),
    ]
}

fn people() -> Vec<Row> {
    let accounts = [403, 200, 200, 200, 200];
    let admins = [403, 403, 403, 403, 200];
    vec![
        ("get", "/users/autocomplete/", Value::Null, accounts),
        ("get", "/users/status/", Value::Null, [200; 5]),
        ("get", "/users/status/{owner}/{title}/", Value::Null, [200; 5]),
        ("post", "/api-token-auth/", json!({}), [400; 5]),
        ("post", "/rest-auth/login/", json!({}), [400; 5]),
        ("post", "/rest-auth/logout/", Value::Null, [200; 5]),
        ("get", "/rest-auth/user/", Value::Null, accounts),
        ("put", "/rest-auth/user/", json!({}), accounts),
        ("patch", "/rest-auth/user/", json!({}), accounts),
        ("post", "/rest-auth/password/change/", json!({}), [403, 400, 400, 400, 400]),
        ("post", "/rest-auth/password/reset/", json!({}), [400; 5]),
        ("post", "/rest-auth/password/reset/confirm/", json!({}), [400; 5]),
        ("post", "/rest-auth/registration/", json!({}), [400; 5]),
        ("get", "/api/v1/tokens/", Value::Null, accounts),
        ("post", "/api/v1/tokens/", json!({ "name": "laptop" }), [403, 201, 201, 201, 201]),
        ("delete", "/api/v1/tokens/{id}/", Value::Null, [403, 404, 404, 404, 404]),
        ("get", "/api/v1/accounts/", Value::Null, admins),
        ("get", "/api/v1/accounts/{username}/", Value::Null, admins),
        ("put", "/api/v1/accounts/{username}/", json!({}), admins),
        ("get", "/healthz", Value::Null, [200; 5]),
        ("get", "/readyz", Value::Null, [200; 5]),
        ("get", "/metrics", Value::Null, [200; 5]),
        ("get", "/api/openapi.json", Value::Null, [200; 5]),
        ("get", "/api/", Value::Null, [200; 5]),
    ]
}

/// A private simulation of the owner that the reader may read, and one of its outputs.
async fn fresh(rig: &Rig, source: u64) -> (String, String) {
    let copy = rig.call("POST", &format!("/owner/Model/api/v1/{source}/fork/"), OWNER, Value::Null).await;
    let number = copy.json()["model_pk"].to_string();
    let access = json!([{ "username": READER, "role": "read" }]);
    let given = rig.call("PUT", &format!("/owner/Model/api/v1/{number}/access/"), OWNER, access).await;
    assert_eq!(given.status, 204, "{}", given.text());
    let remote = rig.get(&format!("/owner/Model/api/v1/{number}/remote/"), OWNER).await.json();
    let output = remote["outputs"]["outputs"]["downloadable"]["outputs"][0]["id"].as_str().unwrap().to_owned();
    (number, output)
}

#[tokio::test]
async fn everybody_asks_everything() {
    let rig = Rig::new().await;
    let source = rig.simulation(json!({})).await;
    let rows: Vec<Row> = simulations().into_iter().chain(models()).chain(people()).collect();
    let document: Value = serde_json::from_str(csw_web::openapi()).unwrap();
    let told: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone())))
        .collect();
    let asked = rows.iter().map(|(method, path, _, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    let difference: Vec<_> = told.symmetric_difference(&asked).collect();
    assert!(difference.is_empty(), "the table and the document differ in {difference:?}");
    let mut wrong = Vec::new();
    for (method, path, body, expected) in &rows {
        for (caller, expected) in CALLERS.iter().zip(expected) {
            let (number, output) =
                if path.contains("{model_pk}") { fresh(&rig, source).await } else { (String::new(), String::new()) };
            let version = rig.version.to_string();
            let fill = |text: &str| {
                text.replace("{model_pk}", &number)
                    .replace("{id}", if output.is_empty() { &version } else { &output })
                    .replace("{owner}", "OWNER")
                    .replace("{title}", "mODEL")
                    .replace("{username}", "Owner")
                    .replace("{author}", STRANGER)
                    .replace("{build}", &rig.build.to_string())
                    .replace("{version}", &version)
            };
            let body = serde_json::from_str(&fill(&body.to_string())).unwrap();
            let answer = rig.call(&method.to_uppercase(), &fill(path), caller, body).await;
            if answer.status.as_u16() != *expected {
                wrong.push(format!(
                    "{method} {path} by {caller:?}: {} for {expected}: {}",
                    answer.status,
                    answer.text()
                ));
            }
            if answer.status.is_client_error() {
                assert!(answer.json().is_object() || answer.json().is_array(), "{method} {path}: {}", answer.text());
            }
            assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{method} {path}");
            assert!(answer.headers.contains_key("content-security-policy"), "{method} {path}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
