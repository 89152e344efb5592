//! Applying an adjustment to a dump.

use indexmap::IndexMap;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    check::{Adjustment, Checker, current_values, read_adjustment, refusal},
    coerce::Reading,
    datum::Datum,
    dump::Dump,
    extend::IndexRates,
    labels,
    report::Report,
    schema::kind_of,
    vo::Vo,
};

/// Why an adjustment was not applied.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum AdjustError {
    /// The values are wrong; the report says which.
    #[error("the adjustment is not valid: {}", .0.errors_json())]
    Invalid(Box<Report>),
    /// Extension needs an index rate that was not given.
    #[error("parameter `{parameter}` grows along `{label}`, but there is no index rate for {at}")]
    NoIndexRate {
        /// The parameter.
        parameter: String,
        /// The label along which it grows.
        label: String,
        /// The label value without a rate.
        at: String,
    },
}

/// How to adjust.
#[derive(Debug, Clone, Default)]
pub struct AdjustOptions {
    /// Accept an adjustment that causes warnings only.
    pub ignore_warnings: bool,
    /// Rates by which indexed parameters grow from one label value to the next.
    pub index_rates: IndexRates,
}

/// Applies an adjustment as `ParamTools` does, extension included, and gives the dump that results.
pub fn adjust(dump: &Dump, adjustment: &Value) -> Result<Dump, AdjustError> {
    adjust_with(dump, adjustment, &AdjustOptions::default())
}

/// [`adjust`] with options.
pub fn adjust_with(dump: &Dump, adjustment: &Value, options: &AdjustOptions) -> Result<Dump, AdjustError> {
    let mut state = State::new(dump, options);
    if state.extend.is_some() {
        state.extend_all()?;
    }
    state.sort();
    let typed = read(dump, adjustment, Reading::EXACT)?;
    state.check(&typed)?;
    if state.extend.is_some() {
        state.replace_and_extend(&typed)?;
    } else {
        typed.iter().for_each(|(name, vos)| state.update(name, vos));
    }
    Ok(state.into_dump())
}

/// Stage one, with errors where the adjustment is no object or some type is wrong.
pub(crate) fn read(dump: &Dump, adjustment: &Value, reading: Reading) -> Result<Adjustment, AdjustError> {
    let nothing = Map::new();
    let members = match adjustment {
        Value::Null => &nothing,
        Value::Object(members) => members,
        other => return Err(AdjustError::Invalid(Box::new(not_an_object(other)))),
    };
    let (typed, report) = read_adjustment(dump, members, reading, |_| false);
    if report.has_errors() { Err(AdjustError::Invalid(Box::new(report))) } else { Ok(typed) }
}

pub(crate) fn not_an_object(found: &Value) -> Report {
    let mut report = Report::default();
    report.error("schema", format!("Data format error: an adjustment must be a JSON object, not {}", kind_of(found)));
    report
}

/// The values of a dump while it is being adjusted.
pub(crate) struct State<'a> {
    pub(crate) dump: &'a Dump,
    pub(crate) options: &'a AdjustOptions,
    /// The label to extend along and its grid.
    pub(crate) extend: Option<(&'a str, Vec<Datum>)>,
    pub(crate) data: IndexMap<String, Vec<Vo>>,
}

impl<'a> State<'a> {
    fn new(dump: &'a Dump, options: &'a AdjustOptions) -> Self {
        let schema = dump.schema();
        let extend = schema
            .operators
            .label_to_extend
            .as_deref()
            .and_then(|name| schema.labels.get(name).map(|label| (name, labels::grid(label))));
        let data =
            dump.parameters().iter().map(|(name, parameter)| (name.clone(), current_values(dump, parameter))).collect();
        Self { dump, options, extend, data }
    }

    /// Stage two.
    pub(crate) fn check(&self, adjustment: &Adjustment) -> Result<(), AdjustError> {
        if let Some(message) = refusal(self.dump, adjustment) {
            let mut report = Report::default();
            report.error("schema", message);
            return Err(AdjustError::Invalid(Box::new(report)));
        }
        let extend = self.extend.as_ref().map(|(label, grid)| (*label, grid.as_slice()));
        let mut report = Checker::new(self.dump, &self.data, adjustment, extend).report();
        if self.options.ignore_warnings {
            report.warnings.clear();
        }
        if report.is_clean() { Ok(()) } else { Err(AdjustError::Invalid(Box::new(report))) }
    }

    /// Sets, adds and deletes values of one parameter.
    pub(crate) fn update(&mut self, name: &str, new: &[Vo]) {
        let Some(current) = self.data.get_mut(name) else { return };
        if current.is_empty() {
            current.extend(new.iter().filter(|vo| !is_delete(vo)).cloned());
            return;
        }
        let mut added = 0;
        for vo in new {
            added = update_one(current, added, vo);
        }
    }

    fn into_dump(mut self) -> Dump {
        let mut dump = self.dump.clone();
        self.sort();
        for (name, vos) in &self.data {
            let unchanged = self.dump.get(name).is_some_and(|parameter| current_values(self.dump, parameter) == *vos);
            if !unchanged {
                dump.set_values(name, vos.iter().map(Vo::to_value_object).collect());
            }
        }
        dump
    }

    /// Sorts by the grids of the labels, the first label counting most.
    fn sort(&mut self) {
        let grids: Vec<_> = self
            .dump
            .schema()
            .labels
            .iter()
            .map(|(name, label)| (name, labels::grid(label)))
            .filter(|(_, grid)| !grid.is_empty())
            .collect();
        for vos in self.data.values_mut() {
            vos.sort_by_cached_key(|vo| {
                let place = |(name, grid): &(&String, Vec<Datum>)| {
                    vo.labels.get(name).map(|value| labels::position(grid, value))
                };
                grids.iter().map(place).collect::<Vec<_>>()
            });
        }
    }
}

fn is_delete(vo: &Vo) -> bool {
    matches!(vo.value, Datum::Null)
}

/// Applies one value object. The last `added` values were appended by the same adjustment; a value
/// without labels leaves those alone, since it stands for what was there before. Gives the new count.
fn update_one(current: &mut Vec<Vo>, added: usize, new: &Vo) -> usize {
    let old = current.len() - added;
    if new.labels.is_empty() {
        if is_delete(new) {
            current.clear();
            return 0;
        }
        for vo in &mut current[..old] {
            vo.value = new.value.clone();
        }
        return added;
    }
    // Labels that no current value has do not take part in the match.
    let in_use: Vec<_> =
        new.labels.iter().filter(|(label, _)| current.iter().any(|vo| vo.labels.contains_key(label))).collect();
    let matches =
        |vo: &Vo| !in_use.is_empty() && in_use.iter().all(|(label, value)| vo.labels.get(label) == Some(*value));
    if !current.iter().any(&matches) {
        if is_delete(new) {
            return added;
        }
        current.push(new.clone());
        return added + 1;
    }
    if is_delete(new) {
        let deleted = current[old..].iter().filter(|vo| matches(vo)).count();
        current.retain(|vo| !matches(vo));
        return added - deleted;
    }
    for vo in current.iter_mut().filter(|vo| matches(vo)) {
        vo.value = new.value.clone();
    }
    added
}
