//! What runs cost, budgets that refuse, and sponsors that pay.

use csw_app::Config;
use csw_core::cost::Prices;
use csw_web::WebOptions;
use serde_json::{Value, json};

use crate::rig::{ADMIN, OWNER, Rig, STRANGER, WRITER};

/// A site where a run of 1.5 s costs 1.50 dollars a CPU.
async fn dear(monthly_budget: Option<f64>) -> Rig {
    let prices = Prices { cpu_hour: 3_600.0, gigabyte_hour: 0.0 };
    Rig::with(Config { prices, monthly_budget, ..Config::default() }, WebOptions::default()).await
}

/// Dollars of a run of 1.5 s with the CPUs of an undecided model.
fn a_run() -> f64 {
    1.5 * csw_core::model::ModelSettings::default().cpus
}

fn close(value: &Value, wanted: f64) -> bool {
    value.as_f64().is_some_and(|found| (found - wanted).abs() < 1e-6)
}

async fn fresh(rig: &Rig) -> u64 {
    rig.simulation(json!({ "fresh": true })).await
}

#[tokio::test]
async fn a_month_is_summed_by_payer_account_and_model() {
    let rig = dear(None).await;
    for _ in 0..2 {
        fresh(&rig).await;
    }
    let number = fresh(&rig).await;
    let own = rig.get("/api/v1/costs/", OWNER).await.json();
    let rows = own["results"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{own}");
    assert_eq!(
        (&rows[0]["payer"], &rows[0]["account"], &rows[0]["model"]),
        (&json!(OWNER), &json!(OWNER), &json!("owner/Model"))
    );
    assert!(rows[0]["runs"] == 3 && close(&rows[0]["seconds"], 4.5) && close(&own["total"], 3.0 * a_run()), "{own}");
    assert!(close(&own["budget"]["spent"], 3.0 * a_run()) && own["budget"]["monthly"].is_null(), "{own}");
    let remote = rig.get(&format!("/owner/Model/api/v1/{number}/remote/"), OWNER).await.json();
    assert!(close(&remote["run_cost"], a_run()), "{remote}");
    // What was paid stays paid.
    rig.granted(204, "DELETE", &format!("/owner/Model/api/v1/{number}/"), OWNER, Value::Null).await;
    assert!(close(&rig.get("/api/v1/costs/", OWNER).await.json()["total"], 3.0 * a_run()));
    let month = own["month"].as_str().unwrap();
    let csv = rig.get(&format!("/api/v1/costs/?month={month}&format=csv"), OWNER).await;
    assert!(csv.headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert!(csv.headers["content-disposition"].to_str().unwrap().contains("attachment"));
    assert_eq!(csv.text().lines().count(), 2);
    assert!(csv.text().contains(&format!("{month},\"owner\",\"owner\",\"owner/Model\",3,4.500,")), "{}", csv.text());
    assert_eq!(rig.get("/api/v1/costs/?month=2001-01", OWNER).await.json()["results"], json!([]));
    for (query, who, status) in [
        ("month=November", OWNER, 400),
        ("format=xls", OWNER, 400),
        ("account=*", OWNER, 403),
        ("account=owner", STRANGER, 403),
        ("account=nobody", ADMIN, 404),
    ] {
        assert_eq!(rig.get(&format!("/api/v1/costs/?{query}"), who).await.status, status, "{query} by {who}");
    }
    for account in ["*", "OWNER"] {
        let seen = rig.get(&format!("/api/v1/costs/?account={account}"), ADMIN).await.json();
        assert!(close(&seen["total"], 3.0 * a_run()), "{account}: {seen}");
    }
    let page = rig.get("/users/costs/", OWNER).await.text();
    assert!(page.contains("owner/Model") && page.contains("format=csv"), "{page}");
}

#[tokio::test]
async fn a_budget_refuses_with_a_sentence_and_leaves_nothing() {
    let rig = dear(Some(1_000.0)).await;
    fresh(&rig).await;
    let budget = "/api/v1/accounts/owner/budget/";
    let own = rig.granted(200, "GET", budget, OWNER, Value::Null).await;
    assert_eq!((&own["monthly"], &own["is_default"]), (&json!(1_000.0), &json!(true)));
    rig.granted(200, "PUT", budget, ADMIN, json!({ "monthly": a_run() + 0.01 })).await;
    let before = rig.get("/api/v1/sims/", OWNER).await.json()["count"].clone();
    let refused = rig.granted(403, "POST", "/owner/Model/api/v1/", OWNER, json!({ "fresh": true })).await;
    let sentence = refused["detail"].as_str().unwrap();
    assert!(sentence.starts_with("Your budget of $") && sentence.contains("ask the operator"), "{sentence}");
    assert_eq!(rig.get("/api/v1/sims/", OWNER).await.json()["count"], before, "nothing is left of it");
    let blank = rig.granted(201, "POST", "/owner/Model/api/v1/new/", OWNER, Value::Null).await;
    let number = blank["sim"]["model_pk"].as_u64().unwrap();
    rig.granted(403, "POST", &format!("/owner/Model/api/v1/{number}/"), OWNER, json!({ "fresh": true })).await;
    rig.hours_pass(24 * 31);
    fresh(&rig).await;
    for wrong in [json!({ "monthly": -1 }), json!({ "monthly": "much" }), json!({})] {
        assert_eq!(rig.call("PUT", budget, ADMIN, wrong.clone()).await.status, 400, "{wrong}");
    }
    let back = rig.granted(200, "PUT", budget, ADMIN, json!({ "monthly": null })).await;
    assert_eq!(back["monthly"], 1_000.0);
}

#[tokio::test]
async fn a_sponsor_pays_and_can_leave() {
    let rig = dear(None).await;
    rig.give(None, WRITER, "write").await;
    let place = "/publish/api/owner/Model/sponsor/";
    rig.granted(400, "PUT", place, WRITER, json!({ "sponsor": OWNER })).await;
    rig.granted(400, "PUT", place, WRITER, json!({})).await;
    let note = json!({ "sponsor": WRITER, "message": "**Enjoy** <script>alert(1)</script>" });
    assert_eq!(rig.granted(200, "PUT", place, WRITER, note).await["sponsor"], WRITER);
    let page = rig.get("/owner/Model/", "").await.text();
    assert!(page.contains("<strong>Enjoy</strong>") && !page.contains("<script>alert"), "{page}");
    assert_eq!(rig.get("/users/status/owner/model/", OWNER).await.json()["is_sponsored"], true);
    fresh(&rig).await;
    let paid = rig.get("/api/v1/costs/", WRITER).await.json();
    assert_eq!((&paid["results"][0]["payer"], &paid["results"][0]["account"]), (&json!(WRITER), &json!(OWNER)));
    assert!(close(&paid["budget"]["spent"], a_run()), "{paid}");
    assert!(close(&rig.get("/api/v1/costs/", OWNER).await.json()["budget"]["spent"], 0.0));
    rig.granted(200, "PUT", "/api/v1/accounts/writer/budget/", ADMIN, json!({ "monthly": 0.5 })).await;
    let refused = rig.granted(403, "POST", "/owner/Model/api/v1/", OWNER, json!({ "fresh": true })).await;
    assert!(
        refused["detail"].as_str().unwrap().contains("The budget of writer, who sponsors this model,"),
        "{refused}"
    );
    rig.granted(403, "PUT", place, OWNER, json!({ "sponsor": null })).await;
    rig.granted(200, "PUT", place, WRITER, json!({ "sponsor": null })).await;
    fresh(&rig).await;
    rig.granted(200, "PUT", place, ADMIN, json!({ "sponsor": STRANGER })).await;
}

#[tokio::test]
async fn what_a_run_will_cost_is_said_with_a_range() {
    let rig = dear(None).await;
    let path = "/owner/Model/api/v1/estimate/";
    assert_eq!(rig.get(path, "").await.json()["runs"], 0);
    fresh(&rig).await;
    let said = rig.get(path, "").await.json();
    assert_eq!(said["runs"], 1);
    for (field, wanted) in [("cost", a_run()), ("cost_low", a_run()), ("cost_high", a_run()), ("seconds", 1.5)] {
        assert!(close(&said[field], wanted), "{field} of {said}");
    }
    let form = rig.get("/owner/Model/new/", OWNER).await.text();
    assert!(form.contains("of compute"), "{form}");
}
