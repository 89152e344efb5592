//! Which of the four functions there are. Their file is read by Python's own parser, in the sandbox; it is never imported.

use std::{collections::BTreeMap, fs, path::Path};

use csw_core::look::{FoundFunction, Problem};
use serde::Deserialize;

use crate::{
    background,
    config::PublishConfig,
    failure::Failure,
    interpreter::Interpreter,
    jail::{Jail, Step},
    layout::FUNCTIONS,
    mask::{Log, mask},
    process::Output,
};

const READER: &str = include_str!("functions.py");

/// Seconds that the reading of one file may take.
const SECONDS: u64 = 20;

/// The functions, and how many values they are called with.
const CALLED: [(&str, u32, &str); 4] = [
    ("get_version", 0, "def get_version():"),
    ("get_inputs", 1, "def get_inputs(meta_param_dict):"),
    ("validate_inputs", 3, "def validate_inputs(meta_param_dict, adjustment, errors_warnings):"),
    ("run_model", 2, "def run_model(meta_param_dict, adjustment):"),
];

/// What the reader says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Read {
    error: Option<Mistake>,
    functions: BTreeMap<String, Place>,
    star: bool,
}

#[derive(Debug, Deserialize)]
struct Mistake {
    line: u32,
    message: String,
}

#[derive(Debug, Deserialize)]
struct Place {
    line: u32,
    parameters: Option<Parameters>,
}

#[derive(Debug, Deserialize)]
struct Parameters {
    least: u32,
    most: u32,
}

/// The four functions of a repository, and what is wrong with them.
pub(super) async fn read(
    config: &PublishConfig,
    interpreter: &Interpreter,
    folder: &Path,
    log: &Log<'_>,
) -> Result<(Vec<FoundFunction>, Vec<Problem>), Failure> {
    let none = || CALLED.iter().map(|(name, ..)| function(name, None)).collect();
    if !folder.join(FUNCTIONS).is_file() {
        return Ok((none(), Vec::new()));
    }
    let said = ask(config, interpreter, &folder.join(FUNCTIONS), log).await?;
    let Some(read) = said else {
        let problem = Problem::stops(
            format!("`{FUNCTIONS}` could not be read in {SECONDS} seconds, or crashed Python's parser"),
            "Make it an ordinary file of Python that imports what is large.",
        );
        return Ok((none(), vec![problem]));
    };
    Ok(judged(&read))
}

async fn ask(
    config: &PublishConfig,
    interpreter: &Interpreter,
    file: &Path,
    log: &Log<'_>,
) -> Result<Option<Read>, Failure> {
    let jail = Jail::new(config, log)?;
    let (reader, copy) = (jail.desk.join("reader.py"), jail.desk.join("functions.py"));
    let (from, to, script) = (file.to_path_buf(), copy.clone(), reader.clone());
    background(move || fs::copy(from, to).and_then(|_| fs::write(script, READER)))
        .await
        .map_err(Failure::at("Copying", file))?;
    jail.hand_over().await?;
    let step = Step {
        what: "The reading of the four functions",
        program: &interpreter.executable,
        args: vec!["-ISB".to_owned(), reader.display().to_string(), copy.display().to_string()],
        working_dir: jail.room.clone(),
        env: Vec::new(),
        read_only: interpreter.shown(),
        network: false,
        seconds: SECONDS,
        output: Output::Quiet,
    };
    match jail.run(step).await {
        Ok(ended) if ended.status.success() => Ok(serde_json::from_slice(&ended.output).ok()),
        // A file that is made to break the parser is one that can't be used.
        Ok(_) | Err(Failure::TimedOut { .. } | Failure::OutOfMemory { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

fn function(name: &str, line: Option<u32>) -> FoundFunction {
    FoundFunction { name: name.to_owned(), line }
}

fn judged(read: &Read) -> (Vec<FoundFunction>, Vec<Problem>) {
    let mut problems = Vec::new();
    if let Some(Mistake { line, message }) = &read.error {
        let at = if *line == 0 { String::new() } else { format!(" in line {line}") };
        problems.push(Problem::stops(
            format!("`{FUNCTIONS}` is no Python{at}: {}", mask(message)),
            "Correct it, and try it with `python -c 'import cs_config.functions'` in the folder cs-config.",
        ));
    }
    let mut functions = Vec::new();
    for (name, given, signature) in CALLED {
        let place = read.functions.get(name);
        functions.push(function(name, place.map(|place| place.line)));
        match place {
            None if read.error.is_some() => {}
            None if read.star => problems.push(Problem::warns(
                format!("`{name}` is not written in `{FUNCTIONS}`; it may come with `import *`"),
                "Name what is imported, so that it can be seen; the build finds out.",
            )),
            None => problems.push(Problem::stops(
                format!("`{name}` is missing in `{FUNCTIONS}`"),
                format!("Write `{signature}` there; docs/authors.md shows the four functions."),
            )),
            Some(Place { line, parameters: Some(Parameters { least, most }) }) if given < *least || given > *most => {
                problems.push(Problem::stops(
                    format!("`{name}` in line {line} can't be called with {given} values, as it is"),
                    format!("Write it as `{signature}`."),
                ));
            }
            Some(_) => {}
        }
    }
    (functions, problems)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What the reader says of a text, outside of any sandbox: the text is ours.
    fn of(text: &str) -> (Vec<FoundFunction>, Vec<Problem>) {
        let folder = tempfile::tempdir().unwrap();
        let (reader, file) = (folder.path().join("reader.py"), folder.path().join("functions.py"));
        fs::write(&reader, READER).unwrap();
        fs::write(&file, text).unwrap();
        let ended = Command::new("python3").arg("-ISB").args([&reader, &file]).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        judged(&serde_json::from_slice(&ended.stdout).unwrap())
    }

    fn lines(functions: &[FoundFunction]) -> Vec<Option<u32>> {
        functions.iter().map(|function| function.line).collect()
    }

    #[test]
    fn functions_are_found_however_they_come_to_be() {
        let text = "'''\ndef get_version(): no\n'''\nfrom .version import get_version\ntry:\n    from .fast import run_model\n\
                    except ImportError:\n    def run_model(meta_param_dict, adjustment, *more):\n        pass\n\
                    get_inputs = lambda meta: {}\ndef validate_inputs(meta_param_dict, adjustment, errors_warnings):\n    pass\n";
        let (functions, problems) = of(text);
        assert_eq!(lines(&functions), [Some(4), Some(10), Some(11), Some(8)]);
        assert_eq!(problems, []);
    }

    #[test]
    fn what_is_missing_or_can_not_be_called_is_told() {
        let (functions, problems) = of("def get_version():\n    def run_model(): pass\ndef get_inputs():\n    pass\n");
        assert_eq!(lines(&functions), [Some(1), Some(3), None, None]);
        let told: Vec<&str> = problems.iter().map(|problem| problem.sentence.as_str()).collect();
        assert!(told[0].contains("`get_inputs` in line 3 can't be called with 1 values"), "{told:?}");
        assert!(
            told[1].contains("`validate_inputs` is missing") && told[2].contains("`run_model` is missing"),
            "{told:?}"
        );
    }

    #[test]
    fn what_is_no_python_is_told_with_its_line() {
        let (functions, problems) = of("import x\nprint 'old'\n");
        assert_eq!(lines(&functions), [None; 4]);
        assert!(problems.len() == 1 && problems[0].sentence.contains("in line 2"), "{problems:?}");
        assert!(of("from .all import *\n").1.iter().all(|problem| problem.sentence.contains("import *")));
    }
}
