//! Tables as people read them: cells in rows and columns, and what is different between two of them.
//!
//! Start reading at [`difference`]; [`csv`] and [`html`] make a [`Grid`] of what a model returned.

pub mod csv;
mod difference;
pub mod html;

pub use difference::{CellChange, TableDifference, difference};

/// Rows of cells; the first row names the columns.
pub type Grid = Vec<Vec<String>>;

/// A share in percent, for people: as many digits as tell something, at most three behind the point.
#[must_use]
pub fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    match text.trim_end_matches('0').trim_end_matches('.') {
        "0" if share > 0.0 => "less than 0.001 %".to_owned(),
        digits => format!("{digits} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn shares_have_the_digits_that_tell_something() {
        assert_eq!((percent(1.0).as_str(), percent(0.2).as_str(), percent(0.0).as_str()), ("100 %", "20 %", "0 %"));
        assert_eq!((percent(1.0 / 3.0).as_str(), percent(1e-9).as_str()), ("33.333 %", "less than 0.001 %"));
    }
}
