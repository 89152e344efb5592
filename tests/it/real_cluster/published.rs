//! Models whose versions are images of the registry: built and sent once for all tests of a cluster.

use std::{fs, path::Path};

use anyhow::{Context, ensure};
use csw_tests::{Result, Server, example, newest_model, once};
use tokio::{runtime::Handle, task::block_in_place};

use super::{
    given::Given,
    site::{EDGES, NULL, Site},
};

/// A server that has them, not started yet.
pub(super) fn server(given: &Given) -> Result<Server> {
    let registry = &given.registry.as_ref().context("a registry")?.registry;
    let stamp = format!("{} {} {registry} {}", given.identity()?, given.image, newest_model()?);
    // The first test makes them, and others wait for it.
    let data = block_in_place(|| once("template-images", &stamp, |to| Handle::current().block_on(publish(given, to))))?;
    Server::on_copy_of(&data)
}

/// Publishes them by a site of their own, and keeps its data folder.
async fn publish(given: &Given, to: &Path) -> Result {
    let mut site = Site::serving(given, Server::prepared()?).await?;
    let publisher = site.server.publisher()?;
    for model in [NULL, EDGES] {
        let source = example(model)?.display().to_string();
        let words = ["models", "-n", model, "publish", "--no-example", "--skip-test", "--repo", &source];
        let done = site.server.csw(&publisher, &words)?;
        ensure!(done.code == 0, "{model} was not published: {}\n{}", done.stdout, done.stderr);
    }
    site.server.stop()?;
    // What images were built from is not needed where they are run.
    let _ = fs::remove_dir_all(site.server.data().join("images"));
    Ok(fs::rename(site.server.data(), to)?)
}
