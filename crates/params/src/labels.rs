//! Label values: their validation, their grid and their order.

use std::cmp::Ordering;

use jiff::{Span, civil::Date};
use serde_json::Value;

use crate::{
    coerce::{self, Reading},
    datum::Datum,
    schema::{LabelSchema, ParamType},
    validator::{Bound, Validator},
};

/// No real grid is longer; a schema that asks for more gets a cut one instead of all our memory.
const LONGEST_GRID: usize = 100_000;

/// Converts and checks one label value.
pub(crate) fn read(label: &LabelSchema, raw: &Value, reading: Reading) -> Result<Datum, Vec<String>> {
    if raw.is_null() {
        return Ok(Datum::Null);
    }
    let datum = coerce::label(&label.kind, raw, reading).map_err(|message| vec![message])?;
    let mut messages = Vec::new();
    for validator in &label.validators {
        match validator {
            Validator::Range(bound) | Validator::DateRange(bound) => {
                outside(&label.kind, bound, &datum, &mut messages);
            }
            Validator::Choice { choices, .. } => {
                if !choices.iter().any(|choice| same(choice, &datum)) {
                    messages.push(format!("Input {} must be one of {}.", datum.str(), joined(choices)));
                }
            }
            Validator::When(_) | Validator::Other(_) => {}
        }
    }
    if messages.is_empty() { Ok(datum) } else { Err(messages) }
}

fn outside(kind: &ParamType, bound: &Bound, datum: &Datum, messages: &mut Vec<String>) {
    if let Some(min) = bound.min.as_ref().map(|min| literal(kind, min))
        && datum.order(&min) == Some(Ordering::Less)
    {
        messages.push(format!("Input {} must be greater than {}.", datum.str(), min.str()));
    }
    if let Some(max) = bound.max.as_ref().map(|max| literal(kind, max))
        && datum.order(&max) == Some(Ordering::Greater)
    {
        messages.push(format!("Input {} must be less than {}.", datum.str(), max.str()));
    }
}

/// A bound or choice as the value it is compared with: text is a date where dates are expected.
pub(crate) fn literal(kind: &ParamType, raw: &Value) -> Datum {
    match (kind, raw) {
        (ParamType::Date, Value::String(text)) => {
            coerce::parse_date(text, Reading::FIRST_PASS).map_or_else(|| Datum::from_json(raw), Datum::Date)
        }
        _ => Datum::from_json(raw),
    }
}

/// Whether a choice of the schema is this value. A date may be written in any of its forms.
pub(crate) fn same(choice: &Value, datum: &Datum) -> bool {
    match (choice, datum) {
        (Value::String(text), Datum::Date(date)) => coerce::parse_date(text, Reading::FIRST_PASS) == Some(*date),
        // Long lists of choices are compared without copying each.
        (Value::String(text), Datum::Text(own)) => text == own,
        _ => Datum::from_json(choice) == *datum,
    }
}

/// Values as `", ".join(map(str, values))`.
pub(crate) fn joined(values: &[Value]) -> String {
    values.iter().map(|value| Datum::from_json(value).str()).collect::<Vec<_>>().join(", ")
}

/// All values the label's first validator allows, in order; empty where that is not a finite list.
pub(crate) fn grid(label: &LabelSchema) -> Vec<Datum> {
    match label.validators.first() {
        Some(Validator::Choice { choices, .. }) => choices.iter().map(|choice| literal(&label.kind, choice)).collect(),
        Some(Validator::Range(bound)) if label.kind != ParamType::Date => number_grid(bound),
        Some(Validator::Range(bound) | Validator::DateRange(bound)) => date_grid(bound),
        _ => Vec::new(),
    }
}

fn number_grid(bound: &Bound) -> Vec<Datum> {
    let read = |value: &Option<Value>| value.as_ref().map(Datum::from_json);
    let (Some(min), Some(max)) = (read(&bound.min), read(&bound.max)) else {
        return Vec::new();
    };
    let step = read(&bound.step).filter(|step| step.as_f64() != Some(0.0)).unwrap_or(Datum::Int(1));
    if let (Datum::Int(min), Datum::Int(max), Datum::Int(step @ 1..)) = (&min, &max, &step) {
        let step = usize::try_from(*step).unwrap_or(usize::MAX);
        return (*min..=*max).step_by(step).take(LONGEST_GRID).map(Datum::Int).collect();
    }
    let (Some(min), Some(max), Some(step)) = (min.as_f64(), max.as_f64(), step.as_f64()) else {
        return Vec::new();
    };
    if step <= 0.0 || !max.is_finite() {
        return Vec::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "at most LONGEST_GRID")]
    (0..LONGEST_GRID).map(|i| min + i as f64 * step).take_while(|value| *value <= max).map(Datum::Float).collect()
}

