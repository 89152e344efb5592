//! The cluster that the environment names, and what tests find there.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
};

use anyhow::Context;
use csw_tests::Result;

use super::{kubectl::Kubectl, namespace::Namespace};

/// What clusters with a way to the internet pull.
const REDIS: &str = "docker.io/library/redis:7";

/// The cluster that the environment names.
pub(super) struct Given {
    kubeconfig: PathBuf,
    /// Image of csw that its nodes can pull.
    pub(super) image: String,
    /// Image of a Redis.
    pub(super) redis_image: String,
    /// Image of csw with a browser, if there is one.
    pub(super) thumbnails_image: Option<String>,
    pub(super) registry: Option<Place>,
}

/// Where a site sends images that nodes pull.
pub(super) struct Place {
    pub(super) registry: String,
    pub(super) is_insecure: bool,
}

impl Place {
    /// Where it is, if its host is an address.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.registry.split('/').next()?.parse().ok()
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn skipped(lacks: &str) {
    eprintln!("skipped: {lacks}; `scripts/test-kubernetes` brings all that these tests need");
}

/// Whether a variable says so of the cluster.
fn is_said(name: &str, sentence: &str) -> bool {
    let is_said = variable(name).is_some();
    if !is_said {
        skipped(&format!("{name} does not say that {sentence}"));
    }
    is_said
}

impl Given {
    /// A cluster, whatever it is. Nobody has the second variable by chance.
    fn find() -> Option<Self> {
        let found = variable("KUBECONFIG").zip(variable("CSW_TEST_CLUSTER_IMAGE"));
        if found.is_none() {
            skipped("KUBECONFIG and CSW_TEST_CLUSTER_IMAGE do not name a cluster and an image of csw in its reach");
        }
        let registry = variable("CSW_TEST_CLUSTER_REGISTRY").map(|named| {
            let plain = named.strip_prefix("http://");
            Place { is_insecure: plain.is_some(), registry: plain.unwrap_or(&named).to_owned() }
        });
        let redis_image = variable("CSW_TEST_CLUSTER_REDIS_IMAGE").unwrap_or_else(|| REDIS.to_owned());
        found.map(|(kubeconfig, image)| Self {
            kubeconfig: kubeconfig.into(),
            image,
            redis_image,
            thumbnails_image: variable("CSW_TEST_CLUSTER_THUMBNAILS_IMAGE"),
            registry,
        })
    }

    /// One with a registry.
    pub(super) fn with_registry() -> Option<Self> {
        let found = Self::find()?;
        if found.registry.is_none() {
            skipped("CSW_TEST_CLUSTER_REGISTRY names no registry");
            return None;
        }
        Some(found)
    }

    /// One whose node is this machine, so that folders can be volumes.
    pub(super) fn with_volumes() -> Option<Self> {
        Self::find().filter(|_| is_said("CSW_TEST_CLUSTER_IS_HERE", "the node is this machine"))
    }

    /// The same, whose network keeps policies.
    pub(super) fn with_policies() -> Option<Self> {
        let sentence = "the network of the cluster keeps policies";
        Self::with_volumes().filter(|_| is_said("CSW_TEST_CLUSTER_KEEPS_POLICIES", sentence))
    }

    /// With the rights of whoever runs the tests.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A namespace that nobody else has.
    pub(super) fn namespace(&self) -> Namespace {
        let name = format!("csw-test-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        Namespace::new(Kubectl::new(&self.kubeconfig, &name))
    }

    /// What tells this cluster from every other.
    pub(super) fn identity(&self) -> Result<String> {
        let kubectl = Kubectl::new(&self.kubeconfig, "default");
        kubectl.ask(&["get", "namespace", "kube-system", "--output", "jsonpath={.metadata.uid}"])
    }
}

/// The address of this machine on its way to the nodes, which pods find it by.
pub(super) fn callback(kubectl: &Kubectl) -> Result<IpAddr> {
    if let Some(named) = variable("CSW_TEST_CLUSTER_CALLBACK") {
        return named.parse().with_context(|| format!("`{named}` in CSW_TEST_CLUSTER_CALLBACK is no address"));
    }
    let path = "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}";
    let node = kubectl.ask(&["get", "nodes", "--output", path])?;
    let node = node.split(' ').next().unwrap_or_default();
    let route = UdpSocket::bind("0.0.0.0:0")?;
    route.connect((node, 9)).with_context(|| format!("no route to the node {node}"))?;
    Ok(route.local_addr()?.ip())
}
