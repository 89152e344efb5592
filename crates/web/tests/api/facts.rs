//! Facts of the 1.6 acceptance tests, and the weaknesses that must not come back.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::rig::{ADMIN, OWNER, READER, Rig, STRANGER};

#[tokio::test]
async fn a_simulation_lives_from_create_to_outputs() {
    let rig = Rig::new().await;
    let body = json!({
        "meta_parameters": { "year": 2027 },
        "adjustment": { "policy": { "rate": [{ "value": 0.2 }] } },
        "notify_on_completion": true,
    });
    let made = rig.call("POST", "/OWNER/model/api/v1", OWNER, body.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    assert_eq!(made["status"], "PENDING");
    assert_eq!(made["adjustment"], body["adjustment"]);
    assert_eq!(made["sim"]["project"], "owner/Model");
    assert_eq!(made["sim"]["notify_on_completion"], true);
    assert_eq!(made["api_url"], format!("/owner/Model/api/v1/{}/edit/", made["sim"]["model_pk"]));
    let number = made["sim"]["model_pk"].as_u64().unwrap();
    let remote = rig.until(number, |simulation| simulation["status"] == "SUCCESS").await;
    assert_eq!(remote["title"], "Untitled Simulation");
    assert_eq!(remote["outputs_version"], "v1");
    assert_eq!(remote["project"]["server_cost"], "0.061");
    assert_eq!(remote["project"]["cpu"], "2.0");
    assert_eq!(remote["run_time"], 2);
    assert_eq!(remote["traceback"], Value::Null);
    assert_eq!(remote["role"], "admin");
    assert_eq!(remote["access"], json!([{ "is_owner": true, "role": "admin", "username": "owner" }]));
    let edit = rig.get(&format!("/owner/model/api/v1/{number}/edit/"), OWNER).await.json();
    assert_eq!(edit["status"], "SUCCESS");
    assert_eq!(edit["meta_parameters"], json!({ "year": [{ "value": 2027 }] }));
    assert_eq!(edit["model_config"]["model_version"], "1.0");
    assert_eq!(edit["model_config"]["meta_parameters"]["year"]["value"], json!([{ "value": 2027 }]));
    let detail = rig.get(&format!("/owner/Model/api/v1/{number}/"), OWNER).await;
    assert_eq!(detail.status, 200);
    assert_eq!(detail.json()["outputs"]["downloadable"][0]["title"], "Data / all");
}

#[tokio::test]
async fn pending_simulations_answer_202_and_can_be_cancelled() {
    let rig = Rig::new().await;
    let body = json!({ "adjustment": { "policy": { "hold": true } } });
    let made = rig.call("POST", "/owner/Model/api/v1/", OWNER, body).await.json();
    let number = made["sim"]["model_pk"].as_u64().unwrap();
    rig.until(number, |simulation| simulation["status"] == "PENDING").await;
    let path = format!("/owner/Model/api/v1/{number}/");
    let waiting = rig.get(&path, OWNER).await;
    assert_eq!((waiting.status.as_u16(), &waiting.json()["outputs"]), (202, &Value::Null));
    assert_eq!(rig.get(&format!("{path}remote/"), OWNER).await.status, 202);
    let fork = rig.call("POST", &format!("{path}fork/"), OWNER, Value::Null).await;
    assert_eq!(fork.status, 400);
    assert!(fork.json().get("fork").is_some());
    assert_eq!(rig.call("DELETE", &path, OWNER, Value::Null).await.status, 409);
    assert_eq!(rig.call("POST", &format!("{path}cancel/"), OWNER, Value::Null).await.status, 202);
    let over = rig.until(number, |simulation| simulation["status"] == "WORKER_FAILURE").await;
    assert_eq!(over["reason"], "CANCELLED");
    assert!(over["traceback"].is_string());
    assert_eq!(rig.get(&path, OWNER).await.status, 200);
}

#[tokio::test]
async fn visibility_is_obeyed_everywhere() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({})).await;
    let path = format!("/owner/Model/api/v1/{number}/");
    let remote = rig.get(&format!("{path}remote/"), OWNER).await.json();
    let output = remote["outputs"]["outputs"]["renderable"]["outputs"][0]["url"].as_str().unwrap().to_owned();
    let paths = [
        path.clone(),
        format!("{path}remote/"),
        format!("{path}edit/"),
        format!("{path}log/"),
        format!("{path}events/"),
        format!("/owner/Model/{number}/download/"),
        output.clone(),
    ];
    for path in &paths {
        let refused = rig.get(path, "").await;
        assert_eq!(refused.status, 403);
        assert_eq!(refused.json()["detail"], "Authentication credentials were not provided.");
    }
    assert_eq!(rig.get(&output, OWNER).await.headers["cache-control"], "private, no-cache");
    let published = rig.call("PUT", &path, OWNER, json!({ "is_public": true })).await;
    assert_eq!(published.json()["is_public"], true);
    for path in &paths {
        assert_eq!(rig.get(path, "").await.status, 200, "{path}");
    }
    let shared = rig.get(&output, "").await.headers["cache-control"].to_str().unwrap().to_owned();
    assert!(shared.starts_with("public"), "caches between us and the reader may keep it: {shared}");
    let listed = rig.get("/api/v1/sims/owner", "").await.json();
    assert_eq!((&listed["count"], &listed["results"][0]["role"]), (&json!(1), &Value::Null));
    let copy = rig.call("POST", &format!("{path}fork/"), STRANGER, Value::Null).await.json();
    assert_eq!((copy["owner"].as_str(), copy["is_public"].as_bool()), (Some(STRANGER), Some(false)));
    assert_eq!(rig.get(copy["api_url"].as_str().unwrap(), OWNER).await.status, 403);
}

