//! What a repository says of its model: `simulation.json`, and the README as its description.

use std::{fs, io, path::Path};

use csw_core::model::Described;
use serde::Deserialize;
use serde_json::Value;

/// The file in which a model says what the publish form asks for.
const DETAILS: &str = "simulation.json";

/// Characters of a description.
const DESCRIPTION: usize = 10_000;

#[derive(Default, Deserialize)]
struct Said {
    oneliner: Option<String>,
    description: Option<String>,
    cpu: Option<Value>,
    memory: Option<Value>,
    exp_task_time: Option<u32>,
}

/// Reads it; the error is a sentence.
///
/// # Errors
/// Where `simulation.json` can't be read, or is not what it should be.
pub fn described(folder: &Path) -> Result<Described, String> {
    let path = folder.join(DETAILS);
    let said: Said = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| format!("{}: {error}; docs/authors.md shows what it may say", path.display()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Said::default(),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let readme = || fs::read_to_string(folder.join("README.md")).ok();
    let description = said.description.or_else(readme).filter(|text| !text.trim().is_empty());
    Ok(Described {
        oneliner: said.oneliner.filter(|text| !text.trim().is_empty()),
        description: description.map(|text| text.chars().take(DESCRIPTION).collect()),
        cpus: said.cpu.as_ref().and_then(number),
        memory_gigabytes: said.memory.as_ref().and_then(number),
        expected_seconds: said.exp_task_time,
    })
}

/// Authors write numbers, or texts of numbers.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}
