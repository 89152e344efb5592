//! Conversion of JSON to the type a parameter or label has, and the messages where that fails.

use jiff::civil::{Date, ISOWeekDate};
use serde_json::Value;

use crate::{datum::Datum, python, schema::ParamType};

pub(crate) const NOT_A_LIST: &str = "Not a valid list.";
const NOT_A_STRING: &str = "Not a valid string.";
const TOO_LARGE: &str = "Number too large.";
const SPECIAL: &str = "Special numeric values (nan or infinity) are not permitted.";

/// How much is accepted beyond what `ParamTools` itself accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    /// `2020-10-19T04:00:00.000Z` for a date: browsers send it and models cut it.
    pub(crate) dates_with_time: bool,
    /// `"1"` and `1.0` for the integer 1.
    pub(crate) loose_integers: bool,
}

impl Reading {
    pub(crate) const EXACT: Self = Self { dates_with_time: false, loose_integers: false };
    pub(crate) const FIRST_PASS: Self = Self { dates_with_time: true, loose_integers: false };
    pub(crate) const LOOSE: Self = Self { dates_with_time: true, loose_integers: true };
}

/// Converts the value of a parameter; every element that fails gives a message.
pub(crate) fn value(kind: &ParamType, number_dims: u32, raw: &Value, reading: Reading) -> Result<Datum, Vec<String>> {
    if raw.is_null() {
        return Ok(Datum::Null);
    }
    if matches!(kind, ParamType::Other(_)) {
        return Ok(Datum::from_json(raw));
    }
    if number_dims == 0 {
        return scalar(kind, raw, reading).map_err(|message| vec![message]);
    }
    let Value::Array(items) = raw else {
        return Err(vec![NOT_A_LIST.into()]);
    };
    let mut list = Vec::with_capacity(items.len());
    let mut messages = Vec::new();
    for item in items {
        match value(kind, number_dims - 1, item, reading) {
            Ok(datum) => list.push(datum),
            Err(more) => messages.extend(more),
        }
    }
    if messages.is_empty() { Ok(Datum::List(list)) } else { Err(messages) }
}

fn scalar(kind: &ParamType, raw: &Value, reading: Reading) -> Result<Datum, String> {
    match kind {
        ParamType::Int => integer(raw, reading),
        ParamType::Float => number(raw),
        ParamType::Bool => boolean(raw),
        ParamType::Str => text(raw),
        ParamType::Date => date(raw, reading),
        ParamType::Other(_) => Ok(Datum::from_json(raw)),
    }
}

/// Converts a label value, which `ParamTools` does less strictly than a parameter value.
pub(crate) fn label(kind: &ParamType, raw: &Value, reading: Reading) -> Result<Datum, String> {
    match kind {
        ParamType::Int => label_integer(raw),
        ParamType::Float => match number(raw)? {
            Datum::Float(float) if !float.is_finite() => Err(SPECIAL.into()),
            datum => Ok(datum),
        },
        other => scalar(other, raw, reading),
    }
}

fn integer(raw: &Value, reading: Reading) -> Result<Datum, String> {
    let datum = Datum::from_json(raw);
    match &datum {
        Datum::Int(int) if i64::try_from(*int).is_err() => Err(TOO_LARGE.into()),
        Datum::Int(_) => Ok(datum),
        Datum::Float(float) if reading.loose_integers && is_whole(*float) => Ok(truncated(*float)),
        Datum::Text(text) if reading.loose_integers => {
            let whole = || python::parse_float(text).filter(|float| is_whole(*float)).map(truncated);
            python::parse_int(text).map(Datum::Int).or_else(whole).ok_or_else(|| not_an_integer(&datum))
        }
        _ => Err(not_an_integer(&datum)),
    }
}

fn label_integer(raw: &Value) -> Result<Datum, String> {
    let datum = Datum::from_json(raw);
    match &datum {
        Datum::Int(_) => Ok(datum),
        Datum::Float(float) if float.is_finite() => Ok(truncated(*float)),
        Datum::Text(text) => python::parse_int(text).map(Datum::Int).ok_or_else(|| not_an_integer(&datum)),
        _ => Err(not_an_integer(&datum)),
    }
}

fn not_an_integer(datum: &Datum) -> String {
    format!("Not a valid integer: {}.", datum.str())
}

fn is_whole(float: f64) -> bool {
    // Above 2^53 not every integer has a double: such a number is no safe spelling of an integer.
    float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0
}

#[expect(clippy::cast_possible_truncation, reason = "`int(float)` cuts as well")]
fn truncated(float: f64) -> Datum {
    Datum::Int(float as i128)
}

fn number(raw: &Value) -> Result<Datum, String> {
    let datum = Datum::from_json(raw);
    let float = match &datum {
        Datum::Int(_) | Datum::Float(_) => datum.as_f64(),
        Datum::Text(text) => python::parse_float(text),
        _ => None,
    };
    float.map(Datum::Float).ok_or_else(|| format!("Not a valid number: {}.", datum.str()))
}

