//! What `ParamTools` itself answered, for made-up schemas: see `scripts/params-golden`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use csw_params::{AdjustError, AdjustOptions, Dump, IndexRates, adjust_with};
use serde_json::{Value, json};

fn options(group: &Value, request: &Value) -> AdjustOptions {
    AdjustOptions {
        ignore_warnings: request["ignore_warnings"] == true,
        index_rates: serde_json::from_value::<IndexRates>(group["index_rates"].clone()).unwrap(),
    }
}

/// Numbers agree by value, objects without regard to the order of keys.
fn agree(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| agree(value, other)))
        }
        _ => ours == theirs,
    }
}

fn answer(group: &Value, request: &Value) -> Value {
    let dump = Dump::parse(&group["defaults"]).unwrap();
    match adjust_with(&dump, &request["adjustment"], &options(group, request)) {
        Ok(adjusted) => {
            let values: serde_json::Map<_, _> = adjusted
                .parameters()
                .iter()
                .map(|(name, parameter)| {
                    let vos = parameter.values().iter().map(csw_params::ValueObject::to_json);
                    (name.clone(), vos.collect())
                })
                .collect();
            json!({ "values": values })
        }
        Err(AdjustError::Invalid(report)) => report.errors_json(),
        Err(other) => json!(other.to_string()),
    }
}

fn compare(file: &str, golden: &str) {
    let groups: Vec<Value> = serde_json::from_str(golden).unwrap();
    let mut wrong = 0;
    let mut count = 0;
    for group in &groups {
        for request in group["requests"].as_array().unwrap() {
            count += 1;
            let ours = answer(group, request);
            if !agree(&ours, &request["result"]) {
                wrong += 1;
                if wrong <= 5 {
                    println!(
                        "defaults {}\nadjustment {}\n  ours   {ours}\n  theirs {}\n",
                        group["defaults"], request["adjustment"], request["result"]
                    );
                }
            }
        }
    }
    assert!(count > 100, "{file} has only {count} cases");
    assert_eq!(wrong, 0, "{wrong} of {count} cases of {file} differ");
}

#[test]
fn adjust_agrees_with_the_original() {
    compare("adjust.json", include_str!("golden/adjust.json"));
}

#[test]
fn extend_agrees_with_the_original() {
    compare("extend.json", include_str!("golden/extend.json"));
}

/// Answers about schemas that cannot be committed, in the file named by `CSW_PARAMS_GOLDEN`.
#[test]
fn real_schemas_agree_with_the_original() {
    match std::env::var("CSW_PARAMS_GOLDEN") {
        Ok(path) => compare(&path, &std::fs::read_to_string(&path).unwrap()),
        Err(_) => println!("skipped: CSW_PARAMS_GOLDEN names no file"),
    }
}
