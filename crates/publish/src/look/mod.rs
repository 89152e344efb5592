//! A look at a repository before its first build: what is there, what is missing, and the way out. Files are read; none of
//! them is imported, sourced or built.

mod functions;
mod wishes;

use std::{
    fs,
    path::{Path, PathBuf},
};

use csw_core::{
    build::Source,
    look::{Found, Problem, Weight},
};

use self::wishes::Wishes;
use crate::{
    background,
    config::PublishConfig,
    described::described,
    failure::Failure,
    fetch::{self, Obtained},
    interpreter::{self, Interpreter},
    layout::{self, TESTS},
    mask::Log,
    system, tree,
};

/// Gets the source, looks at it, and removes it again.
pub(crate) async fn look(config: &PublishConfig, source: &Source, log: &Log<'_>) -> Result<Found, Failure> {
    let obtained = fetch::obtain(config, source, log).await?;
    let found = at(config, &obtained, log).await;
    let checkout = obtained.checkout;
    let config = config.clone();
    let removed = background(move || {
        fetch::discard(&config, &checkout);
        Ok(())
    });
    // It logs what it could not do.
    let _ = removed.await;
    found
}

async fn at(config: &PublishConfig, obtained: &Obtained, log: &Log<'_>) -> Result<Found, Failure> {
    let checkout = &obtained.checkout;
    let folder = checkout.folder.clone();
    let read = background(move || read(&folder)).await.map_err(Failure::io("Reading the files of the repository"))?;
    let mut problems: Vec<Problem> =
        layout::check(&checkout.folder).err().map(|error| lacking(&error)).into_iter().collect();
    let (interpreter, warning) = interpreter::choose(config, &read.wishes.python, log).await?;
    let (functions, of_functions) = functions::read(config, &interpreter, &checkout.folder, log).await?;
    problems.extend(of_functions);
    problems.extend(of_python(warning, &interpreter));
    problems.extend(of_files(&obtained.refused, &checkout.folder));
    problems.extend(of_wishes(&read.wishes));
    if read.tests == 0 {
        problems.push(Problem::warns(
            "It has no tests of its own",
            format!("Write `{TESTS}`, as `csk init` does: they keep a broken version from going live."),
        ));
    }
    let described = described(&checkout.folder).unwrap_or_else(|sentence| {
        problems.push(Problem::warns(sentence, "Until then the form asks for what the file should say."));
        csw_core::model::Described::default()
    });
    problems.sort_by_key(|problem| problem.weight == Weight::Warns);
    Ok(Found {
        commit: checkout.commit.clone(),
        committed_at: checkout.committed_at,
        readme_title: read.title,
        described,
        bytes: read.bytes,
        files: read.files,
        has_config: checkout.folder.join("cs-config").is_dir(),
        functions,
        lists: read.wishes.lists,
        system_packages: read.wishes.system,
        python: read.wishes.python,
        tests: read.tests,
        problems,
    })
}

fn lacking(error: &Failure) -> Problem {
    let text = error.to_string();
    let (sentence, way_out) = text.split_once(". ").unwrap_or((&text, ""));
    Problem::stops(sentence, format!("{way_out}."))
}

fn of_python(warning: Option<String>, interpreter: &Interpreter) -> Option<Problem> {
    let sentence = warning?;
    Some(Problem::warns(
        sentence,
        format!("Ask the operator to install it, or let the model ask for Python {}.", interpreter.short_version()),
    ))
}

fn of_files(refused: &[String], folder: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !refused.is_empty() {
        problems.push(Problem::warns(
            format!("Links that lead nowhere or out of the repository are left out: {}", shortened(refused)),
            "Put files in their place, or links to files of the repository.",
        ));
    }
    if folder.join(".gitmodules").is_file() {
        problems.push(Problem::warns(
            "The repository has submodules, and they are not fetched",
            "Install what they hold by `install.sh`, or put the files into the repository.",
        ));
    }
    problems
}

