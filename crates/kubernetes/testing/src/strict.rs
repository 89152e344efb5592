//! Decoding that refuses what the types of the API do not know, as `fieldValidation=Strict` does.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The value as a type of the API. The error names the first field that the type does not have.
pub fn decode<T: DeserializeOwned + Serialize>(value: &Value) -> Result<T, String> {
    let decoded: T = T::deserialize(value).map_err(|error| format!("strict decoding error: {error}"))?;
    let known = serde_json::to_value(&decoded).map_err(|error| error.to_string())?;
    match unknown(value, &known, "") {
        Some(path) => Err(format!("strict decoding error: unknown field \"{path}\"")),
        None => Ok(decoded),
    }
}

/// The path of the first field that was given and is not known.
fn unknown(given: &Value, known: &Value, at: &str) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(name, value)| {
            let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            match known.get(name) {
                Some(known) => unknown(value, known, &path),
                // What is empty may be left out when it is written again.
                None if is_empty(value) => None,
                None => Some(path),
            }
        }),
        (Value::Array(given), Value::Array(known)) => given
            .iter()
            .zip(known)
            .enumerate()
            .find_map(|(index, (given, known))| unknown(given, known, &format!("{at}[{index}]"))),
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::Job;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_field_is_named_with_its_path() {
        let good = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "labels": {} }, "spec": { "suspend": true, "template": {} } });
        assert!(decode::<Job>(&good).is_ok());
        let mut bad = good.clone();
        bad["spec"]["template"]["spec"] = json!({ "containers": [{ "name": "a", "imagePulPolicy": "Always" }] });
        let error = decode::<Job>(&bad).unwrap_err();
        assert!(error.contains("unknown field \"spec.template.spec.containers[0].imagePulPolicy\""), "{error}");
        assert!(
            decode::<Job>(&json!({ "apiVersion": "batch/v1", "kind": "Job", "spec": { "suspend": "yes" } })).is_err()
        );
    }
}
