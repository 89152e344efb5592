//! Simulations, their inputs and outputs.

use csw_app::Eta;
use csw_core::{
    access::Role,
    output::Output,
    run::Phases,
    simulation::{Collaborator, Inputs, Invite, Simulation, SimulationStatus, TRACEBACK_LIMIT},
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use utoipa::ToSchema;

use super::Project;

fn api_url(simulation: &Simulation) -> String {
    format!("/{}/{}/api/v1/{}/", simulation.model_owner, simulation.model_title, simulation.number)
}

fn gui_url(simulation: &Simulation) -> String {
    format!("/{}/{}/{}/", simulation.model_owner, simulation.model_title, simulation.number)
}

fn cut(traceback: Option<&String>) -> Option<String> {
    traceback.map(|text| text.chars().take(TRACEBACK_LIMIT).collect())
}

/// A simulation in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct MiniSimulation {
    /// Path of its details.
    api_url: String,
    /// Names of its authors, sorted.
    authors: Vec<String>,
    /// When it was made, or submitted.
    #[schema(value_type = String, format = DateTime)]
    creation_date: Timestamp,
    /// Path of its page.
    gui_url: String,
    /// Whether anybody may see it.
    is_public: bool,
    /// Number within the model.
    model_pk: u32,
    /// What `get_version` said.
    model_version: Option<String>,
    /// Whether its owner gets mail at its end.
    notify_on_completion: bool,
    /// Who made it.
    owner: String,
    /// `owner/title` of its model.
    project: String,
    /// Rich-text nodes, or null.
    #[schema(value_type = Value)]
    readme: Value,
    /// `STARTED`, `PENDING`, `SUCCESS`, `FAIL` or `WORKER_FAILURE`.
    status: &'static str,
    /// Its title.
    title: String,
    /// The caller's role: null, `read`, `write` or `admin`.
    role: Option<&'static str>,
    /// How it ended: `SUCCESS`, `FAIL`, `CANCELLED`, `TIMED_OUT`, `OUT_OF_MEMORY`, `WORKER_FAILURE`, or null.
    reason: Option<&'static str>,
    /// Hidden from lists by its owner.
    archived: bool,
}

impl MiniSimulation {
    /// A simulation in the eyes of somebody with this role.
    pub(crate) fn new(simulation: &Simulation, authors: Vec<String>, role: Option<Role>) -> Self {
        Self {
            api_url: api_url(simulation),
            authors,
            creation_date: simulation.created_at,
            gui_url: gui_url(simulation),
            is_public: simulation.is_public,
            model_pk: simulation.number,
            model_version: simulation.model_version.clone(),
            notify_on_completion: simulation.notify_on_completion,
            owner: simulation.owner_name.clone(),
            project: format!("{}/{}", simulation.model_owner, simulation.model_title),
            readme: simulation.readme.clone(),
            status: simulation.status.as_str(),
            title: simulation.title.clone(),
            role: role.map(Role::as_str),
            reason: simulation.reason.map(csw_core::run::Reason::as_str),
            archived: simulation.archived,
        }
    }
}

/// Outputs in a simulation: none, references, or the data itself, which is streamed after everything else.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum OutputsBody {
    /// There are none.
    None,
    /// Without the bytes.
    Remote(RemoteOutputs),
    /// Left out here; the stream writes the field.
    Streamed,
}

impl OutputsBody {
    fn is_streamed(&self) -> bool {
        matches!(self, Self::Streamed)
    }
}

/// References to outputs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemoteOutputs {
    /// Always `v1`.
    version: &'static str,
    outputs: BothReferences,
}

#[derive(Debug, Serialize, ToSchema)]
struct BothReferences {
    renderable: References,
    downloadable: References,
}

/// References to the outputs of one list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct References {
    /// Path of an archive with all of them.
    ziplocation: String,
    outputs: Vec<OutputReference>,
}

/// A reference to an output.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutputReference {
    /// Its identifier.
    id: String,
    /// As the model gave it.
    title: String,
    /// One of the eleven media types.
    media_type: &'static str,
    /// Unique within its list.
    filename: String,
    /// Name of its thumbnail, at `/storage/screenshots/`, where there is one.
    screenshot: Option<String>,
    /// Path of its bytes.
    url: String,
    /// Bytes.
    size: u64,
    /// SHA-256 of the bytes.
    sha256: String,
}

