//! A server on this machine whose runs are pods of the cluster, in a namespace that is there for one test.

use std::{
    fs,
    net::{IpAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use csw_client::{Client, NewSimulation};
use csw_tests::{Result, Server, csw};
use serde_json::{Value, json};

use super::{forward::Forward, kubectl::Kubectl};
use crate::common::Run;

pub(super) const NULL: &str = "contract/Null";
pub(super) const EDGES: &str = "contract/Edge-Cases";

/// Longer than anything takes that is waited for; a cluster may pull images meanwhile.
const PATIENCE: Duration = Duration::from_mins(3);

/// What only this test's volume has.
const STORAGE_CLASS: &str = "csw-test";

/// The cluster that the environment names.
pub(super) struct Given {
    kubeconfig: PathBuf,
    /// Image of csw that its nodes can pull.
    pub(super) image: String,
}

impl Given {
    /// Nobody has the second variable by chance.
    pub(super) fn find() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let found = variable("KUBECONFIG").zip(variable("CSW_TEST_CLUSTER_IMAGE"));
        if found.is_none() {
            eprintln!(
                "skipped: KUBECONFIG and CSW_TEST_CLUSTER_IMAGE do not name a cluster and an image of csw in its reach; \
                 `scripts/test-kubernetes` brings both"
            );
        }
        found.map(|(kubeconfig, image)| Self { kubeconfig: kubeconfig.into(), image })
    }

    /// A namespace that nobody else has.
    pub(super) fn namespace(&self) -> Namespace {
        let name = format!("csw-test-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        Namespace { kubectl: Kubectl::new(&self.kubeconfig, &name), volumes: Vec::new() }
    }
}

/// The address of this machine on its way to the nodes, which pods find it by.
fn callback(kubectl: &Kubectl) -> Result<IpAddr> {
    if let Ok(named) = std::env::var("CSW_TEST_CLUSTER_CALLBACK") {
        return named.parse().with_context(|| format!("`{named}` in CSW_TEST_CLUSTER_CALLBACK is no address"));
    }
    let path = "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}";
    let node = kubectl.ask(&["get", "nodes", "--output", path])?;
    let node = node.split(' ').next().unwrap_or_default();
    let route = UdpSocket::bind("0.0.0.0:0")?;
    route.connect((node, 9)).with_context(|| format!("no route to the node {node}"))?;
    Ok(route.local_addr()?.ip())
}

/// A namespace and what is outside of it for its sake; removed in the end.
pub(super) struct Namespace {
    pub(super) kubectl: Kubectl,
    volumes: Vec<String>,
}

impl Namespace {
    /// The files of `csw svc config`, all of which the API server finds right. What it is too old for is left out.
    pub(super) fn manifests(&self, image: &str, words: &[&str], folder: &Path) -> Result<Vec<Manifest>> {
        let place = folder.display().to_string();
        let name = self.kubectl.namespace();
        let mut command = vec!["svc", "config", "--namespace", name, "--image", image, "--out", &place, "--json"];
        command.extend(["--public-url", "http://127.0.0.1:8080", "--storage-class", STORAGE_CLASS]);
        command.extend(words);
        let written: Value = csw(&command, &[])?.json()?;
        let files = written["files"].as_array().context("it names its files")?.iter().filter_map(Value::as_str);
        let mut manifests: Vec<Manifest> = files.map(|file| Manifest { path: folder.join(file) }).collect();
        manifests.retain(|manifest| !manifest.is_of("poddisruptionbudget") || self.has_group("policy/v1"));
        manifests.retain(|manifest| !manifest.is_of("cronjob") || self.has_group("batch/v1/cronjobs"));
        // What is in a namespace can be tried only where it is.
        self.take(manifests.iter().filter(|manifest| manifest.is_of("namespace")), &[])?;
        self.take(manifests.iter(), &["--dry-run=server"])?;
        Ok(manifests)
    }

    fn has_group(&self, group: &str) -> bool {
        let mut parts = group.splitn(3, '/');
        let (name, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let found = self.kubectl.json(&["get", "--raw", &format!("/apis/{name}/{version}")]);
        let wanted = parts.next();
        let has = |found: &Value| {
            found["resources"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|resource| Some(&resource["name"]) == wanted.map(Value::from).as_ref())
        };
        found.is_ok_and(|found| wanted.is_none() || has(&found))
    }

    /// Applies files, with more words.
    pub(super) fn take<'a>(&self, manifests: impl Iterator<Item = &'a Manifest>, words: &[&str]) -> Result {
        let files: Vec<String> = manifests.map(|manifest| manifest.path.display().to_string()).collect();
        let mut command = vec!["apply"];
        command.extend(words);
        command.extend(files.iter().flat_map(|file| ["-f", file.as_str()]));
        self.kubectl.ask(&command).map(drop)
    }

    /// A volume for the claim of the site: this folder, on the node that has it.
    pub(super) fn volume(&mut self, folder: &Path) -> Result {
        let name = self.kubectl.namespace().to_owned();
        let volume = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": { "name": name },
            "spec": {
                "capacity": { "storage": "100G" },
                "accessModes": ["ReadWriteMany"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": STORAGE_CLASS,
                "hostPath": { "path": folder },
                "claimRef": { "namespace": name, "name": "csw-data" },
            },
        });
        self.kubectl.apply(&volume.to_string())?;
        self.volumes.push(name);
        Ok(())
    }

    /// A kubeconfig with nothing but a token of the server's account.
    pub(super) fn token_kubeconfig(&self, path: &Path) -> Result {
        let config = self.kubectl.json(&["config", "view", "--minify", "--flatten", "--raw", "--output", "json"])?;
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": config["clusters"][0]["cluster"] }],
            "users": [{ "name": "server", "user": { "token": self.token("csw")? } }],
            "contexts": [{
                "name": "test",
                "context": { "cluster": "test", "user": "server", "namespace": self.kubectl.namespace() },
            }],
            "current-context": "test",
        });
        Ok(fs::write(path, config.to_string())?)
    }

    /// A token of an account: asked for, or from its secret, where a cluster is too old for that.
    fn token(&self, account: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{account}/token", self.kubectl.namespace());
        let wanted = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": { "expirationSeconds": 7200 },
        });
        let done = self.kubectl.give(&["create", "--raw", &path, "-f", "-"], &wanted.to_string())?;
        if done.code == 0 {
            let answer: Value = done.json()?;
            return answer["status"]["token"].as_str().map(str::to_owned).context("a token");
        }
        let secret = wait(&format!("the secret of {account}"), || {
            let found = self.kubectl.json(&["get", "serviceaccount", account, "--output", "json"])?;
            Ok(found["secrets"][0]["name"].as_str().map(str::to_owned))
        })?;
        let path = "go-template={{.data.token | base64decode}}";
        self.kubectl.ask(&["get", "secret", &secret, "--output", path])
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let mut words = vec!["delete", "--wait=false", "--ignore-not-found", "namespace", self.kubectl.namespace()];
        let _ = self.kubectl.attempt(&words);
        for volume in &self.volumes {
            words = vec!["delete", "--wait=false", "--ignore-not-found", "persistentvolume", volume];
            let _ = self.kubectl.attempt(&words);
        }
    }
}