#[tokio::test]
async fn only_what_may_be_changed_is_changed() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({})).await;
    let path = format!("/owner/Model/api/v1/{number}/");
    rig.call("PUT", &path, OWNER, json!({ "is_public": true, "notify_on_completion": true })).await;
    let wish = json!({ "title": "T", "status": "FAIL", "model_pk": 99, "model_version": "x" });
    let changed = rig.call("PUT", &path, OWNER, wish).await.json();
    assert_eq!((&changed["status"], &changed["model_pk"]), (&json!("SUCCESS"), &json!(number)));
    // A form leaves out the flags that it does not change.
    let form = Request::put(&path)
        .header("authorization", format!("Token {}", rig.token(OWNER)))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("title=From+a+form&readme=%5B%7B%22text%22%3A%22hi%22%7D%5D"))
        .unwrap();
    let changed = rig.send(form).await.json();
    assert_eq!(changed["title"], "From a form");
    assert_eq!(changed["readme"], json!([{ "text": "hi" }]));
    assert_eq!((&changed["is_public"], &changed["notify_on_completion"]), (&json!(true), &json!(true)));
    let long = rig.call("PUT", &path, OWNER, json!({ "title": "x".repeat(501) })).await;
    assert_eq!((long.status.as_u16(), long.json()["title"].is_array()), (400, true));
    let archived = rig.call("PUT", &path, OWNER, json!({ "archived": true })).await.json();
    assert_eq!(archived["archived"], true);
    assert_eq!(rig.get("/api/v1/sims", OWNER).await.json()["count"], 0);
    assert_eq!(rig.get("/api/v1/sims?archived=1", OWNER).await.json()["count"], 1);
}

#[tokio::test]
async fn blank_simulations_wait_for_their_owner() {
    let rig = Rig::new().await;
    let made = rig.call("POST", "/owner/Model/api/v1/new/", OWNER, Value::Null).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!((&made["inputs"]["status"], &made["sim"]["status"]), (&json!("STARTED"), &json!("STARTED")));
    let path = made["sim"]["api_url"].as_str().unwrap().to_owned();
    assert_eq!(rig.call("POST", &path, "", json!({})).await.status, 403);
    assert_eq!(rig.call("POST", &path, STRANGER, json!({})).await.status, 403);
    let submitted = rig.call("POST", &path, OWNER, json!({})).await;
    assert_eq!(submitted.status, 201, "{}", submitted.text());
    rig.until(made["sim"]["model_pk"].as_u64().unwrap(), |simulation| simulation["status"] == "SUCCESS").await;
    let again = rig.call("POST", &path, OWNER, json!({})).await;
    assert_eq!((again.status.as_u16(), again.json().get("status").is_some()), (400, true));
}

