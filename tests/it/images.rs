//! Images by the command line, as a CI machine makes and sends them: no server of ours, a real registry.
//!
//! What images are made of, and what registries do, is tested in `crates/publish`; here is what the commands promise.

use std::{path::Path, process::Command};

use anyhow::ensure;
use csw_tests::{Registry, Result, are_there, csw, example};
use serde_json::Value;

#[test]
fn a_version_is_built_pushed_and_run_without_a_server() -> Result {
    if !are_there(&["docker-registry"]) {
        return Ok(());
    }
    let place = tempfile::tempdir()?;
    let registry = Registry::open(&place.path().join("registry"))?;
    let (out, cache) = (place.path().join("images"), place.path().join("cache"));
    let (out, cache) = (out.display().to_string(), cache.display().to_string());
    let model = example("contract/Null")?.display().to_string();
    let build: &[&str] = &[
        "models",
        "-n",
        "contract/Null",
        "build",
        "--image",
        "--repo",
        &model,
        "--tag",
        "v1",
        "--out",
        &out,
        "--cache",
        &cache,
        "--json",
    ];
    let built: Value = csw(build, &[])?.json()?;
    assert_eq!(
        (&built["ok"], &built["image"]["tag"], &built["image"]["version"]),
        (&true.into(), &"v1".into(), &"1.0.0".into())
    );
    let layers: Vec<&str> =
        built["image"]["layers"].as_array().into_iter().flatten().filter_map(|layer| layer["what"].as_str()).collect();
    assert_eq!(layers[1..], ["environment", "csw", "code"]);
    let again: Value = csw(build, &[])?.json()?;
    assert_eq!(built["image"]["digest"], again["image"]["digest"]);

    let place_there = format!("{}/studio", registry.address);
    let push: &[&str] = &["models", "-n", "contract/Null", "push", "--registry", &place_there, "--out", &out, "--json"];
    let pushed: Value = csw(push, &[])?.json()?;
    assert_eq!(pushed["tagged"], format!("{place_there}/contract/null:v1"));
    assert_eq!(pushed["layers_sent"], layers.len());
    let repeated: Value = csw(push, &[])?.json()?;
    assert_eq!((&repeated["layers_sent"], &repeated["reference"]), (&0.into(), &pushed["reference"]));

    let other = csw(
        &["models", "-n", "contract/Null", "push", "--out", &out, "--tag", "v2"],
        &[("CSW_REGISTRY", &place_there)],
    )?;
    assert_eq!(other.code, 3, "{}", other.stderr);
    assert!(other.stderr.contains("only v1"), "{}", other.stderr);

    if are_there(&["podman"]) && Path::new("/usr/sbin/runc").exists() {
        let said = run(place.path(), &pushed["reference"], &["--version"])?;
        assert_eq!(said, format!("csw {}\n", env!("CARGO_PKG_VERSION")));
    }
    Ok(())
}

/// Runs an image by its entry point.
fn run(place: &Path, reference: &Value, args: &[&str]) -> Result<String> {
    let podman = || {
        let mut command = Command::new("podman");
        command.arg("--root").arg(place.join("podman")).arg("--runroot").arg(place.join("podman-run"));
        command.args(["--runtime", "/usr/sbin/runc", "--cgroup-manager", "cgroupfs"]);
        command
    };
    let image = reference.as_str().unwrap_or_default();
    let pulled = podman().args(["pull", "--quiet", "--tls-verify=false", image]).output()?;
    ensure!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    let limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=2000:2000"];
    let ended = podman().args(["run", "--rm", "--network=none"]).args(limits).arg(image).args(args).output()?;
    // Its own storage alone; the folder goes with the test.
    let _ = podman().args(["image", "rm", "--all", "--force"]).output();
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Ok(String::from_utf8(ended.stdout)?)
}
