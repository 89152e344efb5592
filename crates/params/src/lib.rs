//! `ParamTools` 0.20 semantics in Rust: input schemas, meta parameters, adjustments.
//!
//! The crate reads the dumps that a model's `get_inputs` returns, checks what a person or a program
//! wants to change against them, words every refusal as `ParamTools` does, and offers what the web
//! face, the memo and the schema comparison need around that: form fields, a canonical form and
//! differences.
//!
//! It never runs model code, never touches the network, a clock or a disk, and never panics on JSON
//! of any shape. It is a *first pass*: the model's own `validate_inputs` has the last word, so where
//! this crate cannot know, it stays silent.
//!
//! Start reading at [`Dump`] (a parsed dump), then [`InputSchema`] (what a version offers), then
//! [`first_pass`], [`validate_meta`] and [`normalise`]; [`adjust`] is the full `ParamTools` operation
//! with extension; [`form`] is for pages.
//!
//! Known differences from the original, all on purpose:
//! - every unknown name is reported, where the original keeps only the last one;
//! - errors inside arrays of two or more dimensions are their messages, not array positions;
//! - lists in messages show plain numbers and dates, not the names of `NumPy` types;
//! - comparisons for which the original raises a Python error are skipped.

mod adjust;
mod check;
mod coerce;
mod datum;
mod diff;
mod dump;
mod extend;
pub mod form;
mod inputs;
mod labels;
mod meta;
mod normalise;
mod python;
mod report;
mod schema;
mod validator;
mod vo;

pub use adjust::{AdjustError, AdjustOptions, adjust, adjust_with};
pub use diff::{DumpDiff, MemberChange, ParameterChange, ValueChange, adjustment_changes, diff};
pub use dump::{Dump, Parameter};
pub use extend::IndexRates;
pub use inputs::{FirstPass, InputSchema, first_pass};
pub use meta::{MetaValues, apply_meta, meta_json, validate_meta};
pub use normalise::normalise;
pub use report::Report;
pub use schema::{AdditionalMember, LabelSchema, Operators, ParamType, Schema, SchemaError};
pub use validator::{Bound, Condition, Level, Validator, When};
pub use vo::ValueObject;
