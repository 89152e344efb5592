//! What a repository asks to be installed, as far as its files tell without running any of them.

use std::{fs, path::Path};

use crate::{
    asked::{environment_yml, plan::is_unpinned, standard},
    layout::INSTALL,
};

/// Bytes of a file that are read.
const BYTES: usize = 1 << 20;

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// Files that say so, best first.
    pub(super) lists: Vec<String>,
    /// Packages of the system.
    pub(super) system: Vec<String>,
    /// Versions of Python.
    pub(super) python: Vec<String>,
    /// Packages of which any version would do.
    pub(super) unpinned: Vec<String>,
}

/// Reads `install.sh`, or the files that stand in for it.
pub(super) fn read(folder: &Path) -> Wishes {
    let mut wishes = Wishes::default();
    if let Some(text) = text(&folder.join(INSTALL)) {
        wishes.lists.push(INSTALL.to_owned());
        wishes.script(&text);
    }
    for place in ["", "cs-config/"] {
        for name in ["environment.yml", "environment.yaml"] {
            if let Some(text) = text(&folder.join(place).join(name)) {
                wishes.lists.push(format!("{place}{name}"));
                let found = environment_yml::read(&text);
                found.conda.iter().for_each(|word| wishes.conda(word));
                wishes.requirements(found.pip.iter().map(String::as_str));
            }
        }
        if let Some(text) = text(&folder.join(place).join("requirements.txt")) {
            wishes.lists.push(format!("{place}requirements.txt"));
            wishes.requirements(text.lines());
        }
    }
    if let Some(name) = standard::project_file(folder) {
        wishes.lists.push(name.to_owned());
        let declared = standard::declared(folder);
        wishes.requirements(declared.iter().map(String::as_str));
    }
    wishes.python.extend(standard::requires_python(folder));
    for list in [&mut wishes.system, &mut wishes.python, &mut wishes.unpinned] {
        list.sort();
        list.dedup();
    }
    wishes
}

/// The beginning of a file, if it is there.
pub(super) fn text(path: &Path) -> Option<String> {
    if !path.is_file() {
        return None;
    }
    let mut bytes = fs::read(path).ok()?;
    bytes.truncate(BYTES);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

impl Wishes {
    fn script(&mut self, text: &str) {
        let whole = text.replace("\\\n", " ");
        let commands = whole.lines().flat_map(|line| line.split(['&', ';', '|', '(', ')']));
        for command in commands {
            let command = command.split(" #").next().unwrap_or(command);
            let mut words = command.split_whitespace().map(unquoted).skip_while(|word| {
                // `sudo -E`, `VARIABLE=value`, and what stands before a command in a condition.
                ["sudo", "if", "then", "else", "do", "!", "-E", "-H"].contains(word)
                    || word
                        .split_once('=')
                        .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
            });
            match words.next() {
                Some("apt-get" | "apt") => self.apt(words),
                Some("conda" | "mamba" | "micromamba") => {
                    if matches!(words.next(), Some("install" | "create" | "update")) {
                        words.filter(|word| !word.starts_with('-')).for_each(|word| self.python_of(word));
                    }
                }
                Some("pip" | "pip3") if words.next() == Some("install") => {
                    let mut skipped = false;
                    let plain = words.filter(|word| {
                        let is_value = std::mem::replace(&mut skipped, ["-r", "-c", "-e", "-t", "-i"].contains(word));
                        !is_value && !word.starts_with('-')
                    });
                    let plain: Vec<&str> = plain.collect();
                    self.requirements(plain);
                }
                _ => {}
            }
        }
    }

    fn apt<'w>(&mut self, words: impl Iterator<Item = &'w str>) {
        let mut words = words.filter(|word| !word.starts_with('-'));
        if words.next() == Some("install") {
            let names = words.map(|word| word.split(['=', '/']).next().unwrap_or(word).to_owned());
            let is_name = |name: &String| {
                name.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c)) && !name.is_empty()
            };
            self.system.extend(names.filter(is_name));
        }
    }

    fn conda(&mut self, word: &str) {
        self.python_of(word);
        let name = word.split(['=', '<', '>', ' ', '[']).next().unwrap_or_default();
        if name != "python" && name != "pip" && word == name && !name.is_empty() {
            self.unpinned.push(name.to_owned());
        }
    }

    /// `python=3.9` as requirements say it.
    fn python_of(&mut self, word: &str) {
        let Some(rest) = word.strip_prefix("python").map(str::trim) else { return };
        let wanted = match rest.strip_prefix('=').filter(|rest| !rest.starts_with('=')) {
            Some(version) if version.split('.').count() < 3 => format!("=={}.*", version.trim_end_matches(".*")),
            Some(version) => format!("=={version}"),
            None if rest.starts_with(['<', '>', '=', '!', '~']) => rest.to_owned(),
            None => return,
        };
        self.python.push(wanted);
    }

    fn requirements<'l>(&mut self, lines: impl IntoIterator<Item = &'l str>) {
        let lines = lines.into_iter().map(|line| line.split(" #").next().unwrap_or(line).trim());
        let named = lines.filter(|line| !line.is_empty() && !line.starts_with(['#', '-', '.', '/', '$']));
        self.unpinned.extend(named.filter(|line| is_unpinned(line)).map(str::to_owned));
    }
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_and_not_run() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cs-config")).unwrap();
        let script = "set -e\nconda install -y -c conda-forge \"python=3.9\" 'numpy=1'\n\
                      sudo apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y \\\n  r-base=4.0 texlive # why\n\
                      pip install -r req.txt pandas 'scipy>=1' ./cs-config\nexit 9\n";
        fs::write(folder.path().join(INSTALL), script).unwrap();
        fs::write(folder.path().join("environment.yml"), "dependencies:\n  - bokeh\n  - six=1\n").unwrap();
        let found = read(folder.path());
        assert_eq!(found.lists, ["cs-config/install.sh", "environment.yml"]);
        assert_eq!(found.system, ["r-base", "texlive"]);
        assert_eq!(found.python, ["==3.9.*"]);
        assert_eq!(found.unpinned, ["bokeh", "pandas"]);
    }

    #[test]
    fn nothing_is_no_trouble() {
        assert_eq!(read(tempfile::tempdir().unwrap().path()), Wishes::default());
    }
}
