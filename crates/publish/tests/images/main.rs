//! Images for real: the registry server of Debian, skopeo as a second opinion, podman over runc to run them.
//!
//! Needs what `tests/pipeline.rs` needs, and the packages docker-registry, skopeo, podman, buildah and runc. Where
//! one of these is missing, or can't run here, the test says so and is skipped.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod bench;
#[path = "../support/common.rs"]
mod common;
mod registry;
mod tools;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bench::Bench;
use common::repository_root;
use csw_publish::image::{ImageError, PushOptions, Pushed, newest_tag, push};
use registry::Registry;
use tools::{Podman, missing, tool};

/// A change of code alone may send so much.
const SMALL: u64 = 1_000_000;

/// Imports the model and calls its four functions as an executor does.
const FOUR: &str = "
import json
import cs_config.functions as f
print(f.get_version())
inputs = json.loads(json.dumps(f.get_inputs({})))
sections = inputs['model_parameters']
meta = {name: value['value'] for name, value in inputs['meta_parameters'].items() if name != 'schema'}
adjustment = {name: {} for name in sections}
verdict = f.validate_inputs(meta, adjustment, {name: {'errors': {}, 'warnings': {}} for name in sections})
assert not any(found['errors'] for found in verdict['errors_warnings'].values()), verdict
outputs = f.run_model(meta, adjustment)
print(len(outputs['renderable']))
";

async fn send(bench: &Bench, registry: &Registry) -> Pushed {
    try_send(bench, registry).await.unwrap_or_else(|error| panic!("{error}\n{}", registry.log()))
}

async fn try_send(bench: &Bench, registry: &Registry) -> Result<Pushed, ImageError> {
    let tag = newest_tag(&bench.layout(), &bench.model).unwrap().unwrap();
    let options = PushOptions {
        place: registry.place(),
        tag: None,
        credentials: Some(registry.credentials()),
        insecure: false,
        patience: bench::IMPATIENT,
    };
    push(&bench.layout(), &bench.model, &tag, options, &()).await
}

/// A copy of an example, so that it can be changed.
fn copy(bench: &Bench, name: &str) -> PathBuf {
    let (from, to) = (repository_root().join("examples/models").join(name), bench.place().join("copy"));
    tool("cp", &["-r", &from.display().to_string(), &to.display().to_string()]);
    to
}

/// Adds lines to the end of a file.
fn add(file: &Path, lines: &str) {
    let text = fs::read_to_string(file).unwrap();
    fs::write(file, format!("{text}\n{lines}\n")).unwrap();
}

/// An image without a base is pushed with a name and a password, read by another tool, and run.
#[tokio::test]
async fn an_image_without_a_base_runs_and_a_change_of_code_is_small() {
    if missing(&["docker-registry", "skopeo"]) {
        return;
    }
    let bench = Bench::new("healthlab/Numbers").await;
    let registry = Registry::start(&bench.place().join("registry"), true);
    let folder = copy(&bench, "contract/Null");
    let functions = folder.join("cs-config/cs_config/functions.py");
    add(&folder.join("cs-config/install.sh"), "pip install numpy==2.2.6");
    // A library of machine code with libraries of its own.
    add(&functions, "import numpy\nnumpy.linalg.inv(numpy.eye(2))");
    let first = bench.image(&folder, None).await;
    let pushed = send(&bench, &registry).await;
    assert_eq!(pushed.layers_sent as usize, first.layers.len());
    println!("{} layers, {} bytes, sent in {} s", first.layers.len(), pushed.bytes_sent, pushed.seconds);

    let again = send(&bench, &registry).await;
    assert_eq!((again.layers_sent, again.layers_present), (0, pushed.layers_sent));
    assert!(again.bytes_sent < 20_000, "{}", again.bytes_sent);

    add(&functions, "# One line more.");
    let second = bench.image(&folder, None).await;
    let new: Vec<&str> = second.layers.iter().filter(|layer| !layer.reused).map(|layer| layer.what.as_str()).collect();
    assert_eq!(new, ["code"]);
    let change = send(&bench, &registry).await;
    println!("a change of code sends {} bytes in {} s", change.bytes_sent, change.seconds);
    assert!(change.bytes_sent < SMALL, "{}", change.bytes_sent);
    assert_eq!(change.layers_sent, 1);

    let seen = registry.inspect(&change.reference);
    assert_eq!(seen["Labels"]["studio.compute.owner"], "healthlab");
    assert_eq!(seen["Labels"]["studio.compute.version"], *second.version.as_ref().unwrap());
    assert_eq!(seen["Digest"], *second.digest);

    let Some(podman) = Podman::new(&bench.place().join("podman")) else { return };
    let said = podman.python(&registry, &change.reference, FOUR);
    assert!(said.starts_with(second.version.as_ref().unwrap()), "{said}");
    let said = podman.run(&registry, &change.reference, &[], &["--version"]);
    assert!(!said.is_empty());
}