#[tokio::test]
async fn a_second_click_makes_no_second_simulation() {
    let rig = Rig::new().await;
    let ask = |key: &str, path: &str| {
        Request::post(path)
            .header("authorization", format!("Token {}", rig.token(OWNER)))
            .header("idempotency-key", key)
            .body(Body::empty())
            .unwrap()
    };
    let new = "/owner/Model/api/v1/new/";
    let first = rig.send(ask("click", new)).await.json();
    let number = first["sim"]["model_pk"].as_u64().unwrap();
    assert_eq!(rig.send(ask("click", new)).await.json()["sim"]["model_pk"], number);
    assert_eq!(rig.send(ask("click", "/owner/Model/api/v1/")).await.status, 409, "that is another request");
    assert_ne!(rig.send(ask("other", new)).await.json()["sim"]["model_pk"], number);
    rig.granted(201, "POST", first["sim"]["api_url"].as_str().unwrap(), OWNER, json!({})).await;
    rig.until(number, |simulation| simulation["status"] == "SUCCESS").await;
    let late = rig.send(ask("click", new)).await;
    assert_eq!((late.status.as_u16(), &late.json()["sim"]["status"]), (201, &json!("SUCCESS")));
    rig.granted(204, "DELETE", first["sim"]["api_url"].as_str().unwrap(), OWNER, Value::Null).await;
    assert_ne!(rig.send(ask("click", new)).await.json()["sim"]["model_pk"], number, "what is gone is not repeated");
    for wrong in ["", " ", "ü", &"x".repeat(256)] {
        let request = ask("key", new);
        let (mut parts, body) = request.into_parts();
        parts.headers.insert("idempotency-key", wrong.parse().unwrap());
        let refused = rig.send(Request::from_parts(parts, body)).await;
        assert_eq!(refused.status, 400, "{wrong:?}: {}", refused.text());
    }
}

#[tokio::test]
async fn nothing_rejected_leaves_debris_and_repeats_are_one() {
    let rig = Rig::new().await;
    let create = "/owner/Model/api/v1/";
    let wrong = rig.call("POST", create, OWNER, json!({ "meta_parameters": { "year": 1900 } })).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.json()["errors"]["year"].is_array(), "{}", wrong.text());
    assert_eq!(rig.call("POST", create, OWNER, json!({ "parent_model_pk": 77 })).await.status, 404);
    assert_eq!(rig.call("POST", create, OWNER, json!({ "client": "telnet" })).await.status, 400);
    assert_eq!(rig.call("POST", create, OWNER, json!({ "adjustment": [] })).await.status, 400);
    assert_eq!(rig.get("/api/v1/sims/", OWNER).await.json()["count"], 0);
    assert_eq!(rig.get(create, OWNER).await.status, 405);
    let keyed = |body: &'static str| {
        Request::post(create)
            .header("authorization", format!("Bearer {}", rig.token(OWNER)))
            .header("content-type", "application/json")
            .header("idempotency-key", "once")
            .body(Body::from(body))
            .unwrap()
    };
    let first = rig.send(keyed("{\"title\": \"A\", \"client\": \"rest-api\"}")).await.json();
    let second = rig.send(keyed("{\"client\": \"rest-api\", \"title\": \"A\"}")).await.json();
    assert_eq!(first["sim"]["model_pk"], second["sim"]["model_pk"]);
    assert_eq!(rig.send(keyed("{\"title\": \"B\"}")).await.status, 409);
}

