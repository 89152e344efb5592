//! `csw costs`

use std::fmt::Write as _;

use csw_client::Client;

use crate::{
    failure::Outcome,
    output::{Printer, say, table},
};

pub(crate) async fn run(
    client: &Client,
    month: Option<&str>,
    account: Option<&str>,
    csv: bool,
    printer: Printer,
) -> Outcome {
    if csv {
        return say(client.costs_csv(month, account).await?.trim_end());
    }
    let costs = client.costs(month, account).await?;
    printer.result(&costs, || {
        let mut rows: Vec<[String; 6]> = costs
            .results
            .iter()
            .map(|row| {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                let (seconds, cost) = (format!("{:.1}", row.seconds), format!("{:.4}", row.cost));
                [text(&row.model), text(&row.account), text(&row.payer), row.runs.to_string(), seconds, cost]
            })
            .collect();
        let runs: u64 = costs.results.iter().map(|row| row.runs).sum();
        let total = format!("{:.4}", costs.total);
        rows.push(["in all".to_owned(), String::new(), String::new(), runs.to_string(), String::new(), total]);
        let mut text = table(["MODEL", "RUN BY", "PAID BY", "RUNS", "SECONDS", "DOLLARS"], &rows);
        if let Some(budget) = &costs.budget {
            let limit = budget.monthly.map_or_else(|| "no limit".to_owned(), |monthly| format!("of ${monthly:.2}"));
            // A text takes all that is written.
            let _ = write!(text, "\n\n{}: ${:.4} spent or promised, {limit}", budget.month, budget.spent);
        }
        text
    })
}
