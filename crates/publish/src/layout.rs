//! Whether a repository is a model: what must be there, and what to do where it is not.

use std::{fs, path::Path};

use crate::failure::Failure;

/// Where the four functions are.
pub(crate) const FUNCTIONS: &str = "cs-config/cs_config/functions.py";
/// Where the model's own tests are.
pub(crate) const TESTS: &str = "cs-config/cs_config/tests/test_functions.py";
/// What installs the model.
pub(crate) const INSTALL: &str = "cs-config/install.sh";

/// Fails with what was found, and what to do, unless the functions are there.
pub(crate) fn check(folder: &Path) -> Result<(), Failure> {
    if folder.join(FUNCTIONS).is_file() {
        return Ok(());
    }
    let found = if folder.join("cs-config/cs_config").is_dir() {
        format!("`cs-config/cs_config` has {}", names(&folder.join("cs-config/cs_config")))
    } else if folder.join("cs-config").is_dir() {
        format!("`cs-config` has {}", names(&folder.join("cs-config")))
    } else if folder.join("cs_config").is_dir() {
        "there is `cs_config`, which belongs inside `cs-config`".to_owned()
    } else {
        format!("the repository has {}", names(folder))
    };
    Err(Failure::Unusable(format!(
        "`{FUNCTIONS}` was not found: {found}. Run `csk init` in the repository, write the four functions, commit and publish again"
    )))
}

fn names(folder: &Path) -> String {
    let Ok(entries) = fs::read_dir(folder) else { return "nothing readable".to_owned() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let more = names.len().saturating_sub(8);
    names.truncate(8);
    match (names.is_empty(), more) {
        (true, _) => "no files".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_what_was_found() {
        let folder = tempfile::tempdir().unwrap();
        let sentence = || check(folder.path()).unwrap_err().to_string();
        assert!(sentence().contains("the repository has no files. Run `csk init`"));
        fs::create_dir_all(folder.path().join("cs_config")).unwrap();
        assert!(sentence().contains("belongs inside `cs-config`"));
        fs::create_dir_all(folder.path().join("cs-config/cs_config")).unwrap();
        fs::write(folder.path().join("cs-config/cs_config/function.py"), "").unwrap();
        assert!(sentence().contains("`cs-config/cs_config` has function.py"));
        fs::write(folder.path().join(FUNCTIONS), "").unwrap();
        check(folder.path()).unwrap();
    }
}
