//! A namespace for one test, and what `csw svc config` puts into it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use csw_tests::{Result, csw};
use serde_json::{Value, json};

use super::{kubectl::Kubectl, site::wait};

/// What only this test's volume has.
const STORAGE_CLASS: &str = "csw-test";

/// A namespace and what is outside of it for its sake; removed in the end.
pub(super) struct Namespace {
    pub(super) kubectl: Kubectl,
    volumes: Vec<String>,
}

impl Namespace {
    pub(super) const fn new(kubectl: Kubectl) -> Self {
        Self { kubectl, volumes: Vec::new() }
    }

    /// The files of `csw svc config`, all of which the API server finds right. What it is too old for is left out.
    pub(super) fn manifests(&self, image: &str, words: &[&str], folder: &Path) -> Result<Vec<Manifest>> {
        let place = folder.display().to_string();
        let name = self.kubectl.namespace();
        let mut command = vec!["svc", "config", "--namespace", name, "--image", image, "--out", &place, "--json"];
        command.extend(["--storage-class", STORAGE_CLASS]);
        command.extend(words);
        if !words.contains(&"--public-url") {
            command.extend(["--public-url", "http://127.0.0.1:8080"]);
        }
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
        self.kubectl.apply_files(&files, words)
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
