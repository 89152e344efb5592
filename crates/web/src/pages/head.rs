//! The top of every page of a simulation: what it is, how it stands, and the ways to its other pages.

use csw_app::{AppError, SimulationView};
use csw_core::{
    access::{may_administer, may_write},
    model::VersionState,
    simulation::{InputsStatus, SimulationStatus},
};

use super::{
    render::{status, url, when},
    visitor::Visitor,
};

/// The pages of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Results,
    Inputs,
    Sharing,
}

/// The top of a page of a simulation.
pub(crate) struct Head {
    pub(crate) model: String,
    pub(crate) number: u32,
    pub(crate) title: String,
    pub(crate) authors: String,
    pub(crate) when: String,
    pub(crate) private: bool,
    pub(crate) archived: bool,
    pub(crate) status: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) version: Option<String>,
    /// What its version is, where it is not the live one: "staged version" or "former version".
    pub(crate) other: &'static str,
    pub(crate) memo: bool,
    /// Whether something is going to happen to it by itself.
    pub(crate) busy: bool,
    pub(crate) writer: bool,
    pub(crate) admin: bool,
    /// Whether the visitor shares it in any role.
    pub(crate) member: bool,
    /// How often it was looked at, in words, for those who decide on it.
    pub(crate) views: Option<String>,
    pub(crate) url: String,
    tab: Tab,
}

/// How often, in words.
pub(crate) fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// Whether a simulation waits for its inputs to be mended.
pub(crate) fn are_refused(view: &SimulationView) -> bool {
    let refused =
        matches!(view.inputs.status, InputsStatus::Invalid | InputsStatus::Fail | InputsStatus::WorkerFailure);
    view.simulation.status == SimulationStatus::Started && refused
}

impl Head {
    pub(crate) async fn new(visitor: &Visitor, view: &SimulationView, tab: Tab) -> Result<Self, AppError> {
        let simulation = &view.simulation;
        let authors = visitor.app.authors(simulation.id).await?;
        let waiting = simulation.status == SimulationStatus::Started && view.inputs.status == InputsStatus::Pending;
        let (status, tone) = match (waiting, are_refused(view)) {
            (true, _) => ("checking inputs", "busy"),
            (_, true) => ("inputs refused", "bad"),
            _ => status(simulation),
        };
        let other = match simulation.version {
            Some(id) if view.model.live_version != Some(id) => {
                let version = visitor.app.any_version(id).await?;
                let staged = version.is_some_and(|version| version.state == VersionState::Staged);
                if staged { "staged version" } else { "former version" }
            }
            _ => "",
        };
        Ok(Self {
            model: format!("{}/{}", simulation.model_owner, simulation.model_title),
            number: simulation.number,
            title: simulation.title.clone(),
            authors: if authors.is_empty() { simulation.owner_name.clone() } else { authors.join(", ") },
            when: when(simulation.created_at),
            private: !simulation.is_public,
            archived: simulation.archived,
            status,
            tone,
            version: simulation.model_version.as_deref().and_then(|text| text.lines().next()).map(str::to_owned),
            other,
            memo: simulation.answered_by.is_some(),
            busy: waiting || simulation.status == SimulationStatus::Pending,
            writer: may_write(&visitor.caller, view.role),
            admin: may_administer(&visitor.caller, view.role),
            member: visitor.caller.account().is_some() && view.role.is_some(),
            views: may_administer(&visitor.caller, view.role).then(|| times(visitor.app.views_of(simulation))),
            url: url(simulation),
            tab,
        })
    }

    pub(crate) fn is_results(&self) -> bool {
        self.tab == Tab::Results
    }

    pub(crate) fn is_inputs(&self) -> bool {
        self.tab == Tab::Inputs
    }

    pub(crate) fn is_sharing(&self) -> bool {
        self.tab == Tab::Sharing
    }
}
