//! Tables as people read them: cells in rows and columns, and what is different between two of them.
//!
//! Start reading at [`difference`]; [`csv`] and [`html`] make a [`Grid`] of what a model returned.

pub mod csv;
mod difference;
pub mod html;

pub use difference::{CellChange, TableDifference, difference};

/// Rows of cells; the first row names the columns.
pub type Grid = Vec<Vec<String>>;
