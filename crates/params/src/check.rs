//! The two stages of checking an adjustment: types first, then, where all types are right,
//! validators.

use std::{borrow::Cow, cmp::Ordering};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::{
    coerce::{self, Reading},
    datum::Datum,
    dump::{Dump, Parameter},
    labels,
    report::Report,
    schema::ParamType,
    validator::{Bound, Condition, Level, Validator, When},
    vo::{Labels, Vo, is_vo_list},
};

const SCHEMA: &str = "schema";
const LONG_CHOICES: usize = 20;

/// A typed adjustment, in the order of the dump.
pub(crate) type Adjustment = IndexMap<String, Vec<Vo>>;

/// Stage one: converts every value and label value. `ignored` tells which unknown names are no
/// mistake.
pub(crate) fn read_adjustment(
    dump: &Dump,
    adjustment: &Map<String, Value>,
    reading: Reading,
    ignored: impl Fn(&str) -> bool,
) -> (Adjustment, Report) {
    let mut typed = Adjustment::new();
    let mut report = Report::default();
    for (name, parameter) in dump.parameters() {
        if let Some(given) = adjustment.get(name) {
            let vos = read_vos(dump, name, parameter, given, reading, &mut report);
            typed.insert(name.clone(), vos);
        }
    }
    for name in adjustment.keys() {
        if dump.get(name).is_none() && !ignored(name) {
            report.error(SCHEMA, format!("Unknown field: {name}"));
        }
    }
    (typed, report)
}

fn read_vos(
    dump: &Dump,
    name: &str,
    parameter: &Parameter,
    given: &Value,
    reading: Reading,
    report: &mut Report,
) -> Vec<Vo> {
    let read_value = |raw: &Value| coerce::value(&parameter.kind, parameter.number_dims, raw, reading);
    let Some(list) = given.as_array().filter(|_| is_vo_list(given)) else {
        return match read_value(given) {
            Ok(value) => vec![Vo { labels: Labels::default(), value }],
            Err(messages) => {
                report.errors(name, messages);
                Vec::new()
            }
        };
    };
    let mut vos = Vec::with_capacity(list.len());
    for item in list {
        let Some(members) = item.as_object() else {
            report.error(name, "Invalid input type.");
            continue;
        };
        let value = match members.get("value").map(read_value) {
            Some(Ok(value)) => value,
            Some(Err(messages)) => {
                report.errors(name, messages);
                Datum::Null
            }
            None => {
                report.error(name, "Missing data for required field.");
                Datum::Null
            }
        };
        vos.push(Vo { labels: read_labels(dump, name, members, reading, report), value });
    }
    vos
}

fn read_labels(dump: &Dump, name: &str, members: &Map<String, Value>, reading: Reading, report: &mut Report) -> Labels {
    let known = &dump.schema().labels;
    let mut typed = Labels::default();
    for (label_name, label) in known {
        if let Some(raw) = members.get(label_name) {
            match labels::read(label, raw, reading) {
                Ok(datum) => {
                    typed.insert(label_name.clone(), datum);
                }
                Err(messages) => {
                    report.errors(name, messages);
                }
            }
        }
    }
    for key in members.keys() {
        if !known.contains_key(key) && key != "value" && key != "_auto" {
            report.error(name, "Unknown field.");
        }
    }
    typed
}

/// The current values of a dump, typed; values that do not convert are taken as they stand.
pub(crate) fn current_values(dump: &Dump, parameter: &Parameter) -> Vec<Vo> {
    let label_value = |name: &str, raw: &Value| {
        dump.schema()
            .labels
            .get(name)
            .and_then(|label| coerce::label(&label.kind, raw, Reading::FIRST_PASS).ok())
            .unwrap_or_else(|| Datum::from_json(raw))
    };
    parameter
        .values()
        .iter()
        .map(|vo| Vo {
            labels: vo.labels.iter().map(|(name, raw)| (name.clone(), label_value(name, raw))).collect(),
            value: coerce::value(&parameter.kind, parameter.number_dims, &vo.value, Reading::FIRST_PASS)
                .unwrap_or_else(|_| Datum::from_json(&vo.value)),
        })
        .collect()
}

