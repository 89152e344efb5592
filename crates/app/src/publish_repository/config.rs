//! `config/<owner>/<title>.yaml`: what a publish repository says of a model.

use std::{collections::BTreeMap, path::Path};

use csw_core::names::{ModelName, near};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The folder of all of them.
pub const FOLDER: &str = "config";

const KEYS: [&str; 6] = ["owner", "title", "timestamp", "repo_url", "repo_tag", "resources"];
const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// What may be said of a model; what is not said stays as the site has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    owner: String,
    title: String,
    /// When it was last asked to be published.
    #[serde(default)]
    pub timestamp: Option<String>,
    /// Where its source is.
    #[serde(default)]
    pub repo_url: Option<String>,
    /// Branch, tag or commit.
    #[serde(default)]
    pub repo_tag: Option<String>,
    /// What a run gets.
    #[serde(default)]
    pub resources: Resources,
}

/// What a run gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// CPUs.
    pub cpu: Option<f64>,
    /// Gigabytes.
    pub memory: Option<f64>,
}

#[derive(Deserialize)]
struct Shape {
    #[serde(default)]
    resources: Option<Map<String, Value>>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl ModelConfig {
    /// Reads the file of a model; a sentence where it is not as it should be.
    pub fn parse(name: &ModelName, text: &str) -> Result<Self, String> {
        let path = path_of(name);
        let wrong = |error: serde_saphyr::Error| {
            let text = error.to_string();
            format!("{path}: {}", text.lines().next().unwrap_or_default())
        };
        if let Ok(shape) = serde_saphyr::from_str::<Shape>(text) {
            known(&path, shape.more.keys(), &KEYS)?;
            known(&path, shape.resources.iter().flat_map(Map::keys), &RESOURCES)?;
        }
        let config: Self = serde_saphyr::from_str(text).map_err(wrong)?;
        for (key, said, meant) in
            [("owner", &config.owner, name.owner.as_str()), ("title", &config.title, name.title.as_str())]
        {
            if said != meant {
                return Err(format!("{path}: `{key}` is `{said}`, and the path says `{meant}`: make them the same"));
            }
        }
        Ok(config)
    }
}

fn known<'a>(path: &str, mut keys: impl Iterator<Item = &'a String>, known: &[&str]) -> Result<(), String> {
    let Some(key) = keys.find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let hint = match near(key, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    Err(format!("{path}: unknown key `{key}`; {hint}"))
}

/// Whether a path should be that of a model's file. Notes for people are about none.
pub fn is_about_a_model(path: &str) -> bool {
    let below = path.strip_prefix(FOLDER).is_some_and(|rest| rest.starts_with('/'));
    below && Path::new(path).extension().is_none_or(|ending| ending != "md")
}

/// Where the file of a model is, from the repository's root.
pub fn path_of(name: &ModelName) -> String {
    format!("{FOLDER}/{name}.yaml")
}

/// The name of a model, which becomes a path, a branch and a part of commands: fewer names than the site allows.
pub fn name(text: &str) -> Result<ModelName, String> {
    if !text.is_ascii() {
        return Err(format!(
            "`{}` has letters beyond ASCII, which file systems and git write in more than one way: rename the model",
            text.escape_debug()
        ));
    }
    let name: ModelName = text.parse().map_err(|error| format!("{error}"))?;
    for (what, part) in [("owner", name.owner.as_str()), ("title", name.title.as_str())] {
        let lower = part.to_ascii_lowercase();
        // Git's own rules for branches, and words that commands read as options.
        let bad = part.starts_with(['-', '.'])
            || part.ends_with('.')
            || part.contains("..")
            || part.contains("@{")
            || part == "@"
            || Path::new(&lower).extension().is_some_and(|ending| ending == "lock");
        if bad {
            return Err(format!("the {what} `{part}` can't be a path and a branch of a publish repository"));
        }
    }
    Ok(name)
}

/// The model that a file below `config/` is about.
pub fn name_of_path(path: &str) -> Result<ModelName, String> {
    let wrong = || format!("`{}` is no config/<owner>/<title>.yaml", path.escape_debug());
    let inner = path.strip_prefix("config/").ok_or_else(wrong)?;
    let bare = inner.strip_suffix(".yaml").ok_or_else(|| match inner.strip_suffix(".yml") {
        Some(bare) => format!("`{}` must be called config/{}.yaml", path.escape_debug(), bare.escape_debug()),
        None => wrong(),
    })?;
    if bare.matches('/').count() != 1 {
        return Err(wrong());
    }
    name(bare).map_err(|sentence| format!("{}: {sentence}", path.escape_debug()))
}

/// A sentence where two files are about models whose names differ in case alone: the site has one of them.
pub fn clash<'a>(paths: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for path in paths {
        if let Some(other) = seen.insert(path.to_lowercase(), path).filter(|other| *other != path) {
            return Some(format!("{other} and {path} differ in case alone, and are one model: remove one"));
        }
    }
    None
}

/// The text of a file that was not there.
pub fn fresh(name: &ModelName, model: Option<(&str, &str, Resources)>, now: Timestamp) -> String {
    let mut lines = vec![
        format!("owner: {}", quoted(name.owner.as_str())),
        format!("title: {}", quoted(name.title.as_str())),
        format!("timestamp: \"{now}\""),
    ];
    if let Some((url, tag, resources)) = model {
        for (key, value) in [("repo_url", url), ("repo_tag", tag)] {
            if !value.is_empty() {
                lines.push(format!("{key}: {}", quoted(value)));
            }
        }
        let numbers = [("cpu", resources.cpu), ("memory", resources.memory)];
        if numbers.iter().any(|(_, value)| value.is_some()) {
            lines.push("resources:".to_owned());
        }
        lines.extend(numbers.iter().filter_map(|(key, value)| value.map(|value| format!("  {key}: {value}"))));
    }
    lines.join("\n") + "\n"
}

/// JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The same text with another timestamp; everything else stays, comments too.
pub fn stamped(text: &str, now: Timestamp) -> String {
    let line = format!("timestamp: \"{now}\"");
    let mut found = false;
    let mut lines: Vec<String> = text
        .lines()
        .map(|old| {
            let is_it = old.strip_prefix("timestamp").is_some_and(|rest| rest.trim_start().starts_with(':'));
            found |= is_it;
            if is_it { line.clone() } else { old.to_owned() }
        })
        .collect();
    if !found {
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<ModelConfig, String> {
        ModelConfig::parse(&name("PSL/Tax-Cruncher").unwrap(), text)
    }

    #[test]
    fn a_file_says_what_it_may_and_nothing_else() {
        let bare = "owner: PSL\ntitle: Tax-Cruncher\n";
        let all = format!(
            "{bare}timestamp: '2026-01-01T00:00:00Z'\nrepo_url: https://h/a/b\nrepo_tag: 1.0\nresources:\n  cpu: 2\n  memory: 6.5\n"
        );
        let config = of(&all).unwrap();
        assert_eq!(config.repo_tag.as_deref(), Some("1.0"));
        assert_eq!(config.resources, Resources { cpu: Some(2.0), memory: Some(6.5) });
        assert_eq!(of(bare).unwrap().resources, Resources::default());
        for (more, says) in [
            ("repo_ur: x\n", "unknown key `repo_ur`; did you mean `repo_url`?"),
            ("colour: x\n", "unknown key `colour`; there are owner, title"),
            ("resources:\n  cpus: 2\n", "unknown key `cpus`; did you mean `cpu`?"),
            ("resources:\n  cpu: many\n", "config/PSL/Tax-Cruncher.yaml:"),
            ("title: Other\n", "config/PSL/Tax-Cruncher.yaml:"),
            ("]\n", "config/PSL/Tax-Cruncher.yaml:"),
        ] {
            let said = of(&format!("{bare}{more}")).unwrap_err();
            assert!(said.contains(says), "{more}: {said}");
        }
        let said = of("owner: psl\ntitle: Tax-Cruncher\n").unwrap_err();
        assert!(said.contains("`owner` is `psl`, and the path says `PSL`"), "{said}");
        assert!(of("").is_err() && of("- a\n").is_err());
    }

    #[test]
    fn odd_names_are_refused_with_a_sentence() {
        for (text, says) in [
            ("config/Zoë/Model.yaml", "beyond ASCII"),
            ("config/a/$(rm -rf x).yaml", "letters, digits and -"),
            ("config/a;b/Model.yaml", "letters, digits and @"),
            ("config/a/b`id`.yaml", "letters, digits and -"),
            ("config/a/b\n.yaml", "letters, digits and -"),
            ("config/admin/Model.yaml", "is reserved"),
            ("config/-x/Model.yaml", "can't be a path and a branch"),
            ("config/a/-x.yaml", "can't be a path and a branch"),
            ("config/a..b/Model.yaml", "can't be a path and a branch"),
            ("config/a.lock/Model.yaml", "can't be a path and a branch"),
            ("config/../Model.yaml", "letters, digits and @"),
            ("config/Model.yaml", "is no config/<owner>/<title>.yaml"),
            ("config/a/b/Model.yaml", "is no config/<owner>/<title>.yaml"),
            ("config/a/Model.yml", "must be called config/a/Model.yaml"),
            ("config/a/Model.txt", "is no config/<owner>/<title>.yaml"),
        ] {
            let said = name_of_path(text).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
        assert_eq!(name_of_path("config/PSL/Tax-Cruncher.yaml").unwrap().to_string(), "PSL/Tax-Cruncher");
        let clash = |paths: &[&str]| clash(paths.iter().copied());
        assert!(clash(&["config/a/B.yaml", "config/A/b.yaml"]).unwrap().contains("differ in case alone"));
        assert_eq!(clash(&["config/a/B.yaml", "config/a/C.yaml"]), None);
    }

    #[test]
    fn a_new_timestamp_changes_one_line() {
        let now: Timestamp = "2026-02-03T04:05:06Z".parse().unwrap();
        let text = "# ours\nowner: PSL\ntitle: Tax-Cruncher\ntimestamp: old # note\nrepo_tag: v1\n";
        let stamped_text = stamped(text, now);
        assert_eq!(stamped_text, text.replace("timestamp: old # note", "timestamp: \"2026-02-03T04:05:06Z\""));
        assert!(stamped("owner: a", now).ends_with("owner: a\ntimestamp: \"2026-02-03T04:05:06Z\"\n"));
        let name = name("PSL/Tax-Cruncher").unwrap();
        let resources = Resources { cpu: Some(1.0), memory: Some(0.5) };
        let made = fresh(&name, Some(("https://h/a/b", "v1: \"x\"", resources)), now);
        let config = ModelConfig::parse(&name, &made).unwrap();
        assert_eq!((config.repo_tag.as_deref(), config.resources), (Some("v1: \"x\""), resources));
        assert_eq!(ModelConfig::parse(&name, &fresh(&name, None, now)).unwrap().repo_url, None);
    }
}
