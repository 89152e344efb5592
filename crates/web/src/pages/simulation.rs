//! The page of a simulation: its state while it runs, its outputs for ever.

use askama::Template;
use csw_app::{AppError, SimulationView};
use csw_core::{
    output::{MediaType, Output, OutputKind},
    run::Phases,
    simulation::{Simulation, SimulationStatus},
};

use super::{
    frame,
    head::{Head, Tab, are_refused},
    page::{Page, PageResult, go, show},
    render::{dollars, size, url},
    visitor::{Place, Visitor},
};

/// Bytes of a log that a page shows.
const LOG: u64 = 64 * 1024;

/// Frames of tables below this size are low where no script fits them to what they show.
const SHORT: u64 = 3_000;

#[derive(Template)]
#[template(path = "simulation.html")]
struct SimulationPage {
    page: Page,
    head: Head,
    started: bool,
    events: String,
    sentence: String,
    traceback: Option<String>,
    invitation: Option<Invitation>,
    outputs: Vec<Shown>,
    downloads: Vec<File>,
    phases: Vec<Phase>,
    /// Dollars of its run.
    cost: Option<String>,
    log: String,
    /// The address of the whole log, where the page shows a part of it.
    whole_log: Option<String>,
}

/// An invitation of the visitor.
struct Invitation {
    url: String,
    until: String,
}

struct Shown {
    title: String,
    kind: &'static str,
    url: String,
    file: File,
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
    /// Where its bar begins, and how long it is, in thousandths of the whole.
    from: u64,
    share: u64,
}

fn file(simulation: &Simulation, output: &Output) -> File {
    let Simulation { model_owner, model_title, number, .. } = simulation;
    File {
        url: format!("/{model_owner}/{model_title}/api/v1/{number}/outputs/{}/", output.id),
        filename: output.filename.clone(),
        size: size(output.size),
    }
}

fn shown(simulation: &Simulation, output: &Output) -> Shown {
    let file = file(simulation, output);
    let kind = match output.media_type {
        MediaType::Png | MediaType::Jpeg => "image",
        MediaType::Mp3 => "audio",
        MediaType::Mp4 => "video",
        MediaType::Hdf5 | MediaType::Pdf => "file",
        _ if output.size > frame::LARGEST => "file",
        MediaType::Bokeh | MediaType::Table | MediaType::Markdown | MediaType::Text | MediaType::Csv => "frame",
    };
    Shown {
        title: if output.title.trim().is_empty() { output.filename.clone() } else { output.title.clone() },
        kind,
        url: match kind {
            "frame" => format!("{}outputs/{}/view/", url(simulation), output.id),
            _ => file.url.clone(),
        },
        file,
        short: output.size < SHORT && output.media_type != MediaType::Bokeh,
    }
}

fn phases(simulation: &Simulation) -> Vec<Phase> {
    if simulation.status != SimulationStatus::Success || simulation.answered_by.is_some() {
        return Vec::new();
    }
    let Phases { queue, start, import, run, store } = simulation.phases;
    let all = [("queue", queue), ("start", start), ("import", import), ("run", run), ("store", store)];
    let whole = all.iter().map(|(_, milliseconds)| milliseconds).sum::<u64>().max(1);
    let mut before = 0;
    all.into_iter()
        .map(|(name, milliseconds)| {
            let from = before * 1000 / whole;
            before += milliseconds;
            Phase { name, milliseconds, from, share: milliseconds * 1000 / whole }
        })
        .collect()
}

fn sentence(simulation: &Simulation) -> &'static str {
    match simulation.status {
        SimulationStatus::Started => "Checking the inputs …",
        SimulationStatus::Pending => "Waiting or running …",
        SimulationStatus::Fail => "The model failed. Its author finds the cause in what it said:",
        _ => "This simulation has no results:",
    }
}

pub(crate) async fn simulation(
    visitor: Visitor,
    Place((owner, title, number)): Place<(String, String, u32)>,
) -> PageResult {
    let app = &visitor.app;
    let view = visitor.take(app.simulation(&visitor.caller, &owner, &title, number).await)?;
    if are_refused(&view) {
        return Ok(go(&format!("{}edit/", url(&view.simulation))));
    }
    if view.simulation.status == SimulationStatus::Success {
        app.count_view(&visitor.caller, visitor.from, &visitor.agent, view.simulation.id);
    }
    Ok(show(&visitor.take(page_of(&visitor, &view).await)?))
}

async fn page_of(visitor: &Visitor, view: &SimulationView) -> Result<SimulationPage, AppError> {
    let app = &visitor.app;
    let simulation = &view.simulation;
    let head = Head::new(visitor, view, Tab::Results).await?;
    let outputs = app.outputs(view).await?;
    let finished = simulation.status.is_final();
    let (log, length) = if finished { app.log(view, 0, LOG).await? } else { (bytes::Bytes::new(), 0) };
    let of_kind = |kind| outputs.iter().filter(move |output: &&Output| output.kind == kind);
    let api = format!("/{}/api/v1/{}/", head.model, head.number);
    Ok(SimulationPage {
        page: visitor.page(),
        started: simulation.status == SimulationStatus::Started && !head.busy,
        events: format!("{api}events/"),
        sentence: sentence(simulation).to_owned(),
        traceback: simulation.traceback.clone().filter(|_| finished),
        invitation: invitation(visitor, view).await?,
        outputs: of_kind(OutputKind::Renderable).map(|output| shown(simulation, output)).collect(),
        downloads: of_kind(OutputKind::Downloadable).map(|output| file(simulation, output)).collect(),
        phases: phases(simulation),
        cost: (simulation.cost > 0.0).then(|| dollars(simulation.cost)),
        whole_log: (length > LOG).then(|| format!("{api}log/")),
        log: String::from_utf8_lossy(&log).into_owned(),
        head,
    })
}

async fn invitation(visitor: &Visitor, view: &SimulationView) -> Result<Option<Invitation>, AppError> {
    if visitor.caller.active().is_none() {
        return Ok(None);
    }
    let open = visitor.app.invites(&visitor.caller, view).await?;
    let own = open.into_iter().find(|invite| Some(invite.account) == visitor.caller.account());
    Ok(own.map(|invite| Invitation {
        url: format!("{}access/{}/", url(&view.simulation), invite.id),
        until: super::render::when(invite.expires_at),
    }))
}
