//! `csw models list`

use csw_client::Client;

use crate::{
    failure::Outcome,
    output::{Printer, table},
};

pub(crate) async fn run(client: &Client, printer: Printer) -> Outcome {
    let models = client.models().await?;
    printer.result(&models, || {
        let rows: Vec<[String; 3]> = models
            .iter()
            .map(|model| {
                [format!("{}/{}", model.owner, model.title), model.status.clone(), model.oneliner.replace('\n', " ")]
            })
            .collect();
        table(["MODEL", "STATUS", "WHAT IT DOES"], &rows)
    })
}
