//! The whole server with its runs in a cluster: `csw job` in the place where a pod would be, models as they are published.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt, time::Duration};

use anyhow::Context;
use csw_client::{Client, Detail, NewSimulation, RemoteOutputs};
use csw_kubernetes_testing::{Cluster, Fate, NodeConfig};
use csw_tests::{Result, Server, csw, program};
use serde_json::{Value, json};

const NULL: &str = "contract/Null";
const EDGES: &str = "contract/Edge-Cases";
const NAMESPACE: &str = "models";

/// A server, and the cluster that its runs go to.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) cluster: Cluster,
}

impl Site {
    pub(crate) async fn start() -> Result<Self> {
        Self::within(vec![], "").await
    }

    /// Its pods may no more than what containers of the restricted profile may.
    async fn restricted() -> Result<Self> {
        let mut words = vec![];
        if std::fs::metadata("/proc/self")?.uid() == 0 {
            let user =
                "/usr/bin/setpriv --reuid=65532 --regid=65532 --clear-groups --bounding-set=-all --inh-caps=-all";
            words.extend(user.split(' ').map(str::to_owned));
        }
        // The script knows the system calls of one architecture.
        if cfg!(target_arch = "x86_64") {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/support/restricted.py");
            words.extend(["/usr/bin/python3", script].map(str::to_owned));
        }
        Self::within(words, "").await
    }

    /// With words before each command of a pod, and more settings of the cluster.
    async fn within(within: Vec<String>, settings: &str) -> Result<Self> {
        let mut server = Server::prepared()?;
        let bin = program()?.parent().context("the program is in a folder")?.display().to_string();
        let node = NodeConfig {
            folder: server.beside("node").into(),
            path: bin,
            claims: BTreeMap::from([("csw-data".to_owned(), server.data())]),
            images: BTreeMap::new(),
            pulls: None,
            within,
        };
        let cluster = Cluster::start(node).await?;
        let kubeconfig = server.beside("kubeconfig");
        cluster.write_kubeconfig(kubeconfig.as_ref(), NAMESPACE)?;
        server.variable("KUBECONFIG", kubeconfig);
        // Jobs know where to call, also after the server was started again.
        let callbacks = csw_testing::free_address()?;
        let inputs = cluster.service("inputs-").await?;
        server.configure(&format!(
            "executor = 'kubernetes'\n[kubernetes]\ncallback_listen = '{callbacks}'\njobs = 8\nimage = 'registry/csw:1'\n\
             volume_claim = 'csw-data'\nimage_seconds = 1\ninputs_url = 'http://{inputs}'\ninputs_quiet_seconds = 1\n\
             {settings}\n[site]\nsubmissions_per_minute = 100000\n"
        ))?;
        server.start()?;
        Ok(Self { server, cluster })
    }

    fn client(&self) -> Result<Client> {
        self.server.client(Some(&self.server.publisher()?))
    }

    fn jobs(&self) -> Vec<Value> {
        self.cluster.objects("jobs", NAMESPACE)
    }

    /// A Job that asks this of a model.
    fn has_job(&self, task: &str) -> bool {
        self.jobs().iter().any(|job| job["metadata"]["labels"]["studio.compute/task"] == task)
    }
}

fn number(value: i64) -> NewSimulation {
    NewSimulation { adjustment: json!({ "Null": { "number": [{ "value": value }] } }), ..NewSimulation::default() }
}

fn case(name: &str, seconds: f64) -> NewSimulation {
    let adjustment = json!({ "Run": { "case": [{ "value": name }], "seconds": [{ "value": seconds }] } });
    NewSimulation { adjustment, ..NewSimulation::default() }
}

async fn run(client: &Client, model: &str, new: &NewSimulation) -> Result<(u32, Detail<RemoteOutputs>)> {
    let pk = client.create(model, new).await?.sim.model_pk;
    Ok((pk, client.wait(model, pk).await?))
}

