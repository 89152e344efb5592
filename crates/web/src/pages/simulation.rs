//! The page of a simulation: its state while it runs, its outputs for ever.

use askama::Template;
use csw_app::{AppError, SimulationView, is_awaited};
use csw_core::{
    output::{MediaType, Output, OutputKind, Thumbnail},
    run::Phases,
    simulation::{Simulation, SimulationStatus},
};

use super::{
    frame,
    head::{Head, Tab, are_refused},
    page::{Page, PageResult, go, show},
    render::{dollars, size, thumbnail_url, url},
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
    owner: String,
    api: String,
    overview: Overview,
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

/// The thumbnails above the outputs, each of which leads to the output itself.
struct Overview {
    is_shown: bool,
    /// Whether some of them are on their way.
    is_awaited: bool,
    /// The one by which other sites show the simulation, where everybody may see it.
    public: Option<String>,
}

impl Overview {
    /// One output needs no overview, and neither does a site that draws none.
    fn new(draws: bool, public: bool, outputs: &[Shown]) -> Self {
        let made = outputs.iter().filter(|output| output.thumbnail.is_some());
        let best = made.min_by_key(|output| output.telling).and_then(|output| output.thumbnail.clone());
        let is_shown = outputs.len() > 1 && (draws || best.is_some());
        let is_awaited = is_shown && draws && outputs.iter().any(|output| output.awaited.is_some());
        Self { is_shown, is_awaited, public: best.filter(|_| public) }
    }
}

struct Shown {
    title: String,
    /// The address of its thumbnail.
    thumbnail: Option<String>,
    /// Its identifier, while the thumbnail is on its way.
    awaited: Option<String>,
    /// How well the thumbnail shows the whole simulation, the best first.
    telling: u8,
    /// A drawing of what it is, in place of the thumbnail.
    sign: &'static str,
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

/// A sign for what an output is: the lines of a drawing in a square of 24.
const fn sign(media_type: MediaType) -> &'static str {
    match media_type {
        MediaType::Table | MediaType::Csv | MediaType::Hdf5 => "M3 5h18v14H3zM3 10h18M3 14.5h18M9 5v14M15 5v14",
        MediaType::Bokeh => "M4 4v16h16M7 15l4-5 3 3 5-7",
        MediaType::Png | MediaType::Jpeg => "M3 5h18v14H3zM3 16l5-5 4 4 3-3 6 6M15 9h.01",
        MediaType::Mp3 => {
            "M9 18V6l10-2v12M9 18a2.5 2 0 1 1-5 0 2.5 2 0 0 1 5 0zM19 16a2.5 2 0 1 1-5 0 2.5 2 0 0 1 5 0z"
        }
        MediaType::Mp4 => "M3 5h18v14H3zM10 9l5 3-5 3z",
        MediaType::Pdf | MediaType::Markdown | MediaType::Text => "M6 3h9l4 4v14H6zM9 11h7M9 14h7M9 17h4",
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
    let is_made = output.thumbnail == Thumbnail::Made;
    Shown {
        thumbnail: is_made.then(|| thumbnail_url(output.id)),
        awaited: is_awaited(output).then(|| output.id.to_string()),
        telling: output.media_type.telling(),
        sign: sign(output.media_type),
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
    let files = app.outputs(view).await?;
    let finished = simulation.status.is_final();
    let (log, length) = if finished { app.log(view, 0, LOG).await? } else { (bytes::Bytes::new(), 0) };
    let of_kind = |kind| files.iter().filter(move |output: &&Output| output.kind == kind);
    let api = format!("/{}/api/v1/{}/", head.model, head.number);
    let outputs: Vec<_> = of_kind(OutputKind::Renderable).map(|output| shown(simulation, output)).collect();
    let public = simulation.is_public && view.model.settings.is_public;
    Ok(SimulationPage {
        page: visitor.page(),
        owner: simulation.owner_name.clone(),
        overview: Overview::new(app.has_thumbnails(), public, &outputs),
        started: simulation.status == SimulationStatus::Started && !head.busy,
        events: format!("{api}events/"),
        sentence: sentence(simulation).to_owned(),
        traceback: simulation.traceback.clone().filter(|_| finished),
        invitation: invitation(visitor, view).await?,
        downloads: of_kind(OutputKind::Downloadable).map(|output| file(simulation, output)).collect(),
        outputs,
        api: api.clone(),
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
