//! What is different between two tables: cells, rows and columns. Rows and columns are known by their names where these
//! tell them apart, and by their places otherwise.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::Grid;

/// Cells, and names of rows and columns, that are told one by one.
const TOLD: usize = 20;

/// A cell that is different.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellChange {
    /// The name of its row, or its number.
    pub row: String,
    /// The name of its column, or its number.
    pub column: String,
    /// As it was.
    pub before: String,
    /// As it is.
    pub after: String,
    /// By how much a number is different, as a share of what it was; nothing where it was zero or is no number.
    pub relative: Option<f64>,
}

/// What is different between two tables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TableDifference {
    /// How many cells are different.
    pub changed: u64,
    /// How many cells both have.
    pub compared: u64,
    /// The largest relative difference of numbers, as a share of what they were.
    pub largest: Option<f64>,
    /// The cells with the largest differences.
    pub cells: Vec<CellChange>,
    /// How many rows are new, and the names of the first ones.
    pub rows_came: (u64, Vec<String>),
    /// How many rows are gone.
    pub rows_went: (u64, Vec<String>),
    /// How many columns are new.
    pub columns_came: (u64, Vec<String>),
    /// How many columns are gone.
    pub columns_went: (u64, Vec<String>),
}

impl TableDifference {
    /// Whether they say the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let lists = [&self.rows_came, &self.rows_went, &self.columns_came, &self.columns_went];
        self.changed == 0 && lists.iter().all(|(count, _)| *count == 0)
    }

    /// The same with that of a further table of the same output.
    pub fn add(&mut self, more: Self) {
        self.changed += more.changed;
        self.compared += more.compared;
        self.largest = [self.largest, more.largest].into_iter().flatten().reduce(f64::max);
        self.cells.extend(more.cells);
        keep_largest(&mut self.cells);
        for (list, more) in [
            (&mut self.rows_came, more.rows_came),
            (&mut self.rows_went, more.rows_went),
            (&mut self.columns_came, more.columns_came),
            (&mut self.columns_went, more.columns_went),
        ] {
            list.0 += more.0;
            list.1.extend(more.1);
            list.1.truncate(TOLD);
        }
    }
}

/// Compares two tables.
#[must_use]
pub fn difference(before: &Grid, after: &Grid) -> TableDifference {
    let columns = Aligned::of(&head(before), &head(after));
    let rows = Aligned::of(&names(before), &names(after));
    let mut found = TableDifference {
        rows_came: rows.came(),
        rows_went: rows.went(),
        columns_came: columns.came(),
        columns_went: columns.went(),
        ..TableDifference::default()
    };
    for row in &rows.pairs {
        for column in &columns.pairs {
            // The first row is that of the names.
            let cell = |grid: &Grid, row: usize, column: usize| {
                grid.get(row + 1).and_then(|cells| cells.get(column)).cloned().unwrap_or_default()
            };
            let (one, two) = (cell(before, row.before, column.before), cell(after, row.after, column.after));
            found.compared += 1;
            let relative = match (number(&one), number(&two)) {
                _ if one == two => continue,
                (Some(one), Some(two)) if (one - two).abs() <= f64::EPSILON * one.abs().max(two.abs()) => continue,
                (Some(one), Some(two)) if one != 0.0 => Some((two - one).abs() / one.abs()),
                _ => None,
            };
            found.changed += 1;
            found.largest = [found.largest, relative].into_iter().flatten().reduce(f64::max);
            let (row, column) = (row.name.clone(), column.name.clone());
            found.cells.push(CellChange { row, column, before: one, after: two, relative });
            if found.cells.len() > 10 * TOLD {
                keep_largest(&mut found.cells);
            }
        }
    }
    keep_largest(&mut found.cells);
    found
}

/// What is no number any more, or was zero, is news as large as can be.
fn keep_largest(cells: &mut Vec<CellChange>) {
    let size = |cell: &CellChange| cell.relative.unwrap_or(f64::INFINITY);
    cells.sort_by(|one, two| size(two).total_cmp(&size(one)));
    cells.truncate(TOLD);
}

/// The names of columns.
fn head(grid: &Grid) -> Vec<String> {
    let mut names = grid.first().cloned().unwrap_or_default();
    let widest = grid.iter().map(Vec::len).max().unwrap_or(0);
    names.resize(widest, String::new());
    names
}

/// The names of rows: what stands in their first cell.
fn names(grid: &Grid) -> Vec<String> {
    grid.iter().skip(1).map(|row| row.first().cloned().unwrap_or_default()).collect()
}

struct Pair {
    name: String,
    before: usize,
    after: usize,
}

/// Rows, or columns, that both tables have, and those that only one has.
struct Aligned {
    pairs: Vec<Pair>,
    only_before: Vec<String>,
    only_after: Vec<String>,
}

