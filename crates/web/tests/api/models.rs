//! Models: who sees which, what an operator takes off, their schemas, and lists of them.

use csw_app::Config;
use csw_web::WebOptions;
use serde_json::{Value, json};

use crate::{
    executor::WIDE,
    rig::{ADMIN, OTHER, OWNER, READER, Rig, STRANGER, WRITER},
};

#[tokio::test]
async fn a_model_without_a_version_is_its_publishers_business() {
    let rig = Rig::new().await;
    let body = json!({ "title": "Draft", "oneliner": "x", "description": "y" });
    rig.granted(201, "POST", "/publish/api/", STRANGER, body).await;
    let titles = async |who: &str| -> Vec<String> {
        let listed = rig.granted(200, "GET", "/publish/api/", who, Value::Null).await;
        listed.as_array().unwrap().iter().map(|model| model["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(titles("").await, ["Model"]);
    assert_eq!(titles(OTHER).await, ["Model"]);
    assert_eq!(titles(STRANGER).await, ["Model", "Draft"]);
    assert_eq!(titles(ADMIN).await, ["Model", "Draft"]);
    rig.granted(
        204,
        "PUT",
        "/publish/api/stranger/Draft/access/",
        STRANGER,
        json!({ "username": OTHER, "role": "read" }),
    )
    .await;
    assert_eq!(titles(OTHER).await, ["Model", "Draft"]);
    let of_account =
        async |who: &str| rig.granted(200, "GET", "/api/v1/models/stranger", who, Value::Null).await["count"].clone();
    assert_eq!((of_account("").await, of_account(STRANGER).await), (json!(0), json!(1)));
}

#[tokio::test]
async fn lists_tell_everybody_what_they_may() {
    let rig = Rig::new().await;
    rig.give(None, WRITER, "write").await;
    rig.give(None, READER, "read").await;
    for (who, may) in [("", false), (STRANGER, false), (READER, false), (WRITER, true), (OWNER, true), (ADMIN, true)] {
        let all = rig.granted(200, "GET", "/publish/api/", who, Value::Null).await;
        assert_eq!(all[0]["has_write_access"], may, "/publish/api/ by {who:?}");
        let of_account = rig.granted(200, "GET", "/api/v1/models/Owner", who, Value::Null).await;
        assert_eq!(of_account["results"][0]["has_write_access"], may, "by {who:?}");
        assert!(of_account["results"][0].get("sim_count").is_none(), "a profile shows no counts");
        let detail = rig.granted(200, "GET", "/publish/api/owner/Model/detail/", who, Value::Null).await;
        assert_eq!((&detail["has_write_access"], detail.get("sim_count").is_some()), (&json!(may), may), "by {who:?}");
    }
    let own = rig.granted(200, "GET", "/api/v1/models", OWNER, Value::Null).await["results"][0].clone();
    assert_eq!((&own["sim_count"], &own["user_count"], &own["version"]), (&json!(0), &json!(0), &json!("1.0")));
}

#[tokio::test]
async fn recent_models_are_those_one_may_still_see() {
    let rig = Rig::new().await;
    rig.model("Later", true).await;
    for (model, who) in [("Model", STRANGER), ("Later", STRANGER), ("Model", OWNER)] {
        rig.granted(201, "POST", &format!("/owner/{model}/api/v1/new/"), who, Value::Null).await;
    }
    let titles = async || -> Vec<String> {
        let recent = rig.granted(200, "GET", "/api/v1/models/recent/", STRANGER, Value::Null).await;
        assert!(recent["results"][0].get("version").is_none());
        recent["results"].as_array().unwrap().iter().map(|model| model["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(titles().await, ["Later", "Model"]);
    rig.granted(200, "PUT", "/publish/api/owner/Later/detail/", OWNER, json!({ "is_public": false })).await;
    assert_eq!(titles().await, ["Model"]);
}

#[tokio::test]
async fn a_model_that_was_taken_off_keeps_its_simulations() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({ "is_public": true })).await;
    let off = json!({ "status": "requires fixes", "oneliner": "Off" });
    let refused = rig.call("PUT", "/publish/api/owner/Model/detail/", OWNER, off.clone()).await;
    assert_eq!(refused.status, 403);
    let detail = rig.granted(200, "GET", "/publish/api/owner/Model/detail/", "", Value::Null).await;
    assert_eq!(detail["oneliner"], "One line", "a request that is refused changes nothing");
    rig.granted(200, "PUT", "/publish/api/owner/Model/detail/", ADMIN, off).await;
    for rest in ["", "remote/", "edit/"] {
        rig.granted(200, "GET", &format!("/owner/Model/api/v1/{number}/{rest}"), "", Value::Null).await;
    }
    rig.granted(200, "PUT", &format!("/owner/Model/api/v1/{number}/"), OWNER, json!({ "title": "Still mine" })).await;
    let refused = rig.call("POST", "/owner/Model/api/v1/", OWNER, json!({})).await;
    assert_eq!(refused.status, 403);
    assert!(refused.json()["detail"].as_str().unwrap().contains("requires fixes"), "{}", refused.text());
    assert_eq!(rig.get("/owner/Model/api/v1/inputs/", OWNER).await.status, 403);
    // Blank ones can be made, and wait.
    rig.granted(201, "POST", "/owner/Model/api/v1/new/", OWNER, Value::Null).await;
}

#[tokio::test]
async fn what_1_6_let_writers_change_by_accident_stays() {
    let rig = Rig::new().await;
    let detail = "/publish/api/owner/Model/detail/";
    let before = rig.granted(200, "GET", detail, OWNER, Value::Null).await;
    let mut whole = before.clone();
    whole["server_cost"] = json!("99.0");
    whole["latest_tag"] = json!("v9");
    whole["owner"] = json!(STRANGER);
    whole["sim_count"] = json!(4);
    whole["live_version"] = json!("x");
    assert_eq!(rig.granted(200, "PUT", detail, OWNER, whole).await, before, "a client sends back what it got");
    let tags = "/publish/api/owner/Model/deployments/";
    rig.granted(200, "POST", tags, OWNER, json!({ "latest_tag": "v5", "staging_tag": "v6" })).await;
    let promoted = rig.granted(200, "POST", tags, OWNER, json!({ "latest_tag": "v6", "staging_tag": null })).await;
    assert_eq!(promoted, json!({ "latest_tag": "v6", "staging_tag": null }));
    rig.granted(400, "POST", tags, OWNER, json!({ "latest_tag": "x".repeat(65) })).await;
    assert_eq!(rig.granted(200, "GET", detail, OWNER, Value::Null).await["latest_tag"], "v6");
    for (field, wrong) in [
        ("oneliner", json!("")),
        ("description", json!("x".repeat(10_001))),
        ("repo_url", json!("javascript:alert(1)")),
        ("repo_tag", json!("--upload-pack=x")),
        ("cpu", json!("many")),
        ("memory", json!(-1)),
        ("exp_task_time", json!("soon")),
        ("listed", json!("perhaps")),
        ("deadline", json!(0)),
        ("oneliner", json!("nul\u{0}")),
        ("title", json!("Other")),
    ] {
        let errors = rig.granted(400, "PUT", detail, OWNER, json!({ field: wrong })).await;
        assert!(errors[field][0].is_string(), "{errors}");
    }
}

#[tokio::test]
async fn schemas_are_computed_once_and_keep_their_order() {
    let rig = Rig::new().await;
    let version = rig.model(WIDE, true).await;
    let path = format!("/owner/{WIDE}/api/v1/inputs/");
    let plain = rig.get(&path, "").await;
    let names = |text: &str| -> Vec<usize> {
        text.match_indices("\"p").map(|(at, _)| text[at + 2..at + 4].parse().unwrap()).collect()
    };
    let given: Vec<usize> = (10..70).rev().collect();
    assert_eq!(names(&plain.text()), given);
    assert_eq!(rig.store_schemas(version).await, 1);
    let wanted = json!({ "meta_parameters": { "d0": 1, "d1": [{ "value": "hello" }] }, "anything": "else" });
    let other = rig.granted(200, "POST", &path, "", wanted.clone()).await;
    assert_eq!(other["meta_parameters"]["d0"]["value"], json!([{ "value": 1 }]));
    assert_eq!(rig.store_schemas(version).await, 2);
    // The same values in another form, and the defaults again, add nothing.
    let same = json!({ "meta_parameters": { "d1": "hello", "d0": [{ "value": 1 }] } });
    assert_eq!(rig.granted(200, "POST", &path, "", same).await, other);
    assert_eq!(rig.get(&path, "").await.text(), plain.text());
    assert_eq!(rig.granted(200, "POST", &path, "", json!({})).await, plain.json());
    assert_eq!(rig.store_schemas(version).await, 2);
    assert!(other.get("extend").is_none(), "there is no meta parameter called year");
}

#[tokio::test]
async fn sections_the_model_does_not_have_are_reported_and_dropped() {
    let rig = Rig::new().await;
    let adjustment = json!({ "policy": { "rate": [{ "value": 0.2 }] }, "taxes": { "x": 1 }, "wages": {} });
    let made = rig.granted(201, "POST", "/owner/Model/api/v1/", OWNER, json!({ "adjustment": adjustment })).await;
    let path = made["api_url"].as_str().unwrap();
    let mut inputs = Value::Null;
    for _ in 0..1_000 {
        inputs = rig.granted(200, "GET", path, OWNER, Value::Null).await;
        if inputs["status"] != "PENDING" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(inputs["status"], "INVALID");
    assert_eq!(inputs["adjustment"], adjustment, "as the user sent it");
    let found = &inputs["errors_warnings"];
    for section in ["policy", "GUI", "API"] {
        assert!(found[section]["errors"].is_object() && found[section]["warnings"].is_object(), "{found}");
    }
    let sentence = found["API"]["errors"]["extra_keys"][0].as_str().unwrap();
    assert!(sentence.contains("taxes ,wages"), "{sentence}");
    assert_eq!(inputs["sim"]["status"], "STARTED");
    // Its owner mends it.
    let mended = json!({ "adjustment": { "policy": { "rate": 0.2 } } });
    let number = inputs["sim"]["model_pk"].as_u64().unwrap();
    rig.granted(201, "POST", &format!("/owner/Model/api/v1/{number}/"), OWNER, mended).await;
    rig.until(number, |simulation| simulation["status"] == "SUCCESS").await;
}

#[tokio::test]
async fn builds_of_one_account_leave_room_for_others() {
    let rig = Rig::with(Config { builds_per_account: 1, ..Config::default() }, WebOptions::default()).await;
    rig.model("Second", true).await;
    rig.give(None, WRITER, "write").await;
    let slow = || json!({ "repo_url": "https://example.org/slow" });
    let first = rig.granted(201, "POST", "/publish/api/owner/Second/builds/", OWNER, slow()).await;
    let newer = rig.granted(201, "POST", "/publish/api/owner/Second/builds/", OWNER, slow()).await;
    let refused = rig.call("POST", "/publish/api/owner/Model/builds/", OWNER, slow()).await;
    assert_eq!((refused.status.as_u16(), &refused.headers["retry-after"]), (429, &"30".parse().unwrap()));
    rig.granted(201, "POST", "/publish/api/owner/Model/builds/", WRITER, slow()).await;
    let cancelled = async |build: &Value| {
        let path = build["api_url"].as_str().unwrap();
        rig.get(&format!("{path}events/"), OWNER).await;
        rig.granted(200, "GET", path, OWNER, Value::Null).await["state"].clone()
    };
    assert_eq!(cancelled(&first).await, "cancelled", "the newer one replaced it");
    let path = newer["api_url"].as_str().unwrap();
    rig.granted(202, "POST", &format!("{path}cancel/"), OWNER, Value::Null).await;
    assert_eq!(cancelled(&newer).await, "cancelled");
    rig.granted(201, "POST", "/publish/api/owner/Model/builds/", OWNER, slow()).await;
}

#[tokio::test]
async fn builds_wait_for_their_turn_and_the_newest_of_a_model_wins() {
    let rig = Rig::with(Config { builds_at_once: 1, ..Config::default() }, WebOptions::default()).await;
    rig.model("Second", true).await;
    let begin = async |title: &str, url: &str| {
        let body = json!({ "repo_url": url, "promote": false, "skip_tests": true });
        rig.granted(201, "POST", &format!("/publish/api/owner/{title}/builds/"), OWNER, body).await
    };
    let stands =
        async |build: &Value| rig.granted(200, "GET", build["api_url"].as_str().unwrap(), OWNER, Value::Null).await;
    let becomes = async |build: &Value, state: &str| {
        for _ in 0..2_000 {
            let now = stands(build).await;
            let entered = now["stages"].as_array().is_some_and(|stages| !stages.is_empty());
            if now["state"] == state && (state != "running" || entered) {
                return now;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("{} does not become {state}", stands(build).await);
    };
    let slow = begin("Second", "https://example.org/slow").await;
    assert_eq!(
        (&slow["state"], &slow["promote"], &slow["trigger"]),
        (&json!("queued"), &json!(false), &json!("request"))
    );
    let running = becomes(&slow, "running").await;
    assert_eq!((&running["stages"][0]["stage"], &running["stages"][0]["state"]), (&json!("fetch"), &json!("running")));
    let older = begin("Model", "https://example.org/a").await;
    let newer = begin("Model", "https://example.org/b").await;
    let older = becomes(&older, "cancelled").await;
    assert_eq!(older["message"], "Cancelled: a newer build of this model was asked for.");
    assert_eq!(stands(&newer).await["state"], "queued", "another one is at work");
    let path = slow["api_url"].as_str().unwrap();
    rig.granted(202, "POST", &format!("{path}cancel/"), OWNER, Value::Null).await;
    let slow = becomes(&slow, "cancelled").await;
    assert_eq!((&slow["message"], &slow["stages"][0]["state"]), (&json!("Cancelled on request."), &json!("cancelled")));
    let newer = becomes(&newer, "failed").await;
    assert_eq!((&newer["attempt"], &newer["stages"][0]["state"]), (&json!(1), &json!("failed")));
    rig.granted(409, "POST", &format!("{}cancel/", newer["api_url"].as_str().unwrap()), OWNER, Value::Null).await;
    // One that waits is stopped before it begins.
    let slow = begin("Second", "https://example.org/slow").await;
    becomes(&slow, "running").await;
    let waiting = begin("Model", "https://example.org/c").await;
    let path = waiting["api_url"].as_str().unwrap();
    rig.granted(202, "POST", &format!("{path}cancel/"), OWNER, Value::Null).await;
    let waiting = stands(&waiting).await;
    assert_eq!(
        (&waiting["state"], &waiting["attempt"], &waiting["stages"]),
        (&json!("cancelled"), &json!(0), &json!([]))
    );
}
