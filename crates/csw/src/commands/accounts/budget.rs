//! `csw accounts budget`

use csw_app::Budget;
use serde_json::json;

use crate::{
    cli::BudgetVerb,
    failure::{Failure, Outcome},
    output::Printer,
    settings::Settings,
    wiring,
};

pub(crate) async fn run(settings: &Settings, verb: BudgetVerb, printer: Printer) -> Outcome {
    let budget = match verb {
        BudgetVerb::Show { name, place } => {
            wiring::existing_database_only(settings, &place).await?.operator_budget(&name).await?
        }
        BudgetVerb::Set { name, monthly, place } => {
            let monthly = match monthly.as_str() {
                "default" => None,
                number => Some(number.trim_start_matches('$').parse::<f64>().map_err(|_| {
                    Failure::usage(format!("`{number}` is no number of dollars"), "write 25, or `default`")
                })?),
            };
            wiring::existing_database_only(settings, &place).await?.operator_set_budget(&name, monthly).await?
        }
    };
    let answer = json!({
        "username": budget.account,
        "month": budget.month.to_string(),
        "monthly": budget.monthly,
        "is_default": budget.is_default,
        "spent": budget.spent,
    });
    printer.result(&answer, || text(&budget))
}

fn text(budget: &Budget) -> String {
    let limit = budget.monthly.map_or_else(|| "no limit".to_owned(), |monthly| format!("${monthly:.2} a month"));
    let whose = if budget.is_default { ", as everybody" } else { "" };
    format!("{}: {limit}{whose}; ${:.4} spent or promised in {}", budget.account, budget.spent, budget.month)
}
