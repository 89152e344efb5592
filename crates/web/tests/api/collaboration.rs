//! Working together on simulations: roles, coauthors, copies, and where a simulation comes from.

use axum::{
    body::Body,
    http::{Request, header},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::rig::{OTHER, OWNER, READER, Rig, STRANGER, WRITER};

fn at(number: u64, rest: &str) -> String {
    format!("/owner/Model/api/v1/{number}/{rest}")
}

#[tokio::test]
async fn who_may_not_look_any_more_is_told_no_more() {
    let rig = Rig::new().await;
    let body = json!({ "adjustment": { "policy": { "hold": true } } });
    let made = rig.granted(201, "POST", "/owner/Model/api/v1/", OWNER, body).await;
    let number = made["sim"]["model_pk"].as_u64().unwrap();
    rig.give(Some(number), READER, "read").await;
    let request = Request::get(at(number, "events/"))
        .header(header::AUTHORIZATION, format!("Token {}", rig.token(READER)))
        .body(Body::empty());
    let mut events = rig.router.clone().oneshot(request.unwrap()).await.unwrap().into_body();
    let first = events.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"event: "), "{first:?}");
    let nothing = json!([{ "username": READER, "role": null }]);
    rig.granted(204, "PUT", &at(number, "access/"), OWNER, nothing).await;
    rig.granted(202, "POST", &at(number, "cancel/"), OWNER, Value::Null).await;
    let rest = events.collect().await.unwrap().to_bytes();
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("event: end") && !rest.contains("WORKER_FAILURE"), "{rest}");
}

#[tokio::test]
async fn each_role_may_what_it_says() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({ "title": "Shared" })).await;
    let role = |name: &str, role: Option<&str>| json!([{ "username": name, "role": role }]);
    rig.granted(403, "PUT", &at(number, "access/"), READER, role(READER, Some("read"))).await;
    let note = json!([{ "username": READER, "role": "read", "msg": "Have a look." }]);
    rig.granted(204, "PUT", &at(number, "access/"), OWNER, note.clone()).await;
    let mail = rig.mail(READER, "read access").await;
    assert!(
        mail.body.contains("Have a look.") && mail.body.contains(&format!("/owner/Model/{number}/")),
        "{}",
        mail.body
    );
    // The same again is no news.
    rig.granted(204, "PUT", &at(number, "access/"), OWNER, note).await;
    rig.give(Some(number), READER, "write").await;
    rig.mail(READER, "write access").await;
    assert_eq!(rig.subjects().iter().filter(|subject| subject.contains("read access")).count(), 1);
    rig.granted(200, "PUT", &at(number, ""), READER, json!({ "title": "Ours", "readme": [], "archived": false })).await;
    let refused = rig.call("PUT", &at(number, ""), READER, json!({ "title": "Mine", "is_public": true })).await;
    assert_eq!(refused.status, 403, "a writer does not decide who sees it");
    let seen = rig.granted(200, "GET", &at(number, ""), READER, Value::Null).await;
    assert_eq!((&seen["title"], &seen["is_public"], &seen["role"]), (&json!("Ours"), &json!(false), &json!("write")));
    assert!(seen.get("access").is_none(), "who else has a role is for admins");
    rig.give(Some(number), READER, "admin").await;
    let access = rig.granted(200, "GET", &at(number, ""), READER, Value::Null).await["access"].clone();
    let row = |name: &str, owns: bool| json!({ "is_owner": owns, "role": "admin", "username": name });
    assert_eq!(access, json!([row(OWNER, true), row(READER, false)]), "one role a person");
    rig.granted(409, "PUT", &at(number, "access/"), READER, role(OWNER, None)).await;
    rig.granted(204, "PUT", &at(number, "access/"), READER, role(READER, None)).await;
    rig.granted(403, "GET", &at(number, ""), READER, Value::Null).await;
    for wrong in
        [json!({}), json!(3), json!([3]), json!([{}]), json!([{ "username": READER }]), json!([{ "role": "read" }])]
    {
        rig.granted(400, "PUT", &at(number, "access/"), OWNER, wrong).await;
    }
}

