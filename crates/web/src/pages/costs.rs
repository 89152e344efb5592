//! What a month has cost, by payer, account and model.

use askama::Template;
use csw_core::cost::Month;

use super::{
    account::require_account,
    page::{Page, PageResult, show},
    render::dollars,
    visitor::Visitor,
};
use crate::api::costs::whose;

#[derive(Template)]
#[template(path = "costs.html")]
struct CostsPage {
    page: Page,
    /// Whose they are, where not the visitor's own.
    account: String,
    everybody: bool,
    admin: bool,
    month: String,
    months: Vec<Choice>,
    rows: Vec<Row>,
    total: String,
    budget: Option<Meter>,
    csv: String,
}

struct Choice {
    value: String,
    words: String,
    chosen: bool,
}

struct Row {
    payer: String,
    account: String,
    model: String,
    runs: u64,
    time: String,
    cost: String,
}

/// How much of a budget is spent.
struct Meter {
    spent: String,
    monthly: Option<String>,
    /// Of a hundred.
    share: String,
    words: String,
}

fn time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

pub(crate) async fn costs(visitor: Visitor) -> PageResult {
    require_account(&visitor)?;
    let asked = |name: &str| Some(visitor.asked(name)).filter(|text| !text.is_empty());
    // A month that is none is as good as the present one.
    let month = asked("month").and_then(|text| text.parse::<Month>().ok());
    let account = asked("account");
    let costs = visitor.take(visitor.app.costs(&visitor.caller, &whose(account), month).await)?;
    let budget = costs.budget.as_ref().map(|budget| Meter {
        spent: dollars(budget.spent),
        monthly: budget.monthly.map(dollars),
        share: budget.monthly.map_or_else(String::new, |monthly| {
            format!("{:.1}", if monthly > 0.0 { (budget.spent / monthly * 100.0).min(100.0) } else { 100.0 })
        }),
        words: budget.month.words(),
    });
    let choices = costs.months.iter().map(|month| Choice {
        value: month.to_string(),
        words: month.words(),
        chosen: *month == costs.month,
    });
    let mut query = vec![("month", costs.month.to_string()), ("format", "csv".to_owned())];
    query.extend(account.map(|name| ("account", name.to_owned())));
    let query = serde_urlencoded::to_string(query).unwrap_or_default();
    Ok(show(&CostsPage {
        page: visitor.page(),
        account: account.filter(|name| *name != "*").unwrap_or_default().to_owned(),
        everybody: account == Some("*"),
        admin: visitor.caller.is_admin(),
        month: costs.month.words(),
        months: choices.collect(),
        total: dollars(costs.total()),
        rows: costs
            .rows
            .into_iter()
            .map(|row| Row {
                payer: row.payer.unwrap_or_default(),
                account: row.account.unwrap_or_default(),
                model: row.model.unwrap_or_default(),
                runs: row.runs,
                time: time(row.milliseconds),
                cost: dollars(row.cost),
            })
            .collect(),
        budget,
        csv: format!("/api/v1/costs/?{query}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_unit_that_fits() {
        assert_eq!([500, 90_000, 3_600_000, 7_260_000].map(time), ["500 ms", "90 s", "60 min", "2 h 1 min"]);
    }
}
