//! `csw models builds` and `csw models cancel`

use csw_client::Client;

use crate::{
    failure::Outcome,
    output::{Printer, table},
};

pub(crate) async fn list(client: &Client, name: &str, printer: Printer) -> Outcome {
    let builds = client.builds(name).await?.results;
    printer.result(&builds, || {
        let rows: Vec<[String; 5]> = builds
            .iter()
            .map(|build| {
                [
                    build.id.clone(),
                    build.state.clone(),
                    build.stage.clone(),
                    build.created_at.clone(),
                    build.source.replace('\n', " "),
                ]
            })
            .collect();
        table(["BUILD", "STATE", "STAGE", "ASKED FOR", "SOURCE"], &rows)
    })
}

pub(crate) async fn cancel(client: &Client, name: &str, build: &str, printer: Printer) -> Outcome {
    let build = client.cancel_build(name, build).await?;
    printer.result(&build, || format!("{name}: the build is being stopped"))
}
