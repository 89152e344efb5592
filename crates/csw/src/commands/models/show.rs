//! `csw models show`

use csw_client::Client;

use crate::{failure::Outcome, output::Printer};

pub(crate) async fn run(client: &Client, name: &str, printer: Printer) -> Outcome {
    let model = client.model(name).await?;
    printer.result(&model, || {
        let mut lines = vec![
            format!("{}/{} ({})", model.owner, model.title, model.status),
            model.oneliner.clone(),
            format!("page    {}/{}/{}/", client.url(), model.owner, model.title),
        ];
        if !model.repo_url.is_empty() {
            lines.push(format!("source  {} at {}", model.repo_url, model.repo_tag));
        }
        for (label, key) in [("cpus", "cpu"), ("memory", "memory"), ("seconds", "exp_task_time")] {
            if let Some(value) = model.more.get(key).filter(|value| !value.is_null()) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                lines.push(format!("{label:<8}{text}"));
            }
        }
        lines.join("\n")
    })
}