/// Stage two: everything the validators look at.
pub(crate) struct Checker<'a> {
    dump: &'a Dump,
    adjustment: &'a Adjustment,
    /// The current values of the parameters that validators of the adjusted ones refer to.
    current: IndexMap<&'a str, Cow<'a, [Vo]>>,
    extend: Option<(&'a str, &'a [Datum])>,
}

/// The value under test: the whole value object, or one element of its array without labels.
struct Subject<'a> {
    labels: &'a Labels,
    value: &'a Datum,
}

impl<'a> Checker<'a> {
    /// `data` has values that replace those of the dump.
    pub(crate) fn new(
        dump: &'a Dump,
        data: &'a IndexMap<String, Vec<Vo>>,
        adjustment: &'a Adjustment,
        extend: Option<(&'a str, &'a [Datum])>,
    ) -> Self {
        let mut names = Vec::new();
        for name in adjustment.keys() {
            if let Some(parameter) = dump.get(name) {
                referenced(name, &parameter.validators, &mut names);
            }
        }
        let mut current = IndexMap::new();
        for name in names {
            if current.contains_key(name) {
                continue;
            }
            if let Some(vos) = data.get(name) {
                current.insert(name, Cow::Borrowed(vos.as_slice()));
            } else if let Some(parameter) = dump.get(name) {
                current.insert(name, Cow::Owned(current_values(dump, parameter)));
            }
        }
        Self { dump, adjustment, current, extend }
    }

    /// Runs all validators over the adjustment.
    pub(crate) fn report(&self) -> Report {
        let mut report = Report::default();
        for (name, vos) in self.adjustment {
            let Some(parameter) = self.dump.get(name) else { continue };
            for vo in vos {
                let subject = Subject { labels: &vo.labels, value: &vo.value };
                for validator in &parameter.validators {
                    let (level, messages) = self.run(name, parameter, vo, &subject, validator);
                    for message in messages {
                        match level {
                            Level::Error => report.error(name, message),
                            Level::Warn => report.warn(name, message),
                        }
                    }
                }
            }
        }
        report
    }

    fn run(
        &self,
        name: &str,
        parameter: &Parameter,
        vo: &Vo,
        subject: &Subject,
        validator: &Validator,
    ) -> (Level, Vec<String>) {
        match validator {
            // Null deletes: it is no value that could be wrong.
            Validator::Range(_) | Validator::DateRange(_) | Validator::Choice { .. }
                if matches!(subject.value, Datum::Null) =>
            {
                (Level::Error, Vec::new())
            }
            Validator::Range(bound) | Validator::DateRange(bound) => {
                (bound.level, self.range(name, parameter, vo, subject, bound))
            }
            Validator::Choice { choices, level } => (*level, choice(name, vo, subject, choices)),
            Validator::When(when) => (Level::Error, self.when(name, parameter, vo, subject, when)),
            Validator::Other(_) => (Level::Error, Vec::new()),
        }
    }

    fn range(&self, name: &str, parameter: &Parameter, vo: &Vo, subject: &Subject, bound: &Bound) -> Vec<String> {
        let sides = [(&bound.min, Ordering::Less, "< min"), (&bound.max, Ordering::Greater, "> max")];
        let mut messages = Vec::new();
        for (limit, wrong, sign) in sides {
            let Some(limit) = limit else { continue };
            let (other, limits) = self.limits(name, parameter, vo, limit);
            for limit in limits {
                if subject.value.any_in_order(&limit.value, wrong) {
                    messages.push(format!(
                        "{name}{} {} {sign} {} {other}{}",
                        subject.labels.text(),
                        subject.value.str(),
                        limit.value.str(),
                        limit.label_text(),
                    ));
                }
            }
        }
        messages
    }

