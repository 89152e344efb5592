//! The canonical form of a request: two requests that mean the same to every model have the same.

use serde_json::{Map, Value, json};

use crate::{
    coerce::{self, Reading},
    dump::{Dump, Parameter},
    inputs::InputSchema,
    schema::LabelSchema,
    vo::is_vo_list,
};

/// `{"adjustment": .., "meta_parameters": ..}` for the memo key.
///
/// Numbers, booleans and dates are written in one way, scalars become lists of value objects, object
/// keys are sorted, sections without content are left out and meta parameters that were not given
/// have their default. What cannot be understood passes through as it is. The order of value objects
/// is kept, since the last one wins.
pub fn normalise(schema: &InputSchema, meta: &Value, adjustment: &Value) -> Value {
    let mut sections = Map::new();
    if let Value::Object(given) = adjustment {
        for (name, section) in sorted(given) {
            let section = match schema.model_parameters.get(name) {
                Some(dump) => normal_section(dump, section),
                None => with_sorted_keys(section),
            };
            let is_empty = section.is_null() || section.as_object().is_some_and(Map::is_empty);
            if !is_empty {
                sections.insert(name.clone(), section);
            }
        }
    }
    json!({
        "adjustment": sections,
        "meta_parameters": normal_meta(&schema.meta_parameters, meta),
    })
}

fn normal_meta(dump: &Dump, meta: &Value) -> Value {
    let mut complete = Map::new();
    for (name, parameter) in dump.parameters() {
        complete.insert(name.clone(), parameter.members()["value"].clone());
    }
    if let Value::Object(given) = meta {
        for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            complete.insert(name.clone(), value.clone());
        }
    }
    normal_section(dump, &Value::Object(complete))
}

fn normal_section(dump: &Dump, section: &Value) -> Value {
    let Value::Object(members) = section else {
        return with_sorted_keys(section);
    };
    let normal = sorted(members).into_iter().map(|(name, value)| {
        let value = match dump.get(name) {
            Some(parameter) => normal_vos(dump, parameter, value),
            None => as_vos(value, with_sorted_keys),
        };
        (name.clone(), value)
    });
    Value::Object(normal.collect())
}

fn as_vos(value: &Value, normal: impl Fn(&Value) -> Value) -> Value {
    if is_vo_list(value) { normal(value) } else { json!([{"value": normal(value)}]) }
}

fn normal_vos(dump: &Dump, parameter: &Parameter, value: &Value) -> Value {
    let Some(list) = value.as_array().filter(|_| is_vo_list(value)) else {
        return json!([{"value": normal_value(parameter, value)}]);
    };
    let normal = list.iter().map(|vo| {
        let Value::Object(members) = vo else {
            return with_sorted_keys(vo);
        };
        let members = sorted(members).into_iter().map(|(key, value)| {
            let value = if key == "value" {
                normal_value(parameter, value)
            } else if let Some(label) = dump.schema().labels.get(key) {
                normal_label(label, value)
            } else {
                with_sorted_keys(value)
            };
            (key.clone(), value)
        });
        Value::Object(members.collect())
    });
    Value::Array(normal.collect())
}

fn normal_value(parameter: &Parameter, value: &Value) -> Value {
    coerce::value(&parameter.kind, parameter.number_dims, value, Reading::LOOSE)
        .map_or_else(|_| with_sorted_keys(value), |datum| with_sorted_keys(&datum.to_json()))
}

fn normal_label(label: &LabelSchema, value: &Value) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    coerce::label(&label.kind, value, Reading::LOOSE).map_or_else(|_| with_sorted_keys(value), |datum| datum.to_json())
}

fn sorted(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(b.0));
    sorted
}

fn with_sorted_keys(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            sorted(members).into_iter().map(|(key, value)| (key.clone(), with_sorted_keys(value))).collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(with_sorted_keys).collect()),
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> InputSchema {
        let meta = json!({"year": {"type": "int", "value": 2024}});
        let model = json!({"S": {
            "schema": {"labels": {"year": {"type": "int"}, "kind": {"type": "str"}}},
            "i": {"type": "int", "value": 1}, "f": {"type": "float", "value": 1.0},
            "b": {"type": "bool", "value": true}, "d": {"type": "date", "value": "2020-01-01"},
            "l": {"type": "float", "number_dims": 1, "value": [1.0]},
            "c": {"type": "own", "value": {"a": 1}},
        }});
        InputSchema::parse(&meta, &model).unwrap()
    }

    fn text(meta: &Value, adjustment: &Value) -> String {
        normalise(&schema(), meta, adjustment).to_string()
    }

    #[test]
    fn spellings_agree() {
        let plain = text(&json!({}), &json!({"S": {"b": true, "d": "2020-10-19", "f": 1.0, "i": 1}}));
        let other = text(
            &json!({"year": [{"value": 2024}]}),
            &json!({"X": {}, "S": {"i": [{"value": "1"}], "f": "1", "d": "2020-10-19T04:00:00.000Z", "b": "True"}}),
        );
        assert_eq!(plain, other);
        assert_eq!(text(&json!({"year": "2024"}), &json!(null)), text(&json!(null), &json!({"S": {}})));
    }

    #[test]
    fn labels_are_typed_and_keys_sorted() {
        assert_eq!(
            text(&json!({}), &json!({"S": {"i": [{"year": 2020, "kind": "a", "value": 1}]}})),
            text(&json!({}), &json!({"S": {"i": [{"value": 1.0, "kind": "a", "year": "2020"}]}})),
        );
    }

    #[test]
    fn different_requests_differ() {
        let all = [
            json!({"S": {"i": 1}}),
            json!({"S": {"i": 2}}),
            json!({"S": {"i": null}}),
            json!({"S": {"i": "x"}}),
            json!({"S": {"i": [{"year": 1, "value": 1}, {"year": 2, "value": 1}]}}),
            json!({"S": {"i": [{"year": 2, "value": 1}, {"year": 1, "value": 1}]}}),
            json!({"S": {"i_checkbox": [{"value": true}]}}),
            json!({"S": {"l": [1, 2]}}),
            json!({"S": {"l": [2, 1]}}),
            json!({"T": {"i": 1}}),
        ];
        let texts: std::collections::HashSet<_> = all.iter().map(|adjustment| text(&json!({}), adjustment)).collect();
        assert_eq!(texts.len(), all.len());
    }

    #[test]
    fn normal_form_is_stable() {
        let once =
            normalise(&schema(), &json!({"year": 2020}), &json!({"S": {"l": ["1", 2], "c": {"b": 1, "a": [2]}}}));
        let twice = normalise(&schema(), &once["meta_parameters"], &once["adjustment"]);
        assert_eq!(once.to_string(), twice.to_string());
    }
}