/// A file of `csw svc config`.
pub(super) struct Manifest {
    path: PathBuf,
}

impl Manifest {
    pub(super) fn is_of(&self, kind: &str) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.split('-').nth(1) == Some(kind)
    }
}

/// The server, and the namespace of its runs. It has the rights that `csw svc config` gives it, and no other.
pub(super) struct Site {
    pub(super) server: Server,
    /// With the rights of whoever runs the test.
    pub(super) kubectl: Kubectl,
    /// With the rights of the server.
    pub(super) as_server: Kubectl,
    settings: Vec<(&'static str, String)>,
    _namespace: Namespace,
    _forward: Forward,
}

impl Site {
    pub(super) async fn start(given: &Given) -> Result<Self> {
        let mut namespace = given.namespace();
        let mut server = Server::prepared_whole()?;
        let folder = PathBuf::from(server.beside("manifests"));
        let manifests = namespace.manifests(&given.image, &[], &folder)?;
        // The server is this machine's: there is none in the cluster.
        namespace.take(manifests.iter().filter(|manifest| !manifest.is_of("deployment")), &[])?;
        namespace.volume(&server.data())?;
        let kubectl = namespace.kubectl.clone();
        let callback = callback(&kubectl)?;
        let address = TcpListener::bind((callback, 0))?.local_addr()?;
        kubectl.apply(&way_to(&kubectl, address).to_string())?;
        let kubeconfig = PathBuf::from(server.beside("kubeconfig"));
        namespace.token_kubeconfig(&kubeconfig)?;
        server.variable("KUBECONFIG", kubeconfig.display().to_string());
        let forward = Forward::start(kubectl.clone()).await?;
        let settings = vec![
            ("callback_listen", format!("'{address}'")),
            ("image", format!("'{}'", given.image)),
            ("volume_claim", "'csw-data'".to_owned()),
            ("image_seconds", "5".to_owned()),
            ("keep_seconds", "20".to_owned()),
            ("inputs_url", format!("'http://{}/{{name}}'", forward.address())),
            ("inputs_quiet_seconds", "5".to_owned()),
        ];
        let as_server = Kubectl::new(&kubeconfig, kubectl.namespace());
        let mut site = Self { server, kubectl, as_server, settings, _namespace: namespace, _forward: forward };
        site.configure()?;
        site.server.start()?;
        for model in [NULL, EDGES] {
            // A node has room for several.
            site.change(model, json!({ "cpu": "0.2", "memory": "0.5" })).await?;
        }
        Ok(site)
    }

    fn configure(&mut self) -> Result {
        let lines: Vec<String> = self.settings.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        self.server.configure(&format!("executor = 'kubernetes'\n[kubernetes]\n{}", lines.concat()))
    }

    /// Starts the server again with another setting.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result {
        let setting = self.settings.iter_mut().find(|(known, _)| *known == name).context("a setting of this site")?;
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

/// The policies of `csw svc config` let models reach a server in the cluster. This one is elsewhere.
fn way_to(kubectl: &Kubectl, address: std::net::SocketAddr) -> Value {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": { "name": "to-the-server-of-the-test", "namespace": kubectl.namespace() },
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
