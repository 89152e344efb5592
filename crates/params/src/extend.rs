//! Extension: carrying values along the grid of a label.

use std::cmp::Ordering;

use indexmap::IndexMap;

use crate::{
    adjust::{AdjustError, State},
    check::Adjustment,
    datum::Datum,
    labels::{self, LabelOrder},
    vo::Vo,
};

/// Yearly growth (0.02 for two per cent) by the label value it starts from, written as text:
/// `"2024"`.
pub type IndexRates = IndexMap<String, f64>;

const INFINITE: f64 = 9e99;

impl State<'_> {
    /// Carries the values of every parameter over the whole grid.
    pub(crate) fn extend_all(&mut self) -> Result<(), AdjustError> {
        let names: Vec<_> = self.dump.parameters().keys().cloned().collect();
        self.extend(&names)
    }

    /// An adjustment of a dump with extension: what follows an adjusted value is deleted, the
    /// adjustment set, and the values carried forward again.
    pub(crate) fn replace_and_extend(&mut self, adjustment: &Adjustment) -> Result<(), AdjustError> {
        let Some((label, grid)) = self.extend.clone() else { return Ok(()) };
        let Some(schema) = self.dump.schema().labels.get(label) else { return Ok(()) };
        let order = LabelOrder::of(schema);
        let mut replaced = Adjustment::new();
        for (name, vos) in adjustment {
            let mut later = Vec::new();
            for vo in in_grid_order(vos, label, &grid) {
                let Some(start) = vo.labels.get(label) else { continue };
                let current = &self.data[name];
                let follows = |candidate: &&Vo| {
                    candidate.labels.get(label).is_none_or(|at| order.compare(at, start) == Ordering::Greater)
                        && agrees(candidate, vo, label)
                };
                later.extend(current.iter().filter(follows).cloned());
            }
            if !later.is_empty() {
                replaced.insert(name.clone(), later);
            }
        }
        self.check(&replaced)?;
        for (name, vos) in &mut replaced {
            for vo in vos.iter_mut() {
                vo.value = Datum::Null;
            }
            self.update(name, vos);
        }
        self.check(adjustment)?;
        adjustment.iter().for_each(|(name, vos)| self.update(name, vos));
        let names: Vec<_> = adjustment.keys().cloned().collect();
        self.extend(&names)
    }

    fn extend(&mut self, names: &[String]) -> Result<(), AdjustError> {
        let mut carried = Adjustment::new();
        for name in names {
            let vos = self.carry(name)?;
            if !vos.is_empty() {
                carried.insert(name.clone(), vos);
            }
        }
        self.check(&carried)?;
        carried.iter().for_each(|(name, vos)| self.update(name, vos));
        Ok(())
    }

    /// The values that are missing on the grid for one parameter.
    fn carry(&self, name: &str) -> Result<Vec<Vo>, AdjustError> {
        let Some((label, grid)) = &self.extend else { return Ok(Vec::new()) };
        let Some(schema) = self.dump.schema().labels.get(*label) else { return Ok(Vec::new()) };
        let order = LabelOrder::of(schema);
        let current = self.data.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut starts: Vec<_> = current.iter().filter_map(|vo| Some((vo.labels.get(label)?, vo))).collect();
        starts.sort_by(|(a, _), (b, _)| order.compare(a, b));
        let mut seen: Vec<&Vo> = Vec::new();
        let mut carried = Vec::new();
        for (at, start) in starts {
            if seen.contains(&start) {
                continue;
            }
            seen.push(start);
            let follows = |vo: &&Vo| {
                vo.labels.get(label).is_none_or(|other| order.compare(other, at) == Ordering::Greater)
                    && agrees(vo, start, label)
            };
            let mut line: Vec<&Vo> = current.iter().filter(follows).collect();
            seen.extend(&line);
            let defined: Vec<_> = line.iter().filter_map(|vo| vo.labels.get(label)).collect();
            let mut missing: Vec<_> = grid.iter().filter(|value| !defined.contains(value)).cloned().collect();
            missing.sort_by(|a, b| order.compare(a, b));
            line.push(start);
            let mut known: Vec<Vo> = line.into_iter().cloned().collect();
            for value in missing {
                if value == *at {
                    // The start is checked with the values it is carried to.
                    carried.push(start.clone());
                    continue;
                }
                let bases = nearest(&known, label, &value, &order);
                for base in bases {
                    let mut vo = base.clone();
                    vo.labels.insert((*label).to_owned(), value.clone());
                    self.grow(name, &mut vo, &base, label, grid)?;
                    known.push(vo.clone());
                    carried.push(vo);
                }
            }
        }
        Ok(carried)
    }

    /// Lets the value of an indexed parameter follow the index rates between two label values.
    fn grow(&self, name: &str, vo: &mut Vo, base: &Vo, label: &str, grid: &[Datum]) -> Result<(), AdjustError> {
        let indexed = self.dump.get(name).is_some_and(|parameter| parameter.indexed);
        if !self.dump.schema().operators.uses_extend_func || !indexed {
            return Ok(());
        }
        let Some(mut value) = vo.value.as_f64() else { return Ok(()) };
        let place = |vo: &Vo| vo.labels.get(label).map(|at| labels::position(grid, at));
        let (Some(from), Some(to)) = (place(base), place(vo)) else { return Ok(()) };
        let rate = |at: usize| {
            let at = grid.get(at).map(Datum::str).unwrap_or_default();
            self.options.index_rates.get(&at).copied().ok_or_else(|| AdjustError::NoIndexRate {
                parameter: name.to_owned(),
                label: label.to_owned(),
                at,
            })
        };
        if to == from || from >= grid.len() || to >= grid.len() {
            return Ok(());
        }
        if to > from {
            for at in from..to {
                value = rounded(value * (1.0 + rate(at)?));
            }
        } else {
            for at in (to..from).rev() {
                value = rounded(value * (1.0 + rate(at)?).powf(-1.0));
            }
        }
        vo.value = Datum::Float(value);
        Ok(())
    }
}

fn rounded(value: f64) -> f64 {
    if value < INFINITE { (value * 100.0).round_ties_even() / 100.0 } else { INFINITE }
}

/// The values nearest before a label value, else nearest after it; of several equally near, those
/// added last replace the others.
fn nearest(known: &[Vo], label: &str, value: &Datum, order: &LabelOrder) -> Vec<Vo> {
    let places = || known.iter().filter_map(|vo| vo.labels.get(label));
    let before = places().filter(|at| order.compare(at, value) != Ordering::Greater).max_by(|a, b| order.compare(a, b));
    let Some(closest) = before.or_else(|| places().min_by(|a, b| order.compare(a, b))) else {
        return Vec::new();
    };
    known.iter().filter(|vo| vo.labels.get(label).is_some_and(|at| at == closest)).cloned().collect()
}

/// Whether a value holds for the labels of another, the extended label aside. A label it lacks
/// agrees with everything.
fn agrees(candidate: &Vo, with: &Vo, label: &str) -> bool {
    with.labels
        .iter()
        .filter(|(name, _)| *name != label)
        .all(|(name, value)| candidate.labels.get(name).is_none_or(|own| own == value))
}

fn in_grid_order<'a>(vos: &'a [Vo], label: &str, grid: &[Datum]) -> Vec<&'a Vo> {
    let mut sorted: Vec<_> = vos.iter().collect();
    sorted.sort_by_key(|vo| vo.labels.get(label).map_or(usize::MAX, |value| labels::position(grid, value)));
    sorted
}