fn date_grid(bound: &Bound) -> Vec<Datum> {
    let read = |value: &Option<Value>| {
        value.as_ref().and_then(Value::as_str).and_then(|text| coerce::parse_date(text, Reading::FIRST_PASS))
    };
    let (Some(min), Some(max)) = (read(&bound.min), read(&bound.max)) else {
        return Vec::new();
    };
    let next = |date: Date| step_of(bound).and_then(|step| date.checked_add(step).ok());
    let Some(end) = next(max) else { return Vec::new() };
    let mut dates = Vec::new();
    let mut current = min;
    while current < end && dates.len() < LONGEST_GRID {
        dates.push(Datum::Date(current));
        match next(current) {
            Some(later) if later > current => current = later,
            _ => break,
        }
    }
    dates
}

/// The distance between dates. Hours and less count only in whole days, since a date has no time.
fn step_of(bound: &Bound) -> Option<Span> {
    let Some(step) = &bound.step else {
        return Some(Span::new().days(1));
    };
    let members = step.as_object()?;
    let of = |name: &str| members.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    let days =
        of("days") + 7.0 * of("weeks") + (of("hours") / 24.0) + (of("minutes") / 1440.0) + (of("seconds") / 86_400.0);
    #[expect(clippy::cast_possible_truncation, reason = "a saturated span is refused below")]
    let (months, days) = (of("months") as i64, days as i64);
    Span::new().try_months(months).ok()?.try_days(days).ok()
}

/// How values of one label compare: along the list of choices, else by size.
pub(crate) struct LabelOrder {
    choices: Option<Vec<Datum>>,
}

impl LabelOrder {
    pub(crate) fn of(label: &LabelSchema) -> Self {
        let choices = match label.validators.first() {
            Some(Validator::Choice { .. }) => Some(grid(label)),
            _ => None,
        };
        Self { choices }
    }

    pub(crate) fn compare(&self, a: &Datum, b: &Datum) -> Ordering {
        match &self.choices {
            Some(choices) => position(choices, a).cmp(&position(choices, b)),
            None => a.order(b).unwrap_or(Ordering::Equal),
        }
    }
}

/// Where a value stands in a grid; past the end for one that is not there.
pub(crate) fn position(grid: &[Datum], value: &Datum) -> usize {
    grid.iter().position(|candidate| candidate == value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn label(kind: &str, validators: &Value) -> LabelSchema {
        LabelSchema {
            kind: ParamType::from_name(kind),
            validators: Validator::parse_all(Some(validators), "a test").unwrap(),
        }
    }

    fn grid_json(kind: &str, validators: &Value) -> Value {
        grid(&label(kind, validators)).iter().map(Datum::to_json).collect()
    }

    #[test]
    fn grids() {
        let numbers = json!({"range": {"min": 1, "max": 6, "step": 2}});
        assert_eq!(grid_json("int", &numbers), json!([1, 3, 5]));
        let months = json!({"date_range": {"min": "2020-01-31", "max": "2020-03-31", "step": {"months": 1}}});
        assert_eq!(grid_json("date", &months).as_array().unwrap().len(), 4);
        assert_eq!(grid_json("str", &json!({"choice": {"choices": ["b", "a"]}})), json!(["b", "a"]));
        assert_eq!(grid_json("int", &json!({})), json!([]));
    }

    #[test]
    fn endless_steps_end() {
        let still = json!({"date_range": {"min": "2020-01-01", "max": "2020-03-31", "step": {"seconds": 1}}});
        assert!(grid_json("date", &still).as_array().unwrap().len() <= 1);
        let far = json!({"range": {"min": 0, "max": 9e99}});
        assert_eq!(grid_json("float", &far).as_array().unwrap().len(), LONGEST_GRID);
    }

    #[test]
    fn messages_of_labels() {
        let year = label("int", &json!({"range": {"min": 2013, "max": 2034}}));
        assert_eq!(read(&year, &json!(2050), Reading::EXACT), Err(vec!["Input 2050 must be less than 2034.".into()]));
        let state = label("str", &json!({"choice": {"choices": ["a", "b"]}}));
        assert_eq!(read(&state, &json!("c"), Reading::EXACT), Err(vec!["Input c must be one of a, b.".into()]));
    }
}
