//! Every operation of the document, asked by everybody: nobody, a stranger, a reader, a writer, the owner, an admin, and
//! a writer whose account is deactivated. What they get is one of the answers the document tells of, in its shape.

use std::collections::BTreeSet;

use csw_core::{
    output::Thumbnail,
    ports::{SimulationStore, ThumbnailStore},
};
use serde_json::{Value, json};

use crate::{
    pulls::opened,
    rig::{ADMIN, OTHER, OWNER, READER, RETIRED, Rig, STRANGER, WRITER},
    shape::Shapes,
};

/// Method and path of the document, the body that is sent, and the statuses by caller.
type Row = (&'static str, &'static str, Value, [u16; 7]);

const CALLERS: [&str; 7] = ["", STRANGER, READER, WRITER, OWNER, ADMIN, RETIRED];

#[rustfmt::skip]
fn simulations() -> Vec<Row> {
    let other = json!({ "username": OTHER, "role": "read" });
    let meta = json!({ "meta_parameters": { "year": 2027 } });
    let none = || Value::Null;
    vec![
        //                                                             nobody stranger reader writer owner admin retired
        // First: it belongs to all copies of a simulation, and some will be public.
        ("get", "/storage/screenshots/{file}", none(),                   [403, 403, 200, 200, 200, 200, 200]),
        ("post", "/{owner}/{title}/api/v1/", json!({}),                  [403, 201, 201, 201, 201, 201, 403]),
        ("post", "/{owner}/{title}/api/v1/new/", none(),                 [403, 201, 201, 201, 201, 201, 403]),
        ("get", "/{owner}/{title}/api/v1/inputs/", none(),               [200, 200, 200, 200, 200, 200, 200]),
        ("post", "/{owner}/{title}/api/v1/inputs/", meta,                [200, 200, 200, 200, 200, 200, 200]),
        ("get", "/{owner}/{title}/api/v1/{model_pk}/", none(),           [403, 403, 200, 200, 200, 200, 200]),
        ("post", "/{owner}/{title}/api/v1/{model_pk}/", json!({}),       [403, 403, 403, 400, 400, 400, 403]),
        ("put", "/{owner}/{title}/api/v1/{model_pk}/", json!({ "title": "New", "readme": [{ "text": "why" }] }),
                                                                         [403, 403, 403, 200, 200, 200, 403]),
        ("put", "/{owner}/{title}/api/v1/{model_pk}/", json!({ "is_public": true }),
                                                                         [403, 403, 403, 403, 200, 200, 403]),
        ("delete", "/{owner}/{title}/api/v1/{model_pk}/", none(),        [403, 403, 403, 403, 204, 204, 403]),
        ("get", "/{owner}/{title}/api/v1/{model_pk}/remote/", none(),    [403, 403, 200, 200, 200, 200, 200]),
        ("get", "/{owner}/{title}/api/v1/{model_pk}/edit/", none(),      [403, 403, 200, 200, 200, 200, 200]),
        ("post", "/{owner}/{title}/api/v1/{model_pk}/fork/", none(),     [403, 403, 201, 201, 201, 201, 403]),
        ("post", "/{owner}/{title}/api/v1/{model_pk}/cancel/", none(),   [403, 403, 403, 409, 409, 409, 403]),
        ("get", "/{owner}/{title}/api/v1/{model_pk}/log/", none(),       [403, 403, 200, 200, 200, 200, 200]),
        ("get", "/{owner}/{title}/api/v1/{model_pk}/events/", none(),    [403, 403, 200, 200, 200, 200, 200]),
        ("get", "/{owner}/{title}/api/v1/{model_pk}/outputs/{id}/", none(),
                                                                         [403, 403, 200, 200, 200, 200, 200]),
        ("get", "/{owner}/{title}/{model_pk}/download/", none(),         [403, 403, 200, 200, 200, 200, 200]),
        ("put", "/{owner}/{title}/api/v1/{model_pk}/access/", json!([other]),
                                                                         [403, 403, 403, 403, 204, 204, 403]),
        ("put", "/{owner}/{title}/api/v1/{model_pk}/authors/", json!({ "authors": [{ "username": OTHER }] }),
                                                                         [403, 403, 403, 403, 200, 200, 403]),
        ("delete", "/{owner}/{title}/api/v1/{model_pk}/authors/{author}/", none(),
                                                                         [403, 403, 403, 403, 404, 404, 403]),
        ("get", "/api/v1/sims/", none(),                                 [403, 200, 200, 200, 200, 200, 200]),
        ("get", "/api/v1/sims/{username}/", none(),                      [200, 200, 200, 200, 200, 200, 200]),
        ("put", "/inputs/api/", json!({}),                               [401, 401, 401, 401, 401, 401, 401]),
        ("put", "/outputs/api/", json!({}),                              [401, 401, 401, 401, 401, 401, 401]),
    ]
}

