//! Requests that are not as they should be: each is refused in one of three shapes, with a sentence.

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};

use crate::rig::{ADMIN, Answer, OWNER, Rig};

const CREATE: &str = "/owner/Model/api/v1/";

async fn send(rig: &Rig, method: &str, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Token {}", rig.token(OWNER)))
        .header(header::CONTENT_TYPE, kind);
    rig.send(request.body(body.into()).unwrap()).await
}

/// The sentence of a refusal: `{"detail": ...}`.
fn detail(answer: &Answer) -> String {
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/json"), "{}", answer.text());
    answer.json()["detail"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

#[tokio::test]
async fn bodies_that_can_not_be_read() {
    let rig = Rig::new().await;
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let parts = "multipart/form-data; boundary=b";
    let cases: [(&str, &[u8], u16, &str); 8] = [
        ("application/json", b"{", 400, "JSON parse error"),
        ("application/json", b"\xff\xfe", 400, "JSON parse error"),
        ("application/json", b"{\"title\": \"\xff\"}", 400, "JSON parse error"),
        ("application/json", deep.as_bytes(), 400, "JSON parse error"),
        ("application/json", b"{\"parent_model_pk\": 1e999}", 400, "JSON parse error"),
        ("text/csv", b"a,b", 415, "Unsupported media type \"text/csv\""),
        (parts, b"--b\r\nnonsense", 400, "The form can't be read"),
        ("multipart/form-data", b"x", 400, "The form can't be read"),
    ];
    for (kind, body, status, sentence) in cases {
        let answer = send(&rig, "POST", CREATE, kind, body.to_vec()).await;
        assert_eq!(answer.status, status, "{kind}: {}", answer.text());
        assert!(detail(&answer).starts_with(sentence), "{kind}: {}", answer.text());
    }
    for path in [CREATE, "/publish/api/owner/Model/builds/", "/owner/Model/api/v1/inputs/"] {
        let large = send(&rig, "POST", path, "application/json", vec![b' '; 11 << 20]).await;
        assert_eq!(large.status, 413, "{path}");
        assert!(detail(&large).contains("10 MB"), "{path}: {}", large.text());
    }
    assert_eq!(rig.get("/api/v1/sims/", OWNER).await.json()["count"], 0);
}

#[tokio::test]
async fn fields_of_a_wrong_kind_are_named() {
    let rig = Rig::new().await;
    for (body, field) in [
        (json!({ "adjustment": [1] }), "adjustment"),
        (json!({ "adjustment": "x" }), "adjustment"),
        (json!({ "adjustment": { "policy": 3 } }), "adjustment"),
        (json!({ "meta_parameters": 3 }), "meta_parameters"),
        (json!({ "parent_model_pk": "one" }), "parent_model_pk"),
        (json!({ "parent_model_pk": -1 }), "parent_model_pk"),
        (json!({ "parent_model_pk": 4_294_967_296_u64 }), "parent_model_pk"),
        (json!({ "notify_on_completion": "perhaps" }), "notify_on_completion"),
        (json!({ "notify_on_completion": null }), "notify_on_completion"),
        (json!({ "client": "telnet" }), "client"),
        (json!({ "title": {} }), "title"),
        (json!({ "title": " " }), "title"),
        (json!({ "title": "a\u{0}b" }), "title"),
        (json!({ "title": "x".repeat(501) }), "title"),
        (json!({ "is_public": [] }), "is_public"),
        (json!({ "version": "newest" }), "version"),
        (json!({ "version": rig.build.to_string() }), "version"),
        (json!({ "adjustment": { "policy": { "x": "y".repeat(2_000_001) } } }), "adjustment"),
    ] {
        let answer = rig.call("POST", CREATE, OWNER, body).await;
        assert_eq!(answer.status, 400, "{field}: {}", answer.text());
        let errors = answer.json();
        assert!(errors[field][0].as_str().is_some_and(|sentence| sentence.ends_with('.')), "{field}: {errors}");
    }
    let several =
        rig.granted(400, "POST", CREATE, OWNER, json!({ "title": 1.5, "is_public": "x", "parent_model_pk": [] })).await;
    assert_eq!(several.as_object().unwrap().keys().collect::<Vec<_>>(), ["parent_model_pk", "is_public"]);
    assert_eq!(rig.get("/api/v1/sims/", OWNER).await.json()["count"], 0);
    let unknown = json!({ "colour": "red", "status": "SUCCESS", "model_pk": 77, "title": "größer 😀 \u{202e}" });
    let made = rig.granted(201, "POST", CREATE, OWNER, unknown).await;
    assert_eq!((&made["sim"]["model_pk"], &made["sim"]["title"]), (&json!(1), &json!("größer 😀 \u{202e}")));
}

#[tokio::test]
async fn forms_and_json_say_the_same() {
    let rig = Rig::new().await;
    let form = "meta_parameters=%7B%22year%22%3A+2027%7D&adjustment=%7B%22policy%22%3A%7B%22rate%22%3A0.2%7D%7D\
                &client=web-beta&notify_on_completion=true&title=Form&parent_model_pk=";
    let by_form = send(&rig, "POST", CREATE, "application/x-www-form-urlencoded", form).await;
    assert_eq!(by_form.status, 201, "{}", by_form.text());
    let parts: String = [
        ("meta_parameters", "{\"year\": 2027}"),
        ("adjustment", "{\"policy\":{\"rate\":0.2}}"),
        ("client", "web-beta"),
        ("notify_on_completion", "true"),
        ("title", "Form"),
        ("parent_model_pk", "null"),
    ]
    .map(|(name, value)| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"))
    .concat();
    let by_parts = send(&rig, "POST", CREATE, "multipart/form-data; boundary=b", parts + "--b--\r\n").await;
    assert_eq!(by_parts.status, 201, "{}", by_parts.text());
    let body = json!({
        "meta_parameters": { "year": 2027 }, "adjustment": { "policy": { "rate": 0.2 } }, "client": "web-beta",
        "notify_on_completion": true, "title": "Form", "parent_model_pk": null,
    });
    let by_json = rig.granted(201, "POST", CREATE, OWNER, body).await;
    for answer in [by_form.json(), by_parts.json()] {
        for field in ["meta_parameters", "adjustment", "client", "notify_on_completion", "status", "errors_warnings"] {
            assert_eq!(answer[field], by_json[field], "{field}");
        }
        assert_eq!(answer["sim"]["title"], "Form");
    }
    // What curl sends when nobody says what it is.
    let curl = send(&rig, "POST", CREATE, "application/x-www-form-urlencoded", "{\"title\": \"curl\"}").await;
    assert_eq!(curl.json()["sim"]["title"], "curl");
    let roles = send(&rig, "PUT", "/owner/Model/api/v1/1/access/", "application/x-www-form-urlencoded", "[]").await;
    assert_eq!(roles.status, 204, "{}", roles.text());
    let broken = send(&rig, "POST", CREATE, "application/x-www-form-urlencoded", "adjustment=%7B").await;
    assert_eq!(broken.json(), json!({ "adjustment": ["Value must be valid JSON."] }));
}

#[tokio::test]
async fn addresses_that_name_nothing() {
    let rig = Rig::new().await;
    rig.simulation(json!({})).await;
    for path in [
        "/api/v1/nothing/here/",
        "/owner/Model/api/v1/zero/",
        "/owner/Model/api/v1/-1/",
        "/owner/Model/api/v1/0/",
        "/owner/Model/api/v1/4294967296/",
        "/owner/Model/api/v1/2/remote/",
        "/owner/Model/api/v1/1/outputs/nonsense/",
        "/owner/Model/api/v1/1/outputs/%ff/",
        "/owner/%ff/api/v1/1/",
        "/owner/a%00b/api/v1/inputs/",
        "/owner/Mod%2fel/api/v1/inputs/",
        "/nobody/Model/api/v1/inputs/",
        "/api/v1/sims/nobody/",
        "/api/v1/sims/a%00b/",
        "/api/v1/models/%ff/",
        "/users/status/nobody/nothing/",
        "/publish/api/owner/Model/builds/%ff/",
        "/publish/api/owner/Model/builds/x/log/",
    ] {
        let answer = rig.get(path, OWNER).await;
        assert_eq!((answer.status.as_u16(), detail(&answer).as_str()), (404, "Not found."), "{path}");
    }
    for path in ["/api/v1/accounts/%ff/", "/api/v1/accounts/nobody/"] {
        assert_eq!(rig.get(path, ADMIN).await.status, 404, "{path}");
    }
    for (path, sentence) in
        [("/owner/Model/api/v1/1/log/?offset=x", "offset"), ("/owner/Model/api/v1/1/events/?offset=-1", "offset")]
    {
        let answer = rig.get(path, OWNER).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(detail(&answer).contains(sentence), "{}", answer.text());
    }
    for (query, status) in [
        ("page=0", 404),
        ("page=x", 404),
        ("page=9", 404),
        ("page=99999999999", 404),
        ("page=4294967295", 404),
        ("page_size=0", 200),
        ("page_size=x", 200),
        ("page_size=100000", 200),
        ("search=%00", 200),
        ("search=%25", 200),
        ("status=DONE", 400),
        ("ordering=-password", 400),
        ("model=Model", 400),
        ("model=owner/none", 404),
        ("archived=perhaps", 400),
        ("shared=2", 400),
        ("archived=all", 200),
        ("shared=TRUE", 200),
        ("colour=red", 200),
    ] {
        let answer = rig.get(&format!("/api/v1/sims/?{query}"), OWNER).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }
}

#[tokio::test]
async fn methods_that_a_route_does_not_have() {
    let rig = Rig::new().await;
    for (method, path, allowed) in [
        ("GET", CREATE, "POST"),
        ("PATCH", "/owner/Model/api/v1/1/", "PUT"),
        ("POST", "/owner/Model/api/v1/1/remote/", "GET"),
        ("PUT", "/owner/Model/api/v1/1/remote", "GET"),
        ("DELETE", "/api/v1/sims/", "GET"),
        ("BREW", "/publish/api/", "POST"),
    ] {
        let answer = rig.call(method, path, OWNER, Value::Null).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(detail(&answer), format!("Method \"{method}\" not allowed."));
        assert!(answer.headers["allow"].to_str().unwrap().contains(allowed), "{:?}", answer.headers["allow"]);
    }
}

#[tokio::test]
async fn every_path_has_two_endings_and_names_any_case() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({})).await;
    for path in [
        "/owner/Model/api/v1/inputs",
        &format!("/owner/Model/api/v1/{number}"),
        &format!("/owner/Model/api/v1/{number}/remote"),
        &format!("/owner/Model/api/v1/{number}/log"),
        &format!("/owner/Model/{number}/download"),
        "/publish/api",
        "/publish/api/owner/Model/detail",
        "/publish/api/owner/Model/deployments",
        "/api/v1/sims",
        "/api/v1/sims/owner",
        "/api/v1/models",
        "/api/v1/models/recent",
        "/api/v1/models/owner",
        "/users/status",
        "/users/status/owner/Model",
        "/users/autocomplete",
        "/rest-auth/user",
    ] {
        let bare = rig.get(path, OWNER).await;
        let slash = rig.get(&format!("{path}/"), OWNER).await;
        assert_eq!((bare.status.as_u16(), slash.status.as_u16()), (200, 200), "{path}");
        let other = path.replace("owner", "OwNeR").replace("Model", "mODEL");
        assert_eq!(rig.get(&other, OWNER).await.status, 200, "{other}");
    }
    for path in ["/owner/Model/api/v1", "/OWNER/model/api/v1/new"] {
        rig.granted(201, "POST", path, OWNER, json!({})).await;
    }
    // One name, whatever its case.
    let body = json!({ "title": "mODEL", "oneliner": "x", "description": "y" });
    rig.granted(400, "POST", "/publish/api", OWNER, body).await;
}
