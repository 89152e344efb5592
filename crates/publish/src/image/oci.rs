//! The documents of an OCI image: what is written and read of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// An image.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// A list of images, one for each platform.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// How an image is to be run.
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A layer as we make them.
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The same four in Docker's words, which bases still speak.
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Name of an image inside an index.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Some bytes, by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
}

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
}

/// An image: its configuration and its layers, lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// A list of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u32,
    #[serde(default)]
    pub(crate) media_type: String,
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
}

impl Descriptor {
    /// Of these bytes.
    pub(crate) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: digest(bytes),
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self { schema_version: 2, media_type: INDEX.to_owned(), manifests: vec![] }
    }
}

/// `sha256:...` of bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// The hexadecimal part of a digest that may be the name of a file: nothing else ever becomes a path.
pub(crate) fn hexadecimal(digest: &str) -> Option<&str> {
    let hex = digest.strip_prefix("sha256:")?;
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))).then_some(hex)
}

/// The media type in OCI's words.
pub(crate) fn modern(media_type: &str) -> &str {
    match media_type {
        DOCKER_MANIFEST => MANIFEST,
        DOCKER_INDEX => INDEX,
        DOCKER_LAYER => LAYER,
        DOCKER_CONFIG => CONFIG,
        other => other,
    }
}

/// This machine, in the words of images.
pub(crate) fn platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Platform { architecture: architecture.to_owned(), os: "linux".to_owned(), variant: None }
}

/// The configuration of an image. What a base says that nobody here knows is kept as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config(Map<String, Value>);

impl Config {
    /// Of an image without layers, for this machine.
    pub(crate) fn empty() -> Self {
        let platform = platform();
        let value = serde_json::json!({
            "architecture": platform.architecture,
            "os": platform.os,
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": [] },
            "history": [],
        });
        Self(value.as_object().cloned().unwrap_or_default())
    }

    /// From the bytes of a base's.
    pub(crate) fn read(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes).map(Self)
    }

    /// As bytes, always the same for the same configuration.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        Value::Object(self.0.clone()).to_string().into_bytes()
    }

    /// Changes an object inside; what is no object becomes one.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut part = self.0.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        change(&mut part);
        self.0.insert(name.to_owned(), Value::Object(part));
    }

    /// What it runs on.
    pub(crate) fn platform(&self) -> Platform {
        let word = |name| self.0.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Platform { architecture: word("architecture"), os: word("os"), variant: None }
    }

    /// Digests of the layers before compression.
    pub(crate) fn diff_ids(&self) -> Vec<String> {
        let ids = self.0.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")).and_then(Value::as_array);
        ids.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Adds a layer on top.
    pub(crate) fn push_layer(&mut self, diff_id: &str, created: &str, what: &str) {
        let mut ids = self.diff_ids();
        ids.push(diff_id.to_owned());
        self.change("rootfs", |rootfs| {
            rootfs.insert("type".to_owned(), "layers".into());
            rootfs.insert("diff_ids".to_owned(), ids.into());
        });
        let mut history = self.0.get("history").and_then(Value::as_array).cloned().unwrap_or_default();
        history.push(serde_json::json!({ "created": created, "created_by": what }));
        self.0.insert("history".to_owned(), Value::Array(history));
    }

    /// When it was made.
    pub(crate) fn set_created(&mut self, created: &str) {
        self.0.insert("created".to_owned(), created.into());
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        let all = self.0.get("config").and_then(|config| config.get("Env")).and_then(Value::as_array);
        all.into_iter().flatten().filter_map(Value::as_str)
    }

    /// An environment variable.
    pub(crate) fn env(&self, name: &str) -> Option<&str> {
        self.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }

    /// Sets an environment variable.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        let is_other = |line: &&str| line.split_once('=').map_or(*line, |(name, _)| name) != name;
        let mut lines: Vec<String> = self.lines().filter(is_other).map(str::to_owned).collect();
        lines.push(format!("{name}={value}"));
        self.set("Env", lines.into());
    }

    /// A key of how it is run, such as `Entrypoint`.
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.change("config", |config| {
            config.insert(key.to_owned(), value);
        });
    }

    /// Takes such a key away.
    pub(crate) fn unset(&mut self, key: &str) {
        self.change("config", |config| {
            config.shift_remove(key);
        });
    }

    /// The value of such a key, where it says something.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get("config")?.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    /// Adds labels.
    pub(crate) fn set_labels(&mut self, labels: &BTreeMap<String, String>) {
        let known = self.0.get("config").and_then(|config| config.get("Labels")).and_then(Value::as_object);
        let mut all = known.cloned().unwrap_or_default();
        all.extend(labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
        self.set("Labels", Value::Object(all));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_no_paths_unless_they_are_digests() {
        let good = digest(b"x");
        assert_eq!(hexadecimal(&good).map(str::len), Some(64));
        for bad in ["sha256:../../etc/passwd", "md5:00", "sha256:", &good.to_uppercase()] {
            assert_eq!(hexadecimal(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_config_keeps_what_it_does_not_know() {
        let text = br#"{"architecture":"amd64","os":"linux","config":{"Env":["A=1","PATH=/bin"],"OnBuild":["x"],"Labels":null},"rootfs":{"type":"layers","diff_ids":["sha256:0"]}}"#;
        let mut config = Config::read(text).unwrap();
        config.set_env("PATH", "/x:/bin");
        config.set_labels(&BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        config.push_layer("sha256:1", "1970-01-01T00:00:00Z", "code");
        let again = Config::read(&config.bytes()).unwrap();
        assert_eq!((again.env("A"), again.env("PATH")), (Some("1"), Some("/x:/bin")));
        assert_eq!(again.diff_ids(), ["sha256:0", "sha256:1"]);
        let text = String::from_utf8(again.bytes()).unwrap();
        assert!(text.contains(r#""OnBuild":["x"]"#) && text.contains(r#""Labels":{"a":"b"}"#), "{text}");
    }
}
