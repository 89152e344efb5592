//! `csw job`, `csw build-job` and `csw api-task`, which pods of a cluster call.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Job {
    /// The run
    #[arg(long = "job-id", value_name = "ID")]
    pub(crate) run: csw_core::ids::RunId,

    /// What is asked of the model: version, defaults, parse or sim
    #[arg(long = "route-name", value_name = "TASK", value_parser = task)]
    pub(crate) task: csw_core::run::Task,

    /// Address of the server that made the Job
    #[arg(long, env = csw_kubernetes::job::CALLBACK_URL, value_name = "URL")]
    pub(crate) callback_url: String,

    /// Address of the outputs processor, if outputs and the end go there
    #[arg(long, env = csw_kubernetes::job::OUTPUTS_URL, value_name = "URL")]
    pub(crate) outputs_url: Option<String>,

    /// Address of the Redis with the arguments, if they are there
    #[arg(long, env = csw_kubernetes::redis::REDIS_URL, value_name = "URL")]
    pub(crate) redis_url: Option<String>,

    /// Certificates of the authorities of that Redis, as PEM
    #[arg(long, env = csw_kubernetes::redis::REDIS_CA, value_name = "PEM", hide_env_values = true)]
    pub(crate) redis_ca: Option<String>,

    /// When the run is over, ask for another one of the same version
    #[arg(long, env = csw_kubernetes::job::LINGER)]
    pub(crate) linger: bool,

    /// Token of the run
    #[arg(long, env = csw_kubernetes::job::RUN_TOKEN, value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: String,

    /// Folder of the version's environment; without one, the image's own `python3` has the packages
    #[arg(long, env = csw_kubernetes::job::ENVIRONMENT, value_name = "DIR")]
    pub(crate) environment: Option<PathBuf>,

    /// Folder of the version's code
    #[arg(long, env = csw_kubernetes::job::CODE, value_name = "DIR", default_value = ".")]
    pub(crate) code: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BuildJob {
    /// The build
    #[arg(long = "build-id", value_name = "ID")]
    pub(crate) build: csw_core::ids::BuildId,

    /// Address of the server that made the Job
    #[arg(long, env = csw_kubernetes::job::CALLBACK_URL, value_name = "URL")]
    pub(crate) callback_url: String,

    /// Token of the build
    #[arg(long, env = csw_kubernetes::builds::BUILD_TOKEN, value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: String,

    /// Folder to work in
    #[arg(long, env = csw_kubernetes::builds::BUILD_FOLDER, value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ApiTask {
    /// Answer until asked to stop
    #[arg(long, required = true)]
    pub(crate) start: bool,

    /// Address to listen at
    #[arg(long, env = csw_kubernetes::inputs::LISTEN, value_name = "ADDR:PORT", default_value = "127.0.0.1:8888")]
    pub(crate) listen: String,

    /// Address of the server that questions come from
    #[arg(long, env = csw_kubernetes::job::CALLBACK_URL, value_name = "URL")]
    pub(crate) callback_url: String,

    /// The version whose code is here
    #[arg(long = "of-version", env = csw_kubernetes::inputs::VERSION, value_name = "ID")]
    pub(crate) of_version: csw_core::ids::VersionId,

    /// Questions that are answered at once
    #[arg(long, env = csw_kubernetes::inputs::AT_ONCE, value_name = "NUMBER", default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) at_once: u32,

    /// Folder of the version's environment; without one, the image's own `python3` has the packages
    #[arg(long, env = csw_kubernetes::job::ENVIRONMENT, value_name = "DIR")]
    pub(crate) environment: Option<PathBuf>,

    /// Folder of the version's code
    #[arg(long, env = csw_kubernetes::job::CODE, value_name = "DIR", default_value = ".")]
    pub(crate) code: PathBuf,
}

fn task(word: &str) -> Result<csw_core::run::Task, String> {
    csw_core::run::Task::parse(word).ok_or_else(|| "write version, defaults, parse or sim".to_owned())
}