impl Aligned {
    fn of(before: &[String], after: &[String]) -> Self {
        let known = |names: &[String]| names.iter().collect::<HashSet<_>>().len() == names.len();
        let places: HashMap<&String, usize> = after.iter().enumerate().map(|(place, name)| (name, place)).collect();
        let common = before.iter().filter(|name| places.contains_key(name)).count();
        // Values that happen to stand first are no names: then few of them stand in both.
        let named = known(before) && known(after) && common * 2 >= before.len().min(after.len()).max(1);
        if named { Self::by_name(before, after, &places) } else { Self::by_place(before, after) }
    }

    fn by_name(before: &[String], after: &[String], places: &HashMap<&String, usize>) -> Self {
        let former: HashSet<&String> = before.iter().collect();
        let pair = |(at, name): (usize, &String)| {
            let after = *places.get(name)?;
            let name = if name.is_empty() { (at + 1).to_string() } else { name.clone() };
            Some(Pair { name, before: at, after })
        };
        Self {
            pairs: before.iter().enumerate().filter_map(pair).collect(),
            only_before: before.iter().filter(|name| !places.contains_key(name)).cloned().collect(),
            only_after: after.iter().filter(|name| !former.contains(name)).cloned().collect(),
        }
    }

    fn by_place(before: &[String], after: &[String]) -> Self {
        let both = before.len().min(after.len());
        let name = |at: usize, name: &String| {
            let number = at + 1;
            if name.is_empty() { number.to_string() } else { format!("{number} ({name})") }
        };
        let pair = |at: usize| Pair { name: name(at, &before[at]), before: at, after: at };
        let rest = |names: &[String]| names.iter().enumerate().skip(both).map(|(at, one)| name(at, one)).collect();
        Self { pairs: (0..both).map(pair).collect(), only_before: rest(before), only_after: rest(after) }
    }

    fn came(&self) -> (u64, Vec<String>) {
        told(&self.only_after)
    }

    fn went(&self) -> (u64, Vec<String>) {
        told(&self.only_before)
    }
}

fn told(names: &[String]) -> (u64, Vec<String>) {
    (names.len() as u64, names.iter().take(TOLD).cloned().collect())
}

/// A number as people write it: `$1,234.50`, `12 %`, `(3)`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (text, negative) = match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let kept: String = text.chars().filter(|c| !matches!(c, ',' | '$' | '€' | '£' | '%' | ' ' | '\u{a0}')).collect();
    let kept = kept.replace('\u{2212}', "-");
    if !kept.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    let value: f64 = kept.parse().ok().filter(|value: &f64| value.is_finite())?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid(text: &str) -> Grid {
        text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
    }

    #[test]
    fn changed_cells_are_told_with_the_largest_first() {
        let found = difference(
            &grid("year,tax,rate\n2020,10,5%\n2021,20,6%"),
            &grid("year,tax,rate\n2020,11,5 %\n2021,40,n/a"),
        );
        assert_eq!((found.changed, found.compared, found.largest), (3, 6, Some(1.0)));
        let told: Vec<_> =
            found.cells.iter().map(|cell| (cell.row.as_str(), cell.column.as_str(), cell.after.as_str())).collect();
        assert_eq!(told, [("2021", "rate", "n/a"), ("2021", "tax", "40"), ("2020", "tax", "11")]);
    }

    #[test]
    fn rows_and_columns_come_and_go() {
        let found = difference(&grid("y,a,b\n1,1,2\n2,3,4"), &grid("y,b,c\n2,4,9\n3,0,0\n1,2,9"));
        assert_eq!(found.changed, 0, "{found:?}");
        assert_eq!((found.rows_came, found.rows_went), ((1, vec!["3".to_owned()]), (0, vec![])));
        assert_eq!((found.columns_came, found.columns_went), ((1, vec!["c".to_owned()]), (1, vec!["a".to_owned()])));
    }

    #[test]
    fn what_has_no_names_is_compared_by_place() {
        let found = difference(&grid("x\n0.5\n0.7"), &grid("x\n0.6\n0.8\n0.9"));
        assert_eq!((found.changed, found.rows_came.0), (2, 1));
        assert_eq!(found.cells[0].row, "1 (0.5)");
    }

    #[test]
    fn a_number_may_be_written_otherwise() {
        assert_eq!(number("$1,234.50"), Some(1234.5));
        assert_eq!(
            (number("(3)"), number("\u{2212}2%"), number("nan"), number("x1")),
            (Some(-3.0), Some(-2.0), None, None)
        );
        assert!(difference(&grid("a\n1.0"), &grid("a\n1.00")).is_empty());
        assert!(difference(&vec![], &vec![]).is_empty());
    }

    proptest! {
        #[test]
        fn a_table_is_like_itself(rows in prop::collection::vec(prop::collection::vec("[a-c0-3]{0,2}", 0..4), 0..6)) {
            prop_assert!(difference(&rows, &rows).is_empty());
        }

        #[test]
        fn any_two_can_be_compared(
            one in prop::collection::vec(prop::collection::vec("[a-c0-3]{0,2}", 0..4), 0..6),
            two in prop::collection::vec(prop::collection::vec("[a-c0-3]{0,2}", 0..4), 0..6),
        ) {
            let found = difference(&one, &two);
            prop_assert!(found.changed <= found.compared && found.cells.len() as u64 <= found.changed);
        }
    }
}
