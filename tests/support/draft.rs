//! Small models that a test writes itself.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::ensure;

use crate::Result;

/// Four functions that keep the contract; what is written behind them replaces them one by one.
const FUNCTIONS: &str = r#"
def get_version():
    return "1.0.0"


def get_inputs(meta_param_dict):
    number = {"title": "Number", "description": "A number.", "type": "int", "value": [{"value": 2}], "validators": {}}
    return {"meta_parameters": {}, "model_parameters": {"Main": {"number": number}}}


def validate_inputs(meta_param_dict, adjustment, errors_warnings):
    return {"errors_warnings": errors_warnings}


def run_model(meta_param_dict, adjustment):
    return shown("well\n")


def shown(text):
    return {"renderable": [{"media_type": "Text", "title": "Result", "data": text}], "downloadable": []}
"#;

const SETUP: &str = "from setuptools import setup\nsetup(name='cs-config', version='1', packages=['cs_config'])\n";

/// A model in a folder of its own.
pub struct Draft {
    folder: PathBuf,
}

impl Draft {
    /// Writes a model that keeps the contract, and then what `more` says in Python.
    pub fn new(place: &str, more: &str) -> Result<Self> {
        let draft = Self { folder: PathBuf::from(place) };
        let functions = format!("{FUNCTIONS}\n\n{more}\n");
        draft
            .file("cs-config/cs_config/__init__.py", "")?
            .file("cs-config/cs_config/functions.py", &functions)?
            .file("cs-config/setup.py", SETUP)
    }

    /// Adds a file, or replaces it.
    pub fn file(self, name: &str, text: &str) -> Result<Self> {
        let path = self.folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
        Ok(self)
    }

    /// Commits all of it, at a time such as `2022-01-15T00:00:00Z`.
    pub fn commit(self, time: &str) -> Result<Self> {
        for words in [&["init", "-q"][..], &["add", "."], &["commit", "-q", "-m", "all"]] {
            let done = Command::new("git")
                .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"])
                .args(words)
                .current_dir(&self.folder)
                .envs([("GIT_AUTHOR_DATE", time), ("GIT_COMMITTER_DATE", time)])
                .output()?;
            ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(self)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
