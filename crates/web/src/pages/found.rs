//! What was found in a repository, as a part of the pages that publish from it.

use csw_core::look::{Found, Weight};

use super::render::{size, when};

/// A repository that was looked at.
pub(crate) struct FoundPart {
    pub(crate) heading: String,
    pub(crate) publishable: bool,
    pub(crate) commit: String,
    pub(crate) when: String,
    pub(crate) size: String,
    pub(crate) files: u64,
    pub(crate) functions: Vec<(String, String)>,
    pub(crate) lists: String,
    pub(crate) python: String,
    pub(crate) system: String,
    pub(crate) tests: String,
    pub(crate) problems: Vec<ProblemLine>,
}

/// A problem in words.
pub(crate) struct ProblemLine {
    pub(crate) tone: &'static str,
    pub(crate) word: &'static str,
    pub(crate) sentence: String,
    pub(crate) way_out: String,
}

impl FoundPart {
    pub(crate) fn of(found: &Found) -> Self {
        let line = |line: Option<u32>| line.map_or_else(|| "not found".to_owned(), |line| format!("line {line}"));
        let or = |list: &[String], none: &str| if list.is_empty() { none.to_owned() } else { list.join(", ") };
        let problem = |problem: &csw_core::look::Problem| {
            let (tone, word) = match problem.weight {
                Weight::Stops => ("bad", "stops a build"),
                Weight::Warns => ("warn", "warning"),
            };
            ProblemLine { tone, word, sentence: problem.sentence.clone(), way_out: problem.way_out.clone() }
        };
        Self {
            heading: found.readme_title.clone().unwrap_or_else(|| "The repository".to_owned()),
            publishable: found.is_publishable(),
            commit: found.commit.chars().take(12).collect(),
            when: found.committed_at.map_or_else(String::new, when),
            size: size(found.bytes),
            files: found.files,
            functions: found.functions.iter().map(|one| (one.name.clone(), line(one.line))).collect(),
            lists: or(&found.lists, "none"),
            python: or(&found.python, "any"),
            system: or(&found.system_packages, "none"),
            tests: if found.tests == 0 { "none".to_owned() } else { found.tests.to_string() },
            problems: found.problems.iter().map(problem).collect(),
        }
    }
}
