//! How the interpreters of a version may be made: the fastest way whose outputs are those of fresh processes.

use csw_core::{
    model::Strategy,
    output::OutputKind,
    ports::{BuildError, BuildLog},
};
use serde_json::Value;

use super::{Conformance, PATIENCE, Subject, asked::Seen};

/// A run shorter than this gains nothing from a zygote that has run the model before.
const WORTH_WARMING: u64 = 200;

/// A run so long is not repeated in more ways than are needed to decide.
const LONG: u64 = 2000;

/// A run that takes such a part of the fresh one's time is faster whatever else the machine had to do meanwhile.
const PLAINLY_FASTER: u64 = 3;

/// A forked run may take a multiple of the fresh one, beside [`PATIENCE`].
const TIMES_AS_LONG: u64 = 5;

/// A run of the default inputs.
#[derive(Clone)]
pub(super) struct SimRun {
    pub(super) outputs: Vec<Seen>,
    pub(super) milliseconds: u64,
    pub(super) import: u64,
    pub(super) memory_bytes: u64,
}

/// What was decided, and why nothing faster.
pub(super) struct Choice {
    pub(super) strategy: Strategy,
    pub(super) reason: Option<String>,
    /// Whether equal inputs gave equal outputs.
    pub(super) deterministic: bool,
}

/// What became of a run that was to be forked.
enum Forked {
    Run(SimRun),
    /// Why it was not, or went wrong; and the run, where it was executed in a slower way instead.
    Not(String, Option<SimRun>),
}

/// Tries the ways to make interpreters on one version.
pub(super) struct Trial<'a> {
    pub(super) conformance: &'a Conformance<'a>,
    pub(super) subject: &'a Subject,
    pub(super) arguments: &'a Value,
    pub(super) fresh: &'a SimRun,
    pub(super) log: &'a dyn BuildLog,
}

