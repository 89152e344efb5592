//! A server on this machine whose runs are pods of the cluster, in a namespace that is there for one test.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use csw_client::{Client, NewSimulation};
use csw_tests::{Result, Server};
use serde_json::{Value, json};

use super::{
    door::Door,
    forward::Forward,
    given::{Given, Place, callback},
    kubectl::Kubectl,
    namespace::Namespace,
    proxy::proxy,
    published,
};
use crate::common::Run;

pub(super) const NULL: &str = "contract/Null";
pub(super) const EDGES: &str = "contract/Edge-Cases";

/// Longer than anything takes that is waited for; a cluster may pull images meanwhile.
const PATIENCE: Duration = Duration::from_mins(3);

/// The server, and the namespace of its runs. It has the rights that `csw svc config` gives it, and no other.
pub(super) struct Site {
    pub(super) server: Server,
    /// With the rights of whoever runs the test.
    pub(super) kubectl: Kubectl,
    /// With the rights of the server.
    pub(super) as_server: Kubectl,
    pub(super) settings: Settings,
    /// Address of this machine that pods reach.
    pub(super) address: IpAddr,
    namespace: Namespace,
    _forward: Forward,
    _proxy: Option<Door>,
}

/// What a site is told of its cluster, and whatever else.
pub(super) struct Settings {
    pub(super) kubernetes: Vec<(&'static str, String)>,
    /// Other sections.
    pub(super) more: Vec<String>,
}

impl Site {
    /// A site with models whose versions are images of the registry, on any cluster.
    pub(super) async fn start(given: &Given) -> Result<Self> {
        Self::serving(given, published::server(given)?).await
    }

    /// The same with models whose versions are folders on a volume, on this machine.
    pub(super) async fn on_volume(given: &Given) -> Result<Self> {
        let mut site = Self::prepared(given, Server::prepared_whole()?).await?;
        let data = site.server.data();
        site.namespace.volume(&data)?;
        let more = [("volume_claim", "'csw-data'".to_owned()), ("image", format!("'{}'", given.image))];
        site.settings.kubernetes.extend(more);
        site.begin().await
    }

    /// A site of this server that sends images to the registry.
    pub(super) async fn serving(given: &Given, server: Server) -> Result<Self> {
        let mut site = Self::prepared(given, server).await?;
        site.send_images(given)?;
        site.begin().await
    }

    /// The same, whose builds are Jobs. They reach what this machine reaches.
    pub(super) async fn building(given: &Given, server: Server) -> Result<Self> {
        let mut site = Self::prepared(given, server).await?;
        site.send_images(given)?;
        site.settings.kubernetes.extend([("builds", "true".to_owned()), ("image", format!("'{}'", given.image))]);
        let proxy = proxy(site.address).await?;
        site.kubectl.apply(&way_to(&site.kubectl, "proxy", proxy.address()).to_string())?;
        // As an operator does whose registry is not on the internet.
        if let Some(registry) = given.registry.as_ref().and_then(Place::address) {
            site.kubectl.apply(&way_to(&site.kubectl, "registry", registry).to_string())?;
        }
        site.server.variable("HTTPS_PROXY", format!("http://{}", proxy.address()));
        Self { _proxy: Some(proxy), ..site }.begin().await
    }

    pub(super) async fn prepared(given: &Given, mut server: Server) -> Result<Self> {
        let namespace = given.namespace();
        let folder = PathBuf::from(server.beside("manifests"));
        let manifests = namespace.manifests(&given.image, &[], &folder)?;
        // The server is this machine's: there is none in the cluster.
        namespace.take(manifests.iter().filter(|manifest| !manifest.is_of("deployment")), &[])?;
        let kubectl = namespace.kubectl.clone();
        let address = callback(&kubectl)?;
        let callback = SocketAddr::from((address, csw_testing::free_port(address)?));
        kubectl.apply(&way_to(&kubectl, "server", callback).to_string())?;
        let kubeconfig = PathBuf::from(server.beside("kubeconfig"));
        namespace.token_kubeconfig(&kubeconfig)?;
        server.variable("KUBECONFIG", kubeconfig.display().to_string());
        let forward = Forward::start(kubectl.clone()).await?;
        let kubernetes = vec![
            ("callback_listen", format!("'{callback}'")),
            ("image_seconds", "5".to_owned()),
            ("keep_seconds", "20".to_owned()),
            ("inputs_url", format!("'http://{}/{{name}}'", forward.address())),
            ("inputs_quiet_seconds", "5".to_owned()),
        ];
        let settings = Settings { kubernetes, more: vec![] };
        let as_server = Kubectl::new(&kubeconfig, kubectl.namespace());
        Ok(Self { server, kubectl, as_server, settings, address, namespace, _forward: forward, _proxy: None })
    }

