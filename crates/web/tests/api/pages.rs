//! Pages: who gets them, and what forms may do.

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};

use crate::rig::{ADMIN, Answer, OWNER, READER, Rig, STRANGER, WRITER};

const CALLERS: [&str; 5] = ["", STRANGER, READER, OWNER, ADMIN];

/// Where a page sends whoever has to say who they are.
const LOGIN: u16 = 1;

/// Method, address, form, and what each of the callers gets.
type Row = (&'static str, &'static str, &'static str, [u16; 5]);

const ALL: [u16; 5] = [200; 5];
const NAMED: [u16; 5] = [LOGIN, 200, 200, 200, 200];
const WRITERS_SEE: [u16; 5] = [LOGIN, 403, 403, 200, 200];
const WRITERS_DO: [u16; 5] = [LOGIN, 403, 403, 303, 303];
const READERS_SEE: [u16; 5] = [LOGIN, 403, 200, 200, 200];
const READERS_DO: [u16; 5] = [LOGIN, 403, 303, 303, 303];

const SETTINGS: &str = "oneliner=x&description=y&repo_url=&repo_tag=main&cpu=1&memory=1&deadline=60&exp_task_time=&is_public=1&listed=1\
     &build_cpu=2&build_memory=4&build_minutes=30";

const ROWS: &[Row] = &[
    ("GET", "/", "", ALL),
    ("GET", "/users/login/", "", ALL),
    ("GET", "/users/signup/", "", ALL),
    ("GET", "/users/password_reset/", "", ALL),
    ("GET", "/users/reset/", "", ALL),
    ("GET", "/users/settings/", "", NAMED),
    ("POST", "/users/settings/", "first_name=A", [LOGIN, 303, 303, 303, 303]),
    ("POST", "/users/settings/tokens/", "name=laptop&days=3", NAMED),
    ("POST", "/users/settings/tokens/{version}/delete/", "", [LOGIN, 303, 303, 303, 303]),
    ("GET", "/users/settings/trust/", "", NAMED),
    ("POST", "/users/settings/trust/", "repository=PSL/publish&reference=main", [LOGIN, 303, 303, 303, 303]),
    ("POST", "/users/settings/trust/", "repository=nothing&reference=main", NAMED),
    ("POST", "/users/settings/trust/{version}/remove/", "", [LOGIN, 303, 303, 303, 303]),
    ("GET", "/users/costs/", "", NAMED),
    ("GET", "/users/costs/?month=2026-01&account=*", "", [LOGIN, 403, 403, 403, 200]),
    ("GET", "/users/password_change/", "", NAMED),
    ("GET", "/users/cancel/", "", NAMED),
    ("GET", "/users/delete/", "", NAMED),
    ("POST", "/users/delete/", "confirm_username=somebody", [LOGIN, 200, 200, 200, 200]),
    ("GET", "/users/logout/", "", [405; 5]),
    ("GET", "/publish/", "", NAMED),
    ("POST", "/publish/", "title=", NAMED),
    ("POST", "/publish/", "look=1&repo_url=https://example.org/found", NAMED),
    ("POST", "/publish/", "look=1&repo_url=https://example.org/none", NAMED),
    ("GET", "/OWNER/", "", ALL),
    ("GET", "/owner/mODEL/", "", ALL),
    ("GET", "/owner/Model/new/", "", ALL),
    ("GET", "/owner/Model/new/?year=2029", "", ALL),
    ("GET", "/owner/Model/new/?year=1900", "", ALL),
    ("POST", "/owner/Model/new/", "show=1", ALL),
    ("POST", "/owner/Model/new/", "", [LOGIN, 303, 303, 303, 303]),
    ("GET", "/owner/Model/settings/", "", WRITERS_SEE),
    ("POST", "/owner/Model/settings/", SETTINGS, WRITERS_DO),
    ("POST", "/owner/Model/members/", "username=stranger&role=read", WRITERS_DO),
    ("POST", "/owner/Model/sponsor/", "sponsor=nobody", WRITERS_SEE),
    ("POST", "/owner/Model/sponsor/", "sponsor=owner&message=x", WRITERS_DO),
    ("POST", "/owner/Model/secrets/", "name=super&value=hunter2", WRITERS_DO),
    ("POST", "/owner/Model/secrets/", "name=PATH&value=x", WRITERS_SEE),
    ("GET", "/owner/Model/secrets/super/delete/", "", WRITERS_SEE),
    ("GET", "/owner/Model/secrets/other/delete/", "", [LOGIN, 403, 403, 404, 404]),
    ("POST", "/owner/Model/secrets/super/delete/", "", [LOGIN, 403, 403, 303, 404]),
    ("GET", "/owner/Model/builds/", "", WRITERS_SEE),
    ("POST", "/owner/Model/builds/", "look=1&repo_url=https://example.org/found", WRITERS_SEE),
    ("POST", "/owner/Model/builds/", "repo_url=https://example.org/x&repo_tag=main", WRITERS_DO),
    ("GET", "/owner/Model/builds/{build}/", "", [404, 404, 404, 200, 200]),
    ("POST", "/owner/Model/builds/{build}/cancel/", "", WRITERS_DO),
    ("POST", "/owner/Model/versions/{version}/promote/", "", WRITERS_DO),
    ("GET", "/owner/Model/versions/{version}/changes/", "", ALL),
    ("GET", "/owner/Model/versions/{version}/comparison/", "", WRITERS_SEE),
    ("POST", "/owner/Model/versions/{version}/comparison/", "", [LOGIN, 403, 403, 409, 409]),
    ("GET", "/owner/Model/pulls/", "", WRITERS_SEE),
    ("GET", "/owner/Model/pulls/?state=closed", "", WRITERS_SEE),
    ("GET", "/owner/Model/pulls/new/", "", WRITERS_SEE),
    ("POST", "/owner/Model/pulls/new/", "branch=none", WRITERS_SEE),
    ("POST", "/owner/Model/pulls/new/", "branch=owner/idea-0&title=&body=Why", WRITERS_DO),
    ("GET", "/owner/Model/pulls/1/", "", WRITERS_SEE),
    ("GET", "/owner/Model/pulls/99/", "", [LOGIN, 403, 403, 404, 404]),
    ("POST", "/owner/Model/pulls/1/", "title=Other&body=", WRITERS_DO),
    ("POST", "/owner/Model/pulls/1/", "title=&body=", [LOGIN, 403, 403, 409, 409]),
    ("POST", "/owner/Model/pulls/1/checks/", "", WRITERS_DO),
    ("POST", "/owner/Model/pulls/1/merge/", "", [LOGIN, 403, 403, 409, 409]),
    ("POST", "/owner/Model/pulls/1/close/", "", WRITERS_DO),
    ("POST", "/owner/Model/pulls/1/reopen/", "", WRITERS_DO),
    ("POST", "/owner/Model/pulls/1/merge/", "anyway=1&delete_branch=1", [LOGIN, 403, 403, 403, 303]),
    ("GET", "/owner/Model/pulls/1/", "", WRITERS_SEE),
    ("GET", "/owner/Model/pulls/1/merge/", "", [405; 5]),
    ("GET", "/publish/pulls/", "", NAMED),
    ("GET", "/publish/pulls/new/", "", NAMED),
    ("POST", "/publish/pulls/new/", "branch=owner/idea-0", [LOGIN, 403, 403, 303, 303]),
    ("GET", "/publish/pulls/1/", "", NAMED),
    ("POST", "/publish/pulls/1/", "title=Other&body=", WRITERS_DO),
    ("POST", "/publish/pulls/1/checks/", "", WRITERS_DO),
    ("POST", "/publish/pulls/1/merge/", "", [LOGIN, 403, 403, 409, 409]),
    ("POST", "/publish/pulls/1/close/", "", WRITERS_DO),
    ("POST", "/publish/pulls/1/reopen/", "", WRITERS_DO),
    ("POST", "/owner/Model/rollback/", "", [LOGIN, 403, 403, 400, 400]),
    ("GET", "/owner/Model/new/?_version={version}", "", ALL),
    ("GET", "/owner/Model/new/?_version=none", "", [404; 5]),
    ("GET", "/owner/Model/{number}/", "", READERS_SEE),
    ("GET", "/owner/Model/{number}/edit/", "", READERS_SEE),
    ("POST", "/owner/Model/{number}/edit/", "", WRITERS_SEE),
    ("GET", "/owner/Model/{number}/outputs/{output}/view/", "", READERS_SEE),
    ("GET", "/owner/Model/{number}/sharing/", "", READERS_SEE),
    ("POST", "/owner/Model/{number}/roles/", "username=stranger&role=read", [LOGIN, 403, 200, 303, 303]),
    ("POST", "/owner/Model/{number}/authors/", "username=stranger", [LOGIN, 403, 200, 303, 303]),
    ("POST", "/owner/Model/{number}/authors/stranger/remove/", "", [LOGIN, 403, 403, 404, 404]),
    ("GET", "/owner/Model/{number}/access/{version}/", "", [LOGIN, 404, 404, 404, 404]),
    ("POST", "/owner/Model/{number}/access/{version}/", "", [LOGIN, 404, 404, 404, 404]),
    ("POST", "/owner/Model/{number}/decline/", "", [LOGIN, 403, 404, 400, 404]),
    ("POST", "/owner/Model/{number}/cancel/", "", WRITERS_DO),
    ("POST", "/owner/Model/{number}/again/", "", READERS_DO),
    ("POST", "/owner/Model/{number}/fork/", "", READERS_DO),
    ("GET", "/owner/Model/{number}/fork/", "", [405; 5]),
    ("POST", "/owner/Model/{number}/visibility/", "public=1", WRITERS_DO),
    ("POST", "/owner/Model/{number}/title/", "title=New", WRITERS_DO),
    ("POST", "/owner/Model/{number}/archive/", "archived=1", WRITERS_DO),
    ("GET", "/owner/Model/{number}/delete/", "", WRITERS_SEE),
    ("POST", "/owner/Model/{number}/delete/", "", WRITERS_DO),
    ("GET", "/owner/Model/seven/", "", [404; 5]),
    ("GET", "/nobody/", "", [404; 5]),
];

/// What a browser of somebody sends.
async fn browse(rig: &Rig, method: &str, path: &str, who: &str, form: impl Into<Body>) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, "text/html");
    if !who.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Token {}", rig.token(who)));
    }
    if method == "POST" {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    rig.send(request.body(form.into()).unwrap()).await
}

