//! The key by which a finished simulation answers an identical one.

use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256 over version digest, normalised meta parameters and normalised adjustment; hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MemoKey(String);

impl MemoKey {
    /// The key of these inputs. The caller normalises them first, so that `1`, `1.0` and `"1"` agree.
    #[must_use]
    pub fn new(version_digest: &str, meta_parameters: &Value, adjustment: &Value) -> Self {
        let mut hash = Sha256::new();
        hash.update(version_digest.as_bytes());
        hash.update([0]);
        hash.update(canonical(meta_parameters).as_bytes());
        hash.update([0]);
        hash.update(canonical(adjustment).as_bytes());
        Self(hex::encode(hash.finalize()))
    }

    /// The key as stored.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MemoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// JSON with sorted keys and no white space.
#[must_use]
pub fn canonical(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(b.0));
                Value::Object(entries.into_iter().map(|(k, v)| (k.clone(), sorted(v))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_does_not_matter_and_everything_else_does() {
        let key = |version: &str, adjustment| MemoKey::new(version, &json!({}), &adjustment);
        assert_eq!(key("v", json!({"a": 1, "b": {"c": 2, "d": 3}})), key("v", json!({"b": {"d": 3, "c": 2}, "a": 1})));
        assert_ne!(key("v", json!({"a": 1})), key("w", json!({"a": 1})));
        assert_ne!(key("v", json!({"a": [1, 2]})), key("v", json!({"a": [2, 1]})));
    }
}