#[rustfmt::skip]
fn models() -> Vec<Row> {
    let role = json!({ "username": OTHER, "role": null });
    let change = json!({ "oneliner": "New" });
    let hide = json!({ "is_public": false });
    let tag = json!({ "latest_tag": "v5" });
    let version = json!({ "version": "{version}" });
    let none = || Value::Null;
    vec![
        //                                                             nobody stranger reader writer owner admin retired
        ("get", "/publish/api/", none(),                                 [200, 200, 200, 200, 200, 200, 200]),
        ("post", "/publish/api/", json!({}),                             [401, 400, 400, 400, 400, 400, 400]),
        ("post", "/publish/api/look/", json!({ "repo_url": "https://example.org/found" }),
                                                                         [401, 200, 200, 200, 200, 200, 403]),
        ("post", "/publish/api/look/", json!({ "repo_url": "https://example.org/none" }),
                                                                         [401, 400, 400, 400, 400, 400, 403]),
        ("post", "/publish/api/look/", json!({}),                        [401, 400, 400, 400, 400, 400, 400]),
        ("get", "/publish/api/{owner}/{title}/detail/", none(),          [200, 200, 200, 200, 200, 200, 200]),
        ("put", "/publish/api/{owner}/{title}/detail/", change,          [401, 403, 403, 200, 200, 200, 403]),
        ("put", "/publish/api/{owner}/{title}/detail/", json!({ "status": "requires fixes" }),
                                                                         [401, 403, 403, 403, 403, 200, 403]),
        ("put", "/publish/api/{owner}/{title}/detail/", json!({ "status": "live" }),
                                                                         [401, 403, 403, 403, 403, 200, 403]),
        ("get", "/publish/api/{owner}/{title}/deployments/", none(),     [200, 200, 200, 200, 200, 200, 200]),
        ("post", "/publish/api/{owner}/{title}/deployments/", tag,       [401, 403, 403, 200, 200, 200, 403]),
        ("get", "/publish/api/{owner}/{title}/access/", none(),          [401, 403, 403, 403, 200, 200, 403]),
        ("put", "/publish/api/{owner}/{title}/access/", role,            [401, 403, 403, 403, 204, 204, 403]),
        ("get", "/publish/api/{owner}/{title}/sponsor/", none(),         [200, 200, 200, 200, 200, 200, 200]),
        ("put", "/publish/api/{owner}/{title}/sponsor/", json!({ "sponsor": OWNER, "message": "thanks" }),
                                                                         [401, 403, 403, 400, 200, 200, 403]),
        ("put", "/publish/api/{owner}/{title}/sponsor/", json!({ "sponsor": null }),
                                                                         [401, 403, 403, 403, 200, 200, 403]),
        ("get", "/{owner}/{title}/api/v1/estimate/", none(),             [200, 200, 200, 200, 200, 200, 200]),
        ("get", "/publish/api/{owner}/{title}/secrets/", none(),         [401, 403, 403, 200, 200, 200, 403]),
        ("put", "/publish/api/{owner}/{title}/secrets/{secret}/", json!({ "value": "hunter2" }),
                                                                         [401, 403, 403, 200, 200, 200, 403]),
        ("put", "/publish/api/{owner}/{title}/secrets/{secret}/", json!({}),
                                                                         [401, 403, 403, 400, 400, 400, 403]),
        ("get", "/publish/api/{owner}/{title}/secrets/{secret}/value/", none(),
                                                                         [401, 403, 403, 403, 200, 200, 403]),
        ("get", "/publish/api/{owner}/{title}/secrets/values/", none(),  [401, 403, 403, 403, 200, 200, 403]),
        ("get", "/publish/api/{owner}/{title}/secrets/audit/", none(),   [401, 403, 403, 200, 200, 200, 403]),
        ("delete", "/publish/api/{owner}/{title}/secrets/{secret}/", none(),
                                                                         [401, 403, 403, 204, 404, 404, 403]),
        ("get", "/{owner}/{title}/api/v1/versions/{version}/changes/", none(),
                                                                         [200, 200, 200, 200, 200, 200, 200]),
        ("get", "/publish/api/{owner}/{title}/manifests/", none(),       [401, 403, 403, 409, 409, 409, 403]),
        ("get", "/publish/api/{owner}/{title}/versions/", none(),        [200, 200, 200, 200, 200, 200, 200]),
        ("get", "/{owner}/{title}/api/v1/versions/{version}/sbom/", none(),
                                                                         [200, 200, 200, 200, 200, 200, 200]),
        ("get", "/{owner}/{title}/api/v1/versions/{version}/lock/", none(),
                                                                         [200, 200, 200, 200, 200, 200, 200]),
        ("get", "/{owner}/{title}/api/v1/versions/{version}/comparison/", none(),
                                                                         [401, 403, 403, 404, 404, 404, 403]),
        ("post", "/{owner}/{title}/api/v1/versions/{version}/comparison/", none(),
                                                                         [401, 403, 403, 409, 409, 409, 403]),
        ("post", "/publish/api/{owner}/{title}/promote/", version,       [401, 403, 403, 200, 200, 200, 403]),
        ("post", "/publish/api/{owner}/{title}/versions/{version}/promote/", none(),
                                                                         [401, 403, 403, 200, 200, 200, 403]),
        ("post", "/publish/api/{owner}/{title}/rollback/", none(),       [401, 403, 403, 400, 400, 400, 403]),
        ("get", "/publish/api/{owner}/{title}/builds/", none(),          [401, 403, 403, 200, 200, 200, 403]),
        ("post", "/publish/api/{owner}/{title}/builds/", json!({}),      [401, 403, 403, 400, 400, 400, 403]),
        ("get", "/publish/api/{owner}/{title}/builds/{build}/", none(),  [404, 404, 404, 200, 200, 200, 200]),
        ("post", "/publish/api/{owner}/{title}/builds/{build}/cancel/", none(),
                                                                         [401, 403, 403, 409, 409, 409, 403]),
        ("get", "/publish/api/{owner}/{title}/builds/{build}/log/", none(),
                                                                         [404, 404, 404, 200, 200, 200, 200]),
        ("get", "/publish/api/{owner}/{title}/builds/{build}/events/", none(),
                                                                         [404, 404, 404, 200, 200, 200, 200]),
        ("get", "/api/v1/models/", none(),                               [403, 200, 200, 200, 200, 200, 200]),
        ("get", "/api/v1/models/recent/", none(),                        [403, 200, 200, 200, 200, 200, 200]),
        ("get", "/api/v1/models/{username}/", none(),                    [200, 200, 200, 200, 200, 200, 200]),
        // Last: what is private is not there for those without a role.
        ("put", "/publish/api/{owner}/{title}/detail/", hide,            [401, 403, 403, 403, 200, 200, 403]),
        ("get", "/publish/api/{owner}/{title}/detail/", none(),          [404, 404, 200, 200, 200, 200, 200]),
        ("get", "/{owner}/{title}/api/v1/inputs/", none(),               [404, 404, 200, 200, 200, 200, 200]),
        ("post", "/{owner}/{title}/api/v1/", json!({}),                  [404, 404, 201, 201, 201, 201, 403]),
        ("get", "/users/status/{owner}/{title}/", none(),                [404, 404, 200, 200, 200, 200, 200]),
    ]
}

