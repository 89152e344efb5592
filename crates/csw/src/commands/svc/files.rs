//! Files that settings name: a pod has none of them but what the Secret beside its settings brings.

use std::{collections::BTreeMap, io::ErrorKind, path::Path};

use csw_kubernetes::manifests::SETTINGS;
use toml::Table;

use super::config::set;
use crate::{
    failure::{Failure, Outcome},
    output::Printer,
    settings::{self, known},
};

/// Settings that name a file which says the same wherever it is. Tokens that somebody renews are not among them.
const NAMED: [&str; 5] = [
    "objects.credentials_file",
    "redis.ca_file",
    "github.app_key_file",
    "secrets.vault.ca_file",
    "secrets.kubernetes.ca_file",
];

/// Takes along what is on this machine: texts by the name of their setting, which then names where the pod has it.
pub(super) fn take(table: &mut Table, printer: Printer) -> Outcome<BTreeMap<String, String>> {
    let mut taken = BTreeMap::new();
    for key in NAMED {
        let Some(named) = value(table, key) else { continue };
        match std::fs::read_to_string(&named) {
            Ok(text) => {
                set(table, key, Path::new(SETTINGS).with_file_name(key).display().to_string());
                taken.insert(key.to_owned(), text);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                printer.note(&format!("{named}, which `{key}` names, is not on this machine: mount it in the pods"));
                set(table, key, named);
            }
            Err(error) => return Err(Failure::file(named.as_ref(), &error)),
        }
    }
    Ok(taken)
}

/// What a setting is: a variable, or the file.
fn value(table: &Table, key: &str) -> Option<String> {
    let variable = known::ALL.iter().find(|known| known.key == key)?.variable;
    settings::variable(variable).or_else(|| known::in_file(table, key))
}
