//! Costs, budgets and sponsors.

use serde::{Deserialize, Serialize};

/// Runs of an account and a model that one account pays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostRow {
    /// Who pays.
    pub payer: Option<String>,
    /// Whose runs.
    pub account: Option<String>,
    /// `owner/title`.
    pub model: Option<String>,
    /// How many.
    pub runs: u64,
    /// Their time.
    pub seconds: f64,
    /// Dollars.
    pub cost: f64,
}

/// What an account may spend in a month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The account.
    pub username: String,
    /// As `2026-11`.
    pub month: String,
    /// Dollars; none is no limit.
    pub monthly: Option<f64>,
    /// Whether that is what the site gives everybody.
    pub is_default: bool,
    /// Dollars, with the expected cost of what waits or is at work.
    pub spent: f64,
}

/// The costs of a month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// As `2026-11`.
    pub month: String,
    /// By payer, account and model.
    pub results: Vec<CostRow>,
    /// Dollars of all.
    pub total: f64,
    /// The account's.
    pub budget: Option<Budget>,
    /// Months that can be looked at.
    #[serde(default)]
    pub months: Vec<String>,
}

/// Who pays for everybody's runs of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sponsor {
    /// Their name.
    pub sponsor: Option<String>,
    /// A note of theirs.
    pub message: Option<String>,
}
