//! `csw webapp`, `csw scheduler`, `csw outputs` and `csw thumbnails`: the services of a site that is more than one process.

use std::path::PathBuf;

use clap::Args;

use super::{LogForm, Place};

#[derive(Debug, Args)]
pub(crate) struct Webapp {
    #[command(flatten)]
    pub(crate) place: Place,

    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "CSW_LISTEN", value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,

    /// Where browsers find the site, if not where it listens
    #[arg(long, env = "CSW_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,

    /// Seconds to go on answering when asked to stop, while /readyz says so: for whoever sends requests here to hear of it
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) drain: u32,

    /// Form of the log on stderr [default: text on a terminal, json elsewhere]
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) log: Option<LogForm>,
}

#[derive(Debug, Args)]
pub(crate) struct Scheduler {
    /// Work until asked to stop
    #[arg(long, required = true)]
    pub(crate) start: bool,

    #[command(flatten)]
    pub(crate) place: Place,

    /// Where the other services ask; port 0 takes a free one [default: `kubernetes.scheduler_listen`, or 127.0.0.1:8091]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,

    /// Where browsers find the site: goes into mail and into checks on a forge
    #[arg(long, env = "CSW_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,

    /// Cache of downloaded packages, which several sites may share [default: cache in the data folder]
    #[arg(long, env = "CSW_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,

    /// Let models be published from paths and file:// URLs of this machine
    #[arg(long, env = "CSW_ALLOW_LOCAL_REPOSITORIES")]
    pub(crate) allow_local_repositories: bool,

    /// Seconds that requests get when it is asked to stop; Jobs go on
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub(crate) grace: u32,

    /// Form of the log on stderr [default: text on a terminal, json elsewhere]
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) log: Option<LogForm>,
}

#[derive(Debug, Args)]
pub(crate) struct Outputs {
    /// Take outputs until asked to stop
    #[arg(long, required = true)]
    pub(crate) start: bool,

    #[command(flatten)]
    pub(crate) place: Place,

    /// Where Jobs send outputs; port 0 takes a free one [default: `kubernetes.outputs_listen`, or 127.0.0.1:8092]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,

    /// Folder for outputs on their way [default: csw-outputs in the folder for temporary files]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,

    /// Form of the log on stderr [default: text on a terminal, json elsewhere]
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) log: Option<LogForm>,
}

#[derive(Debug, Args)]
pub(crate) struct Thumbnails {
    /// Draw until asked to stop
    #[arg(long, required = true)]
    pub(crate) start: bool,

    #[command(flatten)]
    pub(crate) place: Place,

    /// Where it is asked how it is; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8093")]
    pub(crate) listen: String,

    /// Folder for pictures that are being drawn [default: csw-thumbnails in the folder for temporary files]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,

    /// Form of the log on stderr [default: text on a terminal, json elsewhere]
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) log: Option<LogForm>,
}
