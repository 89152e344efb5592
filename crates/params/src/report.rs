//! What is wrong with an adjustment, parameter by parameter.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Messages by parameter, in the order of the schema. Names that are no parameter are reported
/// under `schema`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What makes the adjustment unusable.
    #[serde(default)]
    pub errors: IndexMap<String, Vec<String>>,
    /// What the author of the model wants to be pointed out, without refusing it.
    #[serde(default)]
    pub warnings: IndexMap<String, Vec<String>>,
}

impl Report {
    /// No error and no warning.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.warnings.is_empty()
    }

    /// At least one error.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// `{"errors": {..}, "warnings": {..}}`, both always present: the shape of one section.
    pub fn to_json(&self) -> Value {
        json!({"errors": object(&self.errors), "warnings": object(&self.warnings)})
    }

    /// `{"errors": {..}}`, the form of a `ParamTools` `ValidationError`: a kind without messages
    /// is left out.
    pub fn errors_json(&self) -> Value {
        let mut members = Map::new();
        for (kind, messages) in [("errors", &self.errors), ("warnings", &self.warnings)] {
            if !messages.is_empty() {
                members.insert(kind.into(), object(messages));
            }
        }
        Value::Object(members)
    }

    pub(crate) fn error(&mut self, name: &str, message: impl Into<String>) {
        self.errors.entry(name.to_owned()).or_default().push(message.into());
    }

    pub(crate) fn errors(&mut self, name: &str, messages: Vec<String>) {
        self.errors.entry(name.to_owned()).or_default().extend(messages);
    }

    pub(crate) fn warn(&mut self, name: &str, message: impl Into<String>) {
        self.warnings.entry(name.to_owned()).or_default().push(message.into());
    }
}

fn object(messages: &IndexMap<String, Vec<String>>) -> Value {
    messages.iter().map(|(name, list)| (name.clone(), json!(list))).collect::<Map<_, _>>().into()
}
