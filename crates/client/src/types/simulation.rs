//! Simulations, their inputs and outputs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The input schema of a model for some values of its meta parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InputsSchema {
    /// ParamTools dump.
    pub meta_parameters: Map<String, Value>,
    /// ParamTools dumps by section.
    pub model_parameters: Map<String, Value>,
    /// Whether values extend over years.
    #[serde(default)]
    pub extend: bool,
}

/// A simulation in lists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MiniSimulation {
    /// Path in the API.
    pub api_url: String,
    /// Path of its page.
    pub gui_url: String,
    /// Number within the model.
    pub model_pk: u32,
    /// `OWNER/TITLE` of the model.
    pub project: String,
    /// Who made it.
    pub owner: String,
    /// Its title.
    pub title: String,
    /// `STARTED`, `PENDING`, `SUCCESS`, `FAIL` or `WORKER_FAILURE`.
    pub status: String,
    /// Whether anybody may see it.
    pub is_public: bool,
    /// When it was made.
    #[serde(default)]
    pub creation_date: String,
    /// What the model's version calls itself.
    #[serde(default)]
    pub model_version: Option<String>,
    /// The caller's role.
    #[serde(default)]
    pub role: Option<String>,
}

/// What was submitted, and what the model's validator said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Inputs {
    /// `STARTED`, `PENDING`, `SUCCESS`, `INVALID`, `FAIL` or `WORKER_FAILURE`.
    pub status: String,
    /// By section, as sent.
    #[serde(default)]
    pub adjustment: Value,
    /// `{name: [VO]}`.
    #[serde(default)]
    pub meta_parameters: Value,
    /// By section.
    #[serde(default)]
    pub errors_warnings: Value,
    /// Why validation failed.
    #[serde(default)]
    pub traceback: Option<String>,
    /// Its simulation.
    pub sim: MiniSimulation,
    /// Everything else the server says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A simulation with whatever form of outputs was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Detail<O> {
    /// Path in the API.
    pub api_url: String,
    /// Path of its page.
    pub gui_url: String,
    /// Number within the model.
    pub model_pk: u32,
    /// Who made it.
    pub owner: String,
    /// Its title.
    pub title: String,
    /// `STARTED`, `PENDING`, `SUCCESS`, `FAIL` or `WORKER_FAILURE`.
    pub status: String,
    /// Tells the ends apart that `WORKER_FAILURE` covers.
    #[serde(default)]
    pub reason: Option<String>,
    /// The model's traceback, or a sentence about another end.
    #[serde(default)]
    pub traceback: Option<String>,
    /// What the model's version calls itself.
    #[serde(default)]
    pub model_version: Option<String>,
    /// Whether anybody may see it.
    pub is_public: bool,
    /// Seconds of the model's function.
    #[serde(default)]
    pub run_time: f64,
    /// Its outputs, once there.
    pub outputs: Option<O>,
    /// Everything else the server says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl<O> Detail<O> {
    /// Whether nothing more will happen to it.
    pub fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "SUCCESS" | "FAIL" | "WORKER_FAILURE")
    }
}

/// A simulation with its outputs.
pub type Simulation = Detail<Outputs>;

/// Outputs with their data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outputs {
    /// Shown on the page.
    pub renderable: Vec<Output>,
    /// Offered as files.
    pub downloadable: Vec<Output>,
}

/// An output with its data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Output {
    /// Its identifier.
    pub id: Option<String>,
    /// Free text.
    pub title: String,
    /// One of the eleven.
    pub media_type: String,
    /// Text, base64 of bytes, or a bokeh document.
    pub data: Value,
}

/// Outputs by reference.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoteOutputs {
    /// Form of the outputs.
    pub version: String,
    /// The two lists.
    pub outputs: OutputReferences,
}

/// The two lists of outputs, by reference.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutputReferences {
    /// Shown on the page.
    pub renderable: ReferenceList,
    /// Offered as files.
    pub downloadable: ReferenceList,
}

impl OutputReferences {
    /// Both lists, renderable ones first.
    pub fn iter(&self) -> impl Iterator<Item = &OutputReference> {
        self.renderable.outputs.iter().chain(&self.downloadable.outputs)
    }
}

/// One list of outputs, by reference.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReferenceList {
    /// Where the list is packed.
    #[serde(default)]
    pub ziplocation: Option<String>,
    /// Its members.
    pub outputs: Vec<OutputReference>,
}

/// An output by reference.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutputReference {
    /// Its identifier.
    pub id: Option<String>,
    /// Free text.
    pub title: String,
    /// One of the eleven.
    pub media_type: String,
    /// A safe name, unique in its list.
    pub filename: String,
    /// Name of its thumbnail at `/storage/screenshots/`, where there is one.
    #[serde(default)]
    pub screenshot: Option<String>,
    /// Everything else the server says: size, hash, address.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}
