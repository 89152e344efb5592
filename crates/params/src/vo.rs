//! Value objects: a value and the labels it holds for.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::datum::Datum;

/// A value of a parameter and the label values it applies to, as JSON has it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ValueObject {
    /// Label name to label value, in the order given.
    pub labels: IndexMap<String, Value>,
    /// The value; `null` in an adjustment means "delete what matches".
    pub value: Value,
}

impl ValueObject {
    /// A value object without labels.
    pub fn bare(value: Value) -> Self {
        Self { labels: IndexMap::new(), value }
    }

    /// `{"value": .., "<label>": ..}`: the order in which `ParamTools` dumps.
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("value".into(), self.value.clone());
        for (label, value) in &self.labels {
            members.insert(label.clone(), value.clone());
        }
        Value::Object(members)
    }

    /// Reads what may stand as a parameter's value: a list of value objects, or a bare value that
    /// means one without labels. The mark `_auto` is dropped.
    pub fn list_from_json(value: &Value) -> Vec<Self> {
        match members_of_list(value) {
            Some(list) => list.into_iter().map(Self::from_members).collect(),
            None => vec![Self::bare(value.clone())],
        }
    }

    fn from_members(members: &Map<String, Value>) -> Self {
        let mut vo = Self::default();
        for (key, value) in members {
            match key.as_str() {
                "value" => vo.value = value.clone(),
                "_auto" => {}
                _ => {
                    vo.labels.insert(key.clone(), value.clone());
                }
            }
        }
        vo
    }
}

/// The objects of a list of value objects; `None` where the whole is a bare value.
fn members_of_list(value: &Value) -> Option<Vec<&Map<String, Value>>> {
    value.as_array()?.iter().map(Value::as_object).collect()
}

/// Whether `ParamTools` takes this as a list of value objects rather than as one bare value.
pub(crate) fn is_vo_list(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.first().is_none_or(Value::is_object))
}

/// A value object after type conversion.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vo {
    pub(crate) labels: IndexMap<String, Datum>,
    pub(crate) value: Datum,
}

impl Vo {
    /// `[a=1, b=x]` with labels sorted by name, or nothing without labels.
    pub(crate) fn label_text(&self) -> String {
        label_text(&self.labels)
    }

    pub(crate) fn to_value_object(&self) -> ValueObject {
        ValueObject {
            labels: self.labels.iter().map(|(name, value)| (name.clone(), value.to_json())).collect(),
            value: self.value.to_json(),
        }
    }
}

pub(crate) fn label_text(labels: &IndexMap<String, Datum>) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let mut parts: Vec<_> = labels.iter().collect();
    parts.sort_by(|a, b| a.0.cmp(b.0));
    let parts: Vec<_> = parts.iter().map(|(name, value)| format!("{name}={}", value.str())).collect();
    format!("[{}]", parts.join(", "))
}
