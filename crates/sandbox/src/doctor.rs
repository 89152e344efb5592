//! Which layers of the sandbox this machine has, found out by trying each.

pub(crate) mod probe;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cgroup::{Controller, Manager, Mode};
use crate::command::{Request, helper_command};
use crate::confinement::Confinement;
use crate::error::{SandboxError, Step};
use crate::layers::LayerSet;

/// Whether a layer is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Present,
    /// There, but weaker than it should be.
    Degraded,
    /// Not there.
    Missing,
}

/// One layer, and what its absence costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// What it is called.
    pub name: String,
    /// Whether it is there.
    pub state: State,
    /// What was found, and what to do about it.
    pub detail: String,
    /// What is lost without it.
    pub cost_of_absence: String,
}

/// What the machine has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Every layer, the strongest first.
    pub layers: Vec<Layer>,
    /// The layers that work, for [`Confinement::layers`].
    pub usable: LayerSet,
}

/// Tries every layer in processes of the helper, and then the whole sandbox
/// with `/bin/true`. Fails only when the helper cannot be started.
pub fn report(helper: &Path, cgroups: &Manager) -> Result<Report, SandboxError> {
    let output = helper_command(helper, &Request::Probe, &[])?
        .output()
        .step(format!("starting the helper `{}`", helper.display()))?;
    let findings: probe::Findings = serde_json::from_slice(&output.stdout).map_err(|error| {
        SandboxError::Invalid(format!(
            "the helper `{}` did not report its layers: {error}: {}",
            helper.display(),
            String::from_utf8_lossy(&output.stderr)
        ))
    })?;
    let mut layers = findings.layers;
    layers.extend(groups(cgroups));
    layers.push(whole(helper, findings.usable));
    Ok(Report { layers, usable: findings.usable })
}

/// [`report`] without the set: what `csw doctor` prints.
pub fn layers(helper: &Path, cgroups: &Manager) -> Result<Vec<Layer>, SandboxError> {
    report(helper, cgroups).map(|report| report.layers)
}

fn groups(manager: &Manager) -> Vec<Layer> {
    let mode = match manager.mode() {
        Mode::V2 => "version 2",
        Mode::V1 => "version 1",
        Mode::Hybrid => "version 1 limits, version 2 kills",
        Mode::None => "no hierarchy this process may use",
    };
    let layer = |controller, name: &str, cost: &str, stand_in: &str| {
        let present = manager.limits(controller);
        Layer {
            name: format!("cgroup {name}"),
            state: if present { State::Present } else { State::Missing },
            detail: if present {
                mode.into()
            } else {
                format!("{mode}; {stand_in}; delegate the controller to the service to have it")
            },
            cost_of_absence: cost.into(),
        }
    };
    vec![
        layer(
            Controller::Memory,
            "memory",
            "a run that takes too much memory can take the machine's",
            "the limit of address space stands in, for each process alone",
        ),
        layer(Controller::Cpu, "cpu", "a run can use more processors than it was given", "nothing stands in"),
        layer(
            Controller::Pids,
            "pids",
            "the processes of a run are counted with those of its user",
            "the limit of processes per user stands in",
        ),
    ]
}

fn whole(helper: &Path, usable: LayerSet) -> Layer {
    let confinement = Confinement { working_dir: "/".into(), layers: usable, ..Confinement::default() };
    let attempt = crate::command(helper, &confinement, Path::new("/bin/true"), [""; 0], vec![])
        .and_then(|mut command| command.output().step("starting the sandbox"));
    let (state, detail) = match attempt {
        Ok(output) if output.status.success() && usable == LayerSet::ALL => {
            (State::Present, "a program ran behind all layers".to_owned())
        }
        Ok(output) if output.status.success() => {
            (State::Degraded, "a program ran behind the layers that are there".to_owned())
        }
        Ok(output) => (State::Missing, String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => (State::Missing, error.to_string()),
    };
    Layer { name: "sandbox".into(), state, detail, cost_of_absence: "no model can run".into() }
}
