//! `csw publish init`: a publish repository, or what one lacks.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
};

use csw_app::publish_repository::TEMPLATE;
use serde_json::json;

use super::repository;
use crate::{
    failure::{Failure, Outcome},
    output::Printer,
};

pub(super) fn run(folder: &Path, printer: Printer) -> Outcome {
    fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    let began = repository::begin(folder)?;
    let (mut made, mut kept) = (Vec::new(), Vec::new());
    // What is there already stays as it is.
    for (name, text) in TEMPLATE {
        if write(&folder.join(name), text)? { made.push(name) } else { kept.push(name) }
    }
    let answer = json!({ "folder": folder, "made": made, "kept": kept, "git_init": began });
    printer.result(&answer, || {
        let mut lines: Vec<String> = made.iter().map(|name| format!("made {name}")).collect();
        lines.extend(kept.iter().map(|name| format!("kept {name}, which was there")));
        lines.push(format!(
            "\n{} is a publish repository. Its README.md tells what to set on GitHub; then commit, push, and\n\
             `csw publish -n OWNER/TITLE` there opens the pull request of a model.",
            folder.display()
        ));
        lines.join("\n")
    })
}

/// Writes a file that is not there; says whether it did.
fn write(path: &Path, text: &str) -> Outcome<bool> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| Failure::file(parent, &error))?;
    }
    match File::create_new(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).map_err(|error| Failure::file(path, &error))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Failure::file(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_what_is_missing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("new");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("README.md"), "mine").unwrap();
        run(&place, Printer::new(true)).unwrap();
        assert_eq!(fs::read_to_string(place.join("README.md")).unwrap(), "mine");
        assert!(place.join(".git").is_dir());
        for (name, text) in &TEMPLATE[1..] {
            assert_eq!(&fs::read_to_string(place.join(name)).unwrap(), text);
        }
        run(&place, Printer::new(true)).unwrap();
    }

    /// Workflows are YAML, call nothing but `csw`, and put no text of a pull request into a shell.
    #[test]
    fn workflows_hold_no_text_of_strangers() {
        for (name, text) in TEMPLATE.iter().filter(|(name, _)| name.ends_with("yml")) {
            let flow: serde_json::Value = serde_saphyr::from_str(text).unwrap();
            for job in flow["jobs"].as_object().unwrap().values() {
                let steps = job["steps"].as_array().unwrap();
                let scripts: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
                assert!(scripts.iter().any(|script| script.contains("csw publish ")), "{name}");
                for script in scripts {
                    assert!(!script.contains("${{"), "{name}: {script}");
                }
            }
            assert!(flow.get("permissions").is_some() && !text.contains("pull_request_target"), "{name}");
        }
    }
}
