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

/// Typed label values. There are one to four of them, so looking through a list beats hashing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels(Vec<(String, Datum)>);

impl Labels {
    pub(crate) fn get(&self, name: &str) -> Option<&Datum> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    pub(crate) fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn insert(&mut self, name: String, value: Datum) {
        match self.0.iter_mut().find(|(own, _)| *own == name) {
            Some((_, own)) => *own = value,
            None => self.0.push((name, value)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Datum)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `[a=1, b=x]` with labels sorted by name, or nothing without labels.
    pub(crate) fn text(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let mut parts: Vec<_> = self.iter().collect();
        parts.sort_by_key(|(name, _)| *name);
        let parts: Vec<_> = parts.iter().map(|(name, value)| format!("{name}={}", value.str())).collect();
        format!("[{}]", parts.join(", "))
    }
}

impl FromIterator<(String, Datum)> for Labels {
    fn from_iter<T: IntoIterator<Item = (String, Datum)>>(pairs: T) -> Self {
        let mut labels = Self::default();
        for (name, value) in pairs {
            labels.insert(name, value);
        }
        labels
    }
}

/// The order of labels does not count.
impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

/// A value object after type conversion.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vo {
    pub(crate) labels: Labels,
    pub(crate) value: Datum,
}

impl Vo {
    /// `[a=1, b=x]` with labels sorted by name, or nothing without labels.
    pub(crate) fn label_text(&self) -> String {
        self.labels.text()
    }

    pub(crate) fn to_value_object(&self) -> ValueObject {
        ValueObject {
            labels: self.labels.iter().map(|(name, value)| (name.to_owned(), value.to_json())).collect(),
            value: self.value.to_json(),
        }
    }
}
