//! Versions that are images, made by the site itself: built from a push, sent to a real registry, pulled from there by the
//! node of the cluster, and run in there.

use std::time::Duration;

use anyhow::Context;
use csw_client::{Build, Client};
use csw_kubernetes_testing::{Cluster, NodeConfig, Pulls};
use csw_tests::{Account, Draft, Registry, Result, Server, WorkingCopy, are_there, csw};
use serde_json::{Value, json};

use crate::common::Run;

pub(crate) const NAMESPACE: &str = "models";
pub(crate) const MODEL: &str = "ada/Pictured";
pub(crate) const REPOSITORY: &str = "studio/ada/pictured";

/// What has to be installed.
pub(crate) const TOOLS: [&str; 2] = ["docker-registry", "skopeo"];

/// A site whose versions are images, its cluster and its registry, and somebody with a draft of a model.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) cluster: Cluster,
    pub(crate) registry: Registry,
    pub(crate) ada: Account,
    pub(crate) draft: Draft,
    pub(crate) copy: WorkingCopy,
}

impl Site {
    /// Its model has this in Python behind its functions.
    async fn start(more: &str) -> Result<Self> {
        Self::with(more, "", NodeConfig::default()).await
    }

    /// The same with more settings of the cluster, and such a node.
    pub(crate) async fn with(more: &str, kubernetes: &str, node: NodeConfig) -> Result<Self> {
        let mut server = Server::prepared()?;
        let registry = Registry::closed(server.beside("registry").as_ref())?;
        let login = format!("{}:{}", Registry::USER, Registry::PASSWORD);
        let node =
            NodeConfig { folder: server.beside("node").into(), pulls: Some(Pulls { login: Some(login) }), ..node };
        let cluster = Cluster::start(node).await?;
        let kubeconfig = server.beside("kubeconfig");
        cluster.write_kubeconfig(kubeconfig.as_ref(), NAMESPACE)?;
        server.variable("KUBECONFIG", kubeconfig);
        server.variable("CSW_REGISTRY_PASSWORD", Registry::PASSWORD.to_owned());
        let callbacks = csw_testing::free_address()?;
        let inputs = cluster.service("inputs-").await?;
        server.configure(&format!(
            "executor = 'kubernetes'\n[kubernetes]\ncallback_listen = '{callbacks}'\njobs = 8\nimage_seconds = 1\n\
             inputs_url = 'http://{inputs}'\ninputs_quiet_seconds = 1\n{kubernetes}\n[images]\nregistry = '{}/studio'\nuser = '{}'\n\
             attempts = 2\n",
            registry.address,
            Registry::USER
        ))?;
        server.start()?;
        let ada = server.account("ada", "member")?;
        let draft = Draft::new(&server.beside("pictured"), more)?;
        let copy = WorkingCopy::at(draft.folder(), &ada).begin("main")?;
        Ok(Self { server, cluster, registry, ada, draft, copy })
    }

    pub(crate) fn client(&self) -> Result<Client> {
        self.server.client(Some(&self.ada))
    }

    /// Pushes what is committed; the build that comes of it, once it is over, and its log.
    pub(crate) async fn push(&self) -> Result<(Build, String)> {
        self.send()?;
        self.settled().await
    }

    /// Pushes what is committed.
    pub(crate) fn send(&self) -> Result {
        let url = format!("{}/git/{MODEL}.git", self.server.url()?);
        self.copy.done(&["push", &url, "main"]).map(drop)
    }

