//! The document of the API, and the page that shows it. Both are made once, from the routes.

use std::{fmt::Write, sync::OnceLock};

use askama::Template;
use csw_app::AppError;
use serde_json::Value;

use super::document;

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

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>REST API</title>
<link rel="stylesheet" href="/static/style.css">
</head>
<body>
<main>
<h1>REST API</h1>
{% for part in introduction %}<p>{{ part }}</p>
{% endfor %}
<p>Machines read <a href="/api/openapi.json">/api/openapi.json</a> (OpenAPI 3.1).</p>
<nav aria-label="Contents"><ul>
{% for group in groups %}<li><a href="#{{ group.name }}">{{ group.name }}</a></li>
{% endfor %}<li><a href="#shapes">shapes of JSON</a></li>
</ul></nav>
{% for group in groups %}
<section id="{{ group.name }}">
<h2>{{ group.name }}</h2>
{% for operation in group.operations %}
<article id="{{ operation.id }}">
<h3><code>{{ operation.method }} {{ operation.path }}</code></h3>
<p>{{ operation.summary }}</p>
{% if !operation.description.is_empty() %}<p>{{ operation.description }}</p>{% endif %}
{% if !operation.parameters.is_empty() %}
<table><caption>Parameters</caption>
<thead><tr><th scope="col">name</th><th scope="col">in</th><th scope="col">meaning</th></tr></thead>
<tbody>{% for row in operation.parameters %}
<tr><th scope="row"><code>{{ row.name }}</code></th><td>{{ row.kind }}{% if row.required %}, required{% endif %}</td><td>{{ row.description }}</td></tr>{% endfor %}
</tbody></table>
{% endif %}
{% if !operation.body.is_empty() %}<p>Body: <a href="#shape-{{ operation.body }}">{{ operation.body }}</a></p>{% endif %}
<table><caption>Answers</caption>
<thead><tr><th scope="col">status</th><th scope="col">body</th><th scope="col">meaning</th></tr></thead>
<tbody>{% for answer in operation.answers %}
<tr><th scope="row">{{ answer.status }}</th><td>{% if !answer.body.is_empty() %}<a href="#shape-{{ answer.body }}">{{ answer.body }}</a>{% endif %}</td><td>{{ answer.description }}</td></tr>{% endfor %}
</tbody></table>
</article>
{% endfor %}
</section>
{% endfor %}
<section id="shapes">
<h2>Shapes of JSON</h2>
{% for shape in shapes %}
<article id="shape-{{ shape.name }}">
<h3>{{ shape.name }}</h3>
<p>{{ shape.description }}</p>
<table><thead><tr><th scope="col">field</th><th scope="col">type</th><th scope="col">meaning</th></tr></thead>
<tbody>{% for row in shape.fields %}
<tr><th scope="row"><code>{{ row.name }}</code></th><td>{{ row.kind }}{% if !row.required %}, optional{% endif %}</td><td>{{ row.description }}</td></tr>{% endfor %}
</tbody></table>
</article>
{% endfor %}
</section>
</main>
</body>
</html>
"##
)]
struct Page {
    introduction: Vec<String>,
    groups: Vec<Group>,
    shapes: Vec<Shape>,
}

/// The page.
pub(super) fn page() -> Result<&'static str, AppError> {
    static TEXT: OnceLock<Result<String, String>> = OnceLock::new();
    let made = TEXT.get_or_init(|| read(&value()).render().map_err(|error| error.to_string()));
    made.as_deref().map_err(|sentence| AppError::Internal { sentence: sentence.clone() })
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn read(document: &Value) -> Page {
    let introduction = text(&document["info"], "description").split("\n\n").map(str::to_owned).collect();
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
    Page { introduction, groups, shapes: shapes.map(|(name, schema)| read_shape(name, schema)).collect() }
}

fn read_operation(method: &str, path: &str, operation: &Value) -> Operation {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let answers = operation["responses"].as_object().into_iter().flatten();
    Operation {
        method: method.to_uppercase(),
        path: path.to_owned(),
        id: text(operation, "operationId"),
        summary: text(operation, "summary"),
        description: text(operation, "description"),
        parameters: parameters
            .map(|row| Row {
                name: text(row, "name"),
                kind: text(row, "in"),
                required: row["required"] == true,
                description: text(row, "description"),
            })
            .collect(),
        body: body_of(&operation["requestBody"]),
        answers: answers
            .map(|(status, answer)| Answer {
                status: status.clone(),
                description: text(answer, "description"),
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
    Shape { name: name.to_owned(), description: text(schema, "description"), fields }
}

fn gather(schema: &Value, fields: &mut Vec<Row>) {
    let required = schema["required"].as_array();
    let properties = schema["properties"].as_object().into_iter().flatten();
    fields.extend(properties.map(|(name, field)| Row {
        name: name.clone(),
        kind: kind_of(field),
        required: required.is_some_and(|names| names.iter().any(|other| other == name)),
        description: text(field, "description"),
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
