//! The cluster of the tests as a process, for benchmarks. Its one word is a JSON object:
//!
//! | name | what |
//! | --- | --- |
//! | `folder` | where scratch folders, logs and the kubeconfig are |
//! | `namespace` | of the kubeconfig |
//! | `path` | where commands of Jobs are found |
//! | `claims` | folders behind the claims of volumes |
//! | `idle` | true: Jobs stay as they were made, and get no process |
//!
//! It prints where it is and its kubeconfig; then, for each line on standard input, how many requests it has carried out, or
//! for `jobs` every Job there was. It ends with standard input.

#![allow(clippy::print_stdout, reason = "a script reads it there")]

use std::{collections::BTreeMap, io, path::PathBuf};

use csw_kubernetes_testing::{Cluster, Fate, NodeConfig, Verb};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    folder: PathBuf,
    namespace: String,
    path: String,
    #[serde(default)]
    claims: BTreeMap<String, PathBuf>,
    #[serde(default)]
    idle: bool,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let word = std::env::args().nth(1).unwrap_or_default();
    let Wanted { folder, namespace, path, claims, idle } = serde_json::from_str(&word)?;
    let kubeconfig = folder.join("kubeconfig");
    let node = NodeConfig { folder: folder.join("node"), path, claims, ..NodeConfig::default() };
    let cluster = Cluster::start(node).await?;
    if idle {
        cluster.usually(Fate::Ignored);
    }
    cluster.write_kubeconfig(&kubeconfig, &namespace)?;
    println!("{}", json!({ "url": cluster.url(), "token": cluster.token(), "kubeconfig": kubeconfig }));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        println!("{}", if line == "jobs" { json!(cluster.times()) } else { counts(&cluster) });
    }
    Ok(())
}

fn counts(cluster: &Cluster) -> Value {
    let count = |verb| cluster.count(verb, "jobs");
    json!({
        "created": count(Verb::Create),
        "changed": count(Verb::Replace) + count(Verb::Patch),
        "deleted": count(Verb::Delete),
        "listed": count(Verb::List),
        "peak": cluster.most_live_jobs(),
    })
}
