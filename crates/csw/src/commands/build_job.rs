//! `csw build-job`: one build, inside the Job that a server made for it.

use std::{os::unix::process::CommandExt, process::Command, sync::Arc};

use csw_kubernetes::{
    builds::pod::{Line, serve},
    job::JobError,
};

use super::{job::asked_to_stop, up::start_log};
use crate::{
    cli::{BuildJob, LogForm},
    failure::{Code, Failure, Outcome},
    tools, wiring,
};

/// The variable that says that the variables of the site are set.
const PREPARED: &str = "CSW_BUILD_PREPARED";

pub(super) async fn run(options: BuildJob) -> Outcome {
    // What models bring runs beside this process, as the same user.
    csw_sandbox::hide().map_err(|error| Failure::local(error.to_string(), "its server makes another Job"))?;
    start_log(Some(LogForm::Text))?;
    let stop = asked_to_stop()?;
    let line = Arc::new(Line::new(&options.callback_url, options.token.clone()).map_err(|error| failed(&error))?);
    let working = async {
        let site = match line.site().await {
            Ok(site) => wiring::Received::read(site)?,
            Err(JobError::Gone) => return Ok(()),
            Err(error) => return Err(failed(&error)),
        };
        if !site.variables().is_empty() && std::env::var_os(PREPARED).is_none() {
            return Err(begin_anew(&site)?);
        }
        let publisher = Arc::new(site.publisher(&options.folder)?);
        tracing::info!(build = %options.build, "a build");
        match serve(Arc::clone(&line), publisher, options.folder.clone()).await {
            Ok(()) | Err(JobError::Gone) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    };
    tokio::select! {
        worked = working => worked,
        () = stop.cancelled() => Ok(()),
    }
}

/// Starts this program again with the variables of the site; what comes back is why that failed.
fn begin_anew(site: &wiring::Received) -> Outcome<Failure> {
    let error = Command::new(tools::own_program()?)
        .args(std::env::args_os().skip(1))
        .envs(site.variables())
        .env(PREPARED, "yes")
        .exec();
    Ok(Failure::local(format!("the program can't be started again: {error}"), "its server makes another Job"))
}

fn failed(error: &JobError) -> Failure {
    Failure::new(Code::Unavailable, error.to_string(), "its server makes another Job where that helps")
}
