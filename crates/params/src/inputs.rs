//! What one version of a model offers, and the first pass over what somebody asks of it.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::{
    adjust::not_an_object,
    check::{Checker, read_adjustment},
    coerce::Reading,
    dump::Dump,
    report::Report,
    schema::{SchemaError, object},
};

const CHECKBOX: &str = "_checkbox";
const INDEXED: &str = "-indexed";
/// Sections of messages that belong to no section of the model.
const GUI: &str = "GUI";
const API: &str = "API";

/// The answer of a model's `get_inputs`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InputSchema {
    /// The meta parameters.
    pub meta_parameters: Dump,
    /// Model parameters by major section.
    pub model_parameters: IndexMap<String, Dump>,
}

impl InputSchema {
    /// Reads both members of the answer of `get_inputs`.
    pub fn parse(meta: &Value, model: &Value) -> Result<Self, SchemaError> {
        let sections = object(model, "`model_parameters`")?;
        Ok(Self {
            meta_parameters: Dump::parse(meta)?,
            model_parameters: sections
                .iter()
                .map(|(section, dump)| Ok((section.clone(), Dump::parse(dump)?)))
                .collect::<Result<_, SchemaError>>()?,
        })
    }

    /// Whether fields accept lists of values over years: a meta parameter is called `year`.
    pub fn extends(&self) -> bool {
        self.meta_parameters.get("year").is_some()
    }
}

/// What the first pass found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FirstPass {
    /// The adjustment for the model: every section present, unknown sections gone, the values as
    /// they were given.
    pub adjustment: Value,
    /// Messages by section. Every section of the model is there, and `GUI` and `API`.
    pub sections: IndexMap<String, Report>,
}

impl FirstPass {
    /// At least one error in some section.
    pub fn has_errors(&self) -> bool {
        self.sections.values().any(Report::has_errors)
    }

    /// `{section: {"errors": {..}, "warnings": {..}}}`.
    pub fn errors_warnings(&self) -> Value {
        let sections = self.sections.iter().map(|(name, report)| (name.clone(), report.to_json()));
        Value::Object(sections.collect())
    }

    /// What the model's `validate_inputs` is given to fill in: the messages about unknown sections
    /// and nothing of ours, so that each message is said once.
    pub fn errors_warnings_for_model(&self) -> Value {
        let empty = Report::default();
        let sections = self.sections.iter().map(|(name, report)| {
            let report = if name == API { report } else { &empty };
            (name.clone(), report.to_json())
        });
        Value::Object(sections.collect())
    }
}

/// Splits an adjustment by section and checks what can be checked without the model.
///
/// Values pass through untouched. Accepted beside parameters: `<name>_checkbox`, `<name>-indexed`
/// and the names of meta parameters, which models handle themselves.
pub fn first_pass(schema: &InputSchema, adjustment: &Value) -> FirstPass {
    let mut sections: IndexMap<String, Report> = schema
        .model_parameters
        .keys()
        .map(String::as_str)
        .chain([GUI, API])
        .map(|name| (name.to_owned(), Report::default()))
        .collect();
    let nothing = Map::new();
    let given = match adjustment {
        Value::Object(members) => members,
        Value::Null => &nothing,
        other => {
            sections.insert(API.into(), not_an_object(other));
            &nothing
        }
    };
    let unknown: Vec<_> =
        given.keys().filter(|name| !schema.model_parameters.contains_key(*name)).map(String::as_str).collect();
    if !unknown.is_empty()
        && let Some(report) = sections.get_mut(API)
    {
        report.error("extra_keys", format!("Unknown sections: {}", unknown.join(" ,")));
    }
    let mut accepted = Map::new();
    for (name, dump) in &schema.model_parameters {
        let section = match given.get(name) {
            None | Some(Value::Null) => json!({}),
            Some(section) => section.clone(),
        };
        let report = match &section {
            Value::Object(members) => check_section(schema, dump, members),
            other => not_an_object(other),
        };
        sections.insert(name.clone(), report);
        accepted.insert(name.clone(), section);
    }
    FirstPass { adjustment: Value::Object(accepted), sections }
}

