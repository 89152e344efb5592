//! What a repository turned out to be before anything of it was run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Described;

/// One of the four functions, as its source tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundFunction {
    /// Its name.
    pub name: String,
    /// The line of `cs-config/cs_config/functions.py` that defines or imports it; none where it was not found.
    pub line: Option<u32>,
}

/// Whether a build could succeed all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// A build would fail.
    Stops,
    /// Something that its author should know.
    Warns,
}

impl Weight {
    /// The shown word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stops => "stops",
            Self::Warns => "warns",
        }
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// How bad it is.
    pub weight: Weight,
    /// What is wrong.
    pub sentence: String,
    /// What to do about it.
    pub way_out: String,
}

impl Problem {
    /// Something that a build would fail of.
    pub fn stops(sentence: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { weight: Weight::Stops, sentence: sentence.into(), way_out: way_out.into() }
    }

    /// Something that a build would pass over.
    pub fn warns(sentence: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { weight: Weight::Warns, sentence: sentence.into(), way_out: way_out.into() }
    }
}

/// What was found in a repository.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The commit that was looked at.
    pub commit: String,
    /// When it was made.
    pub committed_at: Option<Timestamp>,
    /// The first heading of its README.
    pub readme_title: Option<String>,
    /// What it says of its model.
    pub described: Described,
    /// Bytes of its files.
    pub bytes: u64,
    /// How many files it has.
    pub files: u64,
    /// Whether `cs-config` is there.
    pub has_config: bool,
    /// The four functions.
    pub functions: Vec<FoundFunction>,
    /// Files that say what is to be installed, best first.
    pub lists: Vec<String>,
    /// Packages of the operating system that they ask for.
    pub system_packages: Vec<String>,
    /// Versions of Python that they ask for.
    pub python: Vec<String>,
    /// How many tests of its own it has.
    pub tests: u32,
    /// What is not as it should be, what stops a build first.
    pub problems: Vec<Problem>,
}

impl Found {
    /// Whether nothing that was seen would stop a build.
    #[must_use]
    pub fn is_publishable(&self) -> bool {
        self.problems.iter().all(|problem| problem.weight != Weight::Stops)
    }
}