impl RemoteOutputs {
    /// References to the outputs of a simulation.
    pub(crate) fn new(simulation: &Simulation, outputs: &[Output]) -> Self {
        use csw_core::output::{OutputKind, Thumbnail};
        let of = |kind: OutputKind| References {
            ziplocation: format!("{}download/?category={}", gui_url(simulation), kind.as_str()),
            outputs: outputs
                .iter()
                .filter(|output| output.kind == kind)
                .map(|output| {
                    let url = format!("{}outputs/{}/", api_url(simulation), output.id);
                    OutputReference {
                        id: output.id.to_string(),
                        title: output.title.clone(),
                        media_type: output.media_type.as_str(),
                        filename: output.filename.clone(),
                        screenshot: (output.thumbnail == Thumbnail::Made).then(|| format!("{}.png", output.id)),
                        url,
                        size: output.size,
                        sha256: output.sha256.clone(),
                    }
                })
                .collect(),
        };
        Self {
            version: "v1",
            outputs: BothReferences {
                renderable: of(OutputKind::Renderable),
                downloadable: of(OutputKind::Downloadable),
            },
        }
    }
}

/// Somebody's role on a simulation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccessBody {
    is_owner: bool,
    role: &'static str,
    username: String,
}

impl From<Collaborator> for AccessBody {
    fn from(collaborator: Collaborator) -> Self {
        Self { is_owner: collaborator.is_owner, role: collaborator.role.as_str(), username: collaborator.name }
    }
}

/// An invitation to coauthor.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InviteBody {
    /// Path that accepts it.
    grant_url: String,
    /// Who is invited.
    profile: String,
    /// Always `add_author`.
    permission_name: &'static str,
    is_expired: bool,
}

impl InviteBody {
    /// An invitation to this simulation.
    pub(crate) fn new(simulation: &Simulation, invite: &Invite, now: Timestamp) -> Self {
        Self {
            grant_url: format!("{}access/{}/", gui_url(simulation), invite.id),
            profile: invite.name.clone(),
            permission_name: "add_author",
            is_expired: now > invite.expires_at,
        }
    }
}

/// A simulation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimulationBody {
    /// Path of its details.
    pub(crate) api_url: String,
    /// Path of its page.
    pub(crate) gui_url: String,
    /// Names of its authors, sorted.
    pub(crate) authors: Vec<String>,
    /// Who made it.
    pub(crate) owner: String,
    /// When it was made, or submitted.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) creation_date: Timestamp,
    /// Seconds until its expected end.
    pub(crate) eta: f64,
    /// Seconds from submission to its expected end.
    pub(crate) original_eta: f64,
    /// When its end is expected.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) exp_comp_datetime: Option<Timestamp>,
    /// Whether anybody may see it.
    pub(crate) is_public: bool,
    /// Whether its owner gets mail at its end.
    pub(crate) notify_on_completion: bool,
    /// Number within the model.
    pub(crate) model_pk: u32,
    /// What `get_version` said.
    pub(crate) model_version: Option<String>,
    /// `v1`, or null without outputs.
    pub(crate) outputs_version: Option<&'static str>,
    /// Its model.
    pub(crate) project: Project,
    /// Rich-text nodes, or null.
    #[schema(value_type = Value)]
    pub(crate) readme: Value,
    /// Seconds the model's function took.
    pub(crate) run_time: u64,
    /// `STARTED`, `PENDING`, `SUCCESS`, `FAIL` or `WORKER_FAILURE`.
    pub(crate) status: &'static str,
    /// Its title.
    pub(crate) title: String,
    /// The model's traceback, or the sentence of an end that was not the model's; at most 8000 characters.
    pub(crate) traceback: Option<String>,
    /// What it derives from, nearest first.
    pub(crate) parent_sims: Vec<MiniSimulation>,
    /// The caller's role: null, `read`, `write` or `admin`.
    pub(crate) role: Option<&'static str>,
    /// Open invitations that concern the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pending_permissions: Option<Vec<InviteBody>>,
    /// Everybody with a role; for admins of the simulation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access: Option<Vec<AccessBody>>,
    /// How it ended: `SUCCESS`, `FAIL`, `CANCELLED`, `TIMED_OUT`, `OUT_OF_MEMORY`, `WORKER_FAILURE`, or null.
    pub(crate) reason: Option<&'static str>,
    /// Hidden from lists by its owner.
    pub(crate) archived: bool,
    /// Identifier of the version it ran on.
    pub(crate) version: Option<String>,
    /// How many visitors looked at its page, each once a day; for admins of the simulation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) views: Option<u64>,
    /// Whether an earlier identical run answered it at once; submit with `fresh` to run it again anyway.
    pub(crate) from_memo: bool,
    /// Dollars.
    pub(crate) run_cost: f64,
    /// Milliseconds by phase.
    #[schema(value_type = Object)]
    pub(crate) phases: Phases,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) finished_at: Option<Timestamp>,
    /// Null, references (`/remote/`), or two lists of outputs with their data.
    #[serde(skip_serializing_if = "OutputsBody::is_streamed")]
    #[schema(value_type = Option<Object>)]
    pub(crate) outputs: OutputsBody,
}

