//! Bytes: outputs, archives, logs, events, schemas, uploads.

use std::io::Read;

use axum::{body::Body, http::Request};
use base64::{Engine, engine::general_purpose::STANDARD};
use csw_core::run::Task;
use serde_json::{Value, json};

use crate::{
    executor::{DATA, PICTURE, TABLE},
    rig::{OWNER, Rig},
};

fn with(rig: &Rig, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get(path).header("authorization", format!("Token {}", rig.token(OWNER)));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn outputs_come_whole_in_ranges_and_by_tag() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({})).await;
    let detail = rig.get(&format!("/owner/Model/api/v1/{number}/"), OWNER).await.json();
    let shown = &detail["outputs"]["renderable"];
    assert_eq!(shown[0]["data"], STANDARD.encode(PICTURE));
    assert_eq!(shown[1]["data"], TABLE);
    assert_eq!(shown[2]["data"]["root_id"], "1");
    assert_eq!(detail["outputs"]["downloadable"][0]["data"], DATA);
    let remote = rig.get(&format!("/owner/Model/api/v1/{number}/remote/"), OWNER).await.json();
    let references = &remote["outputs"]["outputs"]["renderable"]["outputs"];
    let picture = references[0]["url"].as_str().unwrap();
    let whole = rig.get(picture, OWNER).await;
    assert_eq!(&whole.bytes[..], PICTURE);
    assert_eq!(whole.headers["content-type"], "image/png");
    let etag = whole.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(rig.send(with(&rig, picture, &[("if-none-match", &etag)])).await.status, 304);
    let part = rig.send(with(&rig, picture, &[("range", "bytes=1-3")])).await;
    assert_eq!((part.status.as_u16(), &part.bytes[..]), (206, b"PNG".as_slice()));
    assert_eq!(part.headers["content-range"], format!("bytes 1-3/{}", PICTURE.len()));
    assert_eq!(rig.send(with(&rig, picture, &[("range", "bytes=999-")])).await.status, 416);
    let other = rig.send(with(&rig, picture, &[("range", "bytes=1-3"), ("if-range", "\"old\"")])).await;
    assert_eq!(other.status, 200);
    let table = rig.get(references[1]["url"].as_str().unwrap(), OWNER).await;
    let policy = table.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("sandbox") && !policy.contains("allow-same-origin"), "{policy}");
    let saved = rig.get(&format!("{picture}?download=1"), OWNER).await;
    assert!(saved.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
}

#[tokio::test]
async fn archives_hold_every_file() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({})).await;
    let path = format!("/owner/Model/{number}/download/");
    let answer = rig.get(&path, OWNER).await;
    assert_eq!(answer.headers["content-type"], "application/zip");
    let names = |bytes: &[u8]| {
        let archive = zip::ZipArchive::new(std::io::Cursor::new(bytes.to_vec())).unwrap();
        archive.file_names().map(|name| name.unwrap().into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&answer.bytes), ["Data _ all.csv"]);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(answer.bytes.to_vec())).unwrap();
    let mut text = String::new();
    archive.by_index(0).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, DATA);
    let all = rig.get(&format!("{path}?category=all"), OWNER).await;
    assert_eq!(names(&all.bytes).len(), 4);
    let raw = rig.get(&format!("{path}?raw_json=1"), OWNER).await;
    assert_eq!(raw.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(raw.json()["status"], "SUCCESS");
    assert_eq!(raw.json()["result"]["downloadable"][0]["data"], DATA);
}

#[tokio::test]
async fn logs_and_events() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({})).await;
    let path = format!("/owner/Model/api/v1/{number}/");
    let log = rig.get(&format!("{path}log/"), OWNER).await;
    assert_eq!(log.text(), "half a € and\nthe rest\n");
    let length = log.headers["x-log-length"].to_str().unwrap().to_owned();
    let rest = rig.get(&format!("{path}log/?offset=15"), OWNER).await;
    assert_eq!(rest.text(), "the rest\n");
    assert_eq!(rig.get(&format!("{path}log/?offset={length}"), OWNER).await.text(), "");
    let part = rig.send(with(&rig, &format!("{path}log/"), &[("range", "bytes=0-3")])).await;
    assert_eq!((part.status.as_u16(), part.text().as_str()), (206, "half"));
    let events = rig.get(&format!("{path}events/"), OWNER).await;
    assert_eq!(events.headers["content-type"], "text/event-stream");
    let text = events.text();
    for wanted in ["event: log", "event: status", "\"final\":true", "event: progress", "event: end"] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    let resumed = rig.send(with(&rig, &format!("{path}events/"), &[("last-event-id", &length)])).await;
    assert!(!resumed.text().contains("event: log"), "{}", resumed.text());
}

