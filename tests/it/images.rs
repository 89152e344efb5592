//! Images by the command line, as a CI machine makes and sends them: no server of ours, a real registry.
//!
//! What images are made of, and what registries do, is tested in `crates/publish`; here is what the commands promise.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::ensure;
use csw_tests::{Result, csw, example};
use serde_json::Value;

/// The registry server of Debian, as long as this value lives.
struct Registry {
    server: Child,
    address: String,
}

impl Registry {
    fn start(folder: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let file = folder.join("registry.yml");
        let storage = folder.join("registry");
        let settings = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n  secret: tests\n",
            storage.display()
        );
        std::fs::write(&file, settings)?;
        let server = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let registry = Self { server, address };
        let start = Instant::now();
        while TcpStream::connect(&registry.address).is_err() {
            ensure!(start.elapsed() < Duration::from_secs(20), "the registry does not start");
            std::thread::sleep(Duration::from_millis(30));
        }
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: {program} is not installed; `scripts/setup test` does that");
    }
    there
}

#[test]
fn a_version_is_built_pushed_and_run_without_a_server() -> Result {
    if !is_there("docker-registry") {
        return Ok(());
    }
    let place = tempfile::tempdir()?;
    let registry = Registry::start(place.path())?;
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

    if is_there("podman") && Path::new("/usr/sbin/runc").exists() {
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
