//! Images as a node has them: pulled from a registry by `skopeo`, unpacked, and entered by a process.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use tokio::{process::Command, sync::Mutex};

/// Enters the image at `$1` with the folders of the next `$2` pairs in their places, as the user of its containers, in
/// the place where they start.
const ENTER: &str = r#"
set -e
root=$1 pairs=$2
shift 2
for part in dev proc; do /bin/mount --rbind "/$part" "$root/$part"; done
while [ "$pairs" -gt 0 ]; do
    /bin/mkdir -p "$root$2"
    /bin/mount --bind "$1" "$root$2"
    shift 2
    pairs=$((pairs - 1))
done
exec /usr/sbin/chroot --groups= $USERSPEC "$root" "$@"
"#;

/// The user of containers.
const USER: &str = "--userspec=65532:65532";

/// Pulls images that a node has not been told of.
#[derive(Debug, Clone, Default)]
pub struct Pulls {
    /// `USER:PASSWORD` at the registry.
    pub login: Option<String>,
}

/// Images that were pulled.
#[derive(Default)]
pub(crate) struct Pulled {
    /// By their names; whoever holds it pulls.
    images: Mutex<BTreeMap<String, Unpacked>>,
}

/// An image on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Unpacked {
    root: PathBuf,
    /// What it sets in the environment.
    pub(crate) variables: Vec<(String, String)>,
}

impl Pulled {
    /// The image of a name, pulled where it is not here.
    pub(crate) async fn image(&self, pulls: &Pulls, name: &str, folder: &Path) -> io::Result<Unpacked> {
        let mut images = self.images.lock().await;
        if let Some(known) = images.get(name) {
            return Ok(known.clone());
        }
        let place = folder.join(format!("image-{}", images.len()));
        let unpacked = pull(pulls, name, &place).await?;
        images.insert(name.to_owned(), unpacked.clone());
        Ok(unpacked)
    }
}

impl Unpacked {
    /// The words that start a program in it, with these folders of this machine in their places.
    pub(crate) fn words(&self, places: &[(String, PathBuf)], line: &[String]) -> Vec<String> {
        let is_root = nix::unistd::geteuid().is_root();
        let script = ENTER.replace("$USERSPEC", if is_root { USER } else { "" });
        let mut words: Vec<String> = ["/usr/bin/unshare", "--mount"].map(str::to_owned).into();
        words.extend((!is_root).then(|| "--map-root-user".to_owned()));
        words.extend(["/bin/sh".to_owned(), "-c".to_owned(), script, "node".to_owned()]);
        words.extend([self.root.display().to_string(), places.len().to_string()]);
        words.extend(places.iter().flat_map(|(inside, outside)| [outside.display().to_string(), inside.clone()]));
        words.extend_from_slice(line);
        words
    }
}

async fn pull(pulls: &Pulls, name: &str, place: &Path) -> io::Result<Unpacked> {
    let (copy, root) = (place.join("copy"), place.join("root"));
    // What came of an attempt that failed.
    drop(std::fs::remove_dir_all(place));
    for folder in [&copy, &root.join("dev"), &root.join("proc")] {
        std::fs::create_dir_all(folder)?;
    }
    let mut words = vec!["copy", "--quiet", "--src-tls-verify=false"];
    if let Some(login) = &pulls.login {
        words.extend(["--src-creds", login]);
    }
    let (from, to) = (format!("docker://{name}"), format!("dir:{}", copy.display()));
    words.extend([from.as_str(), to.as_str()]);
    done("skopeo", &words).await?;
    let manifest: Value = read(&copy.join("manifest.json"))?;
    for layer in manifest["layers"].as_array().into_iter().flatten() {
        let blob = copy.join(blob(layer)).display().to_string();
        done("tar", &["-xzf", &blob, "-C", &root.display().to_string(), "--no-same-owner"]).await?;
    }
    let config: Value = read(&copy.join(blob(&manifest["config"])))?;
    let variables = config["config"]["Env"].as_array().into_iter().flatten();
    let variables = variables.filter_map(|line| line.as_str()?.split_once('='));
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    std::fs::remove_dir_all(&copy)?;
    Ok(Unpacked { root, variables })
}

fn blob(descriptor: &Value) -> String {
    descriptor["digest"].as_str().unwrap_or_default().trim_start_matches("sha256:").to_owned()
}

fn read(path: &Path) -> io::Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

async fn done(program: &str, words: &[&str]) -> io::Result<()> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output().await?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