#[tokio::test]
async fn schemas_are_ready_and_tagged() {
    let rig = Rig::new().await;
    let path = "/owner/Model/api/v1/inputs/";
    let first = rig.get(path, "").await;
    let schema = first.json();
    assert_eq!(schema["meta_parameters"]["year"]["value"], json!([{ "value": 2026 }]));
    assert!(schema["model_parameters"]["policy"]["rate"].is_object());
    assert_eq!(schema["extend"], true);
    let etag = first.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(rig.send(with(&rig, path, &[("if-none-match", &etag)])).await.status, 304);
    let zipped = rig.send(with(&rig, path, &[("accept-encoding", "gzip")])).await;
    assert_eq!(zipped.headers["content-encoding"], "gzip");
    assert_eq!(&zipped.bytes[..2], b"\x1f\x8b");
    let wrong = rig.call("POST", path, "", json!({ "meta_parameters": { "year": "x" } })).await;
    assert_eq!((wrong.status.as_u16(), wrong.json()["errors"]["year"].is_array()), (400, true));
    let other = rig.call("POST", path, "", json!({ "meta_parameters": { "year": [{ "value": 2028 }] } })).await;
    assert_eq!(other.json()["meta_parameters"]["year"]["value"], json!([{ "value": 2028 }]));
    assert_ne!(other.headers["etag"].to_str().unwrap(), etag);
}

/// Validation may take seconds, whatever the size of an adjustment: only a submission asks for it. Each combination of
/// meta parameters is computed once.
#[tokio::test]
async fn forms_validate_nothing() {
    let rig = Rig::new().await;
    for _ in 0..2 {
        for path in ["/owner/Model/", "/owner/Model/new/", "/owner/Model/new/?year=2028", "/owner/Model/api/v1/inputs/"]
        {
            assert_eq!(rig.get(path, OWNER).await.status, 200, "{path}");
        }
        let body = json!({ "meta_parameters": { "year": 2027 }, "adjustment": { "policy": { "rate": 0.2 } } });
        assert_eq!(rig.call("POST", "/owner/Model/api/v1/inputs/", OWNER, body).await.status, 200);
    }
    let asked = || rig.executor.tasks.lock().unwrap().clone();
    assert_eq!(asked(), [Task::Defaults; 3], "the defaults, 2028, and 2027");
    rig.simulation(json!({})).await;
    assert_eq!(asked()[3..], [Task::Parse, Task::Sim]);
}

#[tokio::test]
async fn uploads_reach_the_build() {
    let rig = Rig::new().await;
    let body = "--b\r\nContent-Disposition: form-data; name=\"commit\"\r\n\r\nc0ffee\r\n--b\r\nContent-Disposition: \
                form-data; name=\"source\"; filename=\"s.tar\"\r\n\r\n0123456789\r\n--b--\r\n";
    let request = Request::post("/publish/api/owner/model/builds/")
        .header("authorization", format!("Token {}", rig.token(OWNER)))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(Body::from(body))
        .unwrap();
    let build = rig.send(request).await;
    assert_eq!(build.status, 201, "{}", build.text());
    let path = build.json()["api_url"].as_str().unwrap().to_owned();
    let events = rig.get(&format!("{path}events/"), OWNER).await.text();
    assert!(events.contains("10 bytes of commit c0ffee"), "{events}");
    let over = rig.get(&path, OWNER).await.json();
    assert_eq!((&over["state"], &over["message"]), (&json!("failed"), &json!("There is no network here.")));
    assert!(rig.get(&format!("{path}log"), OWNER).await.text().contains("== fetch"));
    let listed = rig.get("/publish/api/owner/model/builds/", OWNER).await.json();
    assert_eq!(listed["results"][0]["id"], over["id"]);
    assert_ne!(listed["count"], Value::Null);
}
