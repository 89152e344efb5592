//! `csw webapp`, `csw scheduler`, `csw outputs` and `csw thumbnails`: the services of a site that is more than one process.

use std::path::PathBuf;

use clap::Args;

use super::{Front, LogForm, Place, Workshop};

#[derive(Debug, Args)]
pub(crate) struct Webapp {
    #[command(flatten)]
    pub(crate) place: Place,

    #[command(flatten)]
    pub(crate) front: Front,

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
    pub(crate) workshop: Workshop,

    /// Where the other services ask; port 0 takes a free one [default: `kubernetes.scheduler_listen`, or 127.0.0.1:8091]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,

    /// Where browsers find the site: goes into mail and into checks on a forge
    #[arg(long, env = "CSW_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,

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