#[tokio::test]
async fn roles_and_authors() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({})).await;
    let path = format!("/owner/Model/api/v1/{number}/");
    let access = format!("{path}access/");
    let read = json!([{ "username": READER, "role": "read" }]);
    assert_eq!(rig.call("PUT", &access, OWNER, read.clone()).await.status, 204);
    assert_eq!(rig.call("PUT", &access, OWNER, read).await.status, 204);
    assert_eq!(rig.get(&path, READER).await.json()["role"], "read");
    assert_eq!(rig.get("/api/v1/sims?shared=1", READER).await.json()["results"][0]["role"], "read");
    assert_eq!(rig.get("/api/v1/sims", READER).await.json()["count"], 0);
    let unknown = json!([{ "username": READER, "role": "boss" }, { "username": READER, "role": null }]);
    let refused = rig.call("PUT", &access, OWNER, unknown).await;
    assert_eq!(refused.status, 400);
    assert!(refused.json()[0]["role"].is_array());
    let half = json!([{ "username": READER, "role": null }, { "username": "nobody", "role": "read" }]);
    assert_eq!(rig.call("PUT", &access, OWNER, half).await.status, 404);
    assert_eq!(rig.get(&path, READER).await.status, 200, "a list is applied whole or not at all");
    assert_eq!(rig.call("PUT", &access, OWNER, json!([{ "username": READER, "role": null }])).await.status, 204);
    assert_eq!(rig.get(&path, READER).await.status, 403);
    let authors = format!("{path}authors/");
    let invited = rig.call("PUT", &authors, OWNER, json!({ "authors": [{ "username": READER }] })).await.json();
    assert_eq!(invited[0]["profile"], READER);
    let again = rig.call("PUT", &authors, OWNER, json!({ "authors": [{ "username": READER }] })).await.json();
    assert_eq!(invited, again);
    let seen = rig.get(&path, READER).await.json();
    assert_eq!((&seen["authors"], &seen["pending_permissions"]), (&json!([OWNER]), &invited));
    assert_eq!(rig.call("DELETE", &format!("{authors}{OWNER}/"), OWNER, Value::Null).await.status, 400);
    assert_eq!(rig.call("DELETE", &format!("{authors}{READER}/"), READER, Value::Null).await.status, 204);
    assert_eq!(rig.get(&path, READER).await.status, 403, "the role that came with the invitation goes with it");
    let nobody = rig.call("PUT", &authors, OWNER, json!({ "authors": [{ "username": "nobody" }] })).await;
    assert_eq!((nobody.status.as_u16(), nobody.json()["authors"].is_array()), (400, true));
}

#[tokio::test]
async fn publishing_needs_a_token_and_makes_nothing_live() {
    let rig = Rig::new().await;
    let body = json!({ "title": "Tax & Benefit", "oneliner": "x", "description": "y", "cpu": "1.5" });
    assert_eq!(rig.call("POST", "/publish/api/", "", body.clone()).await.status, 401);
    let made = rig.call("POST", "/publish/api/", STRANGER, body.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    assert_eq!(
        (&made["title"], &made["status"], &made["cpu"]),
        (&json!("Tax-Benefit"), &json!("pending"), &json!("1.5"))
    );
    let again = rig.call("POST", "/publish/api/", STRANGER, body).await;
    assert_eq!((again.status.as_u16(), again.json().get("project_exists").is_some()), (400, true));
    let detail = "/publish/api/STRANGER/tax-benefit/detail/";
    let changed = rig.call("PUT", detail, STRANGER, json!({ "status": "pending", "oneliner": "z" })).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["status"]), (200, &json!("pending")));
    assert_eq!(rig.call("PUT", detail, STRANGER, json!({ "status": "live" })).await.status, 403);
    assert_eq!(rig.call("PUT", detail, STRANGER, json!({ "description": null })).await.status, 400);
    assert_eq!(rig.call("PUT", detail, STRANGER, json!({ "title": "Other" })).await.status, 400);
    assert_eq!(rig.call("POST", "/stranger/Tax-Benefit/api/v1/", STRANGER, json!({})).await.status, 403);
    assert_eq!(rig.get("/stranger/Tax-Benefit/api/v1/1/", STRANGER).await.status, 404);
    let form = Request::put("/publish/api/owner/model/detail/")
        .header("authorization", format!("Token {}", rig.token(OWNER)))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("oneliner=Form"))
        .unwrap();
    let changed = rig.send(form).await.json();
    assert_eq!((&changed["listed"], &changed["status"]), (&json!(true), &json!("live")));
}

