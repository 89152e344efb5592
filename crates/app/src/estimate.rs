//! How long a run will take and what it will cost, learned from the runs before.

use csw_core::{ids::VersionId, model::ModelSettings, simulation::Simulation};

use crate::{App, error::AppResult, models::ModelView};

/// Past runs that count.
const RUNS: u32 = 50;

/// What a new run of a model is expected to take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Median, or what the publisher says.
    pub seconds: f64,
    /// Tenth percentile.
    pub low: f64,
    /// Ninetieth percentile.
    pub high: f64,
    /// Dollars for the median.
    pub cost: f64,
    /// Dollars for the tenth percentile.
    pub cost_low: f64,
    /// Dollars for the ninetieth percentile.
    pub cost_high: f64,
    /// Runs it was learned from; 0 is the publisher's word.
    pub runs: usize,
}

/// When the end of a pending simulation is expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Eta {
    /// Seconds from now; 0 once it is late.
    pub seconds: f64,
    /// Seconds from its submission.
    pub original_seconds: f64,
}

impl App {
    /// What a run of the live version is expected to take.
    pub async fn estimate(&self, view: &ModelView) -> AppResult<Estimate> {
        self.estimate_of(&view.model.settings, view.model.live_version).await
    }

    pub(crate) async fn estimate_of(
        &self,
        settings: &ModelSettings,
        version: Option<VersionId>,
    ) -> AppResult<Estimate> {
        let mut times = match version {
            Some(version) => self.store().recent_run_times(version, RUNS).await?,
            None => Vec::new(),
        };
        times.sort_unstable();
        let at = |share: f64| -> Option<f64> {
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an index into at most 50 times"
            )]
            let index = ((times.len().checked_sub(1)? as f64) * share).round() as usize;
            #[allow(clippy::cast_precision_loss, reason = "milliseconds of a run")]
            times.get(index).map(|milliseconds| *milliseconds as f64 / 1000.0)
        };
        let said = settings.expected_seconds.map_or(1.0, f64::from);
        let seconds = at(0.5).unwrap_or(said);
        let (low, high) = (at(0.1).unwrap_or(said), at(0.9).unwrap_or(said));
        let per_second = self.inner.config.prices.per_hour(settings.cpus, settings.memory_gigabytes) / 3600.0;
        Ok(Estimate {
            seconds,
            low,
            high,
            cost: per_second * seconds,
            cost_low: per_second * low,
            cost_high: per_second * high,
            runs: times.len(),
        })
    }

    /// When a simulation is expected to end.
    pub fn eta(&self, simulation: &Simulation) -> Eta {
        let Some(expected) = simulation.expected_at.filter(|_| !simulation.status.is_final()) else {
            let original =
                simulation.expected_at.map_or(0.0, |at| at.duration_since(simulation.created_at).as_secs_f64());
            return Eta { seconds: 0.0, original_seconds: original.max(0.0) };
        };
        Eta {
            seconds: expected.duration_since(self.now()).as_secs_f64().max(0.0),
            original_seconds: expected.duration_since(simulation.created_at).as_secs_f64().max(0.0),
        }
    }
}
