//! A repository without `install.sh`: the script that its other files imply.

use std::path::Path;

use crate::layout::INSTALL;

/// Files that name packages, best first, and how they are installed. `cs-config` may hold them as well.
const LISTS: &[(&str, &str)] = &[
    ("environment.yml", "conda env update -f"),
    ("environment.yaml", "conda env update -f"),
    ("requirements.txt", "pip install -r"),
];

/// Text of the script to run, and what to tell about it.
pub(crate) fn script(folder: &Path) -> (Option<String>, String) {
    if folder.join(INSTALL).is_file() {
        return (None, format!("Reading what `{INSTALL}` installs"));
    }
    let (mut lines, mut used) = (vec!["set -e".to_owned()], vec![]);
    for place in ["", "cs-config/"] {
        for (name, command) in LISTS {
            if folder.join(place).join(name).is_file() {
                lines.push(format!("{command} {place}{name}"));
                used.push(format!("`{place}{name}`"));
            }
        }
    }
    if let Some(name) = project_file(folder) {
        lines.push("pip install .".to_owned());
        used.push(format!("`{name}`"));
    }
    let told = if used.is_empty() {
        format!("There is no `{INSTALL}`, and no file that names packages: nothing is installed")
    } else {
        format!("There is no `{INSTALL}`; installing what {} asks for", used.join(" and "))
    };
    (Some(lines.join("\n") + "\n"), told)
}

/// The file by which a folder is a package, if it is one.
pub(crate) fn project_file(folder: &Path) -> Option<&'static str> {
    let name = ["pyproject.toml", "setup.py", "setup.cfg"].into_iter().find(|name| folder.join(name).is_file())?;
    // Many repositories have a pyproject.toml for their formatter alone.
    let only_tools = name == "pyproject.toml" && !is_project(&folder.join(name));
    if !only_tools {
        return Some(name);
    }
    ["setup.py", "setup.cfg"].into_iter().find(|name| folder.join(name).is_file())
}

fn is_project(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let table: toml::Table = text.parse().unwrap_or_default();
    table.contains_key("project")
        || table.contains_key("build-system")
        || table.get("tool").is_some_and(|tool| tool.get("poetry").is_some())
}

/// Whether a package is built by setuptools alone, in no particular version.
pub(crate) fn is_built_by_any_setuptools(folder: &Path) -> bool {
    if !folder.is_dir() {
        return false;
    }
    let text = std::fs::read_to_string(folder.join("pyproject.toml")).unwrap_or_default();
    let Ok(table) = text.parse::<toml::Table>() else { return false };
    let Some(system) = table.get("build-system") else { return true };
    let backend = system.get("build-backend").and_then(toml::Value::as_str).unwrap_or("setuptools.build_meta");
    let requires = system.get("requires").and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_usual = |item: &toml::Value| {
        let text = item.as_str().unwrap_or_default();
        let name = super::plan::package_name(text).unwrap_or_default();
        ["setuptools", "wheel"].contains(&name.as_str())
            && !text.contains(['<', '~', '[', '@', '!'])
            && !text.contains("==")
    };
    backend.starts_with("setuptools.build_meta")
        && system.get("backend-path").is_none()
        && requires.iter().all(is_usual)
}

/// Versions of Python that a package declares in `pyproject.toml`.
pub(crate) fn requires_python(folder: &Path) -> Option<String> {
    project_value(folder, "requires-python").and_then(|value| value.as_str().map(str::to_owned))
}

/// Requirements that a package declares in `pyproject.toml`.
pub(crate) fn declared(folder: &Path) -> Vec<String> {
    let list = project_value(folder, "dependencies");
    let list = list.as_ref().and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn project_value(folder: &Path, key: &str) -> Option<toml::Value> {
    let text = std::fs::read_to_string(folder.join("pyproject.toml")).ok()?;
    let table: toml::Table = text.parse().ok()?;
    table.get("project")?.get(key).cloned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_plain_setuptools_needs_no_isolation() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_built_by_any_setuptools(folder.path()));
        for (text, expected) in [
            ("[build-system]\nrequires=['setuptools>=61','wheel']\n", true),
            ("[build-system]\nrequires=['setuptools<60']\n", false),
            ("[build-system]\nrequires=['setuptools','numpy']\n", false),
            ("[build-system]\nrequires=['hatchling']\nbuild-backend='hatchling.build'\n", false),
            ("broken", false),
        ] {
            fs::write(folder.path().join("pyproject.toml"), text).unwrap();
            assert_eq!(is_built_by_any_setuptools(folder.path()), expected, "{text}");
        }
    }

    #[test]
    fn other_files_stand_in() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert!(script(folder.path()).1.contains("nothing is installed"));
        write("pyproject.toml", "[tool.black]\nline-length = 1\n");
        assert_eq!(project_file(folder.path()), None);
        write("environment.yml", "");
        write("cs-config/requirements.txt", "");
        write("setup.py", "");
        let (text, told) = script(folder.path());
        assert_eq!(
            text.unwrap(),
            "set -e\nconda env update -f environment.yml\npip install -r cs-config/requirements.txt\npip install .\n"
        );
        assert!(told.ends_with("`environment.yml` and `cs-config/requirements.txt` and `setup.py` asks for"));
        write("pyproject.toml", "[project]\nname='x'\nrequires-python='>=3.9'\ndependencies=['numpy']\n");
        assert_eq!(project_file(folder.path()), Some("pyproject.toml"));
        assert_eq!(
            (requires_python(folder.path()).unwrap(), declared(folder.path())),
            (">=3.9".into(), vec!["numpy".to_owned()])
        );
        write(INSTALL, "true");
        assert_eq!(script(folder.path()).0, None);
    }
}
