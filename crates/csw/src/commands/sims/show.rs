//! `csw sims show`

use csw_client::Client;

use crate::{failure::Outcome, output::Printer};

pub(crate) async fn run(client: &Client, name: &str, number: u32, printer: Printer) -> Outcome {
    let simulation = client.remote(name, number).await?;
    printer.result(&simulation, || {
        let mut lines = vec![
            format!("{name}#{number} {}", simulation.title),
            format!("status   {}", super::state(&simulation)),
            format!("owner    {}", simulation.owner),
            format!("version  {}", simulation.model_version.as_deref().unwrap_or("-")),
            format!("seconds  {}", simulation.run_time),
            format!("page     {}{}", client.url(), simulation.gui_url),
        ];
        if let Some(outputs) = &simulation.outputs {
            lines.push(format!("outputs  {}", outputs.outputs.iter().count()));
        }
        if let Some(traceback) = &simulation.traceback {
            lines.push(String::new());
            lines.push(traceback.trim_end().to_owned());
        }
        lines.join("\n")
    })
}