impl Trial<'_> {
    /// Runs the default inputs in the ways that may be worth it, and compares. Where runs are long, what may gain most is
    /// tried first: if it does, nothing else need be known.
    pub(super) async fn choose(&self) -> Result<Choice, BuildError> {
        let is_long = self.subject.warm_up && self.fresh.milliseconds >= LONG;
        let warmed = if is_long { Some(self.forked(Strategy::WarmedZygote).await) } else { None };
        if let Some(Forked::Run(run)) = &warmed
            && run.outputs == self.fresh.outputs
            && run.milliseconds * PLAINLY_FASTER <= self.fresh.milliseconds
        {
            self.tell("from a zygote that ran it once: faster, and the same outputs", run);
            return Ok(Choice { strategy: Strategy::WarmedZygote, reason: None, deterministic: true });
        }
        let zygote = match self.zygote(warmed.as_ref()).await {
            Forked::Run(run) => run,
            Forked::Not(reason, run) => return self.unforked(reason, run).await,
        };
        if zygote.outputs == self.fresh.outputs {
            self.tell("forked from a zygote: the same outputs", &zygote);
            return Ok(self.warmed(warmed, &zygote, None).await);
        }
        let again = self.run(Strategy::Fresh).await?;
        if again.outputs == self.fresh.outputs {
            let reason = "a forked run gave different outputs".to_owned();
            return Ok(Choice { strategy: Strategy::Fresh, reason: Some(reason), deterministic: true });
        }
        if let Err(reason) = self.is_as_random(Strategy::Zygote, &zygote, &again).await {
            return Ok(Choice { strategy: Strategy::Fresh, reason: Some(reason), deterministic: false });
        }
        self.tell("forked from a zygote: outputs of the same kinds", &zygote);
        Ok(self.warmed(warmed, &zygote, Some(&again)).await)
    }

    /// A fork of an interpreter that only imported the model; not tried again where it is known that nothing can be
    /// forked.
    async fn zygote(&self, warmed: Option<&Forked>) -> Forked {
        let Some(Forked::Not(_, run)) = warmed else { return self.forked(Strategy::Zygote).await };
        match self.conformance.executor.obstacle(&self.subject.artifact, Strategy::Zygote) {
            Some(obstacle) => Forked::Not(obstacle, run.clone()),
            None => self.forked(Strategy::Zygote).await,
        }
    }

    /// Of a version that is not forked only determinism is of interest.
    async fn unforked(&self, reason: String, run: Option<SimRun>) -> Result<Choice, BuildError> {
        let again = match run {
            Some(run) => run,
            None => self.run(Strategy::Fresh).await?,
        };
        let deterministic = again.outputs == self.fresh.outputs;
        Ok(Choice { strategy: Strategy::Fresh, reason: Some(reason), deterministic })
    }

    /// Whether a zygote that ran the model once is better still. `again` is the second fresh run of a model whose runs
    /// differ.
    async fn warmed(&self, tried: Option<Forked>, zygote: &SimRun, again: Option<&SimRun>) -> Choice {
        let mut choice = Choice { strategy: Strategy::Zygote, reason: None, deterministic: again.is_none() };
        if !self.subject.warm_up || zygote.milliseconds < WORTH_WARMING {
            return choice;
        }
        let zygote_was_alone = tried.is_some();
        let tried = match tried {
            Some(tried) => tried,
            None => self.forked(Strategy::WarmedZygote).await,
        };
        let run = match tried {
            Forked::Run(run) => run,
            Forked::Not(reason, _) => {
                choice.reason = Some(format!("it is not run in advance: {reason}"));
                return choice;
            }
        };
        let fits = match again {
            None if run.outputs == self.fresh.outputs => Ok(()),
            None => Err("a forked run gave different outputs".to_owned()),
            Some(again) => self.is_as_random(Strategy::WarmedZygote, &run, again).await,
        };
        if let Err(reason) = fits {
            choice.reason = Some(format!("it is not run in advance: {reason}"));
        } else if is_faster(&run, zygote) && (zygote_was_alone || self.is_faster_again(&run).await) {
            self.tell("from a zygote that ran it once: faster", &run);
            choice.strategy = Strategy::WarmedZygote;
        } else {
            self.log.write("a zygote that ran it once is no faster\n");
        }
        choice
    }

    /// Whether a run is faster than that of an interpreter that only imported, now that nothing is getting ready beside.
    async fn is_faster_again(&self, run: &SimRun) -> bool {
        matches!(self.forked(Strategy::Zygote).await, Forked::Run(zygote) if is_faster(run, &zygote))
    }

    /// Runs of a model that differ must differ when they are forked, too: random state that was made at import is the
    /// same in all children of an interpreter.
    async fn is_as_random(&self, strategy: Strategy, run: &SimRun, again: &SimRun) -> Result<(), String> {
        if shapes(&run.outputs) != shapes(&self.fresh.outputs) {
            return Err("a forked run gave other outputs".to_owned());
        }
        let second = match self.forked(strategy).await {
            Forked::Run(second) => second,
            Forked::Not(reason, _) => return Err(reason),
        };
        let pairs = self.fresh.outputs.iter().zip(&again.outputs).zip(run.outputs.iter().zip(&second.outputs));
        let mut frozen = pairs.filter(|((fresh, again), (one, two))| fresh != again && one == two);
        match frozen.next() {
            None => Ok(()),
            Some(((output, _), _)) => Err(format!(
                "its runs differ by chance, and forked ones do not (\"{}\"): make random generators and times in the \
                 functions, not at import",
                output.title
            )),
        }
    }

    async fn forked(&self, strategy: Strategy) -> Forked {
        let patience = PATIENCE + TIMES_AS_LONG * (self.fresh.import + self.fresh.milliseconds) / 1000;
        let subject = self.subject.within(patience);
        let run = self.conformance.sim(&subject, strategy, self.arguments).await;
        match (run, self.conformance.executor.obstacle(&subject.artifact, strategy)) {
            (run, Some(obstacle)) => Forked::Not(obstacle, run.ok()),
            (Ok(run), None) => Forked::Run(run),
            (Err(error), None) => Forked::Not(format!("a forked run failed ({error})"), None),
        }
    }

    async fn run(&self, strategy: Strategy) -> Result<SimRun, BuildError> {
        self.conformance.sim(self.subject, strategy, self.arguments).await
    }

    fn tell(&self, what: &str, run: &SimRun) {
        self.log.write(&format!("{what} in {} ms\n", run.milliseconds));
    }
}

/// Whether a run took so much less time than another that it is worth memory, and a longer start.
fn is_faster(run: &SimRun, other: &SimRun) -> bool {
    run.milliseconds * 5 < other.milliseconds * 4
}

fn shapes(outputs: &[Seen]) -> Vec<(OutputKind, &str, &'static str)> {
    outputs.iter().map(|seen| (seen.kind, seen.title.as_str(), seen.media_type)).collect()
}

#[cfg(test)]
mod tests;