#[rustfmt::skip]
fn pulls() -> Vec<Row> {
    let none = || Value::Null;
    let new = || json!({ "branch": "{branch}" });
    let title = || json!({ "title": "Other" });
    let anyway = || json!({ "anyway": true });
    vec![
        //                                                             nobody stranger reader writer owner admin retired
        ("get", "/{owner}/{title}/api/v1/pulls/", none(),                [403, 403, 403, 200, 200, 200, 403]),
        ("post", "/{owner}/{title}/api/v1/pulls/", new(),                [403, 403, 403, 201, 201, 201, 403]),
        ("post", "/{owner}/{title}/api/v1/pulls/", json!({}),            [403, 403, 403, 400, 400, 400, 403]),
        ("get", "/{owner}/{title}/api/v1/pulls/{number}/", none(),       [403, 403, 403, 200, 200, 200, 403]),
        ("put", "/{owner}/{title}/api/v1/pulls/{number}/", title(),      [403, 403, 403, 200, 200, 200, 403]),
        ("post", "/{owner}/{title}/api/v1/pulls/{number}/checks/", none(),
                                                                         [403, 403, 403, 200, 200, 200, 403]),
        ("post", "/{owner}/{title}/api/v1/pulls/{number}/merge/", none(),
                                                                         [403, 403, 403, 409, 409, 409, 403]),
        ("post", "/{owner}/{title}/api/v1/pulls/{number}/merge/", anyway(),
                                                                         [403, 403, 403, 403, 403, 200, 403]),
        ("post", "/{owner}/{title}/api/v1/pulls/{number}/close/", none(),
                                                                         [403, 403, 403, 200, 200, 200, 403]),
        ("get", "/publish/api/v1/pulls/", none(),                        [401, 200, 200, 200, 200, 200, 403]),
        ("post", "/publish/api/v1/pulls/", new(),                        [401, 403, 403, 403, 201, 201, 403]),
        ("get", "/publish/api/v1/pulls/{number}/", none(),               [401, 200, 200, 200, 200, 200, 403]),
        ("put", "/publish/api/v1/pulls/{number}/", title(),              [401, 403, 403, 403, 200, 200, 403]),
        ("post", "/publish/api/v1/pulls/{number}/checks/", none(),       [401, 403, 403, 403, 200, 200, 403]),
        ("post", "/publish/api/v1/pulls/{number}/merge/", none(),        [401, 403, 403, 409, 409, 409, 403]),
        ("post", "/publish/api/v1/pulls/{number}/merge/", anyway(),      [401, 403, 403, 403, 403, 200, 403]),
        ("post", "/publish/api/v1/pulls/{number}/close/", none(),        [401, 403, 403, 403, 200, 200, 403]),
    ]
}

