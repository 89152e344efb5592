//! Keys of fields.

use std::fmt::Write as _;

use indexmap::IndexMap;
use serde_json::Value;

use crate::datum::Datum;

/// Sorted `label__value` pairs joined by `___`. Characters that would make two different sets of
/// labels look alike are percent-encoded, so that distinct labels have distinct keys.
pub(super) fn of(labels: &IndexMap<String, Value>) -> String {
    if labels.is_empty() {
        return "nolabels".into();
    }
    let mut pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{}__{}", encoded(name), encoded(&Datum::from_json(value).str())))
        .collect();
    pairs.sort();
    pairs.join("___")
}

fn encoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    for (at, byte) in bytes.iter().enumerate() {
        let lone_underscore =
            *byte == b'_' && at > 0 && bytes[at - 1] != b'_' && bytes.get(at + 1).is_some_and(|next| *next != b'_');
        if byte.is_ascii_alphanumeric() || *byte == b'-' || lone_underscore {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(labels: &Value) -> String {
        of(&serde_json::from_value(labels.clone()).unwrap())
    }

    #[test]
    fn keys_are_sorted_and_distinct() {
        assert_eq!(key(&json!({})), "nolabels");
        assert_eq!(key(&json!({"year": 2024, "MARS": "single"})), "MARS__single___year__2024");
        assert_eq!(key(&json!({"data_source": "a.b"})), "data_source__a%2Eb");
        assert_ne!(key(&json!({"a": "b___c__d"})), key(&json!({"a": "b", "c": "d"})));
        assert_ne!(key(&json!({"a": "_"})), key(&json!({"a": "%5F"})));
    }
}
