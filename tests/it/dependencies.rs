//! Crates depend in one direction only: `csw -> web, adapters -> app -> core -> params`.

use std::{collections::BTreeMap, process::Command};

use csw_tests::Result;
use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// What each crate may use of ours. A new crate has to find its place here.
const MAY: &[(&str, &[&str])] = &[
    ("csw-params", &[]),
    ("csw-core", &["csw-params"]),
    ("csw-app", &["csw-core", "csw-params"]),
    ("csw-store", &["csw-core"]),
    ("csw-sandbox", &[]),
    ("csw-runtime", &["csw-core", "csw-sandbox"]),
    ("csw-kubernetes", &["csw-core"]),
    ("csw-testing", &[]),
    ("csw-kubernetes-testing", &["csw-testing"]),
    ("csw-store-testing", &["csw-testing"]),
    ("csw-secrets", &["csw-core"]),
    ("csw-publish", &["csw-core", "csw-sandbox", "csw-runtime"]),
    ("csw-thumbnails", &["csw-core", "csw-sandbox"]),
    ("csw-web", &["csw-core", "csw-app", "csw-params"]),
    ("csw-client", &[]),
];

#[test]
fn crates_depend_downwards() -> Result {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let may: BTreeMap<_, _> = MAY.iter().copied().collect();
    for package in metadata.packages.iter().filter(|package| package.source.is_none()) {
        // The program wires everything; the tests look from outside.
        if ["csw", "csw-tests"].contains(&package.name.as_str()) {
            continue;
        }
        let allowed = may.get(package.name.as_str()).unwrap_or_else(|| panic!("{} has no place", package.name));
        for dependency in &package.dependencies {
            let ours = dependency.name.starts_with("csw-") && dependency.kind.is_none();
            assert!(
                !ours || allowed.contains(&dependency.name.as_str()),
                "{} must not depend on {}",
                package.name,
                dependency.name
            );
        }
    }
    Ok(())
}