fn check_section(schema: &InputSchema, dump: &Dump, section: &Map<String, Value>) -> Report {
    let ignored = |name: &str| {
        name.ends_with(CHECKBOX)
            || name.strip_suffix(INDEXED).is_some_and(|name| dump.get(name).is_some())
            || schema.meta_parameters.get(name).is_some()
    };
    let (typed, report) = read_adjustment(dump, section, Reading::FIRST_PASS, ignored);
    if report.has_errors() {
        return report;
    }
    Checker::new(dump, &IndexMap::new(), &typed, None).report()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> InputSchema {
        let meta = json!({"year": {"title": "Year", "type": "int", "value": 2024}});
        let model = json!({
            "Policy": {
                "schema": {"labels": {"year": {"type": "int", "validators": {"range": {"min": 2013, "max": 2034}}}}},
                "rate": {"title": "Rate", "type": "float", "indexed": true,
                         "value": [{"year": 2024, "value": 0.1}],
                         "validators": {"range": {"min": 0, "max": "top"}}},
                "top": {"title": "Top", "type": "float", "value": [{"year": 2024, "value": 0.5}]},
                "start": {"title": "Start", "type": "date", "value": [{"value": "2020-01-01"}],
                          "validators": {"range": {"min": "2010-01-01", "max": "2030-01-01", "level": "warn"}}},
            },
            "Other": {"n": {"title": "N", "type": "int", "value": 1}},
        });
        InputSchema::parse(&meta, &model).unwrap()
    }

    #[test]
    fn sections_are_always_complete() {
        let pass = first_pass(&schema(), &json!({"Policy": {"rate": -1}, "Nope": {"a": 1}, "No": 2}));
        assert_eq!(pass.adjustment, json!({"Policy": {"rate": -1}, "Other": {}}));
        assert_eq!(
            pass.errors_warnings(),
            json!({
                "Policy": {"errors": {"rate": ["rate -1.0 < min 0 "]}, "warnings": {}},
                "Other": {"errors": {}, "warnings": {}},
                "GUI": {"errors": {}, "warnings": {}},
                "API": {"errors": {"extra_keys": ["Unknown sections: Nope ,No"]}, "warnings": {}},
            })
        );
        assert!(pass.has_errors());
        assert_eq!(pass.errors_warnings_for_model()["Policy"]["errors"], json!({}));
    }

    #[test]
    fn conventions_of_real_models_pass() {
        let adjustment = json!({"Policy": {
            "rate": [{"year": "2024", "value": "0.3"}], "rate_checkbox": [{"value": false}],
            "rate-indexed": true, "year": 2024, "start": "2020-10-19T04:00:00.000Z",
        }});
        let pass = first_pass(&schema(), &adjustment);
        assert!(!pass.has_errors(), "{}", pass.errors_warnings());
        assert_eq!(pass.adjustment["Policy"], adjustment["Policy"]);
    }

    #[test]
    fn warnings_do_not_refuse_and_types_hide_ranges() {
        let pass = first_pass(&schema(), &json!({"Policy": {"start": "2040-01-01"}}));
        assert!(!pass.has_errors());
        assert_eq!(pass.sections["Policy"].warnings["start"], ["start 2040-01-01 > max 2030-01-01 "]);
        let pass = first_pass(&schema(), &json!({"Policy": {"rate": -1, "top": "much"}}));
        assert_eq!(
            pass.sections["Policy"].to_json(),
            json!({"errors": {"top": ["Not a valid number: much."]}, "warnings": {}})
        );
    }

    #[test]
    fn bounds_look_at_the_adjustment_first() {
        let both = json!({"Policy": {
            "rate": [{"year": 2024, "value": 0.7}], "top": [{"year": 2024, "value": 0.8}],
        }});
        assert!(!first_pass(&schema(), &both).has_errors());
        let one = json!({"Policy": {"rate": [{"year": 2024, "value": 0.7}]}});
        assert_eq!(
            first_pass(&schema(), &one).sections["Policy"].errors["rate"],
            ["rate[year=2024] 0.7 > max 0.5 top[year=2024]"]
        );
    }

    #[test]
    fn bounds_of_real_schemas() {
        let meta = json!({
            "schema": {"labels": {}, "additional_members": {"compatible_data": {"type": "compatible_data"}}},
            "full": {"title": "Full", "type": "bool", "value": true, "validators": {"range": {"min": false, "max": true}},
                     "compatible_data": {"cps": true}},
        });
        let model = json!({"Span": {
            "start": {"title": "Start", "type": "date", "value": "2020-01-01",
                      "validators": {"date_range": {"min": "2009-01-01", "max": "end"}}},
            "end": {"title": "End", "type": "date", "value": "2026-12-31", "validators": {"date_range": {"min": "start"}}},
            "limit": {"title": "Limit", "type": "float", "value": 1.0, "validators": {"range": {"min": 0, "max": 9e99}}},
            "flag": {"title": "Flag", "type": "bool", "value": false, "validators": {"range": {"min": false, "max": true}}},
            "name": {"title": "Name", "type": "str", "value": "x", "validators": {}},
        }});
        let schema = InputSchema::parse(&meta, &model).unwrap();
        let errors =
            |span: Value| first_pass(&schema, &json!({ "Span": span })).sections["Span"].to_json()["errors"].clone();
        for fine in [
            json!({"start": "2026-12-31", "flag": true, "limit": 8e99, "name": "any name at all, 数"}),
            json!({"start": "2030-01-01", "end": "2031-01-01"}),
            json!({"start": "2020-10-19T04:00:00.000Z", "flag": [{"value": false}]}),
        ] {
            assert_eq!(errors(fine.clone()), json!({}), "{fine}");
        }
        assert_eq!(errors(json!({"start": "2027-01-01"}))["start"], json!(["start 2027-01-01 > max 2026-12-31 end"]));
        assert_eq!(errors(json!({"end": "2019-01-01"}))["end"], json!(["end 2019-01-01 < min 2020-01-01 start"]));
        assert_eq!(errors(json!({"limit": -1})).as_object().map(Map::len), Some(1));
        assert_eq!(errors(json!({"flag": 7}))["flag"], json!(["Not a valid boolean: 7."]));
        assert!(crate::validate_meta(&schema.meta_parameters, &json!({"full": false})).is_ok());
        assert!(crate::validate_meta(&schema.meta_parameters, &json!({"full": 7})).is_err());
    }

    #[test]
    fn shapes_that_are_no_adjustment() {
        for wrong in [json!([]), json!(1), json!("x")] {
            assert!(first_pass(&schema(), &wrong).sections[API].has_errors());
            let pass = first_pass(&schema(), &json!({"Policy": wrong}));
            assert!(pass.sections["Policy"].has_errors());
        }
        assert!(!first_pass(&schema(), &Value::Null).has_errors());
    }
}
