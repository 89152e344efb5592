//! Requests, compared with GitHub's own description of its API.

use std::path::Path;

use serde_json::Value;

use crate::site::Asked;

/// The description, where `scripts/setup test` has installed it.
pub(crate) fn description() -> Option<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let file = root.join(".tools/github/node_modules/@octokit/openapi/generated/api.github.com.json");
    Some(serde_json::from_slice(&std::fs::read(file).ok()?).unwrap())
}

/// What a request does that the description does not allow.
pub(crate) fn problems(description: &Value, asked: &Asked) -> Vec<String> {
    let Some((path, item)) = description["paths"].as_object().unwrap().iter().find(|(path, _)| fits(path, &asked.path))
    else {
        return vec![format!("there is no path for {}", asked.path)];
    };
    let operation = &item[asked.method.to_lowercase()];
    if operation.is_null() {
        return vec![format!("{path} has no {}", asked.method)];
    }
    let parameters: Vec<&Value> =
        operation["parameters"].as_array().into_iter().flatten().map(|one| resolved(description, one)).collect();
    let mut wrong = Vec::new();
    for (name, value) in &asked.query {
        match parameters.iter().find(|one| one["in"] == "query" && one["name"] == name.as_str()) {
            Some(known) => {
                let number = (known["schema"]["type"] == "integer").then(|| value.parse::<u64>().ok()).flatten();
                let value = number.map_or_else(|| Value::from(value.as_str()), Value::from);
                check(description, &known["schema"], &value, name, &mut wrong);
            }
            None => wrong.push(format!("{path} has no query parameter {name}")),
        }
    }
    let request = resolved(description, &operation["requestBody"]);
    match &asked.body {
        Some(body) => {
            let schema = &request["content"]["application/json"]["schema"];
            check(description, schema, body, "body", &mut wrong);
        }
        None if request["required"] == true => wrong.push(format!("{path} needs a body")),
        None => {}
    }
    wrong
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len() && pattern.iter().zip(&path).all(|(want, have)| want.starts_with('{') || want == have)
}

fn resolved<'a>(description: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(place) => description.pointer(place.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// Types, required and known properties, and words to choose from: what requests can get wrong.
fn check(description: &Value, schema: &Value, value: &Value, place: &str, wrong: &mut Vec<String>) {
    let schema = resolved(description, schema);
    let is = match value {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Null => "null",
    };
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.contains(&is) {
        wrong.push(format!("{place} is {is} in place of {types:?}"));
    }
    if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
        wrong.push(format!("{place} is none of {words:?}"));
    }
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        check(description, &schema["items"], item, &format!("{place}[{n}]"), wrong);
    }
    if let (Some(text), Some(most)) = (value.as_str(), schema["maxLength"].as_u64())
        && text.chars().count() as u64 > most
    {
        wrong.push(format!("{place} has more than {most} characters"));
    }
    let Some(fields) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            wrong.push(format!("{place} lacks {name}"));
        }
    }
    for (name, inner) in fields {
        match &schema["properties"][name] {
            Value::Null => wrong.push(format!("{place} has no {name}")),
            known => check(description, known, inner, name, wrong),
        }
    }
}