#[tokio::test]
async fn coauthors_are_invited_accept_and_leave() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({})).await;
    let invite = |name: &str| json!({ "authors": [{ "username": name, "msg": "Join us." }] });
    let authors = at(number, "authors/");
    rig.granted(403, "PUT", &authors, "", invite(READER)).await;
    rig.granted(403, "PUT", &authors, STRANGER, invite(STRANGER)).await;
    let open = rig.granted(200, "PUT", &authors, OWNER, invite(READER)).await;
    let url = open[0]["grant_url"].as_str().unwrap().to_owned();
    let expected =
        json!([{ "grant_url": url, "profile": READER, "permission_name": "add_author", "is_expired": false }]);
    assert_eq!(open, expected);
    assert!(rig.mail(READER, "coauthor").await.body.contains("Join us."));
    let before = rig.granted(200, "GET", &at(number, ""), READER, Value::Null).await;
    assert_eq!((&before["authors"], &before["role"]), (&json!([OWNER]), &json!("read")));
    assert_eq!(rig.call("POST", &url, STRANGER, Value::Null).await.status, 403, "an invitation is for one person");
    assert!(rig.call("POST", &url, READER, Value::Null).await.status.is_redirection());
    let after = rig.granted(200, "GET", &at(number, ""), OWNER, Value::Null).await;
    assert_eq!((&after["authors"], &after["pending_permissions"]), (&json!([OWNER, READER]), &json!([])));
    let none = rig.granted(200, "PUT", &authors, OWNER, invite(READER)).await;
    assert_eq!(none, json!([]), "an author is not invited again");
    let removed = |name: &str| format!("{authors}{name}/");
    rig.granted(400, "DELETE", &removed(OWNER), OWNER, Value::Null).await;
    rig.granted(403, "DELETE", &removed(READER), "", Value::Null).await;
    rig.granted(403, "DELETE", &removed(READER), STRANGER, Value::Null).await;
    rig.granted(404, "DELETE", &removed("nobody"), OWNER, Value::Null).await;
    rig.granted(204, "DELETE", &removed(READER), OWNER, Value::Null).await;
    rig.granted(404, "DELETE", &removed(READER), OWNER, Value::Null).await;
    rig.granted(403, "GET", &at(number, ""), READER, Value::Null).await;
    // A role that was given for its own sake stays.
    rig.give(Some(number), WRITER, "write").await;
    rig.granted(200, "PUT", &authors, OWNER, invite(WRITER)).await;
    rig.granted(204, "DELETE", &removed(WRITER), WRITER, Value::Null).await;
    let kept = rig.granted(200, "GET", &at(number, ""), WRITER, Value::Null).await;
    assert_eq!(kept["role"], "write");
}

#[tokio::test]
async fn an_old_invitation_is_replaced() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({})).await;
    let body = json!({ "authors": [{ "username": READER }] });
    let first = rig.granted(200, "PUT", &at(number, "authors/"), OWNER, body.clone()).await;
    rig.hours_pass(49);
    let seen = rig.granted(200, "GET", &at(number, ""), OWNER, Value::Null).await["pending_permissions"].clone();
    assert_eq!((&seen[0]["grant_url"], &seen[0]["is_expired"]), (&first[0]["grant_url"], &json!(true)));
    let late = rig.call("POST", first[0]["grant_url"].as_str().unwrap(), READER, Value::Null).await;
    assert!(late.status.is_client_error(), "{}", late.status);
    let second = rig.granted(200, "PUT", &at(number, "authors/"), OWNER, body).await;
    assert_ne!(second[0]["grant_url"], first[0]["grant_url"]);
    assert_eq!((second.as_array().unwrap().len(), &second[0]["is_expired"]), (1, &json!(false)));
    let many: Vec<Value> = (0..11).map(|_| json!({ "username": OTHER })).collect();
    rig.granted(400, "PUT", &at(number, "authors/"), OWNER, json!({ "authors": many })).await;
}

