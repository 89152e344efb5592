//! What a browser sends of a model's form, as an adjustment. [`super::form`] made the form.

use std::collections::HashMap;

use csw_app::SchemaView;
use csw_params::{
    Dump, ValueObject,
    form::{Context, FormParameter, parse},
};
use serde_json::{Map, Value, json};

use super::form::{context, field_name, parameters, rest_name, toggle_name};

/// What a browser sent.
pub(crate) struct Sent {
    pub(crate) meta: Value,
    pub(crate) adjustment: Value,
    /// By field name.
    pub(crate) problems: HashMap<String, String>,
}

/// Meta parameters of a query such as `?year=2026`, as a request for a schema. Names the model does not have are left out.
pub(crate) fn meta_of_query(base: &SchemaView, query: &HashMap<String, String>, prefix: &str) -> Value {
    let mut meta = Map::new();
    for (name, parameter) in base.parsed.meta_parameters.parameters() {
        if let Some(text) = query.get(&format!("{prefix}{name}")) {
            meta.insert(name.clone(), typed(parameter.kind.name(), parameter.number_dims, text));
        }
    }
    Value::Object(meta)
}

fn typed(kind: &str, dims: u32, text: &str) -> Value {
    if dims > 0 {
        return serde_json::from_str(text)
            .unwrap_or_else(|_| Value::Array(text.split(',').map(|part| typed(kind, 0, part.trim())).collect()));
    }
    match kind {
        "bool" => match text.to_lowercase().as_str() {
            "true" => json!(true),
            "false" => json!(false),
            _ => json!(text),
        },
        "int" => text.trim().parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
        "float" => text.trim().parse::<f64>().map_or_else(|_| json!(text), |number| json!(number)),
        _ => json!(text),
    }
}

/// Whether the meta parameters that were sent are others than those the form was made for: then its defaults are not
/// those that its reader saw.
pub(crate) fn changed(sent: &HashMap<String, String>) -> bool {
    sent.iter().any(|(name, shown)| {
        let name = name.strip_prefix("shown:");
        name.is_some_and(|name| sent.get(&format!("meta:{name}")).is_some_and(|value| value.trim() != shown.trim()))
    })
}

/// Reads what a browser sent.
pub(crate) fn read(schema: &SchemaView, sent: &HashMap<String, String>) -> Sent {
    let context = context(&schema.parsed);
    let mut adjustment = Map::new();
    let mut problems = HashMap::new();
    for (section, (title, dump)) in schema.parsed.model_parameters.iter().enumerate() {
        let mut reader = Reader { section, sent, problems: &mut problems };
        adjustment.insert(title.clone(), Value::Object(reader.read(dump, &context)));
    }
    Sent { meta: schema.meta_values.clone(), adjustment: Value::Object(adjustment), problems }
}

struct Reader<'a> {
    section: usize,
    sent: &'a HashMap<String, String>,
    problems: &'a mut HashMap<String, String>,
}

impl Reader<'_> {
    fn read(&mut self, dump: &Dump, context: &Context) -> Map<String, Value> {
        let mut given = Map::new();
        for parameter in parameters(dump, context) {
            let mut vos = self.values(&parameter);
            vos.extend(self.rest(&parameter));
            if !vos.is_empty() {
                given.insert(parameter.name.clone(), Value::Array(vos));
            }
            if let Some(checkbox) = &parameter.checkbox
                && let Some(text) = self.sent.get(&toggle_name(self.section, checkbox)).filter(|text| !text.is_empty())
            {
                given.insert(checkbox.clone(), json!([{ "value": text == "true" }]));
            }
        }
        given
    }

    fn values(&mut self, parameter: &FormParameter) -> Vec<Value> {
        let mut vos = Vec::new();
        for field in &parameter.fields {
            let name = field_name(self.section, &parameter.name, &field.key);
            match self.sent.get(&name).map(|text| parse(parameter, field, text)) {
                Some(Ok(parsed)) => vos.extend(parsed.iter().map(ValueObject::to_json)),
                Some(Err(error)) => {
                    self.problems.insert(name, error.to_string());
                }
                None => {}
            }
        }
        vos
    }

    /// Values for labels that the form does not show.
    fn rest(&mut self, parameter: &FormParameter) -> Vec<Value> {
        let name = rest_name(self.section, &parameter.name);
        let text = self.sent.get(&name).map_or("", |text| text.trim());
        match (text, serde_json::from_str(text)) {
            ("", _) => Vec::new(),
            (_, Ok(Value::Array(list))) if list.iter().all(|vo| vo.get("value").is_some()) => list,
            _ => {
                let sentence = "Write a JSON list of value objects like [{\"value\": 1}].";
                self.problems.insert(name, sentence.to_owned());
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_settings_are_noticed() {
        let sent = |meta: &str| {
            HashMap::from([
                ("shown:year".to_owned(), "2026".to_owned()),
                ("meta:year".to_owned(), meta.to_owned()),
                ("meta:other".to_owned(), "x".to_owned()),
            ])
        };
        assert!(!changed(&sent("2026 ")));
        assert!(changed(&sent("2027")));
    }
}