fn of_wishes(wishes: &Wishes) -> Vec<Problem> {
    let mut problems = Vec::new();
    if wishes.lists.is_empty() {
        problems.push(Problem::warns(
            "No file says which packages the model needs, so none is installed",
            "Write `cs-config/install.sh`, `environment.yml`, `requirements.txt` or `pyproject.toml`.",
        ));
    }
    if let Some(sentence) = system::warning(&wishes.system) {
        problems.push(Problem::warns(sentence, "Ask the operator; runs that need them fail until then."));
    }
    if !wishes.unpinned.is_empty() {
        problems.push(Problem::warns(
            format!("Any version is taken of: {}", shortened(&wishes.unpinned)),
            "Name versions, such as `pandas>=2,<3`, so that a later build gets the same.",
        ));
    }
    problems
}

fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// What its plain files tell.
struct Plain {
    title: Option<String>,
    bytes: u64,
    files: u64,
    tests: u32,
    wishes: Wishes,
}

fn read(folder: &Path) -> std::io::Result<Plain> {
    let (mut bytes, mut files) = (0, 0);
    tree::walk(folder, &mut |_, metadata| {
        if metadata.is_file() {
            bytes += metadata.len();
            files += 1;
        }
        Ok(())
    })?;
    Ok(Plain { title: title(folder), bytes, files, tests: tests(folder), wishes: wishes::read(folder) })
}

/// The first heading of the README, in markdown or reStructuredText.
fn title(folder: &Path) -> Option<String> {
    const LONGEST: usize = 200;
    let text =
        ["README.md", "README.rst", "README", "readme.md"].iter().find_map(|name| wishes::text(&folder.join(name)))?;
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let underlined = lines.peek().is_some_and(|next| {
            next.len() >= 3 && next.chars().all(|c| c == '=') || next.len() >= 3 && next.chars().all(|c| c == '-')
        });
        let heading = match line.strip_prefix("# ") {
            Some(heading) => heading,
            None if underlined && !line.is_empty() => line,
            None => continue,
        };
        return Some(heading.trim_matches([' ', '#']).chars().take(LONGEST).collect());
    }
    None
}

/// Tests beside the four functions, counted by their names.
fn tests(folder: &Path) -> u32 {
    let tests = folder.join(TESTS);
    let Some(place) = tests.parent() else { return 0 };
    let files = fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_tests = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("test_") && path.extension().is_some_and(|ending| ending == "py")
    };
    let count = |text: String| {
        let line = |line: &&str| {
            let line = line.trim_start();
            line.strip_prefix("async ").unwrap_or(line).starts_with("def test_")
        };
        // The kit's own tests are inherited.
        text.lines().filter(line).count() + text.matches("CoreTestFunctions)").count()
    };
    let found = files.filter(is_tests).filter_map(|path| wishes::text(&path)).map(count).sum::<usize>();
    u32::try_from(found).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests_of_plain_files {
    use super::*;

    #[test]
    fn a_readme_has_a_title_in_either_language() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(title(folder.path()), None);
        fs::write(folder.path().join("README.rst"), "\n.. note\n\nTax *Brain*\n===========\n").unwrap();
        assert_eq!(title(folder.path()).as_deref(), Some("Tax *Brain*"));
        fs::write(folder.path().join("README.md"), "[![badge](x)](y)\n\n# Taxes #\n").unwrap();
        assert_eq!(title(folder.path()).as_deref(), Some("Taxes"));
    }

    #[test]
    fn tests_are_counted_by_name() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(tests(folder.path()), 0);
        let file = folder.path().join(TESTS);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "from cs_kit import CoreTestFunctions\nclass TestFunctions1(CoreTestFunctions):\n    def test_a(self): pass\ndef helper(): pass\n").unwrap();
        assert_eq!(tests(folder.path()), 2);
    }
}