impl SimulationBody {
    /// A simulation, without what needs a look at other tables.
    pub(crate) fn new(simulation: &Simulation, role: Option<Role>, eta: Eta, project: Project) -> Self {
        Self {
            api_url: api_url(simulation),
            gui_url: gui_url(simulation),
            authors: Vec::new(),
            owner: simulation.owner_name.clone(),
            creation_date: simulation.created_at,
            eta: eta.seconds,
            original_eta: eta.original_seconds,
            exp_comp_datetime: simulation.expected_at,
            is_public: simulation.is_public,
            notify_on_completion: simulation.notify_on_completion,
            model_pk: simulation.number,
            model_version: simulation.model_version.clone(),
            outputs_version: (simulation.status == SimulationStatus::Success).then_some("v1"),
            project,
            readme: simulation.readme.clone(),
            run_time: (simulation.run_milliseconds + 500) / 1000,
            status: simulation.status.as_str(),
            title: simulation.title.clone(),
            traceback: cut(simulation.traceback.as_ref()),
            parent_sims: Vec::new(),
            role: role.map(Role::as_str),
            pending_permissions: None,
            access: None,
            reason: simulation.reason.map(csw_core::run::Reason::as_str),
            archived: simulation.archived,
            version: simulation.version.map(|id| id.to_string()),
            views: None,
            from_memo: simulation.answered_by.is_some(),
            run_cost: simulation.cost,
            phases: simulation.phases,
            finished_at: simulation.finished_at,
            outputs: OutputsBody::None,
        }
    }
}

/// The schema that inputs were made for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelConfig {
    /// `owner/title`.
    pub(crate) project: String,
    /// What `get_version` of that version says.
    pub(crate) model_version: String,
    /// Values of the meta parameters.
    #[schema(value_type = Object)]
    pub(crate) meta_parameters_values: Value,
    /// ParamTools dump.
    #[schema(value_type = Object)]
    pub(crate) meta_parameters: Box<RawValue>,
    /// ParamTools dumps by section.
    #[schema(value_type = Object)]
    pub(crate) model_parameters: Box<RawValue>,
    /// When that version was built.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) creation_date: Timestamp,
}

/// The inputs of a simulation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InputsBody {
    /// Per section, as the user sent it.
    #[schema(value_type = Object)]
    adjustment: Value,
    /// Path of these inputs.
    api_url: String,
    /// Path of their page.
    gui_url: String,
    /// `web-alpha`, `web-beta`, `rest-api`, or empty.
    client: String,
    /// What the model's validator returned for display.
    #[schema(value_type = Value)]
    custom_adjustment: Option<Value>,
    /// Per section, `{"errors": {...}, "warnings": {...}}`.
    #[schema(value_type = Object)]
    errors_warnings: Value,
    /// The validation.
    job_id: Option<String>,
    /// Values of all meta parameters, `{name: [value object]}`.
    #[schema(value_type = Object)]
    meta_parameters: Value,
    /// The schema they were made for; in `/edit/` only.
    pub(crate) model_config: Option<ModelConfig>,
    /// Whether the owner gets mail at the end.
    notify_on_completion: bool,
    /// Number of the simulation it derives from.
    pub(crate) parent_model_pk: Option<u32>,
    /// The caller's role: null, `read`, `write` or `admin`.
    role: Option<&'static str>,
    /// Their simulation.
    sim: MiniSimulation,
    /// `STARTED`, `PENDING`, `SUCCESS`, `INVALID`, `FAIL` or `WORKER_FAILURE`.
    status: &'static str,
    /// Why validation failed.
    traceback: Option<String>,
}

impl InputsBody {
    /// The inputs of a simulation in the eyes of somebody with this role.
    pub(crate) fn new(inputs: Inputs, simulation: &Simulation, authors: Vec<String>, role: Option<Role>) -> Self {
        Self {
            adjustment: inputs.adjustment,
            api_url: format!("{}edit/", api_url(simulation)),
            gui_url: format!("{}edit/", gui_url(simulation)),
            client: inputs.client,
            custom_adjustment: inputs.custom_adjustment,
            errors_warnings: inputs.errors_warnings,
            job_id: inputs.run.map(|run| run.to_string()),
            meta_parameters: inputs.meta_parameters,
            model_config: None,
            notify_on_completion: simulation.notify_on_completion,
            parent_model_pk: None,
            role: role.map(Role::as_str),
            sim: MiniSimulation::new(simulation, authors, role),
            status: inputs.status.as_str(),
            traceback: cut(inputs.traceback.as_ref()),
        }
    }
}

/// An empty simulation that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewBody {
    /// Its inputs.
    pub(crate) inputs: InputsBody,
    /// Itself.
    pub(crate) sim: SimulationBody,
}
