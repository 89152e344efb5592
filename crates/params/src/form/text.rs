//! The text of a field: value objects to text and back.

use indexmap::IndexMap;
use serde_json::Value;
use thiserror::Error;

use super::{Field, FormParameter, Series, split};
use crate::{
    coerce::{self, Reading},
    datum::Datum,
    schema::ParamType,
    vo::{ValueObject, is_vo_list},
};

const EARLIER: &str = "<";
const UNCHANGED: &str = "*";
/// A longer gap is shown as JSON instead of a row of stars.
const LONGEST_NOTATION: usize = 100;

/// Why a field's text cannot be used; the message is for its author.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FieldError {
    /// Values that do not convert.
    #[error("{0}")]
    Value(String),
    /// `<` anywhere but once at the start, before a value.
    #[error("`<` may stand only once, at the beginning, and needs a value after it")]
    Earlier,
    /// Two commas in a row, or a comma at the end.
    #[error("a value is missing between commas; write `*` to leave one unchanged")]
    MissingValue,
    /// A list that leaves the grid of its label.
    #[error("the values run out of the range of {label}: there is none {side} {limit}")]
    OutOfRange {
        /// The label the list runs along.
        label: String,
        /// `before` or `after`.
        side: &'static str,
        /// The first or last label value.
        limit: String,
    },
    /// Text that has to be JSON and is not.
    #[error("{0}")]
    Json(String),
}

/// A saved adjustment of one parameter, written into its fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Texts {
    /// Text by field key; fields that are not in it are untouched.
    pub by_field: IndexMap<String, String>,
    /// Value objects that belong to no field, to be shown and sent beside them.
    pub rest: Vec<ValueObject>,
}

/// Reads the text of a field. Empty text means unchanged: no value object.
///
/// With a series, `1,*,3` sets the first and third label value; a leading `<` starts one earlier.
/// Lists are comma lists or JSON, larger arrays are JSON, and a JSON list of value objects is taken
/// as it is. An element that contains a comma is written as a JSON string.
pub fn parse(parameter: &FormParameter, field: &Field, text: &str) -> Result<Vec<ValueObject>, FieldError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(Vec::new());
    }
    if trimmed.starts_with("[{") {
        return parse_value_objects(parameter, trimmed);
    }
    if let Some(series) = &field.series {
        return parse_series(parameter, field, series, trimmed);
    }
    let value = match parameter.number_dims {
        0 if parameter.kind == ParamType::Str => Value::String(text.to_owned()),
        0 => convert(parameter, 0, &Value::String(trimmed.to_owned()))?,
        dims => array(parameter, dims, trimmed)?,
    };
    Ok(vec![ValueObject { labels: field.labels.clone(), value }])
}

