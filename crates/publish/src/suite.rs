//! The model's own tests, in the sandbox, with cs-kit and pytest beside its packages.

use std::{fs, path::Path, time::Instant};

use csw_core::{ports::TestReport, secret::Secrets};

use crate::{
    asked::plan::package_name,
    background,
    code::{Code, search_path},
    config::PublishConfig,
    environment::{self, Environment},
    failure::Failure,
    jail::{Jail, Step},
    layout::TESTS,
    mask::Log,
    process::{Ended, Output},
    tree,
    uv::{Lock, TOOLS, Uv, Wanted},
};

/// pytest's own code for "there was no test".
const NO_TESTS: i32 = 5;

/// Runs the tests of a finished version.
pub(crate) async fn run(
    config: &PublishConfig,
    jail: &Jail<'_>,
    uv: &Uv<'_>,
    environment: &Environment,
    code: &Code,
    secrets: &Secrets,
    log: &Log<'_>,
) -> Result<TestReport, Failure> {
    let file = code.place.join(TESTS);
    let Some(folder) = file.parent().filter(|_| file.is_file()) else {
        log.line(&format!("The model has no `{TESTS}`"));
        return Ok(none());
    };
    let kit = kit(uv, &environment.lock()?, code).await?;
    let working_dir = place_tests(jail, folder).await?;
    let mut path = search_path(&code.place)?;
    path.push(kit.packages()?);
    let path = path.iter().map(|entry| entry.display().to_string()).collect::<Vec<_>>().join(":");
    let mut read_only = uv.interpreter.shown();
    read_only.extend([environment.folder.clone(), code.place.clone(), kit.folder.clone()]);
    let python = environment.python();
    let args = ["-m", "pytest", "-q", "-rfEs", "--color=no", "-p", "no:cacheprovider", "test_functions.py"];
    let what = "The model's own tests";
    // pytest cuts lines at the width of its terminal; half of a secret would not be known as one.
    let mut env: Vec<_> = [("PYTHONPATH", path.as_str()), ("PYTHONDONTWRITEBYTECODE", "1"), ("COLUMNS", "2000")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    env.extend(secrets.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())));
    let step = Step {
        what,
        program: &python,
        args: args.map(str::to_owned).into(),
        working_dir,
        env,
        read_only,
        network: config.test_network,
        seconds: config.test_seconds,
        output: Output::Logged,
    };
    let begun = Instant::now();
    let ended = jail.run(step).await?;
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(TestReport { milliseconds, ..report(&ended, config)? })
}

fn none() -> TestReport {
    let summary =
        "The model has no tests of its own: write `cs-config/cs_config/tests/test_functions.py`, as `csk init` does"
            .to_owned();
    TestReport { passed: 0, skipped: 0, summary, milliseconds: 0 }
}

/// cs-kit and pytest in versions that suit the model's packages; only what these lack.
async fn kit(uv: &Uv<'_>, lock: &Lock, code: &Code) -> Result<Environment, Failure> {
    let mut there = lock.names();
    let mut wanted = Wanted { requirements: vec!["cs-kit".to_owned(), "pytest".to_owned()], ..Wanted::default() };
    if !there.iter().any(|name| name == "setuptools") {
        // cs-kit's own requirements still read `pkg_resources`, which later versions no longer have.
        wanted.requirements.push("setuptools<81".to_owned());
    }
    wanted.constraints =
        lock.packages().filter(|line| line.contains("==") && package_name(line).is_some()).map(str::to_owned).collect();
    let found = match uv.resolve_within(TOOLS, &wanted).await {
        Err(Failure::Unresolvable { reason, .. }) if !wanted.constraints.is_empty() => {
            uv.log.line(&format!(
                "cs-kit has no version that suits the model's packages; trying the newest one ({reason})"
            ));
            uv.resolve_within(TOOLS, &Wanted { constraints: vec![], ..wanted }).await?
        }
        other => other?,
    };
    there.extend(code.own.names.iter().cloned());
    environment::build(uv, &found.without(&there), None).await
}