    /// The newest build, once it is over, and its log.
    pub(crate) async fn settled(&self) -> Result<(Build, String)> {
        let client = self.client()?;
        loop {
            let build = client.builds(MODEL).await?.results.into_iter().next().filter(Build::is_over);
            if let Some(build) = build {
                let log = client.build_log(MODEL, &build.id, 0).await?;
                return Ok((build, String::from_utf8_lossy(&log).into_owned()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The same, which must succeed.
    pub(crate) async fn publish(&self) -> Result<String> {
        let (build, log) = self.push().await?;
        anyhow::ensure!(build.state == "succeeded", "{:?}\n{log}\n{}", build.message, self.server.log()?);
        Ok(log)
    }

    /// Nobody reads the password of the registry anywhere.
    pub(crate) fn keeps_quiet(&self, log: &str) -> Result {
        anyhow::ensure!(!log.contains(Registry::PASSWORD), "{log}");
        anyhow::ensure!(!self.server.log()?.contains(Registry::PASSWORD), "the server's log has the password");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_becomes_an_image_that_the_cluster_runs() -> Result {
    if !are_there(&TOOLS) {
        return Ok(());
    }
    let site = Site::start("").await?;
    let client = site.client()?;
    let log = site.publish().await?;
    site.keeps_quiet(&log)?;
    let tags = site.registry.tags(REPOSITORY);
    assert_eq!(tags.len(), 1, "{tags:?}\n{log}");
    assert!(log.contains(&format!("The image is {}/{REPOSITORY}:{}", site.registry.address, tags[0])), "{log}");
    let run = Run::of(&client, MODEL, json!({}), json!({})).await?.succeeded();
    assert_eq!(run.data(&client, MODEL, "Result").await?, "well\n");
    let jobs = site.cluster.objects("jobs", NAMESPACE);
    let image = |job: &Value| job["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let reference = image(jobs.last().context("there are Jobs")?);
    let place = format!("{}/{REPOSITORY}@sha256:", site.registry.address);
    assert!(reference.as_str().is_some_and(|image| image.starts_with(&place)), "{reference}");

    // A line more is a layer more, and no other is sent: its config and manifest are the other new blobs.
    let blobs = site.registry.blobs();
    let draft = site.draft;
    let draft = draft.file("cs-config/cs_config/more.py", "MORE = 1\n")?;
    site.copy.commit("second")?;
    let site = Site { draft, ..site };
    let log = site.publish().await?;
    assert!(log.contains("of its layers 1 were sent"), "{log}");
    assert_eq!(site.registry.blobs(), blobs + 3, "{log}");
    assert_eq!(site.registry.tags(REPOSITORY).len(), 2);
    let new = json!({ "Main": { "number": [{ "value": 3 }] } });
    let run = Run::of(&client, MODEL, json!({}), new).await?.succeeded();
    assert_eq!(run.data(&client, MODEL, "Result").await?, "well\n");

    // The same files under another commit are not tested again, and nothing is sent but what names them.
    site.copy.done(&["commit", "--allow-empty", "-q", "-m", "third"])?;
    let log = site.publish().await?;
    assert!(log.contains("nothing is different") && log.contains("of its layers 0 were sent"), "{log}");
    assert_eq!(site.registry.blobs(), blobs + 5, "{log}");
    Ok(())
}

/// `csw models config` of a version that is an image: its inputs server answers in there.
#[tokio::test(flavor = "multi_thread")]
async fn an_inputs_server_answers_in_its_image() -> Result {
    if !are_there(&TOOLS) {
        return Ok(());
    }
    let site = Site::start("").await?;
    let client = site.client()?;
    site.publish().await?;
    let parses = |site: &Site| {
        let jobs = site.cluster.objects("jobs", NAMESPACE);
        jobs.iter().filter(|job| job["metadata"]["labels"]["studio.compute/task"] == "parse").count()
    };
    let before = parses(&site);
    let written: Value = site.server.csw(&site.ada, &["models", "-n", MODEL, "config", "--json"])?.json()?;
    let deployment = written["objects"][0].clone();
    let name = deployment["metadata"]["name"].as_str().context("it has a name")?.to_owned();
    site.cluster.apply("deployments", deployment);
    let new = json!({ "Main": { "number": [{ "value": 5 }] } });
    let run = Run::of(&client, MODEL, json!({}), new).await?.succeeded();
    assert_eq!(run.data(&client, MODEL, "Result").await?, "well\n");
    assert_eq!(parses(&site), before, "{}", site.server.log()?);
    while site.cluster.pods_of(&name) > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_is_told_and_the_next_build_goes_on() -> Result {
    if !are_there(&TOOLS) {
        return Ok(());
    }
    let mut site = Site::start("").await?;
    site.registry.stop();
    let (build, log) = site.push().await?;
    let message = build.message.unwrap_or_default();
    assert_eq!((build.state.as_str(), build.stage.as_str()), ("failed", "push"), "{message}\n{log}");
    let told = format!("The registry {} does not answer", site.registry.address);
    assert!(message.contains(&told) && message.contains("try again"), "{message}");
    // The packages are not to blame.
    assert!(!log.contains("Trying again with packages"), "{log}");
    assert!(site.client()?.versions(MODEL).await?.is_empty());
    site.registry.start()?;
    site.copy.done(&["commit", "--allow-empty", "-q", "-m", "again"])?;
    site.publish().await?;
    assert_eq!(site.registry.tags(REPOSITORY).len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_leaves_no_tag_and_a_wrong_password_is_told() -> Result {
    if !are_there(&TOOLS) {
        return Ok(());
    }
    let fails = "def run_model(meta_param_dict, adjustment):\n    raise ValueError('on purpose')\n";
    let mut site = Site::start(fails).await?;
    let (build, log) = site.push().await?;
    let message = build.message.unwrap_or_default();
    assert_eq!((build.state.as_str(), build.stage.as_str()), ("failed", "test"), "{message}\n{log}");
    assert!(message.contains("on purpose"), "{message}");
    assert!(site.registry.tags(REPOSITORY).is_empty());
    site.server.stop()?;
    site.server.variable("CSW_REGISTRY_PASSWORD", "wr0ng".to_owned());
    site.server.start()?;
    site.copy.done(&["commit", "--allow-empty", "-q", "-m", "again"])?;
    let (build, log) = site.push().await?;
    let message = build.message.unwrap_or_default();
    assert_eq!((build.state.as_str(), build.stage.as_str()), ("failed", "push"), "{message}\n{log}");
    assert!(message.contains("does not know `me`") && !message.contains("wr0ng"), "{message}");
    assert!(!log.contains("wr0ng") && !site.server.log()?.contains("wr0ng"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_whose_versions_have_no_way_into_the_cluster_says_so() -> Result {
    let folder = tempfile::tempdir()?;
    let cluster = Cluster::start(NodeConfig { folder: folder.path().join("node"), ..NodeConfig::default() }).await?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    cluster.write_kubeconfig(at("kubeconfig").as_ref(), NAMESPACE)?;
    std::fs::write(at("csw.toml"), "executor = 'kubernetes'\n[kubernetes]\ncallback_listen = '127.0.0.1:0'\n")?;
    let (config, data, kubeconfig) = (at("csw.toml"), at("data"), at("kubeconfig"));
    let said = |words: &'static [&'static str]| {
        let place = [["--config", &config], ["--data", &data]].concat().into_iter().map(str::to_owned);
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).chain(place).collect();
        let kubeconfig = kubeconfig.clone();
        tokio::task::spawn_blocking(move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            csw(&words, &[("KUBECONFIG", &kubeconfig)])
        })
    };
    let done = said(&["up", "--listen", "127.0.0.1:0"]).await??;
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(
        done.stderr.contains("no way into the cluster") && done.stderr.contains("images.registry"),
        "{}",
        done.stderr
    );
    let done = said(&["doctor"]).await??;
    assert!(done.stdout.contains("neither a registry for images nor a volume"), "{}", done.stdout);
    Ok(())
}
