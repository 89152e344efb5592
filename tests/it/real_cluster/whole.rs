//! A site that lives in the cluster, server and all: what `csw svc config | kubectl apply` makes of an empty namespace.

use std::process::Command;

use anyhow::{Context, ensure};
use csw_client::Client;
use csw_tests::{Result, Server, program};

use super::{
    given::Given,
    kubectl::{Kubectl, Way},
    namespace::Namespace,
    site::{EDGES, NULL, case, number, until},
};
use crate::common::Run;

/// Who the server's pod runs as.
const USER: &str = "65532";

/// The site, and whoever published its models.
pub(super) struct Whole {
    namespace: Namespace,
    /// What the volume has; its server is never started here.
    volume: Server,
    way: Option<Way>,
}

impl Whole {
    /// A site on the volume of a server that is not started, with words of `csw svc config`.
    pub(super) fn start(given: &Given, volume: Server, words: &[&str]) -> Result<Self> {
        let mut namespace = given.namespace();
        let done = Command::new("chown").args(["-R", &format!("{USER}:{USER}")]).arg(volume.data()).status()?;
        ensure!(done.success(), "the volume can't be given to the server");
        let manifests = namespace.manifests(&given.image, words, volume.beside("manifests").as_ref())?;
        namespace.volume(&volume.data())?;
        namespace.take(manifests.iter(), &[])?;
        let mut whole = Self { namespace, volume, way: None };
        whole.follow()?;
        Ok(whole)
    }

    pub(super) fn kubectl(&self) -> &Kubectl {
        &self.namespace.kubectl
    }

    pub(super) const fn volume(&self) -> &Server {
        &self.volume
    }

    /// Waits until the server is ready, and leads a way to it.
    pub(super) fn follow(&mut self) -> Result {
        self.kubectl().ask(&["rollout", "status", "deployment/csw", "--timeout=180s"])?;
        let mut command = Command::new(program()?);
        command.args(["svc", "serve", "--namespace", self.kubectl().namespace(), "--port", "0"]);
        self.way = Some(Way::open(command)?);
        Ok(())
    }

    pub(super) fn client(&self) -> Result<Client> {
        let way = self.way.as_ref().context("a way to the server")?;
        Ok(Client::new(&format!("http://127.0.0.1:{}", way.port()), Some(&self.volume.publisher()?.token))?)
    }

    /// Waits until the pod of a simulation is at work.
    pub(super) fn at_work(&self) -> Result {
        until("a pod at work", || {
            let pods = self.kubectl().list("pods", "studio.compute/task=sim")?;
            Ok(pods.iter().any(|pod| pod["status"]["phase"] == "Running"))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_lives_in_the_cluster_and_its_runs_outlive_its_pod() -> Result {
    let Some(given) = Given::with_volumes() else { return Ok(()) };
    let words = ["--cpus", "0.2", "--memory-gigabytes", "1"];
    let mut whole = Whole::start(&given, Server::prepared_whole()?, &words)?;
    Run::new(&whole.client()?, NULL, &number(7)).await?.succeeded();
    let sleeps = case("sleeps", serde_json::json!({ "seconds": [{ "value": 10.0 }] }));
    let pk = whole.client()?.create(EDGES, &sleeps).await?.sim.model_pk;
    whole.at_work()?;
    whole.kubectl().ask(&["rollout", "restart", "deployment/csw"])?;
    whole.follow()?;
    let end = whole.client()?.wait(EDGES, pk).await?;
    assert_eq!(end.status, "SUCCESS", "{:?}", end.traceback);
    Ok(())
}
