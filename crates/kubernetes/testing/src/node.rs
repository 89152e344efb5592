//! The one node: containers are processes of this machine.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Mutex,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    api::lock,
    objects::{Key, Refusal},
    pull::{Pulled, Pulls, Unpacked},
};

/// After SIGTERM a process gets so long.
const GRACE: Duration = Duration::from_secs(5);

/// Bytes of the log that a status shows.
const TAIL: usize = 2048;

/// What a node has.
#[derive(Debug, Clone, Default)]
pub struct NodeConfig {
    /// Where scratch folders and logs are.
    pub folder: PathBuf,
    /// Where commands are found: `PATH` of its processes.
    pub path: String,
    /// Folders behind the claims of volumes.
    pub claims: BTreeMap<String, PathBuf>,
    /// What images set in the environment, by image.
    pub images: BTreeMap<String, Vec<(String, String)>>,
    /// Other images are pulled, and commands find in them what they are; without, every command is one of this machine.
    pub pulls: Option<Pulls>,
    /// Words before each command of this machine: what takes from it what a container has not. They find themselves without `PATH`.
    pub within: Vec<String>,
}

/// How a process ended.
pub(crate) enum Ended {
    Code(i32),
    /// Because its Job is to go.
    Killed,
}

pub(crate) struct Node {
    config: NodeConfig,
    /// Process groups by Job.
    processes: Mutex<HashMap<String, i32>>,
    killed: Mutex<Vec<String>>,
    pulled: Pulled,
}

impl Node {
    pub(crate) fn new(config: NodeConfig) -> io::Result<Self> {
        std::fs::create_dir_all(&config.folder)?;
        Ok(Self { config, processes: Mutex::default(), killed: Mutex::default(), pulled: Pulled::default() })
    }

    fn log_path(&self, pod: &Key) -> PathBuf {
        self.config.folder.join(format!("{}.log", pod.2))
    }

    /// Runs the command of a Job's container to its end.
    pub(crate) async fn run(&self, job: &Key, pod: &Key, object: &Value, started: impl FnOnce()) -> io::Result<Ended> {
        self.run_container(job, pod, object, None, started).await
    }

    /// Runs the command of a Deployment's container to its end; where it listens at a port of every address, it listens at
    /// this one of this machine.
    pub(crate) async fn run_at(&self, pod: &Key, object: &Value, port: u16) -> io::Result<Ended> {
        self.run_container(pod, pod, object, Some(port), || ()).await
    }

    /// Whether a container's image is one that the node pulls.
    fn is_pulled(&self, container: &Value) -> bool {
        let name = container["image"].as_str().unwrap_or_default();
        self.config.pulls.is_some() && !self.config.images.contains_key(name)
    }