    /// The name of the parameter a bound refers to, empty for a literal, and the values it stands
    /// for.
    fn limits<'b>(&self, name: &str, parameter: &Parameter, vo: &Vo, limit: &'b Value) -> (&'b str, Vec<Cow<'_, Vo>>) {
        if let Some(other) = limit.as_str()
            && (other == "default" || self.dump.get(other).is_some())
        {
            let related = self.in_extend_order(self.related(other, name, vo));
            return (other, related.into_iter().map(Cow::Borrowed).collect());
        }
        let value = labels::literal(&parameter.kind, limit);
        ("", vec![Cow::Owned(Vo { labels: Labels::default(), value })])
    }

    /// The values of another parameter that hold where `vo` does: those of the adjustment, else the
    /// current ones.
    fn related(&self, other: &str, name: &str, vo: &Vo) -> Vec<&Vo> {
        let held = if let Some(vos) = self.adjustment.get(other) {
            vos.as_slice()
        } else {
            let name = if other == "default" { name } else { other };
            self.current.get(name).map(AsRef::as_ref).unwrap_or_default()
        };
        let holds = |candidate: &&Vo| vo.labels.iter().all(|(label, value)| candidate.labels.get(label) == Some(value));
        held.iter().filter(holds).collect()
    }

    fn in_extend_order<'b>(&self, mut vos: Vec<&'b Vo>) -> Vec<&'b Vo> {
        if let Some((label, grid)) = self.extend {
            vos.sort_by_cached_key(|vo| vo.labels.get(label).map_or(usize::MAX, |value| labels::position(grid, value)));
        }
        vos
    }

    fn when(&self, name: &str, parameter: &Parameter, vo: &Vo, subject: &Subject, when: &When) -> Vec<String> {
        let Some(is) = &when.is else { return Vec::new() };
        if self.dump.get(&when.param).is_none() {
            return Vec::new();
        }
        let mut messages = Vec::new();
        for other in self.related(&when.param, name, vo) {
            let Some(shape) = other.value.shape() else { continue };
            if shape.is_empty() {
                let test = Test { other, value: &other.value, place: String::new() };
                messages.extend(self.branch(name, parameter, vo, subject, subject, when, is, &test));
                continue;
            }
            match subject.value.shape() {
                Some(own) if own == shape => {}
                Some(own) => {
                    return vec![format!(
                        "Shape mismatch between parameters: {} {}",
                        shape_text(&shape),
                        shape_text(&own)
                    )];
                }
                None => continue,
            }
            let no_labels = Labels::default();
            let elements = other.value.leaves().into_iter().zip(subject.value.leaves());
            for (at, (theirs, ours)) in elements.enumerate() {
                let place = format!("[index={}]", index_text(at, &shape));
                let test = Test { other, value: theirs, place };
                let element = Subject { labels: &no_labels, value: ours };
                messages.extend(self.branch(name, parameter, vo, subject, &element, when, is, &test));
            }
        }
        messages
    }

    #[expect(clippy::too_many_arguments, reason = "one test of one element, used twice above")]
    fn branch(
        &self,
        name: &str,
        parameter: &Parameter,
        vo: &Vo,
        whole: &Subject,
        subject: &Subject,
        when: &When,
        is: &Condition,
        test: &Test,
    ) -> Vec<String> {
        let Some(holds) = is.holds(test.value) else { return Vec::new() };
        let (validators, verb) = if holds { (&when.then, "is") } else { (&when.otherwise, "is not") };
        let mut messages = Vec::new();
        for validator in validators {
            let (_, inner) = self.run(name, parameter, vo, subject, validator);
            let inner = match inner.as_slice() {
                [] => continue,
                [one] => one.clone(),
                many => Datum::List(many.iter().cloned().map(Datum::Text).collect()).str(),
            };
            messages.push(format!(
                "When {}{}{place} {verb} {}, {name}{}{place} value is invalid: {inner}",
                when.param,
                test.other.label_text(),
                is.text(),
                whole.labels.text(),
                place = test.place,
            ));
        }
        messages
    }
}

/// The names of the parameters that validators of parameter `name` look at.
fn referenced<'a>(name: &'a str, validators: &'a [Validator], names: &mut Vec<&'a str>) {
    for validator in validators {
        match validator {
            Validator::Range(bound) | Validator::DateRange(bound) => {
                let limits = [&bound.min, &bound.max].into_iter().flatten().filter_map(Value::as_str);
                names.extend(limits.map(|limit| if limit == "default" { name } else { limit }));
            }
            Validator::When(when) => {
                names.push(&when.param);
                referenced(name, &when.then, names);
                referenced(name, &when.otherwise, names);
            }
            Validator::Choice { .. } | Validator::Other(_) => {}
        }
    }
}