/// On a base that was pushed before, layers come from the base's repository without being sent.
#[tokio::test]
async fn a_base_is_taken_over_from_the_registry_itself() {
    if missing(&["docker-registry", "skopeo"]) {
        return;
    }
    let bench = Bench::new("contract/Null").await;
    let registry = Registry::start(&bench.place().join("registry"), false);
    let base = registry.push_base(&bench.place().join("base"), &[]);
    let folder = repository_root().join("examples/models/contract/Null");
    let image = bench.image(&folder, Some(&base)).await;
    let whats: Vec<&str> = image.layers.iter().map(|layer| layer.what.as_str()).collect();
    assert_eq!(whats[0], "base");
    assert!(whats[1].starts_with("Python 3."), "{whats:?}");
    let pushed = send(&bench, &registry).await;
    assert_eq!(pushed.layers_mounted, 1);
    assert_eq!(pushed.layers_sent as usize, image.layers.len() - 1);

    // The same version for another owner: not a layer is sent.
    let other = Bench::sharing(&bench, "elsewhere/Null");
    other.image(&folder, Some(&base)).await;
    let shared = send(&other, &registry).await;
    assert_eq!((shared.layers_sent, shared.layers_mounted as usize), (0, image.layers.len()));

    let Some(podman) = Podman::new(&bench.place().join("podman")) else { return };
    assert_eq!(podman.python(&registry, &pushed.reference, FOUR), "1.0.0\n1\n");

    // An image of ours is a base with a Python of its own.
    let nested = Bench::sharing(&bench, "nested/Null");
    let image = nested.image(&folder, Some(&pushed.tagged)).await;
    assert!(!image.layers.iter().any(|layer| layer.what.starts_with("Python")), "{:?}", image.layers);
    let pushed = send(&nested, &registry).await;
    assert_eq!(podman.python(&registry, &pushed.reference, FOUR), "1.0.0\n1\n");
}