/// A private simulation of the owner that the reader may read, and one of its outputs.
async fn fresh(rig: &Rig, source: u64) -> (String, String) {
    let copy = rig.call("POST", &format!("/owner/Model/api/v1/{source}/fork/"), OWNER, Value::Null).await;
    let number = copy.json()["model_pk"].to_string();
    let access = json!([{ "username": READER, "role": "read" }]);
    rig.call("PUT", &format!("/owner/Model/api/v1/{number}/access/"), OWNER, access).await;
    let remote = rig.get(&format!("/owner/Model/api/v1/{number}/remote/"), OWNER).await.json();
    let output = remote["outputs"]["outputs"]["renderable"]["outputs"][1]["id"].as_str().unwrap().to_owned();
    (number, output)
}

#[tokio::test]
async fn everybody_opens_every_page() {
    let rig = Rig::new().await;
    let source = rig.simulation(json!({})).await;
    let mut wrong = Vec::new();
    for (method, path, form, expected) in ROWS {
        for (caller, expected) in CALLERS.iter().zip(expected) {
            let (number, output) =
                if path.contains("{number}") { fresh(&rig, source).await } else { (String::new(), String::new()) };
            let path = path
                .replace("{number}", &number)
                .replace("{output}", &output)
                .replace("{build}", &rig.build.to_string())
                .replace("{version}", &rig.version.to_string());
            let answer = browse(&rig, method, &path, caller, *form).await;
            let place = answer.headers.get(header::LOCATION).and_then(|place| place.to_str().ok()).unwrap_or_default();
            let got = if place.starts_with("/users/login/") { LOGIN } else { answer.status.as_u16() };
            if got != *expected {
                wrong.push(format!("{method} {path} by {caller:?}: {got} for {expected}"));
            }
            if answer.status != 303 {
                let kind = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
                assert!(kind.starts_with("text/html"), "{method} {path} by {caller:?}: {kind}");
            }
            let policy = answer.headers["content-security-policy"].to_str().unwrap();
            assert!(!policy.contains("script-src 'unsafe-inline'"), "{policy}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_form_that_cannot_be_read_runs_nothing() {
    let rig = Rig::new().await;
    let large = format!("v:0:rate:nolabels={}", "1".repeat(9 << 20));
    let refused = browse(&rig, "POST", "/owner/Model/new/", OWNER, large).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("has more than 8 MB"), "{}", refused.text());
    assert_eq!(rig.get("/api/v1/sims/", OWNER).await.json()["count"], 0);
}

#[tokio::test]
async fn programs_get_no_pages() {
    let rig = Rig::new().await;
    let lost = rig.get("/no/such/place/at/all/", "").await;
    assert_eq!((lost.status.as_u16(), lost.json()["detail"].as_str()), (404, Some("Not found.")));
    let lost = browse(&rig, "GET", "/owner/Model/api/v1/nothing/here/", "", "").await;
    assert_eq!(lost.json()["detail"], "Not found.");
}

#[tokio::test]
async fn a_repository_is_looked_at_before_it_is_published() {
    let rig = Rig::new().await;
    let form = "look=1&repo_url=https://example.org/a/found&repo_tag=v1&cpu=2&is_public=1&oneliner=Mine";
    let page = browse(&rig, "POST", "/publish/", OWNER, form).await.text();
    assert!(page.contains("Taxes of v1 &#60;b&#62;"), "the title of a README is text: {page}");
    assert!(page.contains("A build of this would fail."), "{page}");
    assert!(page.contains("`run_model` is missing") && page.contains("Write it."), "{page}");
    assert!(page.contains("r-base") && page.contains("line 3"), "{page}");
    // What was filled in stays; what was not is suggested.
    assert!(
        page.contains(r#"name="oneliner" value="Mine""#) && page.contains(r#"name="title" value="found""#),
        "{page}"
    );
    assert!(page.contains(r#"name="is_public" value="1" checked"#), "{page}");
    assert!(!page.contains(r#"name="listed" value="1" checked"#), "{page}");
    assert_eq!(rig.get("/api/v1/models/", OWNER).await.json()["count"], 1, "nothing is published by a look");
    let page = browse(&rig, "POST", "/publish/", OWNER, "look=1&repo_url=https://example.org/none").await.text();
    assert!(page.contains("There is no network here.") && page.contains("aria-invalid"), "{page}");
    let versions = "look=1&repo_url=https://example.org/a/found&repo_tag=next";
    let page = browse(&rig, "POST", "/owner/Model/builds/", OWNER, versions).await.text();
    assert!(page.contains("Taxes of next") && page.contains(r#"value="https://example.org/a/found""#), "{page}");
    let model = rig.get("/publish/api/owner/Model/detail/", OWNER).await.json();
    assert_ne!(model["repo_tag"], "next", "a look changes no settings");
}

#[tokio::test]
async fn looks_are_limited() {
    let config = csw_app::Config { looks_per_minute: 2, ..csw_app::Config::default() };
    let rig = Rig::with(config, csw_web::WebOptions::default()).await;
    let look = json!({ "repo_url": "https://example.org/found" });
    for status in [200, 200, 429] {
        let answer = rig.call("POST", "/publish/api/look/", OWNER, look.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    }
}

#[tokio::test]
async fn the_page_of_a_model_tells_what_its_build_found_out() {
    let rig = Rig::new().await;
    rig.find_out(json!({
        "import_milliseconds": 2345, "get_inputs_milliseconds": 1234, "environment_bytes": 123_456_789,
        "conformance_warnings": ["importing the model takes 2345 ms", "get_inputs takes 1234 ms"],
        "warnings": ["Any version is taken of: pandas"],
    }))
    .await;
    let page = browse(&rig, "GET", "/owner/Model/", OWNER, "").await.text();
    for told in [
        "2345 ms",
        "1234 ms",
        "123.4 MB",
        "importing the model takes",
        "get_inputs takes",
        "Any version is taken of: pandas",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let page = browse(&rig, "GET", "/owner/Model/", STRANGER, "").await.text();
    assert!(
        page.contains("2345 ms") && !page.contains("Any version is taken"),
        "warnings are for those who can do something"
    );
}

/// The model of the rig gives the same outputs on every version.
#[tokio::test]
async fn a_comparison_is_shown_and_what_is_private_stays_so() {
    let rig = Rig::new().await;
    let (public, private) = (rig.simulation(json!({})).await, rig.simulation(json!({ "title": "Hush" })).await);
    rig.granted(200, "PUT", &format!("/owner/Model/api/v1/{public}/"), OWNER, json!({ "is_public": true })).await;
    rig.give(None, WRITER, "write").await;
    for number in [public, private] {
        assert_eq!(browse(&rig, "GET", &format!("/owner/Model/{number}/"), OWNER, "").await.status, 200);
    }
    let version = rig.staged("2.0").await;
    let api = format!("/owner/Model/api/v1/versions/{version}/comparison/");
    assert_eq!(rig.get(&api, OWNER).await.status, 404);
    assert_eq!(rig.call("POST", &api, OWNER, Value::Null).await.status, 202);
    let mut found = Value::Null;
    for _ in 0..1_000 {
        found = rig.get(&api, OWNER).await.json();
        if found["state"] != "running" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(found["summary"], "2 of 2 equal", "{found}");
    let hers = rig.get(&api, WRITER).await.json();
    assert_eq!((&hers["unseen"], hers["simulations"].as_array().unwrap().len()), (&json!(1), 1), "{hers}");
    let page = browse(&rig, "GET", &format!("/owner/Model/versions/{version}/comparison/"), WRITER, "").await.text();
    assert!(page.contains("2 of 2 equal") && !page.contains("Hush"), "{page}");
    let promote = format!("/owner/Model/versions/{version}/promote/");
    assert_eq!(browse(&rig, "POST", &promote, OWNER, "").await.status, 303);
    assert_eq!(rig.get("/publish/api/owner/Model/detail/", OWNER).await.json()["live_version"], version.to_string());
}