    /// The image of a Job's container, where the node pulls it.
    pub(crate) async fn image(&self, object: &Value) -> io::Result<Option<Unpacked>> {
        let container = &object["spec"]["template"]["spec"]["containers"][0];
        match &self.config.pulls {
            Some(pulls) if self.is_pulled(container) => {
                let name = container["image"].as_str().unwrap_or_default();
                self.pulled.image(pulls, name, &self.config.folder).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// A container whose image is no more than its name.
    fn of_this_machine(&self, container: &Value) -> io::Result<Command> {
        let mut line = line_of(container);
        if let Some(program) = line.first_mut().filter(|_| !self.config.within.is_empty()) {
            // What comes before it looks for nothing.
            let mut places = std::env::split_paths(&self.config.path).map(|folder| folder.join(&*program));
            let found =
                places.find(|place| place.exists()).unwrap_or_else(|| Path::new(&self.config.path).join(&*program));
            *program = found.display().to_string();
        }
        if !line.is_empty() {
            line.splice(0..0, self.config.within.iter().cloned());
        }
        let mut command = command(&line)?;
        command.env("PATH", &self.config.path);
        let image = container["image"].as_str().unwrap_or_default();
        for (name, value) in self.config.images.get(image).into_iter().flatten() {
            command.env(name, value);
        }
        Ok(command)
    }

    async fn run_container(
        &self,
        job: &Key,
        pod: &Key,
        object: &Value,
        port: Option<u16>,
        started: impl FnOnce(),
    ) -> io::Result<Ended> {
        let spec = &object["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        let places = self.places(spec, container, pod)?;
        let mut command = match self.image(object).await? {
            Some(image) => in_image(&image, container, &places)?,
            None => self.of_this_machine(container)?,
        };
        let log = File::create(self.log_path(pod))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let is_inside = self.is_pulled(container);
        for variable in container["env"].as_array().into_iter().flatten() {
            let (name, value) = (variable["name"].as_str().unwrap_or_default(), variable["value"].as_str());
            let value = value.unwrap_or_default();
            match port {
                Some(port) if value.starts_with("0.0.0.0:") => command.env(name, format!("127.0.0.1:{port}")),
                _ if is_inside => command.env(name, value),
                _ => command.env(name, on_this_machine(value, &places)),
            };
        }
        let mut child = command.spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        lock(&self.processes).insert(job.2.clone(), group);
        started();
        // The Job may have been deleted while its process was being started.
        if lock(&self.killed).contains(&job.2) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
        }
        let status = child.wait().await?;
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        lock(&self.processes).remove(&job.2);
        if lock(&self.killed).contains(&job.2) {
            return Ok(Ended::Killed);
        }
        Ok(Ended::Code(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())))
    }

    /// Where the container's volumes are on this machine.
    fn places(&self, spec: &Value, container: &Value, pod: &Key) -> io::Result<Vec<(String, PathBuf)>> {
        let volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
        let mut found = vec![];
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            let Some(volume) = volumes.iter().find(|volume| volume["name"] == mount["name"]) else { continue };
            let claim = volume["persistentVolumeClaim"]["claimName"].as_str();
            let folder = if let Some(claim) = claim {
                let missing = || io::Error::other(format!("no claim {claim}"));
                self.config.claims.get(claim).cloned().ok_or_else(missing)?
            } else {
                let folder = self.config.folder.join(&pod.2);
                std::fs::create_dir_all(&folder)?;
                // Whoever the container runs as may write there.
                std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o1777))?;
                folder
            };
            found.push((mount["mountPath"].as_str().unwrap_or_default().to_owned(), folder));
        }
        Ok(found)
    }

    /// Asks a Job's process to end, and makes it after a while.
    pub(crate) fn kill(&self, job: &str) {
        lock(&self.killed).push(job.to_owned());
        let Some(group) = lock(&self.processes).get(job).copied() else { return };
        let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        });
    }

    /// Kills a process that nobody wants to end.
    pub(crate) fn crash(&self, job: &str) {
        if let Some(group) = lock(&self.processes).get(job) {
            let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
        }
    }

    /// Waits until a Job has no process.
    pub(crate) async fn gone(&self, job: &str) {
        while lock(&self.processes).contains_key(job) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn kill_all(&self) {
        for group in lock(&self.processes).values() {
            let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
        }
    }

    /// The log of a pod.
    pub(crate) fn log(&self, pod: &Key) -> Result<Vec<u8>, Refusal> {
        std::fs::read(self.log_path(pod)).map_err(|error| Refusal::new(404, "NotFound", error.to_string()))
    }

    /// The last of it.
    pub(crate) fn tail(&self, pod: &Key) -> String {
        let log = self.log(pod).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(TAIL)..]).into_owned()
    }
}

/// What a container starts.
fn line_of(container: &Value) -> Vec<String> {
    let words = |name: &str| -> Vec<String> {
        let list = container[name].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    words("command").into_iter().chain(words("args")).collect()
}

/// A container in an image.
fn in_image(image: &Unpacked, container: &Value, places: &[(String, PathBuf)]) -> io::Result<Command> {
    let mut command = command(&image.words(places, &line_of(container)))?;
    command.envs(image.variables.iter().map(|(name, value)| (name, value)));
    Ok(command)
}

fn command(line: &[String]) -> io::Result<Command> {
    let (program, arguments) = line.split_first().ok_or_else(|| io::Error::other("no command specified"))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    Ok(command)
}

/// A value that names a place in a container, naming that of this machine.
fn on_this_machine(value: &str, places: &[(String, PathBuf)]) -> String {
    let below = |inside: &str| value.strip_prefix(inside).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let found = places.iter().filter_map(|(inside, outside)| Some((inside, outside, below(inside)?)));
    // What is mounted below another mount hides that.
    let innermost = found.max_by_key(|(inside, ..)| inside.len());
    innermost.map_or_else(|| value.to_owned(), |(_, outside, rest)| format!("{}{rest}", outside.display()))
}