/// A machine that starts from nothing makes the same layers, byte for byte.
#[tokio::test]
async fn equal_locks_give_equal_layers_on_every_machine() {
    let install = "pip install six==1.16.0 attrs==23.2.0\npip install -e .\n";
    let setup = "from setuptools import setup\nsetup(name='m', version='1', py_modules=['m'])\n";
    let files = [("cs-config/install.sh", install), ("setup.py", setup), ("m.py", "A = {1, 2}\n")];
    let mut digests = vec![];
    for bench in [Bench::new("ann/Small").await, Bench::bare("ann/Small")] {
        let folder = bench.write(&files);
        let image = bench.image(&folder, None).await;
        digests.push((image.digest.clone(), image.layers.iter().map(|layer| layer.digest.clone()).collect::<Vec<_>>()));
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_wrong_password_and_a_registry_that_is_gone_are_told() {
    if missing(&["docker-registry"]) {
        return;
    }
    let bench = Bench::new("contract/Null").await;
    let mut registry = Registry::start(&bench.place().join("registry"), true);
    bench.image(&repository_root().join("examples/models/contract/Null"), None).await;
    let right = std::mem::replace(&mut registry.password, "wrong".to_owned());
    let error = try_send(&bench, &registry).await.unwrap_err();
    assert!(matches!(error, ImageError::Unknown { .. }), "{error:?}");
    registry.password = right;
    let address = registry.address().to_owned();
    registry.stop();
    let error = try_send(&bench, &registry).await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn a_base_that_is_missing_or_does_not_suit_is_told() {
    if missing(&["docker-registry", "skopeo"]) {
        return;
    }
    let bench = Bench::new("contract/Null").await;
    let registry = Registry::start(&bench.place().join("registry"), false);
    let folder = repository_root().join("examples/models/contract/Null");
    let missing = format!("{}/base/nothing:1", registry.address());
    let error = bench.try_image(&folder, Some(&missing)).await.unwrap_err();
    assert!(matches!(error, ImageError::Missing { .. }) && error.to_string().contains(&missing), "{error}");
    let error = bench.try_image(&folder, Some("Not A Name")).await.unwrap_err();
    assert!(error.is_usage(), "{error}");
    // Packages of the system need apt in the base.
    let folder = bench.write(&[("cs-config/install.sh", "apt-get install -y r-base\n")]);
    let base = registry.push_base(&bench.place().join("base"), &[]);
    let error = bench.try_image(&folder, Some(&base)).await.unwrap_err().to_string();
    assert!(error.contains("r-base") && error.contains("apt"), "{error}");
    let error = bench.try_image(&folder, None).await.unwrap_err().to_string();
    assert!(error.contains("r-base") && error.contains("--base"), "{error}");
}

/// A repository's own Containerfile is built by a container tool, and gets this program on top.
#[tokio::test]
async fn a_containerfile_of_the_repository_is_built() {
    if missing(&["docker-registry", "skopeo", "buildah"]) {
        return;
    }
    let bench = Bench::new("ann/Contained").await;
    let registry = Registry::start(&bench.place().join("registry"), false);
    let python = bench.image(&repository_root().join("examples/models/contract/Null"), None).await;
    let base = send(&bench, &registry).await.tagged;
    let text = format!(
        "FROM {base}\nUSER root\nCOPY cs-config/cs_config /model/cs_config\nENV PYTHONPATH=/model\nRUN echo built > /model/made.txt\n"
    );
    let folder = bench.write(&[("Containerfile", &text)]);
    let image = bench.contained(&folder).await;
    assert!(image.version.is_none() && python.digest != image.digest);
    assert_eq!(image.layers.last().unwrap().what, "csw");
    let pushed = send(&bench, &registry).await;
    let Some(podman) = Podman::new(&bench.place().join("podman")) else { return };
    let script = "import cs_config.functions as f; print(f.get_version(), open('/model/made.txt').read())";
    assert_eq!(podman.python(&registry, &pushed.reference, script), "1 built\n\n");
}

/// `apt-get` of the base is run in a container build, once for the same base and packages.
#[tokio::test]
async fn packages_of_the_system_are_installed_by_a_container_build() {
    if missing(&["docker-registry", "skopeo", "buildah"]) {
        return;
    }
    let bench = Bench::new("ann/System").await;
    let registry = Registry::start(&bench.place().join("registry"), false);
    // The packages themselves are Debian's; what is tried here is that they are asked for, in the right place.
    let apt = "#!/bin/sh\necho \"$@\" >> /installed.txt\n";
    let base = registry.push_base(&bench.place().join("base"), &[("usr/bin/apt-get", apt), ("usr/bin/rm", apt)]);
    let folder = bench.write(&[("cs-config/install.sh", "apt-get update && apt-get install -y r-base pandoc\n")]);
    let image = bench.image(&folder, Some(&base)).await;
    let pushed = send(&bench, &registry).await;
    let again = bench.image(&folder, Some(&base)).await;
    assert_eq!(image.digest, again.digest);
    let Some(podman) = Podman::new(&bench.place().join("podman")) else { return };
    let said = podman.python(&registry, &pushed.reference, "print(open('/installed.txt').read())");
    assert!(said.contains("install --yes --no-install-recommends r-base pandoc"), "{said}");
}

#[test]
fn the_example_model_is_where_the_tests_look() {
    assert!(repository_root().join("examples/models/contract/Null").is_dir());
}