fn parse_value_objects(parameter: &FormParameter, text: &str) -> Result<Vec<ValueObject>, FieldError> {
    let wrong = || FieldError::Json(r#"not a JSON list of value objects like [{"value": 1}]"#.into());
    let list: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    let complete = list.as_array().is_some_and(|list| list.iter().all(|vo| vo.get("value").is_some()));
    if !complete {
        return Err(wrong());
    }
    ValueObject::list_from_json(&list)
        .into_iter()
        .map(|vo| {
            let value = convert(parameter, parameter.number_dims, &vo.value)?;
            Ok(ValueObject { value, ..vo })
        })
        .collect()
}

fn parse_series(
    parameter: &FormParameter,
    field: &Field,
    series: &Series,
    text: &str,
) -> Result<Vec<ValueObject>, FieldError> {
    let whole_is_one_array = parameter.number_dims > 0 && !text.starts_with(['[', '<', '*']);
    let items = if whole_is_one_array { vec![text] } else { split::items(text) };
    let mut at = series.start;
    let mut vos = Vec::new();
    for (place, item) in items.iter().enumerate() {
        match *item {
            "" => return Err(FieldError::MissingValue),
            EARLIER => {
                let has_value = items.get(1).is_some_and(|next| ![UNCHANGED, EARLIER, ""].contains(next));
                if place > 0 || !has_value {
                    return Err(FieldError::Earlier);
                }
                at = at.checked_sub(1).ok_or_else(|| out_of_range(series, "before", 0))?;
                continue;
            }
            UNCHANGED => {}
            item => {
                let label = series
                    .grid
                    .get(at)
                    .ok_or_else(|| out_of_range(series, "after", series.grid.len().saturating_sub(1)))?;
                let value = match parameter.number_dims {
                    0 => convert(parameter, 0, &unquoted(parameter, item))?,
                    dims => array(parameter, dims, item)?,
                };
                let mut labels = field.labels.clone();
                labels.insert(series.label.clone(), label.clone());
                vos.push(ValueObject { labels, value });
            }
        }
        at += 1;
    }
    Ok(vos)
}

fn out_of_range(series: &Series, side: &'static str, at: usize) -> FieldError {
    let limit = series.grid.get(at).map(|value| Datum::from_json(value).str()).unwrap_or_default();
    FieldError::OutOfRange { label: series.label.clone(), side, limit }
}

/// A JSON array, or a comma list for one dimension.
fn array(parameter: &FormParameter, dims: u32, text: &str) -> Result<Value, FieldError> {
    let value = if text.starts_with('[') {
        serde_json::from_str(text).map_err(|error| FieldError::Json(format!("not a JSON list: {error}")))?
    } else if dims == 1 {
        split::items(text).into_iter().map(|item| unquoted(parameter, item)).collect()
    } else {
        return Err(FieldError::Json("write an array of rows as JSON: [[1, 2], [3, 4]]".into()));
    };
    convert(parameter, dims, &value)
}

/// The item itself, or what it says where it is a JSON string and the parameter takes text.
fn unquoted(parameter: &FormParameter, item: &str) -> Value {
    let quoted = matches!(parameter.kind, ParamType::Str | ParamType::Other(_)) && item.starts_with('"');
    quoted
        .then(|| serde_json::from_str::<String>(item).ok())
        .flatten()
        .map_or_else(|| Value::String(item.to_owned()), Value::String)
}

fn convert(parameter: &FormParameter, dims: u32, raw: &Value) -> Result<Value, FieldError> {
    if let (ParamType::Other(_), Value::String(text)) = (&parameter.kind, raw) {
        // A type of the model's own: JSON where it is JSON, else the text.
        return Ok(serde_json::from_str(text).unwrap_or_else(|_| raw.clone()));
    }
    coerce::value(&parameter.kind, dims, raw, Reading::LOOSE)
        .map(|datum| datum.to_json())
        .map_err(|messages| FieldError::Value(messages.join(" ")))
}

/// Writes a saved adjustment of this parameter into its fields, so that [`parse`] gives back the
/// same value objects.
pub fn texts(parameter: &FormParameter, given: &Value) -> Texts {
    let mut texts = Texts::default();
    if given.is_null() {
        return texts;
    }
    let vos =
        if is_vo_list(given) { ValueObject::list_from_json(given) } else { vec![ValueObject::bare(given.clone())] };
    let mut by_field: IndexMap<usize, Vec<ValueObject>> = IndexMap::new();
    for vo in vos {
        match parameter.fields.iter().position(|field| belongs(&vo, field)) {
            Some(at) => by_field.entry(at).or_default().push(vo),
            None if parameter.fields.len() == 1 => by_field.entry(0).or_default().push(vo),
            None => texts.rest.push(vo),
        }
    }
    for (at, vos) in by_field {
        let field = &parameter.fields[at];
        texts.by_field.insert(field.key.clone(), text_of(parameter, field, &vos));
    }
    texts
}

fn text_of(parameter: &FormParameter, field: &Field, vos: &[ValueObject]) -> String {
    let notation = match &field.series {
        Some(series) => series_text(parameter, series, vos),
        None => match vos {
            [vo] => Some(of_value(parameter.number_dims, &vo.value)),
            _ => None,
        },
    };
    let faithful = |text: &String| {
        parse(parameter, field, text).is_ok_and(|parsed| {
            parsed.len() == vos.len()
                && vos.iter().all(|vo| parsed.iter().any(|other| same(parameter, field, vo, other)))
        })
    };
    notation
        .filter(faithful)
        .unwrap_or_else(|| Value::Array(vos.iter().map(ValueObject::to_json).collect()).to_string())
}

fn series_text(parameter: &FormParameter, series: &Series, vos: &[ValueObject]) -> Option<String> {
    let mut placed = IndexMap::new();
    for vo in vos {
        let label = Datum::from_json(vo.labels.get(&series.label)?);
        let at = series.grid.iter().position(|value| same_label(&Datum::from_json(value), &label))?;
        if placed.insert(at, &vo.value).is_some() {
            return None;
        }
    }
    let (first, last) = (*placed.keys().min()?, *placed.keys().max()?);
    let begin = first.min(series.start);
    if begin + 1 < series.start || last - begin > LONGEST_NOTATION {
        return None;
    }
    let earlier = (begin < series.start).then(|| EARLIER.to_owned());
    let items = (begin..=last).map(|at| match placed.get(&at) {
        Some(value) if parameter.number_dims > 0 => value.to_string(),
        Some(value) => of_item(value),
        None => UNCHANGED.to_owned(),
    });
    Some(earlier.into_iter().chain(items).collect::<Vec<_>>().join(","))
}

/// The text of a value alone in its field.
pub(super) fn of_value(number_dims: u32, value: &Value) -> String {
    match (number_dims, value) {
        (_, Value::Null) => String::new(),
        (0, value) => Datum::from_json(value).str(),
        (1, Value::Array(items)) if !items.is_empty() => items.iter().map(of_item).collect::<Vec<_>>().join(", "),
        (_, value) => value.to_string(),
    }
}

/// The text of a value in a comma list.
fn of_item(value: &Value) -> String {
    match value {
        Value::String(text) if needs_quotes(text) => value.to_string(),
        other => Datum::from_json(other).str(),
    }
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.trim() != text
        || text.contains(',')
        || text.starts_with(['"', '['])
        || [EARLIER, UNCHANGED].contains(&text)
}

/// Whether a saved value object is one this field would send. Labels that follow a meta parameter
/// may be missing, since the value holds for what the form shows in any case.
fn belongs(vo: &ValueObject, field: &Field) -> bool {
    let series = field.series.as_ref().map(|series| series.label.as_str());
    vo.labels.keys().all(|label| field.labels.contains_key(label))
        && field.labels.iter().all(|(label, value)| match vo.labels.get(label) {
            Some(_) if series == Some(label) => true,
            Some(own) => same_label(&Datum::from_json(own), &Datum::from_json(value)),
            None => series != Some(label) && field.meta_labels.contains(label),
        })
}

/// Labels saved as text by older forms agree with the number they spell.
pub(super) fn same_label(a: &Datum, b: &Datum) -> bool {
    a == b || a.str() == b.str()
}

/// Whether what was parsed is what was saved, labels that follow a meta parameter aside where the
/// saved value lacks them.
fn same(parameter: &FormParameter, field: &Field, saved: &ValueObject, parsed: &ValueObject) -> bool {
    let value =
        |vo: &ValueObject| coerce::value(&parameter.kind, parameter.number_dims, &vo.value, Reading::LOOSE).ok();
    saved.labels.keys().all(|label| parsed.labels.contains_key(label))
        && parsed.labels.iter().all(|(label, value)| match saved.labels.get(label) {
            Some(own) => same_label(&Datum::from_json(own), &Datum::from_json(value)),
            None => {
                field.meta_labels.contains(label) && field.series.as_ref().is_none_or(|series| series.label != *label)
            }
        })
        && value(saved).is_some_and(|saved| value(parsed).is_some_and(|parsed| saved == parsed))
}
