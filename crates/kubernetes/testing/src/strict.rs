//! Decoding that refuses what the types of the API do not know, as `fieldValidation=Strict` does.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The value as a type of the API. The error names the first field that the type does not have.
pub fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    let mut unknown = None;
    let decoded = serde_ignored::deserialize(value, |path| {
        unknown.get_or_insert_with(|| path.to_string().replace(".?", ""));
    });
    match (decoded, unknown) {
        (Err(error), _) => Err(format!("strict decoding error: {error}")),
        (Ok(_), Some(path)) => Err(format!("strict decoding error: unknown field \"{path}\"")),
        (Ok(decoded), None) => Ok(decoded),
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
        assert!(error.contains("unknown field \"spec.template.spec.containers.0.imagePulPolicy\""), "{error}");
        assert!(
            decode::<Job>(&json!({ "apiVersion": "batch/v1", "kind": "Job", "spec": { "suspend": "yes" } })).is_err()
        );
    }
}
