//! Answers compared with the OpenAPI document: the status is told of, and every field is there, known, and of its type.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::rig::Answer;

/// The document, as what answers are held against.
pub(crate) struct Shapes<'a>(&'a Value);

impl<'a> Shapes<'a> {
    pub(crate) fn of(document: &'a Value) -> Self {
        Self(document)
    }

    /// Method and path of every operation.
    pub(crate) fn operations(&self) -> BTreeSet<(String, String)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        paths
            .flat_map(|(path, item)| item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())))
            .collect()
    }

    /// What is wrong with an answer to this operation.
    pub(crate) fn problems(&self, method: &str, path: &str, answer: &Answer) -> Vec<String> {
        let status = answer.status.as_u16();
        let told = &self.0["paths"][path][method]["responses"][status.to_string()];
        if told.is_null() {
            return vec![format!("{status} is not in the document")];
        }
        if status >= 400 {
            return if is_refusal(&answer.json()) {
                Vec::new()
            } else {
                vec![format!("no refusal: {}", answer.text())]
            };
        }
        let kind = answer.headers.get("content-type").map_or("", |value| value.to_str().unwrap());
        let Some((media, content)) = told["content"].as_object().and_then(|content| content.iter().next()) else {
            return if answer.bytes.is_empty() { Vec::new() } else { vec![format!("{status} has a body of {kind:?}")] };
        };
        if media != "*/*" && !kind.starts_with(media.as_str()) {
            return vec![format!("{status} is {kind:?}, told as {media:?}")];
        }
        let mut found = Vec::new();
        if kind.starts_with("application/json") && !content["schema"].is_null() {
            self.compare(&content["schema"], &answer.json(), "", &mut found);
        }
        found
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    fn compare(&self, schema: &'a Value, value: &Value, at: &str, found: &mut Vec<String>) {
        let schema = self.resolve(schema);
        if let Some(choices) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
            let fits = |choice| {
                let mut problems = Vec::new();
                self.compare(choice, value, at, &mut problems);
                problems.is_empty()
            };
            if !choices.iter().any(fits) {
                found.push(format!("{at} is none of its types: {value}"));
            }
            return;
        }
        if !is_of_type(&schema["type"], value) {
            found.push(format!("{at} is no {}: {value}", schema["type"]));
        }
        if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
            for value in values {
                self.compare(items, value, &format!("{at}[]"), found);
            }
        }
        let mut fields = Map::new();
        let mut required = Vec::new();
        self.gather(schema, &mut fields, &mut required);
        let Value::Object(values) = value else { return };
        if fields.is_empty() {
            return;
        }
        for name in required.iter().filter(|name| !values.contains_key(name.as_str())) {
            found.push(format!("{at}.{name} is missing"));
        }
        for (name, value) in values {
            match self.field(schema, name) {
                Some(field) => self.compare(field, value, &format!("{at}.{name}"), found),
                None => found.push(format!("{at}.{name} is not in the document")),
            }
        }
    }

    /// The fields of an object and of those it consists of.
    fn gather(&self, schema: &'a Value, fields: &mut Map<String, Value>, required: &mut Vec<String>) {
        let schema = self.resolve(schema);
        fields.extend(
            schema["properties"].as_object().into_iter().flatten().map(|(name, field)| (name.clone(), field.clone())),
        );
        required
            .extend(schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()));
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.gather(part, fields, required);
        }
    }

    fn field(&self, schema: &'a Value, name: &str) -> Option<&'a Value> {
        let schema = self.resolve(schema);
        let own = schema["properties"].get(name);
        own.or_else(|| schema["allOf"].as_array().into_iter().flatten().find_map(|part| self.field(part, name)))
    }
}

/// `{"detail": sentence}`, errors by field, or a list of those.
fn is_refusal(body: &Value) -> bool {
    match body {
        Value::Object(map) if map.contains_key("detail") => {
            map["detail"].as_str().is_some_and(|text| text.ends_with('.'))
        }
        Value::Object(map) => !map.is_empty() && map.values().all(|field| field.is_array() || field.is_object()),
        Value::Array(entries) => entries.iter().all(Value::is_object),
        _ => false,
    }
}

fn is_of_type(told: &Value, value: &Value) -> bool {
    let one = |name: &str| match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the document has the type {other:?}"),
    };
    match told {
        Value::Null => true,
        Value::String(name) => one(name),
        Value::Array(names) => names.iter().any(|name| one(name.as_str().unwrap())),
        other => panic!("the document has the type {other}"),
    }
}