#[tokio::test]
async fn a_copy_is_the_callers_and_costs_nothing() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({ "title": "Original", "adjustment": { "policy": { "rate": 0.3 } } })).await;
    rig.granted(403, "POST", &at(number, "fork/"), "", Value::Null).await;
    rig.granted(403, "POST", &at(number, "fork/"), STRANGER, Value::Null).await;
    rig.granted(200, "PUT", &at(number, ""), OWNER, json!({ "is_public": true, "notify_on_completion": true })).await;
    rig.granted(403, "POST", &at(number, "fork/"), "", Value::Null).await;
    let copy = rig.granted(201, "POST", &at(number, "fork/"), STRANGER, Value::Null).await;
    let forked = copy["api_url"].as_str().unwrap();
    let seen = rig.granted(200, "GET", forked, STRANGER, Value::Null).await;
    let original = rig.granted(200, "GET", &at(number, ""), OWNER, Value::Null).await;
    for same in ["title", "readme", "status", "model_version", "run_time", "outputs", "reason"] {
        assert_eq!(seen[same], original[same], "{same}");
    }
    assert_eq!((&seen["owner"], &seen["authors"]), (&json!(STRANGER), &json!([STRANGER])));
    assert_eq!((&seen["run_cost"], &seen["is_public"]), (&json!(0.0), &json!(false)));
    assert_eq!(seen["notify_on_completion"], false);
    assert_eq!(seen["parent_sims"][0]["model_pk"], number);
    let inputs = rig.granted(200, "GET", &format!("{forked}edit/"), STRANGER, Value::Null).await;
    assert_eq!((&inputs["status"], &inputs["parent_model_pk"]), (&json!("SUCCESS"), &json!(number)));
    assert_eq!((&inputs["adjustment"], &inputs["job_id"]), (&json!({ "policy": { "rate": 0.3 } }), &Value::Null));
    rig.granted(403, "GET", forked, OWNER, Value::Null).await;
    // What the copy shows outlives its source.
    rig.granted(204, "DELETE", &at(number, ""), OWNER, Value::Null).await;
    let alone = rig.granted(200, "GET", forked, STRANGER, Value::Null).await;
    assert_eq!((&alone["outputs"], &alone["parent_sims"]), (&seen["outputs"], &json!([])));
}

#[tokio::test]
async fn parents_show_to_those_who_may_see_them() {
    let rig = Rig::new().await;
    let root = rig.simulation(json!({ "title": "Root", "is_public": true })).await;
    rig.granted(200, "PUT", &at(root, ""), OWNER, json!({ "readme": [{ "text": "why" }] })).await;
    let secret = rig.simulation(json!({ "title": "Secret", "parent_model_pk": root })).await;
    let leaf = rig.simulation(json!({ "parent_model_pk": secret, "is_public": true })).await;
    let seen = rig.granted(200, "GET", &at(leaf, ""), OWNER, Value::Null).await;
    let numbers = |seen: &Value| -> Vec<u64> {
        seen["parent_sims"].as_array().unwrap().iter().map(|parent| parent["model_pk"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers(&seen), [secret, root], "nearest first");
    assert_eq!((&seen["title"], &seen["readme"]), (&json!("Secret"), &json!([{ "text": "why" }])), "taken over");
    assert_eq!(seen["parent_sims"][0]["role"], Value::Null);
    let anonymous = rig.granted(200, "GET", &at(leaf, ""), "", Value::Null).await;
    assert_eq!(numbers(&anonymous), [root], "past a private one, but without it");
    let inputs = rig.granted(200, "GET", &at(leaf, "edit/"), "", Value::Null).await;
    assert_eq!(inputs["parent_model_pk"], Value::Null);
    // Naming a private simulation as the parent tells nothing of it.
    let stolen = rig.call("POST", "/owner/Model/api/v1/", STRANGER, json!({ "parent_model_pk": secret })).await;
    let unknown = rig.call("POST", "/owner/Model/api/v1/", STRANGER, json!({ "parent_model_pk": 4711 })).await;
    assert_eq!((stolen.status.as_u16(), unknown.status.as_u16()), (404, 404));
    assert_eq!(stolen.json()["detail"], unknown.json()["detail"]);
    rig.give(Some(secret), STRANGER, "read").await;
    rig.granted(201, "POST", "/owner/Model/api/v1/", STRANGER, json!({ "parent_model_pk": secret })).await;
}

#[tokio::test]
async fn a_blank_simulation_takes_its_parent_when_it_is_submitted() {
    let rig = Rig::new().await;
    let parent = rig.simulation(json!({ "title": "Parent" })).await;
    let blank = rig.granted(201, "POST", "/owner/Model/api/v1/new/", OWNER, Value::Null).await;
    let number = blank["sim"]["model_pk"].as_u64().unwrap();
    let body = json!({ "parent_model_pk": parent, "notify_on_completion": true });
    let made = rig.granted(201, "POST", &at(number, ""), OWNER, body).await;
    assert_eq!((&made["parent_model_pk"], &made["sim"]["title"]), (&json!(parent), &json!("Parent")));
    assert_eq!(made["sim"]["notify_on_completion"], true);
    let done = rig.until(number, |simulation| simulation["status"] == "SUCCESS").await;
    assert_eq!(done["parent_sims"][0]["model_pk"], parent);
    let mail = rig.mail(OWNER, "is finished").await;
    assert!(mail.body.contains(&format!("/owner/Model/{number}/")), "{}", mail.body);
}
