//! Schemas and validation results of real models, where the folder with them is present
//! (`CSW_MODELS_DIR`, or `shared/models` beside the repository). Skips where it is not.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use csw_params::{Dump, InputSchema, first_pass, form, normalise, validate_meta};
use serde_json::{Value, json};

fn folders() -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models");
    let root = std::env::var_os("CSW_MODELS_DIR").map_or(beside, PathBuf::from);
    let Ok(entries) = fs::read_dir(&root) else {
        println!("skipped: no models in {}", root.display());
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

fn files(folder: &Path, prefix: &str) -> Vec<(String, Value)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let json = name.starts_with(prefix) && Path::new(&name).extension().is_some_and(|ext| ext == "json");
            json.then(|| {
                let text = fs::read_to_string(folder.join(&name)).unwrap();
                (name, serde_json::from_str(&text).unwrap())
            })
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn schemas(folder: &Path) -> Vec<(String, Value, InputSchema)> {
    files(folder, "inputs.")
        .into_iter()
        .map(|(name, inputs)| {
            let schema = InputSchema::parse(&inputs["meta_parameters"], &inputs["model_parameters"]).unwrap();
            (name, inputs, schema)
        })
        .collect()
}

#[test]
fn real_schemas_round_trip() {
    for folder in folders() {
        for (name, inputs, schema) in schemas(&folder) {
            assert_eq!(schema.meta_parameters.to_json().to_string(), inputs["meta_parameters"].to_string(), "{name}");
            for (section, dump) in &schema.model_parameters {
                assert_eq!(
                    dump.to_json().to_string(),
                    inputs["model_parameters"][section].to_string(),
                    "{name} {section}"
                );
            }
        }
    }
}

#[test]
fn defaults_of_real_models_are_valid() {
    for folder in folders() {
        for (name, inputs, schema) in schemas(&folder) {
            assert!(validate_meta(&schema.meta_parameters, &json!({})).is_ok(), "{name}");
            let adjustment: serde_json::Map<_, _> = inputs["model_parameters"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(section, dump)| {
                    let values = dump.as_object().unwrap().iter();
                    let values = values
                        .filter(|(name, _)| *name != "schema")
                        .map(|(name, parameter)| (name.clone(), parameter["value"].clone()));
                    (section.clone(), Value::Object(values.collect()))
                })
                .collect();
            let adjustment = Value::Object(adjustment);
            let pass = first_pass(&schema, &adjustment);
            assert!(!pass.has_errors(), "{name}: {}", pass.errors_warnings());
            let once = normalise(&schema, &json!({}), &adjustment);
            let twice = normalise(&schema, &once["meta_parameters"], &once["adjustment"]);
            assert_eq!(once, twice, "{name}");
        }
    }
}

#[test]
fn every_real_parameter_has_fields() {
    for folder in folders() {
        for (name, _, schema) in schemas(&folder) {
            let meta = validate_meta(&schema.meta_parameters, &json!({})).unwrap();
            let context = form::Context::new(&meta);
            for dump in schema.model_parameters.values() {
                let shown: usize = form::fields(dump, &context)
                    .iter()
                    .flat_map(|section| &section.groups)
                    .map(|group| group.parameters.len())
                    .sum();
                assert_eq!(shown, dump.parameters().len(), "{name}");
            }
        }
    }
}

/// Where the model found nothing wrong, neither do we; where both report a parameter, we say what
/// it said. What it alone reports are choices that its schema does not tell, and a network look-up.
#[test]
fn first_pass_never_contradicts_real_models() {
    let (mut agreed, mut silent) = (0, Vec::new());
    for folder in folders() {
        let schemas = schemas(&folder);
        for (name, case) in files(&folder, "validate.") {
            let meta = &case["request"]["meta_param_dict"];
            let same_meta = |dump: &Dump| {
                validate_meta(dump, &json!({}))
                    .is_ok_and(|values| validate_meta(dump, meta).is_ok_and(|asked| asked == values))
            };
            let schema = schemas
                .iter()
                .map(|(_, _, schema)| schema)
                .find(|schema| same_meta(&schema.meta_parameters))
                .unwrap_or_else(|| panic!("no schema for {name}"));
            let pass = first_pass(schema, &case["request"]["adjustment"]);
            let ours = pass.errors_warnings();
            let theirs = &case["response"]["errors_warnings"];
            for (section, report) in theirs.as_object().unwrap() {
                let found = ours[section]["errors"].as_object().unwrap();
                let messages = report["errors"].as_object().unwrap();
                assert!(found.keys().all(|parameter| messages.contains_key(parameter)), "{name}: {ours}");
                for (parameter, message) in messages {
                    match found.get(parameter) {
                        Some(own) => {
                            assert_eq!(own, message, "{name} {section} {parameter}");
                            agreed += 1;
                        }
                        None => silent.push(format!("{name} {parameter} {message}")),
                    }
                }
            }
        }
    }
    println!("{agreed} messages agree, the model alone reports {silent:#?}");
}
