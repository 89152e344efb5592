//! Comparisons: what a staged version makes of the simulations that people look at most, before it becomes live.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{AccountId, ModelId, RunId, SimulationId, VersionId},
    output::{MediaType, OutputKind},
    tables::TableDifference,
};

/// Where a comparison stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComparisonState {
    /// Its simulations run again.
    Running,
    /// Each of them has a verdict that says something of the version.
    Finished,
    /// Some could not be run, for no fault of the version.
    Incomplete,
}

impl ComparisonState {
    /// The stored and shown word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Incomplete => "incomplete",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Running, Self::Finished, Self::Incomplete].into_iter().find(|state| state.as_str() == word)
    }
}

/// A staged version beside the live one. A version has one comparison, the latest.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Which version.
    pub version: VersionId,
    /// Of which model.
    pub model: ModelId,
    /// The version that was live when it began.
    pub baseline: VersionId,
    /// Who asked for it: what they may not see is not compared.
    pub requested_by: AccountId,
    /// Where it stands.
    pub state: ComparisonState,
    /// How many simulations that are looked at were left out because they are private.
    pub hidden: u64,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A simulation to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub simulation: SimulationId,
    /// The run whose outputs the live version is known by.
    pub baseline: RunId,
}

/// A simulation in a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Which.
    pub simulation: SimulationId,
    /// Its number within the model.
    pub number: u32,
    /// Its title.
    pub title: String,
    /// Whether anybody may see it.
    pub is_public: bool,
    /// How often it was looked at.
    pub views: u64,
    /// The run whose outputs the live version is known by, while it is needed.
    pub baseline: Option<RunId>,
    /// The run on the staged version, once there is one and while it is needed.
    pub run: Option<RunId>,
    /// What came of it.
    pub verdict: Option<Verdict>,
}

/// What came of a simulation on the staged version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Verdict {
    /// It ran, and this is what became of its outputs.
    Ran {
        /// In the order of the staged version; what went is last.
        outputs: Vec<OutputDifference>,
    },
    /// Its inputs are not valid any more.
    Invalid {
        /// What is wrong with them.
        sentence: String,
    },
    /// The version fails on it.
    Failed {
        /// `FAIL`, `TIMED_OUT` or `OUT_OF_MEMORY`.
        reason: String,
        /// The end of the traceback, or a sentence.
        sentence: String,
    },
    /// It could not be run, for no fault of the version.
    Unfinished {
        /// Why.
        sentence: String,
    },
}

/// An output on both versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputDifference {
    /// Its title.
    pub title: String,
    /// What it is.
    pub media_type: MediaType,
    /// Which list it is in.
    pub list: OutputKind,
    /// What became of it.
    pub change: OutputChange,
}

/// What became of an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum OutputChange {
    /// It says the same.
    Equal,
    /// It is new.
    Came,
    /// It is gone.
    Went,
    /// It is different.
    Changed {
        /// How, in a sentence.
        sentence: String,
        /// Where it is a table: its cells, rows and columns.
        table: Option<Box<TableDifference>>,
    },
}

/// A comparison in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Simulations in it.
    pub all: usize,
    /// Those that wait or run.
    pub open: usize,
    /// Those whose outputs are all equal.
    pub equal: usize,
    /// Those with an output that is different, came or went.
    pub changed: usize,
    /// Those whose inputs are not valid any more.
    pub invalid: usize,
    /// Those that the version fails on.
    pub failed: usize,
    /// Those that could not be run.
    pub unfinished: usize,
}

impl Tally {
    /// Counts.
    pub fn of<'c>(compared: impl IntoIterator<Item = &'c Compared>) -> Self {
        let mut tally = Self::default();
        for one in compared {
            tally.all += 1;
            let place = match &one.verdict {
                None => &mut tally.open,
                Some(Verdict::Ran { outputs }) if outputs.iter().all(|one| one.change == OutputChange::Equal) => {
                    &mut tally.equal
                }
                Some(Verdict::Ran { .. }) => &mut tally.changed,
                Some(Verdict::Invalid { .. }) => &mut tally.invalid,
                Some(Verdict::Failed { .. }) => &mut tally.failed,
                Some(Verdict::Unfinished { .. }) => &mut tally.unfinished,
            };
            *place += 1;
        }
        tally
    }

    /// Whether anything is different.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.equal == self.all
    }

    /// In words: `2 of 5 equal, 1 changed, 1 with inputs that are not valid any more`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let parts = [
            (self.changed, "changed"),
            (self.invalid, "with inputs that are not valid any more"),
            (self.failed, "fail"),
            (self.unfinished, "could not be run"),
            (self.open, "to come"),
        ];
        let mut text = format!("{} of {} equal", self.equal, self.all);
        for (count, words) in parts.into_iter().filter(|(count, _)| *count > 0) {
            text.push_str(", ");
            text.push_str(&count.to_string());
            text.push(' ');
            text.push_str(words);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(verdict: Option<Verdict>) -> Compared {
        let (now, ten) = (Timestamp::UNIX_EPOCH, [1; 10]);
        Compared {
            simulation: SimulationId::new(now, ten),
            number: 1,
            title: String::new(),
            is_public: true,
            views: 1,
            baseline: Some(RunId::new(now, ten)),
            run: None,
            verdict,
        }
    }

    fn ran(change: OutputChange) -> Verdict {
        let output = OutputDifference {
            title: String::new(),
            media_type: MediaType::Table,
            list: OutputKind::Renderable,
            change,
        };
        Verdict::Ran { outputs: vec![output] }
    }

    #[test]
    fn a_tally_says_what_happened() {
        let invalid = Some(Verdict::Invalid { sentence: "no".to_owned() });
        let all = [
            compared(Some(ran(OutputChange::Equal))),
            compared(Some(ran(OutputChange::Came))),
            compared(invalid),
            compared(None),
        ];
        let tally = Tally::of(&all);
        assert_eq!(tally.sentence(), "1 of 4 equal, 1 changed, 1 with inputs that are not valid any more, 1 to come");
        assert!(!tally.is_equal() && Tally::of(&all[..1]).is_equal() && Tally::of([]).is_equal());
    }

    #[test]
    fn a_verdict_is_stored_as_it_is() {
        let verdict = ran(OutputChange::Changed { sentence: "x".to_owned(), table: Some(Box::default()) });
        let text = serde_json::to_string(&verdict).unwrap();
        assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
        let all = [ComparisonState::Running, ComparisonState::Finished, ComparisonState::Incomplete];
        assert!(all.into_iter().all(|one| ComparisonState::parse(one.as_str()) == Some(one)));
    }
}
