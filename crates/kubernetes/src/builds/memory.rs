//! Where layers of images were sent: a pod has never sent anything, and a registry takes a layer over from another
//! repository of its own if somebody says which.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use csw_core::{
    model::Artifact,
    ports::{Built, LAYERS},
};
use serde_json::Value;

/// Places of one layer that are remembered.
const PLACES: usize = 3;

/// `HOST/REPOSITORY` by digests.
pub(super) type Places = BTreeMap<String, Vec<String>>;

/// It only saves work: what can't be read is forgotten.
pub(super) struct Memory {
    file: PathBuf,
    known: Mutex<Places>,
}

impl Memory {
    /// What a file remembers.
    pub(super) fn of(file: PathBuf) -> Self {
        let known = fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { file, known: Mutex::new(known) }
    }

    /// Where layers of this are.
    pub(super) fn places(&self, built: &Built) -> Places {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        layers(built).filter_map(|layer| Some((layer.to_owned(), known.get(layer)?.clone()))).collect()
    }

    /// This was delivered.
    pub(super) fn remember(&self, built: &Built) {
        let Artifact::Image { reference } = &built.artifact else { return };
        let place = reference.split('@').next().unwrap_or_default();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for layer in layers(built) {
            let places = known.entry(layer.to_owned()).or_default();
            places.retain(|known| known != place);
            places.insert(0, place.to_owned());
            places.truncate(PLACES);
        }
        if let Err(error) = store(&self.file, &known) {
            tracing::warn!(file = %self.file.display(), %error, "where layers were sent is not remembered");
        }
    }
}

fn layers(built: &Built) -> impl Iterator<Item = &str> {
    built.facts.get(LAYERS).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn store(file: &Path, known: &Places) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, serde_json::to_vec(known)?)?;
    fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn built(model: &str, layers: &[&str]) -> Built {
        let reference = format!("r.io/{model}@sha256:0");
        Built { artifact: Artifact::Image { reference }, digest: String::new(), facts: json!({ LAYERS: layers }) }
    }

    #[test]
    fn what_one_model_sent_another_need_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("layers.json");
        let memory = Memory::of(file.clone());
        for model in ["a", "b", "c", "d", "b"] {
            memory.remember(&built(model, &["python", model]));
        }
        let places = Memory::of(file).places(&built("e", &["python", "a", "e"]));
        let of = |names: &[&str]| names.iter().map(|name| format!("r.io/{name}")).collect::<Vec<_>>();
        assert_eq!(places["python"], of(&["b", "d", "c"]));
        assert_eq!(places["a"], of(&["a"]));
        assert!(!places.contains_key("e"));
    }
}
