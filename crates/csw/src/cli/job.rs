//! `csw job`, which Jobs of a cluster call.

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

fn task(word: &str) -> Result<csw_core::run::Task, String> {
    csw_core::run::Task::parse(word).ok_or_else(|| "write version, defaults, parse or sim".to_owned())
}
