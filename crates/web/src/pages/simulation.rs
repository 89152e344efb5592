//! The page of a simulation: its state while it runs, its outputs for ever.

use askama::Template;
use axum::{
    extract::Path,
    response::{IntoResponse, Redirect},
};
use csw_app::SimulationView;
use csw_core::{
    access::{may_administer, may_write},
    output::{MediaType, Output, OutputKind},
    run::Phases,
    simulation::{Inputs, InputsStatus, Simulation, SimulationStatus},
};

use super::{
    page::{Page, PageResult, show},
    render::{size, status, url, when},
    visitor::Visitor,
};

/// Bytes of a log that a page shows.
const LOG: u64 = 64 * 1024;

/// Tables below this size get a low frame.
const SHORT: u64 = 3_000;

#[derive(Template)]
#[template(path = "simulation.html")]
struct SimulationPage {
    page: Page,
    name: String,
    number: u32,
    owner: String,
    when: String,
    private: bool,
    title: String,
    tone: &'static str,
    status: &'static str,
    model_version: Option<String>,
    memo: bool,
    tabs: String,
    busy: bool,
    started: bool,
    writer: bool,
    admin: bool,
    url: String,
    events: String,
    sentence: String,
    traceback: Option<String>,
    outputs: Vec<Shown>,
    downloads: Vec<File>,
    phases: Vec<Phase>,
    log: String,
}

struct Shown {
    title: String,
    kind: &'static str,
    url: String,
    filename: String,
    size: String,
    short: bool,
}

struct File {
    url: String,
    filename: String,
    size: String,
}

struct Phase {
    name: &'static str,
    milliseconds: u64,
}

/// The two tabs of a simulation.
pub(crate) fn tabs(simulation: &Simulation, inputs: bool) -> String {
    let url = url(simulation);
    let current = |here: bool| if here { " aria-current=\"page\"" } else { "" };
    format!(
        "<nav class=\"tabs\" aria-label=\"Simulation\"><a href=\"{url}edit/\"{}>Inputs</a><a href=\"{url}\"{}>Outputs</a></nav>",
        current(inputs),
        current(!inputs)
    )
}

fn shown(simulation: &Simulation, output: &Output) -> Shown {
    let kind = match output.media_type {
        MediaType::Png | MediaType::Jpeg => "image",
        MediaType::Mp3 => "audio",
        MediaType::Mp4 => "video",
        MediaType::Bokeh | MediaType::Table | MediaType::Markdown | MediaType::Text | MediaType::Csv => "frame",
        MediaType::Hdf5 | MediaType::Pdf => "file",
    };
    Shown {
        title: if output.title.trim().is_empty() { output.filename.clone() } else { output.title.clone() },
        kind,
        url: match kind {
            "frame" => format!("{}outputs/{}/", url(simulation), output.id),
            _ => output_url(simulation, output),
        },
        filename: output.filename.clone(),
        size: size(output.size),
        short: output.size < SHORT && output.media_type != MediaType::Bokeh,
    }
}

fn output_url(simulation: &Simulation, output: &Output) -> String {
    format!(
        "/{}/{}/api/v1/{}/outputs/{}/",
        simulation.model_owner, simulation.model_title, simulation.number, output.id
    )
}

fn phases(phases: Phases) -> Vec<Phase> {
    [
        ("queue", phases.queue),
        ("start", phases.start),
        ("import", phases.import),
        ("run", phases.run),
        ("store", phases.store),
    ]
    .into_iter()
    .map(|(name, milliseconds)| Phase { name, milliseconds })
    .collect()
}

fn sentence(simulation: &Simulation, inputs: &Inputs) -> String {
    match (simulation.status, inputs.status) {
        (SimulationStatus::Started, InputsStatus::Pending) => "Checking the inputs …".to_owned(),
        (SimulationStatus::Pending, _) => "Waiting or running …".to_owned(),
        (SimulationStatus::Fail, _) => "The model failed. This is what it said:".to_owned(),
        _ => "This simulation has no result.".to_owned(),
    }
}

pub(crate) async fn simulation(
    visitor: Visitor,
    Path((owner, title, number)): Path<(String, String, u32)>,
) -> PageResult {
    let app = &visitor.app;
    let view = visitor.take(app.simulation(&visitor.caller, &owner, &title, number).await)?;
    let inputs = visitor.take(app.inputs(&view).await)?;
    let refused = matches!(inputs.status, InputsStatus::Invalid | InputsStatus::Fail | InputsStatus::WorkerFailure);
    if view.simulation.status == SimulationStatus::Started && refused {
        return Ok(Redirect::to(&format!("{}edit/", url(&view.simulation))).into_response());
    }
    Ok(show(&page_of(&visitor, &view, &inputs).await?))
}

async fn page_of(
    visitor: &Visitor,
    view: &SimulationView,
    inputs: &Inputs,
) -> Result<SimulationPage, super::page::PageError> {
    let app = &visitor.app;
    let simulation = &view.simulation;
    let outputs = visitor.take(app.outputs(view).await)?;
    let finished = simulation.status.is_final();
    let busy = simulation.status == SimulationStatus::Pending || inputs.status == InputsStatus::Pending;
    let log = if finished { visitor.take(app.log(view, 0, LOG).await)?.0 } else { bytes::Bytes::new() };
    let url = url(simulation);
    let name = format!("{}/{}", simulation.model_owner, simulation.model_title);
    let (status, tone) = status(simulation);
    let of_kind = |kind| outputs.iter().filter(move |output: &&Output| output.kind == kind);
    Ok(SimulationPage {
        page: visitor.page(),
        number: simulation.number,
        owner: simulation.owner_name.clone(),
        when: when(simulation.created_at),
        private: !simulation.is_public,
        title: simulation.title.clone(),
        tone: if busy { "busy" } else { tone },
        status: if busy { "running" } else { status },
        model_version: simulation.model_version.clone(),
        memo: simulation.answered_by.is_some(),
        tabs: tabs(simulation, false),
        busy,
        started: simulation.status == SimulationStatus::Started && !busy,
        writer: may_write(&visitor.caller, view.role),
        admin: may_administer(&visitor.caller, view.role),
        events: format!("/{name}/api/v1/{}/events/", simulation.number),
        sentence: sentence(simulation, inputs),
        traceback: simulation.traceback.clone().filter(|_| finished),
        outputs: of_kind(OutputKind::Renderable).map(|output| shown(simulation, output)).collect(),
        downloads: of_kind(OutputKind::Downloadable)
            .map(|output| File {
                url: output_url(simulation, output),
                filename: output.filename.clone(),
                size: size(output.size),
            })
            .collect(),
        phases: if simulation.status == SimulationStatus::Success && simulation.answered_by.is_none() {
            phases(simulation.phases)
        } else {
            Vec::new()
        },
        log: String::from_utf8_lossy(&log).into_owned(),
        name,
        url,
    })
}