#[rustfmt::skip]
fn people() -> Vec<Row> {
    let none = || Value::Null;
    vec![
        //                                                             nobody stranger reader writer owner admin retired
        ("get", "/users/autocomplete/", none(),                          [403, 200, 200, 200, 200, 200, 403]),
        ("get", "/users/status/", none(),                                [200, 200, 200, 200, 200, 200, 200]),
        ("get", "/users/status/{owner}/{title}/", none(),                [200, 200, 200, 200, 200, 200, 200]),
        ("post", "/api-token-auth/", json!({}),                          [400, 400, 400, 400, 400, 400, 400]),
        ("post", "/rest-auth/login/", json!({}),                         [400, 400, 400, 400, 400, 400, 400]),
        ("post", "/rest-auth/logout/", none(),                           [200, 200, 200, 200, 200, 200, 200]),
        ("get", "/rest-auth/user/", none(),                              [403, 200, 200, 200, 200, 200, 200]),
        ("put", "/rest-auth/user/", json!({}),                           [403, 200, 200, 200, 200, 200, 403]),
        ("patch", "/rest-auth/user/", json!({}),                         [403, 200, 200, 200, 200, 200, 403]),
        ("post", "/rest-auth/password/change/", json!({}),               [403, 400, 400, 400, 400, 400, 400]),
        ("post", "/rest-auth/password/reset/", json!({}),                [400, 400, 400, 400, 400, 400, 400]),
        ("post", "/rest-auth/password/reset/confirm/", json!({}),        [400, 400, 400, 400, 400, 400, 400]),
        ("post", "/rest-auth/registration/", json!({}),                  [400, 400, 400, 400, 400, 400, 400]),
        ("post", "/rest-auth/registration/verify-email/", json!({ "key": "x" }),
                                                                         [404, 404, 404, 404, 404, 404, 404]),
        ("get", "/api/v1/tokens/", none(),                               [403, 200, 200, 200, 200, 200, 200]),
        ("post", "/api/v1/tokens/", json!({ "name": "laptop" }),         [403, 201, 201, 201, 201, 201, 403]),
        ("delete", "/api/v1/tokens/{id}/", none(),                       [403, 404, 404, 404, 404, 404, 404]),
        ("get", "/api/v1/trust/", none(),                                [403, 200, 200, 200, 200, 200, 200]),
        ("post", "/api/v1/trust/", json!({ "repository": "PSL/publish", "ref": "main" }),
                                                                         [403, 201, 201, 201, 201, 201, 403]),
        ("delete", "/api/v1/trust/{id}/", none(),                        [403, 404, 404, 404, 404, 404, 403]),
        ("get", "/api/v1/accounts/", none(),                             [403, 403, 403, 403, 403, 200, 403]),
        ("get", "/api/v1/accounts/{username}/", none(),                  [403, 403, 403, 403, 403, 200, 403]),
        ("put", "/api/v1/accounts/{username}/", json!({}),               [403, 403, 403, 403, 403, 200, 403]),
        ("get", "/api/v1/accounts/{username}/budget/", none(),           [403, 403, 403, 403, 200, 200, 403]),
        ("put", "/api/v1/accounts/{username}/budget/", json!({ "monthly": 500.0 }),
                                                                         [403, 403, 403, 403, 403, 200, 403]),
        ("put", "/api/v1/accounts/{username}/budget/", json!({ "monthly": -1 }),
                                                                         [403, 403, 403, 403, 403, 400, 403]),
        ("put", "/api/v1/accounts/{username}/budget/", json!({ "monthly": null }),
                                                                         [403, 403, 403, 403, 403, 200, 403]),
        ("get", "/api/v1/costs/", none(),                                [403, 200, 200, 200, 200, 200, 200]),
        ("get", "/api/v1/secrets/", none(),                              [403, 403, 403, 403, 403, 200, 403]),
        ("put", "/api/v1/secrets/{secret}/", json!({ "value": "x" }),    [403, 403, 403, 403, 403, 200, 403]),
        ("put", "/api/v1/secrets/{secret}/", json!({ "value": "" }),     [403, 403, 403, 403, 403, 400, 403]),
        ("get", "/api/v1/secrets/{secret}/value/", none(),               [403, 403, 403, 403, 403, 200, 403]),
        ("get", "/api/v1/secrets/audit/", none(),                        [403, 403, 403, 403, 403, 200, 403]),
        ("delete", "/api/v1/secrets/{secret}/", none(),                  [403, 403, 403, 403, 403, 204, 403]),
        ("get", "/healthz", none(),                                      [200, 200, 200, 200, 200, 200, 200]),
        ("get", "/readyz", none(),                                       [200, 200, 200, 200, 200, 200, 200]),
        ("get", "/metrics", none(),                                      [200, 200, 200, 200, 200, 200, 200]),
        ("get", "/api/openapi.json", none(),                             [200, 200, 200, 200, 200, 200, 200]),
        ("get", "/api/", none(),                                         [200, 200, 200, 200, 200, 200, 200]),
    ]
}