    pub(super) fn send_images(&mut self, given: &Given) -> Result {
        let place = given.registry.as_ref().context("a registry")?;
        let Place { registry, is_insecure } = place;
        self.settings.more.push(format!("[images]\nregistry = '{registry}'\ninsecure = {is_insecure}\n"));
        Ok(())
    }

    pub(super) async fn begin(mut self) -> Result<Self> {
        self.configure()?;
        self.server.start()?;
        for model in [NULL, EDGES] {
            // A node has room for several.
            self.change(model, json!({ "cpu": "0.2", "memory": "0.5" })).await?;
        }
        Ok(self)
    }

    fn configure(&mut self) -> Result {
        let Settings { kubernetes, more } = &self.settings;
        let lines: Vec<String> = kubernetes.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        self.server.configure(&format!("executor = 'kubernetes'\n[kubernetes]\n{}{}", lines.concat(), more.concat()))
    }

    /// Starts the server again with another setting.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result {
        let setting =
            self.settings.kubernetes.iter_mut().find(|(known, _)| *known == name).context("a setting of this site")?;
        setting.1 = format!("'{value}'");
        self.configure()?;
        self.server.stop()?;
        self.server.start()
    }

    pub(super) fn client(&self) -> Result<Client> {
        self.server.client(Some(&self.server.publisher()?))
    }

    /// Changes what a model needs.
    pub(super) async fn change(&self, model: &str, settings: Value) -> Result {
        self.client()?.put::<Value>(&format!("/publish/api/{model}/detail/"), &settings).await?;
        Ok(())
    }

    /// Runs a case of the model that misbehaves.
    pub(super) async fn case(&self, name: &str, more: Value) -> Result<Run> {
        Run::new(&self.client()?, EDGES, &case(name, more)).await
    }

    /// Waits until the log of a simulation has these words.
    pub(super) async fn log_says(&self, pk: u32, words: &str) -> Result {
        let (client, start) = (self.client()?, Instant::now());
        loop {
            let log = client.log(EDGES, pk, 0).await?;
            let log = String::from_utf8_lossy(&log);
            if log.contains(words) {
                return Ok(());
            }
            ensure!(start.elapsed() < PATIENCE, "`{words}` is not in its log: {log}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Submits a case, and waits until its pod is at work. Gives its number and the name of its Job.
    pub(super) async fn at_work(&self, name: &str, more: Value) -> Result<(u32, String)> {
        let pk = self.client()?.create(EDGES, &case(name, more)).await?.sim.model_pk;
        let job = wait("a pod at work", || {
            let pods = self.kubectl.list("pods", "studio.compute/task=sim")?;
            let running = pods.iter().find(|pod| pod["status"]["phase"] == "Running");
            Ok(running.and_then(|pod| pod["metadata"]["labels"]["job-name"].as_str()).map(str::to_owned))
        })?;
        Ok((pk, job))
    }
}

/// What the model of a number is asked.
pub(super) fn number(value: i64) -> NewSimulation {
    NewSimulation { adjustment: json!({ "Null": { "number": [{ "value": value }] } }), ..NewSimulation::default() }
}

/// A case of the model that misbehaves, with more settings.
pub(super) fn case(name: &str, mut more: Value) -> NewSimulation {
    more["case"] = json!([{ "value": name }]);
    NewSimulation { adjustment: json!({ "Run": more }), ..NewSimulation::default() }
}

/// The policies of `csw svc config` let models reach a server in the cluster. What a test has is elsewhere.
pub(super) fn way_to(kubectl: &Kubectl, what: &str, address: SocketAddr) -> Value {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": { "name": format!("to-the-{what}-of-the-test"), "namespace": kubectl.namespace() },
        "spec": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{
                "to": [{ "ipBlock": { "cidr": format!("{}/{bits}", address.ip()) } }],
                "ports": [{ "protocol": "TCP", "port": address.port() }],
            }],
        },
    })
}

/// Waits until something is there.
pub(super) fn wait<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if start.elapsed() > PATIENCE {
            bail!("{what} was not there after {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Waits until something is so.
pub(super) fn until(what: &str, mut look: impl FnMut() -> Result<bool>) -> Result {
    wait(what, || Ok(look()?.then_some(())))
}

/// Refuses to go on where a sentence lacks some words.
pub(super) fn says(sentence: &str, words: &[&str]) -> Result {
    for word in words {
        ensure!(sentence.contains(word), "`{word}` is not in: {sentence}");
    }
    Ok(())
}