/// Builds need the proxies of the environment, which seldom know the way to a cluster.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_to_the_internet_is_not_asked_for_the_cluster() -> Result {
    let mut site = Site::start().await?;
    site.server.stop()?;
    site.server.variable("HTTPS_PROXY", "http://127.0.0.1:9".to_owned());
    site.server.start()?;
    let (_, done) = run(&site.client()?, NULL, &number(7)).await?;
    assert_eq!(done.status, "SUCCESS", "{:?} {}", done.traceback, site.server.log()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_runs_as_jobs_and_its_outputs_can_be_read() -> Result {
    let site = Site::start().await?;
    let client = site.client()?;
    let (pk, done) = run(&client, NULL, &number(7)).await?;
    assert_eq!(done.status, "SUCCESS", "{:?} {}", done.traceback, site.server.log()?);
    let outputs = client.simulation(NULL, pk).await?.outputs.context("it has outputs")?;
    assert_eq!(outputs.renderable[0].data, Value::String("7\n".to_owned()));
    assert!(site.has_job("parse") && site.has_job("sim"));
    let phases = &done.more["phases"];
    assert!(phases["start"].as_u64().is_some_and(|start| start > 0), "{phases}");
    let log =
        String::from_utf8(client.log(EDGES, run(&client, EDGES, &case("prints", 0.0)).await?.0, 0).await?.to_vec())?;
    assert!(!log.is_empty());
    Ok(())
}

/// `csw models config | kubectl apply`: what is asked before a run is answered by the version's inputs server. In its pod
/// there is no root and no namespace to be had, nor in that of the run.
#[tokio::test(flavor = "multi_thread")]
async fn an_inputs_server_answers_without_a_job_and_sleeps_when_nobody_asks() -> Result {
    let site = Site::restricted().await?;
    let (client, publisher) = (site.client()?, site.server.publisher()?);
    let written: Value = site.server.csw(&publisher, &["models", "-n", NULL, "config", "--json"])?.json()?;
    let deployment = written["objects"][0].clone();
    assert_eq!((&deployment["kind"], &written["objects"][1]["kind"]), (&json!("Deployment"), &json!("Service")));
    let name = deployment["metadata"]["name"].as_str().context("it has a name")?.to_owned();
    site.cluster.apply("deployments", deployment);
    let (pk, done) = run(&client, NULL, &number(7)).await?;
    assert_eq!(done.status, "SUCCESS", "{:?} {}", done.traceback, site.server.log()?);
    let outputs = client.simulation(NULL, pk).await?.outputs.context("it has outputs")?;
    assert_eq!(outputs.renderable[0].data, Value::String("7\n".to_owned()));
    assert!(site.has_job("sim") && !site.has_job("parse"), "{:?}", site.jobs());
    let mut invalid = number(7);
    invalid.adjustment = json!({ "Null": { "number": [{ "value": -2_000_000_000 }] } });
    let refused = client.create(NULL, &invalid).await?.sim.model_pk;
    while client.inputs(NULL, refused).await?.status != "INVALID" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    while site.cluster.pods_of(&name) > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // As documents for kubectl, which nobody else may have.
    let text = site.server.csw(&publisher, &["models", "-n", NULL, "config", "-o", "-"])?.stdout;
    assert!(text.contains("kind: Deployment") && text.contains("\n---\n") && text.contains("kind: Service"), "{text}");
    let stranger = site.server.account("stranger", "member")?;
    let refused = site.server.csw(&stranger, &["models", "-n", NULL, "config"])?;
    assert!(refused.code != 0 && refused.stdout.is_empty(), "{}", refused.stdout);
    Ok(())
}

/// `kubernetes.linger_seconds`: questions and simulations of a version that come one after the other are one Job's.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_runs_what_comes_next_and_leaves_nothing_behind() -> Result {
    let site = Site::within(vec![], "linger_seconds = 60").await?;
    let client = site.client()?;
    for value in [7, 8] {
        let (pk, done) = run(&client, NULL, &number(value)).await?;
        assert_eq!(done.status, "SUCCESS", "{:?} {}", done.traceback, site.server.log()?);
        let outputs = client.simulation(NULL, pk).await?.outputs.context("it has outputs")?;
        assert_eq!(outputs.renderable[0].data, Value::String(format!("{value}\n")));
    }
    assert_eq!(site.jobs().len(), 1, "{:?}", site.jobs());
    // What a model's own code breaks is broken for its run alone.
    let cases = [("segfault", "FAIL"), ("prints", "SUCCESS"), ("removes-directory", "SUCCESS"), ("raises", "FAIL")];
    for (name, status) in cases.into_iter().chain([("writes-file", "SUCCESS"), ("prints", "SUCCESS")]) {
        let (_, done) = run(&client, EDGES, &case(name, 0.0)).await?;
        assert_eq!(done.status, status, "{name}: {:?} {}", done.traceback, site.server.log()?);
    }
    assert_eq!(site.jobs().len(), 2, "{:?}", site.jobs());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_simulation_takes_its_job_along() -> Result {
    let site = Site::start().await?;
    let client = site.client()?;
    let pk = client.create(EDGES, &case("sleeps", 600.0)).await?.sim.model_pk;
    while !site.has_job("sim") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.cancel(EDGES, pk).await?;
    let done = client.wait(EDGES, pk).await?;
    assert_eq!(done.reason.as_deref(), Some("CANCELLED"));
    while site.has_job("sim") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubernetes_does_to_a_run_has_a_reason_and_a_sentence() -> Result {
    let site = Site::start().await?;
    let client = site.client()?;
    // Whatever has to be asked of the model first is asked.
    run(&client, NULL, &number(1)).await?;
    site.cluster.fates([Fate::Run, Fate::OutOfMemory]);
    let (_, done) = run(&client, NULL, &number(2)).await?;
    assert_eq!(done.reason.as_deref(), Some("OUT_OF_MEMORY"), "{:?}", done.traceback);
    site.cluster.fates([Fate::Run, Fate::NoImage, Fate::NoImage, Fate::NoImage]);
    let (_, done) = run(&client, NULL, &number(3)).await?;
    assert_eq!(done.reason.as_deref(), Some("WORKER_FAILURE"));
    let traceback = done.traceback.context("it has a sentence")?;
    assert!(traceback.contains("the image registry/csw:1 can't be pulled: manifest unknown"), "{traceback}");
    assert!(traceback.contains("attempt 3 of 3"), "{traceback}");
    // One lost attempt is made good by the next.
    site.cluster.fates([Fate::Run, Fate::Evicted]);
    assert_eq!(run(&client, NULL, &number(4)).await?.1.status, "SUCCESS");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_outlive_the_server() -> Result {
    let mut site = Site::start().await?;
    let client = site.client()?;
    let pk = client.create(EDGES, &case("sleeps", 2.0)).await?.sim.model_pk;
    while !site.has_job("sim") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    site.server.kill()?;
    let before = site.jobs().len();
    site.server.start()?;
    let client = site.client()?;
    let done = client.wait(EDGES, pk).await?;
    assert_eq!(done.status, "SUCCESS", "{:?}", done.traceback);
    assert_eq!(site.jobs().len(), before, "no second Job was made");
    Ok(())
}

/// Longer than a leader of several would dare to lead.
#[tokio::test(flavor = "multi_thread")]
async fn the_site_goes_on_while_the_api_server_is_away() -> Result {
    let site = Site::start().await?;
    let client = site.client()?;
    site.cluster.go_down();
    let pk = client.create(NULL, &number(7)).await?.sim.model_pk;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(site.server.fetch(None, "/readyz", &[]).await?.status(), 200);
    site.cluster.come_up();
    let done = client.wait(NULL, pk).await?;
    assert_eq!(done.status, "SUCCESS", "{:?} {}", done.traceback, site.server.log()?);
    Ok(())
}

#[test]
fn without_a_cluster_the_server_says_what_to_name() -> Result {
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("data").display().to_string();
    let done = csw(&["up", "--executor", "kubernetes", "--data", &place], &[("KUBECONFIG", "/nowhere")])?;
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(done.stderr.contains("no cluster can be reached"), "{}", done.stderr);
    assert!(done.stderr.contains("KUBECONFIG"), "{}", done.stderr);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_a_shared_volume_is_refused() -> Result {
    let folder = tempfile::tempdir()?;
    let cluster = Cluster::start(NodeConfig { folder: folder.path().join("node"), ..NodeConfig::default() }).await?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    cluster.write_kubeconfig(at("kubeconfig").as_ref(), NAMESPACE)?;
    std::fs::write(at("csw.toml"), "[kubernetes]\nimage = 'registry/csw:1'\ncallback_listen = '127.0.0.1:0'\n")?;
    let words = [
        "up",
        "--executor",
        "kubernetes",
        "--listen",
        "127.0.0.1:0",
        "--data",
        &at("data"),
        "--config",
        &at("csw.toml"),
    ]
    .map(str::to_owned);
    let kubeconfig = at("kubeconfig");
    let done =
        tokio::task::spawn_blocking(move || csw(&words.each_ref().map(String::as_str), &[("KUBECONFIG", &kubeconfig)]));
    let done = done.await??;
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("kubernetes.volume_claim belong together"), "{}", done.stderr);
    Ok(())
}
