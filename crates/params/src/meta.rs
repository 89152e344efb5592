//! Meta parameters: the few values that decide which defaults a model shows.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::{
    adjust::not_an_object,
    check::{Adjustment, Checker, current_values, read_adjustment, refusal},
    coerce::Reading,
    dump::Dump,
    report::Report,
    vo::{ValueObject, Vo},
};

/// A value for every meta parameter.
pub type MetaValues = IndexMap<String, Vec<ValueObject>>;

/// Checks requested meta parameter values, each a scalar or a list of value objects, and completes
/// them with the defaults. `null` for a meta parameter means its default.
///
/// The error has the messages of `ParamTools`; [`Report::errors_json`] is its text form.
pub fn validate_meta(dump: &Dump, requested: &Value) -> Result<MetaValues, Box<Report>> {
    let nothing = Map::new();
    let members = match requested {
        Value::Null => &nothing,
        Value::Object(members) => members,
        other => return Err(Box::new(not_an_object(other))),
    };
    let (mut typed, report) = read_adjustment(dump, members, Reading::EXACT, |_| false);
    if report.has_errors() {
        return Err(Box::new(report));
    }
    typed.values_mut().for_each(|vos| vos.retain(|vo| !vo.to_value_object().value.is_null()));
    typed.retain(|_, vos| !vos.is_empty());
    let mut report = check(dump, &typed);
    report.warnings.clear();
    if report.has_errors() {
        return Err(Box::new(report));
    }
    let values = dump.parameters().iter().map(|(name, parameter)| {
        let current = current_values(dump, parameter);
        let vos = match typed.get(name) {
            Some(requested) => replaced(current, requested),
            None => current,
        };
        (name.clone(), vos.iter().map(Vo::to_value_object).collect())
    });
    Ok(values.collect())
}

fn check(dump: &Dump, typed: &Adjustment) -> Report {
    if let Some(message) = refusal(dump, typed) {
        let mut report = Report::default();
        report.error("schema", message);
        return report;
    }
    Checker::new(dump, &IndexMap::new(), typed, None).report()
}

/// A meta parameter has one value: where both sides say so, the requested one stands for all.
fn replaced(mut current: Vec<Vo>, requested: &[Vo]) -> Vec<Vo> {
    if current.is_empty() || requested.iter().any(|vo| !vo.labels.is_empty()) {
        return requested.to_vec();
    }
    for vo in requested {
        for own in &mut current {
            own.value = vo.value.clone();
        }
    }
    current
}

/// The dump with these values in place of its own; names it does not have are left out.
pub fn apply_meta(dump: &Dump, values: &MetaValues) -> Dump {
    let mut applied = dump.clone();
    for (name, vos) in values {
        let differs = dump.get(name).is_some_and(|parameter| parameter.values() != vos.as_slice());
        if differs {
            applied.set_values(name, vos.clone());
        }
    }
    applied
}

/// `{name: [VO]}`: what the model's functions are called with.
pub fn meta_json(values: &MetaValues) -> Value {
    let members =
        values.iter().map(|(name, vos)| (name.clone(), Value::Array(vos.iter().map(ValueObject::to_json).collect())));
    Value::Object(members.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dump() -> Dump {
        Dump::parse(&json!({
            "schema": {"labels": {}},
            "year": {"title": "Year", "type": "int", "value": [{"value": 2024}],
                     "validators": {"choice": {"choices": [2023, 2024, 2025]}}},
            "full": {"title": "Full", "type": "bool", "value": true},
        }))
        .unwrap()
    }

    #[test]
    fn completes_with_defaults() {
        let values = validate_meta(&dump(), &json!({"year": 2025})).unwrap();
        assert_eq!(meta_json(&values), json!({"year": [{"value": 2025}], "full": [{"value": true}]}));
        let same = validate_meta(&dump(), &json!({"year": [{"value": 2025}], "full": null})).unwrap();
        assert_eq!(values, same);
        assert_eq!(apply_meta(&dump(), &values).to_json()["year"]["value"], json!([{"value": 2025}]));
    }

    #[test]
    fn words_errors_as_the_original() {
        let report = validate_meta(&dump(), &json!({"year": 1999})).unwrap_err();
        assert_eq!(
            report.errors_json(),
            json!({"errors": {"year": ["year \"1999\" must be in list of choices 2023, 2024, 2025."]}})
        );
        let report = validate_meta(&dump(), &json!({"yeer": 1})).unwrap_err();
        assert_eq!(report.errors_json(), json!({"errors": {"schema": ["Unknown field: yeer"]}}));
        assert!(validate_meta(&dump(), &json!([1])).is_err());
    }
}
