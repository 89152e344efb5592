//! What a run costs: seconds × resources × prices; and what was paid in a month, by whom.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde::Serialize;
use thiserror::Error;

use crate::ids::{AccountId, RunId};

/// Prices in dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// Per CPU and hour.
    pub cpu_hour: f64,
    /// Per gigabyte of memory and hour.
    pub gigabyte_hour: f64,
}

impl Default for Prices {
    /// The public figures of section 7 of the 1.6 behaviour (release 1.7): 0.021811 $/CPU-h and 0.002923 $/GB-h.
    fn default() -> Self {
        Self { cpu_hour: 0.021_811, gigabyte_hour: 0.002_923 }
    }
}

impl Prices {
    /// Dollars an hour for these resources.
    #[must_use]
    pub fn per_hour(&self, cpus: f64, memory_gigabytes: f64) -> f64 {
        self.cpu_hour * cpus + self.gigabyte_hour * memory_gigabytes
    }

    /// Dollars for a run of `milliseconds`.
    #[must_use]
    pub fn of_run(&self, cpus: f64, memory_gigabytes: f64, milliseconds: u64) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "2^53 milliseconds are 285,000 years")]
        let hours = milliseconds as f64 / 3_600_000.0;
        self.per_hour(cpus, memory_gigabytes) * hours
    }
}

/// What one run cost. Whoever pays is found where it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Charge {
    /// Which run.
    pub run: RunId,
    /// When it ended.
    pub at: Timestamp,
    /// What it is paid for.
    pub milliseconds: u64,
    /// Dollars.
    pub cost: f64,
}

/// Which charges are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeFilter {
    /// Paid by this account, or for its runs; of all where none is named.
    pub account: Option<AccountId>,
    /// From this time on.
    pub from: Timestamp,
    /// Before this time.
    pub until: Timestamp,
}

/// Charges of one account's runs of one model, which one account pays.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChargeSum {
    /// Who pays.
    pub payer: Option<String>,
    /// Whose runs.
    pub account: Option<String>,
    /// `owner/title`.
    pub model: Option<String>,
    /// How many.
    pub runs: u64,
    /// Their time.
    pub milliseconds: u64,
    /// Dollars.
    pub cost: f64,
}

/// A month of UTC, the unit of budgets and bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(Date);

/// A text is no month.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no month; write one as 2026-11.")]
pub struct MonthError(pub String);

impl Month {
    /// The month of a time.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self(time.to_zoned_datetime(TimeZone::UTC).date().first_of_month())
    }

    /// The month after it; the last one of the calendar has none.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1.month()).unwrap_or(self.0))
    }

    /// The month before it; the first one of the calendar has none.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.checked_sub(1.month()).unwrap_or(self.0))
    }

    /// When it begins.
    #[must_use]
    pub fn begins(self) -> Timestamp {
        self.0.to_zoned_datetime(TimeZone::UTC).map_or(Timestamp::MIN, |at| at.timestamp())
    }

    /// `November 2026`.
    #[must_use]
    pub fn words(self) -> String {
        self.0.strftime("%B %Y").to_string()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let wrong = || MonthError(text.to_owned());
        let (year, month) = text.trim().split_once('-').ok_or_else(wrong)?;
        let whole = year.len() == 4 && month.len() == 2;
        let (Ok(year), Ok(month), true) = (year.parse::<i16>(), month.parse::<i8>(), whole) else {
            return Err(wrong());
        };
        Date::new(year, month, 1).map(Self).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_one_of_the_calendar() {
        let month: Month = "2026-12".parse().unwrap();
        assert_eq!((month.to_string(), month.words()), ("2026-12".to_owned(), "December 2026".to_owned()));
        assert_eq!(month.next().to_string(), "2027-01");
        assert_eq!(month.next().previous(), month);
        assert_eq!(month.begins(), "2026-12-01T00:00:00Z".parse().unwrap());
        assert_eq!(Month::of("2026-12-31T23:59:59.9Z".parse().unwrap()), month);
        for wrong in ["2026", "2026-13", "26-12", "2026-1", "December", "", "2026-12-01"] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_hour_of_a_cpu_and_a_gigabyte_costs_their_prices() {
        let cost = Prices::default().of_run(2.0, 6.0, 3_600_000);
        assert!((cost - (2.0 * 0.021_811 + 6.0 * 0.002_923)).abs() < 1e-12);
    }
}