#[tokio::test]
async fn private_and_unlisted_models_do_not_show() {
    let rig = Rig::new().await;
    rig.model("Secret", false).await;
    rig.call("PUT", "/publish/api/owner/model/detail/", OWNER, json!({ "listed": false })).await;
    assert_eq!(rig.get("/publish/api/", "").await.json(), json!([]));
    assert_eq!(rig.get("/api/v1/models/owner", STRANGER).await.json()["count"], 0);
    assert_eq!(rig.get("/api/v1/models", OWNER).await.json()["count"], 2);
    for path in ["/owner/Secret/api/v1/inputs/", "/publish/api/owner/Secret/detail/", "/users/status/owner/Secret/"] {
        assert_eq!(rig.get(path, OWNER).await.status, 200, "{path}");
        assert_eq!(rig.get(path, STRANGER).await.status, 404, "{path}");
        assert_eq!(rig.get(path, "").await.status, 404, "{path}");
        assert_eq!(rig.get(path, ADMIN).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn lists_can_be_searched_sorted_and_paged() {
    let rig = Rig::new().await;
    for title in ["Alpha", "Beta", "Gamma"] {
        rig.simulation(json!({ "title": title })).await;
    }
    let page = rig.get("/api/v1/sims?ordering=title&page_size=2", OWNER).await.json();
    assert_eq!((&page["count"], &page["results"][0]["title"]), (&json!(3), &json!("Alpha")));
    let next = page["next"].as_str().unwrap().to_owned();
    assert!(next.contains("page=2") && next.contains("ordering=title"), "{next}");
    let path = next.split_once("8080").unwrap().1;
    assert_eq!(rig.get(path, OWNER).await.json()["results"][0]["title"], "Gamma");
    assert_eq!(rig.get("/api/v1/sims?search=bet", OWNER).await.json()["count"], 1);
    assert_eq!(rig.get("/api/v1/sims?model=OWNER/model&status=success", OWNER).await.json()["count"], 3);
    assert_eq!(rig.get("/api/v1/sims?status=PENDING", OWNER).await.json()["count"], 0);
    assert_eq!(rig.get("/api/v1/sims?ordering=password", OWNER).await.status, 400);
    let beyond = rig.get("/api/v1/sims?page=9", OWNER).await;
    assert_eq!((beyond.status.as_u16(), &beyond.json()["detail"]), (404, &json!("Invalid page.")));
}

#[tokio::test]
async fn an_identical_simulation_is_answered_by_the_earlier_one() {
    let rig = Rig::new().await;
    let body = json!({ "adjustment": { "policy": { "rate": 0.7 } } });
    let first = rig.simulation(body.clone()).await;
    let made = rig.granted(201, "POST", "/owner/Model/api/v1/", OWNER, body.clone()).await;
    assert_eq!(made["status"], "SUCCESS", "nothing is validated twice");
    let number = made["sim"]["model_pk"].as_u64().unwrap();
    assert_ne!(number, first);
    let seen = rig.until(number, |simulation| simulation["status"] == "SUCCESS").await;
    assert_eq!((&seen["from_memo"], &seen["run_cost"]), (&json!(true), &json!(0.0)));
    let mut fresh = body;
    fresh["fresh"] = json!(true);
    let again = rig.simulation(fresh).await;
    assert_eq!(rig.until(again, |_| true).await["from_memo"], false);
}

// The fields that clients of 1.6 look for, by kind of answer.
const MINI: [&str; 14] = [
    "api_url",
    "authors",
    "creation_date",
    "gui_url",
    "is_public",
    "model_pk",
    "model_version",
    "notify_on_completion",
    "owner",
    "project",
    "readme",
    "status",
    "title",
    "role",
];
const SIMULATION: [&str; 24] = [
    "api_url",
    "gui_url",
    "authors",
    "owner",
    "creation_date",
    "eta",
    "original_eta",
    "exp_comp_datetime",
    "is_public",
    "notify_on_completion",
    "model_pk",
    "model_version",
    "outputs",
    "outputs_version",
    "project",
    "readme",
    "run_time",
    "status",
    "title",
    "traceback",
    "parent_sims",
    "role",
    "pending_permissions",
    "access",
];
const INPUTS: [&str; 14] = [
    "adjustment",
    "api_url",
    "gui_url",
    "client",
    "custom_adjustment",
    "errors_warnings",
    "job_id",
    "meta_parameters",
    "model_config",
    "parent_model_pk",
    "role",
    "sim",
    "status",
    "traceback",
];
const PROJECT: [&str; 17] = [
    "title",
    "oneliner",
    "description",
    "repo_url",
    "repo_tag",
    "latest_tag",
    "exp_task_time",
    "server_cost",
    "cpu",
    "memory",
    "listed",
    "owner",
    "cluster_type",
    "status",
    "has_write_access",
    "sim_count",
    "user_count",
];

#[tokio::test]
async fn answers_have_every_field_of_1_6() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({ "title": "One" })).await;
    let copy = rig.granted(201, "POST", &format!("/owner/Model/api/v1/{number}/fork/"), OWNER, Value::Null).await;
    let at = |rest: &str| format!("/owner/Model/api/v1/{}/{rest}", copy["model_pk"]);
    let remote = rig.granted(200, "GET", &at("remote/"), OWNER, Value::Null).await;
    let detail = rig.granted(200, "GET", &at(""), OWNER, Value::Null).await;
    let edit = rig.granted(200, "GET", &at("edit/"), OWNER, Value::Null).await;
    let new = rig.granted(201, "POST", "/owner/Model/api/v1/new/", OWNER, Value::Null).await;
    let sims = rig.granted(200, "GET", "/api/v1/sims", OWNER, Value::Null).await;
    let models = rig.granted(200, "GET", "/api/v1/models", OWNER, Value::Null).await;
    let shown = &remote["outputs"]["outputs"]["renderable"];
    let kinds: [(&str, &Value, &[&str]); 15] = [
        ("fork", &copy, &MINI),
        ("list", &sims["results"][0], &MINI),
        ("parent", &detail["parent_sims"][0], &MINI),
        ("inputs.sim", &edit["sim"], &MINI),
        ("detail", &detail, &SIMULATION),
        ("remote", &remote, &SIMULATION),
        ("new.sim", &new["sim"], &SIMULATION[..22]),
        ("edit", &edit, &INPUTS),
        ("new.inputs", &new["inputs"], &INPUTS),
        ("project", &detail["project"], &PROJECT),
        ("model", &models["results"][0], &PROJECT),
        ("page", &sims, &["count", "next", "previous", "results"]),
        ("output", &detail["outputs"]["renderable"][0], &["id", "title", "media_type", "data"]),
        ("outputs", shown, &["ziplocation", "outputs"]),
        ("reference", &shown["outputs"][0], &["id", "title", "media_type", "filename", "screenshot"]),
    ];
    for (kind, answer, fields) in kinds {
        for field in fields {
            assert!(answer.get(field).is_some(), "{kind} has no {field}: {answer}");
        }
    }
    assert_eq!(
        edit["model_config"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["project", "model_version", "meta_parameters_values", "meta_parameters", "model_parameters", "creation_date",]
    );
    for (field, text) in [("gui_url", format!("/owner/Model/{}/", copy["model_pk"])), ("api_url", at(""))] {
        assert_eq!(detail[field], text);
        assert_eq!(edit[field], format!("{text}edit/"));
    }
}