/// One value of the other parameter of a `when`.
struct Test<'a> {
    other: &'a Vo,
    value: &'a Datum,
    place: String,
}

impl Condition {
    /// `None` where Python could not compare.
    fn holds(&self, value: &Datum) -> Option<bool> {
        match self {
            Self::EqualTo(wanted) => Some(*value == Datum::from_json(wanted)),
            Self::LessThan(limit) => value.order(&Datum::from_json(limit)).map(|order| order == Ordering::Less),
            Self::GreaterThan(limit) => value.order(&Datum::from_json(limit)).map(|order| order == Ordering::Greater),
        }
    }

    fn text(&self) -> String {
        let (name, value) = match self {
            Self::EqualTo(value) => ("equal to", value),
            Self::LessThan(value) => ("less than", value),
            Self::GreaterThan(value) => ("greater than", value),
        };
        format!("{name} {}", Datum::from_json(value).str())
    }
}

/// Only the first wrong element is reported, as in the original.
fn choice(name: &str, vo: &Vo, subject: &Subject, choices: &[Value]) -> Vec<String> {
    let wrong =
        subject.value.leaves().into_iter().find(|leaf| !choices.iter().any(|choice| labels::same(choice, leaf)));
    let Some(wrong) = wrong else { return Vec::new() };
    let labels = vo.label_text();
    let suffix = if labels.is_empty() { labels } else { format!(" for labels {labels}") };
    let list = if choices.len() < LONG_CHOICES { format!(" {}", labels::joined(choices)) } else { String::new() };
    vec![format!("{name} \"{}\" must be in list of choices{list}{suffix}.", wrong.str())]
}

fn shape_text(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        many => format!("({})", many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// The position of the `at`th element of an array of this shape, as `i, j, ..`.
fn index_text(mut at: usize, shape: &[usize]) -> String {
    let mut index = vec![0; shape.len()];
    for (place, length) in index.iter_mut().zip(shape).rev() {
        *place = at % length.max(&1);
        at /= length.max(&1);
    }
    index.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What is wrong with the validators of an adjusted parameter themselves; the original answers any
/// adjustment of it with this alone.
pub(crate) fn refusal(dump: &Dump, adjustment: &Adjustment) -> Option<String> {
    adjustment
        .iter()
        .filter(|(_, vos)| !vos.is_empty())
        .filter_map(|(name, _)| Some((name, dump.get(name)?)))
        .find_map(|(name, parameter)| {
            parameter.validators.iter().find_map(|v| refused(dump, name, parameter, v, false))
        })
        .map(|message| format!("Data format error: ['{message}']"))
}

fn refused(dump: &Dump, name: &str, parameter: &Parameter, validator: &Validator, nested: bool) -> Option<String> {
    match validator {
        Validator::When(when) => {
            if dump.get(&when.param).is_none() {
                return Some(format!("'{}' is not a specified parameter.", when.param));
            }
            when.then.iter().chain(&when.otherwise).find_map(|inner| refused(dump, name, parameter, inner, true))
        }
        Validator::Range(bound) | Validator::DateRange(bound) if nested => {
            [&bound.min, &bound.max].into_iter().flatten().find_map(|limit| {
                let other = limit.as_str()?;
                let dims = if other == "default" { parameter.number_dims } else { dump.get(other)?.number_dims };
                (dims > 0).then(|| format!("{name} is validated against {other} in an invalid context."))
            })
        }
        Validator::DateRange(bound) => unreadable_date(dump, bound),
        Validator::Range(bound) if parameter.kind == ParamType::Date => unreadable_date(dump, bound),
        _ => None,
    }
}

fn unreadable_date(dump: &Dump, bound: &Bound) -> Option<String> {
    let unreadable = |limit: &Value| {
        !limit.as_str().is_some_and(|text| {
            text == "default" || dump.get(text).is_some() || coerce::parse_date(text, Reading::EXACT).is_some()
        })
    };
    [&bound.min, &bound.max].into_iter().flatten().any(unreadable).then(|| "Not a valid date.".into())
}
