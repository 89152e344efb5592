//! Small renderings: cards, lines of lists, times, sizes, and markdown that can do no harm.

use csw_app::{App, AppError, Estimate};
use csw_core::{
    ids::OutputId,
    model::Model,
    run::Reason,
    simulation::{Simulation, SimulationStatus},
};
use jiff::Timestamp;

/// A model in a list.
pub(crate) struct Card {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) title: String,
    pub(crate) oneliner: String,
    pub(crate) status: &'static str,
    pub(crate) tone: &'static str,
}

impl Card {
    pub(crate) fn of(model: &Model) -> Self {
        Self {
            name: model.name().to_string(),
            owner: model.owner_name.to_string(),
            title: model.title.as_str().replace('-', " "),
            oneliner: model.settings.oneliner.clone(),
            status: model.status.as_str(),
            tone: if model.status.is_runnable() { "good" } else { "warn" },
        }
    }
}

/// A simulation in a list.
pub(crate) struct Line {
    pub(crate) url: String,
    pub(crate) title: String,
    pub(crate) model: String,
    pub(crate) number: u32,
    pub(crate) owner: String,
    pub(crate) private: bool,
    pub(crate) status: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) when: String,
    /// The address of its thumbnail.
    pub(crate) thumbnail: Option<String>,
    /// Whether any of the list has one.
    pub(crate) pictured: bool,
}

impl Line {
    /// The lines of a list.
    pub(crate) async fn of_all(app: &App, simulations: &[Simulation]) -> Result<Vec<Self>, AppError> {
        let pictures = app.best_thumbnails(simulations).await?;
        let of = |simulation: &Simulation| {
            let found = pictures.iter().find(|(id, _)| *id == simulation.id);
            let thumbnail = found.map(|(_, output)| thumbnail_url(*output));
            Self { thumbnail, pictured: !pictures.is_empty(), ..Self::of(simulation) }
        };
        Ok(simulations.iter().map(of).collect())
    }

    fn of(simulation: &Simulation) -> Self {
        let (status, tone) = status(simulation);
        Self {
            thumbnail: None,
            pictured: false,
            url: url(simulation),
            title: simulation.title.clone(),
            model: format!("{}/{}", simulation.model_owner, simulation.model_title),
            number: simulation.number,
            owner: simulation.owner_name.clone(),
            private: !simulation.is_public,
            status,
            tone,
            when: when(simulation.created_at),
        }
    }
}

/// The thumbnail of an output.
pub(crate) fn thumbnail_url(output: OutputId) -> String {
    format!("/storage/screenshots/{output}.png")
}

/// The page of a simulation.
pub(crate) fn url(simulation: &Simulation) -> String {
    format!("/{}/{}/{}/", simulation.model_owner, simulation.model_title, simulation.number)
}

/// The state of a simulation in a word, and the tone to show it in.
pub(crate) fn status(simulation: &Simulation) -> (&'static str, &'static str) {
    match (simulation.status, simulation.reason) {
        (SimulationStatus::Started, _) => ("not run yet", ""),
        (SimulationStatus::Pending, _) => ("running", "busy"),
        (SimulationStatus::Success, _) => ("finished", "good"),
        (SimulationStatus::Fail, _) => ("failed", "bad"),
        (SimulationStatus::WorkerFailure, Some(Reason::Cancelled)) => ("cancelled", "warn"),
        (SimulationStatus::WorkerFailure, Some(Reason::TimedOut)) => ("timed out", "bad"),
        (SimulationStatus::WorkerFailure, Some(Reason::OutOfMemory)) => ("out of memory", "bad"),
        (SimulationStatus::WorkerFailure, _) => ("lost", "bad"),
    }
}

/// A time for people, in UTC.
pub(crate) fn when(at: Timestamp) -> String {
    at.strftime("%-d %b %Y, %H:%M UTC").to_string()
}

/// The first line of a text: what `get_version` says may have more.
pub(crate) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// How long something takes, for people.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        "less than a second".to_owned()
    } else if seconds < 90.0 {
        format!("about {seconds:.0} s")
    } else {
        format!("about {:.0} min", seconds / 60.0)
    }
}

/// Dollars, as precisely as is worth it.
pub(crate) fn dollars(dollars: f64) -> String {
    match dollars {
        0.0 => "$0.00".to_owned(),
        small if small < 0.0001 => "less than $0.0001".to_owned(),
        small if small < 1.0 => format!("${small:.4}"),
        dollars => format!("${dollars:.2}"),
    }
}

/// What a run is expected to cost, with the range in which most of the last ones were.
pub(crate) fn expected_cost(estimate: &Estimate) -> Option<String> {
    if estimate.cost < 0.0001 {
        return None;
    }
    let (low, high) = (dollars(estimate.cost_low), dollars(estimate.cost_high));
    let range = if low == high { String::new() } else { format!(" ({low} to {high})") };
    Some(format!("{}{range} of compute", dollars(estimate.cost)))
}

/// Markdown as HTML without scripts, styles, forms, or links of other schemes.
pub(crate) fn markdown(text: &str) -> String {
    let mut options = comrak::Options::default();
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    ammonia::clean(&comrak::markdown_to_html(text, &options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_does_no_harm() {
        let html = markdown("# Hi\n<script>alert(1)</script> [x](javascript:alert(1)) <img src=x onerror=alert(1)>");
        assert!(html.contains("<h1>"));
        assert!(!html.contains("script") && !html.contains("onerror"), "{html}");
    }
}
