//! The document of the API, and the page that shows it. Both are made once, from the routes.

use std::{fmt::Write, sync::OnceLock};

use askama::Template;
use axum::response::Response;
use serde_json::Value;

use super::document;
use crate::pages::{
    page::{Page, show},
    render::markdown,
};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The document as text, the same as the committed one.
pub(crate) fn json() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let text = serde_json::to_string_pretty(&value());
        text.map_or_else(|_| "{}".to_owned(), |text| text + "\n")
    })
}

fn value() -> Value {
    serde_json::to_value(document()).unwrap_or_default()
}

struct Row {
    name: String,
    kind: String,
    required: bool,
    description: String,
}

struct Answer {
    status: String,
    description: String,
    body: String,
}

struct Operation {
    method: String,
    path: String,
    id: String,
    summary: String,
    description: String,
    parameters: Vec<Row>,
    body: String,
    answers: Vec<Answer>,
}

struct Group {
    name: String,
    operations: Vec<Operation>,
}

struct Shape {
    name: String,
    description: String,
    fields: Vec<Row>,
}

struct Reference {
    introduction: String,
    groups: Vec<Group>,
    shapes: Vec<Shape>,
}

#[derive(Template)]
#[template(path = "reference.html")]
struct ReferencePage<'a> {
    page: Page,
    reference: &'a Reference,
}

/// The page, for its reader.
pub(super) fn page(page: Page) -> Response {
    static READ: OnceLock<Reference> = OnceLock::new();
    show(&ReferencePage { page, reference: READ.get_or_init(|| read(&value())) })
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A text of the document, which is markdown, as HTML.
fn prose(value: &Value, key: &str) -> String {
    markdown(&text(value, key))
}

/// One that stands in a line.
fn line(value: &Value, key: &str) -> String {
    let html = prose(value, key);
    let inner = html.trim().strip_prefix("<p>").and_then(|html| html.strip_suffix("</p>"));
    inner.filter(|inner| !inner.contains("<p>")).map_or_else(|| html.clone(), str::to_owned)
}

fn read(document: &Value) -> Reference {
    let introduction = prose(&document["info"], "description");
    let mut groups: Vec<Group> = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let name = operation["tags"][0].as_str().unwrap_or("others").to_owned();
            let read = read_operation(method, path, operation);
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.operations.push(read),
                None => groups.push(Group { name, operations: vec![read] }),
            }
        }
    }
    let shapes = document["components"]["schemas"].as_object().into_iter().flatten();
    Reference { introduction, groups, shapes: shapes.map(|(name, schema)| read_shape(name, schema)).collect() }
}

fn read_operation(method: &str, path: &str, operation: &Value) -> Operation {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let answers = operation["responses"].as_object().into_iter().flatten();
    Operation {
        method: method.to_uppercase(),
        path: path.to_owned(),
        id: text(operation, "operationId"),
        summary: line(operation, "summary"),
        description: prose(operation, "description"),
        parameters: parameters
            .map(|row| Row {
                name: text(row, "name"),
                kind: text(row, "in"),
                required: row["required"] == true,
                description: line(row, "description"),
            })
            .collect(),
        body: body_of(&operation["requestBody"]),
        answers: answers
            .map(|(status, answer)| Answer {
                status: status.clone(),
                description: line(answer, "description"),
                body: body_of(answer),
            })
            .collect(),
    }
}

/// The name of the shape of a body, where it has one.
fn body_of(holder: &Value) -> String {
    let content = holder.get("content").and_then(Value::as_object);
    let schema = content.and_then(|content| content.values().next()).and_then(|media| media.get("schema"));
    let reference = schema.and_then(|schema| schema.get("$ref").or_else(|| schema.get("items")?.get("$ref")));
    reference.and_then(Value::as_str).map(name_of).unwrap_or_default()
}

fn name_of(reference: &str) -> String {
    reference.rsplit('/').next().unwrap_or_default().to_owned()
}

fn read_shape(name: &str, schema: &Value) -> Shape {
    let mut fields = Vec::new();
    gather(schema, &mut fields);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        if let Some(reference) = part.get("$ref").and_then(Value::as_str) {
            let name = name_of(reference);
            fields.push(Row {
                description: format!("all fields of {name}"),
                name: "...".to_owned(),
                kind: name,
                required: true,
            });
        }
        gather(part, &mut fields);
    }
    Shape { name: name.to_owned(), description: line(schema, "description"), fields }
}

fn gather(schema: &Value, fields: &mut Vec<Row>) {
    let required = schema["required"].as_array();
    let properties = schema["properties"].as_object().into_iter().flatten();
    fields.extend(properties.map(|(name, field)| Row {
        name: name.clone(),
        kind: kind_of(field),
        required: required.is_some_and(|names| names.iter().any(|other| other == name)),
        description: line(field, "description"),
    }));
}

fn kind_of(field: &Value) -> String {
    if let Some(reference) = field.get("$ref").and_then(Value::as_str) {
        return name_of(reference);
    }
    let mut kind = match &field["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => {
            let options = field["oneOf"].as_array().into_iter().flatten();
            options.map(kind_of).collect::<Vec<_>>().join(" or ")
        }
    };
    if let Some(items) = field.get("items") {
        let _ = write!(kind, " of {}", kind_of(items));
    }
    kind
}