/// The name of the thumbnail of the first output of a simulation, which is given one.
pub(crate) async fn drawn(rig: &Rig, number: &str) -> String {
    let view = rig.app.model(&csw_core::access::Caller::Anonymous, OWNER, "Model").await.unwrap();
    let (simulation, _) = rig.store.simulation(view.model.id, number.parse().unwrap()).await.unwrap().unwrap();
    let output = rig.store.outputs(simulation.id).await.unwrap().remove(0);
    rig.app.ports().objects.put(&output.thumbnail_key(), "picture".into()).await.unwrap();
    rig.store.set_thumbnail(&output, Thumbnail::Made).await.unwrap();
    format!("{}.png", output.id)
}

/// A private simulation of the owner that reader and writers were given, and one of its outputs.
async fn fresh(rig: &Rig, source: u64) -> (String, String) {
    let copy = rig.granted(201, "POST", &format!("/owner/Model/api/v1/{source}/fork/"), OWNER, Value::Null).await;
    let number = copy["model_pk"].as_u64().unwrap();
    for (name, role) in [(READER, "read"), (WRITER, "write"), (RETIRED, "write")] {
        rig.give(Some(number), name, role).await;
    }
    let remote = rig.get(&format!("/owner/Model/api/v1/{number}/remote/"), OWNER).await.json();
    let output = remote["outputs"]["outputs"]["downloadable"]["outputs"][0]["id"].as_str().unwrap().to_owned();
    (number.to_string(), output)
}

