//! `csw sims list`

use csw_client::{Client, SimulationQuery};

use crate::{
    failure::Outcome,
    output::{Printer, table},
};

pub(crate) async fn run(
    client: &Client,
    name: Option<&str>,
    search: Option<String>,
    status: Option<String>,
    page: u32,
    printer: Printer,
) -> Outcome {
    let query = SimulationQuery { page: Some(page), search, status, model: name.map(str::to_owned), ordering: None };
    let found = client.simulations(&query).await?;
    if found.next.is_some() {
        printer.note(&format!("{} in all; `--page {}` shows more", found.count, page + 1));
    }
    printer.result(&found, || {
        let rows: Vec<[String; 4]> = found
            .results
            .iter()
            .map(|simulation| {
                [
                    format!("{}#{}", simulation.project, simulation.model_pk),
                    simulation.status.clone(),
                    simulation.creation_date.clone(),
                    simulation.title.clone(),
                ]
            })
            .collect();
        table(["SIMULATION", "STATUS", "MADE", "TITLE"], &rows)
    })
}