fn boolean(raw: &Value) -> Result<Datum, String> {
    const TRUTHY: [&str; 12] = ["t", "T", "true", "True", "TRUE", "on", "On", "ON", "y", "Y", "yes", "Yes"];
    const FALSY: [&str; 12] = ["f", "F", "false", "False", "FALSE", "off", "Off", "OFF", "n", "N", "no", "No"];
    let datum = Datum::from_json(raw);
    let flag = match &datum {
        Datum::Bool(flag) => Some(*flag),
        Datum::Text(text) if TRUTHY.contains(&text.as_str()) || text == "YES" || text == "1" => Some(true),
        Datum::Text(text) if FALSY.contains(&text.as_str()) || text == "NO" || text == "0" => Some(false),
        other if *other == Datum::Int(1) => Some(true),
        other if *other == Datum::Int(0) => Some(false),
        _ => None,
    };
    flag.map(Datum::Bool).ok_or_else(|| format!("Not a valid boolean: {}.", datum.str()))
}

fn text(raw: &Value) -> Result<Datum, String> {
    match raw {
        Value::String(text) => Ok(Datum::Text(text.clone())),
        _ => Err(NOT_A_STRING.into()),
    }
}

fn date(raw: &Value, reading: Reading) -> Result<Datum, String> {
    raw.as_str()
        .and_then(|text| parse_date(text, reading))
        .map(Datum::Date)
        .ok_or_else(|| format!("Not a valid date: {}.", Datum::from_json(raw).str()))
}

/// A date in one of the forms of Python's `date.fromisoformat`; with a time behind it where the
/// reading allows that.
pub(crate) fn parse_date(text: &str, reading: Reading) -> Option<Date> {
    if let Some(date) = iso_date(text) {
        return Some(date);
    }
    let has_time = reading.dates_with_time && matches!(text.as_bytes().get(10), Some(b'T' | b' '));
    has_time.then(|| text.get(..10).and_then(iso_date)).flatten()
}

fn iso_date(text: &str) -> Option<Date> {
    if !text.is_ascii() || !matches!(text.len(), 7 | 8 | 10) {
        return None;
    }
    let year: i16 = digits(text.get(..4)?)?;
    if year == 0 {
        return None;
    }
    let rest = text.get(4..)?;
    let (separated, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    if let Some(week) = rest.strip_prefix('W') {
        return iso_week(year, week, separated);
    }
    let month: i8 = digits(rest.get(..2)?)?;
    let day = rest.get(2..)?;
    let day = if separated { day.strip_prefix('-')? } else { day };
    if day.len() != 2 {
        return None;
    }
    Date::new(year, month, digits(day)?).ok()
}

fn iso_week(year: i16, rest: &str, separated: bool) -> Option<Date> {
    let week: i8 = digits(rest.get(..2)?)?;
    let day = rest.get(2..)?;
    let day = match (day, separated) {
        ("", _) => "1",
        (day, true) => day.strip_prefix('-')?,
        (day, false) => day,
    };
    if day.len() != 1 {
        return None;
    }
    let weekday = jiff::civil::Weekday::from_monday_one_offset(digits(day)?).ok()?;
    Some(ISOWeekDate::new(year, week, weekday).ok()?.date())
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(kind: &ParamType, dims: u32, raw: &Value) -> Vec<String> {
        value(kind, dims, raw, Reading::EXACT).unwrap_err()
    }

    #[test]
    fn integers_are_strict_for_values_and_not_for_labels() {
        assert_eq!(message(&ParamType::Int, 0, &json!("1")), ["Not a valid integer: 1."]);
        assert_eq!(message(&ParamType::Int, 0, &json!(1.0)), ["Not a valid integer: 1.0."]);
        assert_eq!(message(&ParamType::Int, 0, &json!(true)), ["Not a valid integer: True."]);
        assert_eq!(label(&ParamType::Int, &json!("7"), Reading::EXACT), Ok(Datum::Int(7)));
        assert_eq!(label(&ParamType::Int, &json!(7.9), Reading::EXACT), Ok(Datum::Int(7)));
        assert_eq!(value(&ParamType::Int, 0, &json!("1.0"), Reading::LOOSE), Ok(Datum::Int(1)));
    }

    #[test]
    fn lists_report_each_element() {
        assert_eq!(
            message(&ParamType::Float, 1, &json!(["a", 1, true])),
            ["Not a valid number: a.", "Not a valid number: True."]
        );
        assert_eq!(message(&ParamType::Float, 1, &json!(3)), [NOT_A_LIST]);
        assert_eq!(message(&ParamType::Float, 2, &json!([[1], 2])), [NOT_A_LIST]);
    }

    #[test]
    fn dates_in_all_iso_forms() {
        for text in ["2020-10-19", "20201019", "2020-W43-1", "2020W431", "2020W43", "2020-W43"] {
            assert_eq!(parse_date(text, Reading::EXACT).unwrap().to_string(), "2020-10-19", "{text}");
        }
        for text in ["2020-10-1", "2020-1019", "0000-01-01", "2020-13-01", "2020-10", "x", ""] {
            assert_eq!(parse_date(text, Reading::EXACT), None, "{text}");
        }
        let browser = "2020-10-19T04:00:00.000Z";
        assert_eq!(parse_date(browser, Reading::EXACT), None);
        assert!(parse_date(browser, Reading::FIRST_PASS).is_some());
    }
}