#[tokio::test]
async fn everybody_asks_everything() {
    let rig = Rig::new().await;
    let source = rig.simulation(json!({})).await;
    for (name, role) in [(READER, "read"), (WRITER, "write"), (RETIRED, "write")] {
        rig.give(None, name, role).await;
    }
    rig.granted(200, "PUT", "/api/v1/accounts/retired/", ADMIN, json!({ "is_active": false })).await;
    let rows: Vec<Row> = simulations().into_iter().chain(people()).chain(pulls()).chain(models()).collect();
    let document: Value = serde_json::from_str(csw_web::openapi()).unwrap();
    let shapes = Shapes::of(&document);
    let asked: BTreeSet<_> =
        rows.iter().map(|(method, path, _, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    let difference: Vec<_> = shapes.operations().symmetric_difference(&asked).cloned().collect();
    assert!(difference.is_empty(), "the table and the document differ in {difference:?}");
    let mut wrong = Vec::new();
    for (method, path, body, expected) in &rows {
        for (caller, expected) in CALLERS.iter().zip(expected) {
            let (number, output) = if path.contains("{model_pk}") || path.contains("{file}") {
                fresh(&rig, source).await
            } else {
                (String::new(), String::new())
            };
            let file = if path.contains("{file}") { drawn(&rig, &number).await } else { String::new() };
            let version = rig.version.to_string();
            let pull = match path.split_once("pulls/{number}/") {
                Some((before, _)) => {
                    let at = before.replace("{owner}", "owner").replace("{title}", "Model");
                    opened(&rig, &format!("{at}pulls/"), OWNER).await.to_string()
                }
                None => String::new(),
            };
            let branch = if body["branch"].is_null() { String::new() } else { rig.repositories.idea() };
            let fill = |text: &str| {
                text.replace("{model_pk}", &number)
                    .replace("{number}", &pull)
                    .replace("{file}", &file)
                    .replace("{branch}", &branch)
                    .replace("{id}", if output.is_empty() { &version } else { &output })
                    .replace("{owner}", "OWNER")
                    .replace("{title}", "mODEL")
                    .replace("{username}", "Owner")
                    .replace("{author}", OTHER)
                    .replace("{secret}", "super")
                    .replace("{build}", &rig.build.to_string())
                    .replace("{version}", &version)
            };
            let body = serde_json::from_str(&fill(&body.to_string())).unwrap();
            let answer = rig.call(&method.to_uppercase(), &fill(path), caller, body).await;
            let place = format!("{method} {path} by {caller:?}");
            if answer.status.as_u16() != *expected {
                wrong.push(format!("{place}: {} for {expected}: {}", answer.status, answer.text()));
            }
            wrong.extend(
                shapes.problems(method, path, &answer).into_iter().map(|problem| format!("{place}: {problem}")),
            );
            assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{place}");
            assert!(answer.headers.contains_key("content-security-policy"), "{place}");
            assert!(answer.headers.contains_key("cache-control"), "{place}");
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
