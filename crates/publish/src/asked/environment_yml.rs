//! The part of `environment.yml` that names packages.
//!
//! Not a reader of YAML: conda's own exports and every file seen in a model keep to lists of plain words.

/// The two lists of packages.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// Specifications of conda.
    pub(crate) conda: Vec<String>,
    /// Lines for pip.
    pub(crate) pip: Vec<String>,
}

/// Reads the lists below `dependencies:`.
pub(crate) fn read(text: &str) -> Environment {
    let mut found = Environment::default();
    let mut inside = false;
    // Indentation of the items of the `pip:` list is deeper than that of its own item.
    let mut pip: Option<usize> = None;
    for raw in text.lines() {
        let line = without_comment(raw);
        if line.trim().is_empty() {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let Some(item) = line.trim_start().strip_prefix('-') else {
            if indent == 0 {
                inside = line.starts_with("dependencies:");
                pip = None;
                if inside {
                    found.conda.extend(inline_list(line.trim_start_matches("dependencies:")));
                }
            }
            continue;
        };
        if !inside {
            continue;
        }
        let item = unquoted(item.trim());
        if let Some(list) = item.strip_prefix("pip:") {
            pip = Some(indent);
            found.pip.extend(inline_list(list));
        } else if pip.is_some_and(|outer| indent > outer) {
            found.pip.push(item.to_owned());
        } else {
            pip = None;
            found.conda.push(item.to_owned());
        }
    }
    found
}

fn inline_list(text: &str) -> Vec<String> {
    let Some(list) = text.trim().strip_prefix('[') else { return vec![] };
    let list = list.trim_end_matches(']').split(',').map(|item| unquoted(item.trim()).to_owned());
    list.filter(|item| !item.is_empty()).collect()
}

fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    line.find(" #").map_or(line, |at| &line[..at]).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_are_read() {
        let text = "name: m\nchannels: [x]\ndependencies:\n  - \"python>=3.9\"\n  # note\n  - 'numpy=1'\n  - pip\n  - pip:\n    - \"git+https://h/a/b#egg=b\"\n    - -r requirements.txt\n  - scipy # last\nprefix: /x\n";
        let found = read(text);
        assert_eq!(found.conda, ["python>=3.9", "numpy=1", "pip", "scipy"]);
        assert_eq!(found.pip, ["git+https://h/a/b#egg=b", "-r requirements.txt"]);
        assert_eq!(read("dependencies: [a, 'b']\nvariables:\n  - c\n").conda, ["a", "b"]);
    }
}