/// The tests alone, so that they meet the installed `cs_config` and not the files beside them; those that import each
/// other by package stay in theirs.
async fn place_tests(jail: &Jail<'_>, folder: &Path) -> Result<std::path::PathBuf, Failure> {
    let (from, to) = (folder.to_path_buf(), jail.room.join("tests"));
    let place = to.clone();
    let copied = background(move || {
        tree::copy(&from, &to, None, tree::Room { bytes: u64::MAX, entries: u64::MAX })?;
        let text = fs::read_to_string(to.join("test_functions.py")).unwrap_or_default();
        let relative = text.lines().any(|line| line.trim_start().starts_with("from ."));
        if !relative {
            // Without it the folder is no package, and its name cannot collide with the installed one.
            let _ = fs::remove_file(to.join("__init__.py"));
        }
        Ok(())
    });
    copied.await.map_err(Failure::io("Copying the tests"))?;
    jail.hand_over().await?;
    Ok(place)
}

fn report(ended: &Ended, config: &PublishConfig) -> Result<TestReport, Failure> {
    let summary = ended.tail.iter().rev().find(|line| {
        line.contains(" in ")
            && count(line, " passed")
                .or(count(line, " failed"))
                .or(count(line, " error"))
                .or(count(line, " skipped"))
                .is_some()
    });
    let summary = summary.map(|line| line.trim_matches(['=', ' ']).to_owned()).unwrap_or_default();
    if ended.status.code() == Some(NO_TESTS) {
        return Ok(none());
    }
    let passed = count(&summary, " passed").unwrap_or(0);
    let skipped = count(&summary, " skipped").unwrap_or(0);
    if ended.status.success() {
        let summary = format!("The model's own tests: {summary}");
        return Ok(TestReport { passed, skipped, summary, milliseconds: 0 });
    }
    let first = ended.tail.iter().find(|line| line.starts_with("FAILED ") || line.starts_with("ERROR "));
    let first = first.cloned().unwrap_or_else(|| ended.last_line());
    let network = ["name resolution", "resolve host", "Network is unreachable", "ConnectionError"];
    let offline =
        !config.test_network && ended.tail.iter().any(|line| network.iter().any(|words| line.contains(words)));
    let hint = if offline { " Tests run without a network here." } else { "" };
    let said = if summary.is_empty() { ended.status.to_string() } else { summary };
    Err(Failure::Unusable(format!(
        "The model's own tests failed ({said}). {first}.{hint} Run `pytest {TESTS}` to see it at home"
    )))
}

/// The number before a word of the summary.
fn count(line: &str, word: &str) -> Option<u32> {
    let before = &line[..line.find(word)?];
    before.rsplit([' ', ',', '=']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::*;

    fn ended(code: i32, tail: &[&str]) -> Ended {
        Ended {
            status: ExitStatus::from_raw(code << 8),
            tail: tail.iter().map(|line| (*line).to_owned()).collect(),
            output: vec![],
        }
    }

    fn config() -> PublishConfig {
        PublishConfig::new("/d".into(), "/h".into())
    }

    #[test]
    fn counts_are_read() {
        let found =
            report(&ended(0, &["....s", "4 passed, 1 skipped, 2 warnings in 1.20s", "late line"]), &config()).unwrap();
        assert_eq!((found.passed, found.skipped), (4, 1));
        let sentence = report(
            &ended(1, &["FAILED test_functions.py::TestX::test_y - assert 1", "= 1 failed, 3 passed in 2s ="]),
            &config(),
        );
        let sentence = sentence.unwrap_err().to_string();
        assert!(sentence.contains("(1 failed, 3 passed in 2s). FAILED test_functions.py::TestX::test_y"), "{sentence}");
        assert_eq!(report(&ended(5, &["no tests ran in 0.01s"]), &config()).unwrap().passed, 0);
        let offline =
            report(&ended(2, &["E  socket.gaierror: Temporary failure in name resolution", "ERROR x"]), &config());
        assert!(offline.unwrap_err().to_string().contains("without a network"));
    }
}
