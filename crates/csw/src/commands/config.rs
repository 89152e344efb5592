//! `csw config show`: every setting, its value, and who said so.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, parser::ValueSource};
use serde::Serialize;
use toml::Table;

use crate::{
    failure::Outcome,
    output::{Printer, table},
    settings::{
        self,
        known::{self, Known, Secrecy},
    },
};

const MASK: &str = "***";

/// A setting as it is now.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Shown {
    name: &'static str,
    value: String,
    origin: Origin,
}

/// Who said so.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
enum Origin {
    /// A flag of this very command.
    Flag { flag: &'static str },
    /// A variable of the environment.
    Environment { variable: &'static str },
    /// A key of a file.
    File { path: PathBuf, key: &'static str },
    /// Nobody.
    Default,
}

impl Origin {
    fn words(&self) -> String {
        match self {
            Self::Flag { flag } => format!("flag {flag}"),
            Self::Environment { variable } => format!("variable {variable}"),
            Self::File { path, key } => format!("{}, key {key}", path.display()),
            Self::Default => "default".to_owned(),
        }
    }
}

pub(crate) fn show(matches: &ArgMatches, config: Option<&Path>, origin: bool, printer: Printer) -> Outcome {
    let leaf = leaf(matches);
    let file = settings::file(config).and_then(|path| Some((known::read(&path)?, path)));
    let variable = |name: &str| std::env::var(name).ok();
    let all: Vec<Shown> = known::ALL.iter().map(|known| look_up(known, leaf, &variable, file.as_ref())).collect();
    if !origin {
        let values: serde_json::Map<String, serde_json::Value> =
            all.iter().map(|shown| (shown.name.to_owned(), shown.value.as_str().into())).collect();
        let rows: Vec<[String; 2]> = all.iter().map(|shown| [shown.name.to_owned(), shown.value.clone()]).collect();
        return printer.result(&values, || table(["SETTING", "VALUE"], &rows));
    }
    let rows: Vec<[String; 3]> =
        all.iter().map(|shown| [shown.name.to_owned(), shown.value.clone(), shown.origin.words()]).collect();
    printer.result(&all, || table(["SETTING", "VALUE", "FROM"], &rows))
}

/// The command that was given, behind those it is part of.
fn leaf(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, inner)) => leaf(inner),
        None => matches,
    }
}

fn look_up(
    known: &Known,
    flags: &ArgMatches,
    variable: &dyn Fn(&str) -> Option<String>,
    file: Option<&(Table, PathBuf)>,
) -> Shown {
    let masked = |value: String| match known.secrecy {
        Secrecy::Open => value,
        Secrecy::Url => without_password(&value),
        Secrecy::Secret => {
            if value.is_empty() {
                value
            } else {
                MASK.to_owned()
            }
        }
    };
    let id = known.flag.trim_start_matches('-').replace('-', "_");
    let by_flag = !id.is_empty() && flags.try_contains_id(&id).unwrap_or(false);
    if by_flag && flags.value_source(&id) == Some(ValueSource::CommandLine) {
        let raw = flags.get_raw(&id).into_iter().flatten().next().map(|value| value.to_string_lossy().into_owned());
        let value = masked(raw.filter(|value| !value.is_empty()).unwrap_or_else(|| "true".to_owned()));
        return Shown { name: known.name(), value, origin: Origin::Flag { flag: known.flag } };
    }
    if !known.variable.is_empty()
        && let Some(value) = variable(known.variable)
    {
        let origin = Origin::Environment { variable: known.variable };
        return Shown { name: known.name(), value: masked(value), origin };
    }
    if !known.key.is_empty()
        && let Some((table, path)) = file
        && let Some(value) = known::in_file(table, known.key)
    {
        let origin = Origin::File { path: path.clone(), key: known.key };
        return Shown { name: known.name(), value: masked(value), origin };
    }
    Shown { name: known.name(), value: known.default.to_owned(), origin: Origin::Default }
}

/// Of a URL the password alone is hidden: which database it is, is what is looked for.
fn without_password(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let Some((user, place)) = rest.rsplit_once('@') else { return value.to_owned() };
    let user = user.split_once(':').map_or(user, |(user, _)| user);
    format!("{scheme}://{user}:{MASK}@{place}")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn shown(words: &[&str], variables: &[(&str, &str)], file: &str, name: &str) -> (String, Origin) {
        let matches = Cli::command().try_get_matches_from(words).unwrap();
        let table: Table = file.parse().unwrap();
        let known = known::ALL.iter().find(|known| known.name() == name).unwrap();
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let shown = look_up(known, leaf(&matches), &variable, Some(&(table, PathBuf::from("f.toml"))));
        (shown.value, shown.origin)
    }

    #[test]
    fn flags_go_before_variables_and_these_before_the_file() {
        let file = "listen = 'file:1'";
        let bare: &[&str] = &["csw", "config", "show"];
        let flag: &[&str] = &["csw", "config", "show", "--listen", "flag:1"];
        let variable = [("CSW_LISTEN", "variable:1")];
        let origin = Origin::Flag { flag: "--listen" };
        assert_eq!(shown(flag, &variable, file, "listen"), ("flag:1".to_owned(), origin));
        let origin = Origin::Environment { variable: "CSW_LISTEN" };
        assert_eq!(shown(bare, &variable, file, "listen"), ("variable:1".to_owned(), origin));
        let origin = Origin::File { path: "f.toml".into(), key: "listen" };
        assert_eq!(shown(bare, &[], file, "listen"), ("file:1".to_owned(), origin));
        assert_eq!(shown(bare, &[], "", "listen"), ("127.0.0.1:8080".to_owned(), Origin::Default));
    }

    #[test]
    fn secrets_are_masked_wherever_they_come_from() {
        let flag: &[&str] = &["csw", "config", "show", "--token", "t0/ken"];
        assert_eq!(shown(flag, &[], "", "token").0, MASK);
        let bare: &[&str] = &["csw", "config", "show"];
        assert_eq!(shown(bare, &[("CSW_REGISTRY_PASSWORD", "pass")], "", "images.password").0, MASK);
        let file = "database = 'postgres://me:p@ss@host/db'\n[mail]\nsmtp = 'smtps://u:pw@mail'";
        assert_eq!(shown(bare, &[], file, "database").0, "postgres://me:***@host/db");
        assert_eq!(shown(bare, &[], file, "mail.smtp").0, "smtps://u:***@mail");
        assert_eq!(shown(bare, &[], "database = '/srv/csw.db'", "database").0, "/srv/csw.db");
    }

    #[test]
    fn every_flag_of_the_list_is_one() {
        let mut command = Cli::command();
        let show = command.find_subcommand_mut("config").and_then(|it| it.find_subcommand_mut("show")).unwrap();
        let help = show.render_long_help().to_string();
        for known in known::ALL.iter().filter(|known| !known.flag.is_empty() && known.flag != "--config") {
            assert!(help.contains(known.flag), "{}", known.flag);
        }
    }
}
