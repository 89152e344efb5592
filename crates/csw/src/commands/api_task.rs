//! `csw api-task`: the inputs server of a version, in a pod of a cluster.

use std::{os::unix::fs::symlink, path::Path, sync::Arc};

use csw_core::{model::Artifact, ports::Executor};
use csw_kubernetes::inputs::pod::{InputsServer, router};
use csw_runtime::{LocalConfig, LocalExecutor};
use csw_sandbox::cgroup::Manager;
use tokio::net::TcpListener;

use super::{job::asked_to_stop, up::start_log};
use crate::{
    cli::{ApiTask, LogForm},
    failure::{Failure, Outcome},
    tools,
};

/// What its version is called here.
const HERE: &str = "here";

/// Seconds that questions get when the pod is asked to stop.
const GRACE: u32 = 15;

pub(super) async fn run(options: ApiTask) -> Outcome {
    start_log(Some(LogForm::Text))?;
    let stop = asked_to_stop()?;
    let temporary = std::env::temp_dir();
    let failed = |error: &std::io::Error| Failure::file(&temporary, error);
    let folder =
        tempfile::Builder::new().prefix("csw-inputs-").tempdir_in(&temporary).map_err(|error| failed(&error))?;
    lay_out(folder.path(), &options).map_err(|error| failed(&error))?;
    let listener = TcpListener::bind(&options.listen).await.map_err(|error| {
        Failure::local(format!("can't listen at {}: {error}", options.listen), "choose another address with `--listen`")
    })?;
    let executor = Arc::new(executor(folder.path())?);
    let server = InputsServer {
        callback_url: options.callback_url,
        version: options.of_version,
        artifact: Artifact::Environment { environment: HERE.to_owned(), code: HERE.to_owned() },
        folder: folder.path().to_owned(),
        at_once: options.at_once as usize,
    };
    tracing::info!(version = %options.of_version, listen = options.listen, "an inputs server");
    let router = router(Arc::clone(&executor) as Arc<dyn Executor>, server);
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let ending = async {
        stop.cancelled().await;
        executor.shut_down(GRACE).await;
    };
    tokio::select! {
        served = serving => {
            served.map_err(|error| Failure::local(error.to_string(), "the cluster starts another pod"))
        }
        () = ending => Ok(()),
    }
}

/// Puts the version where an executor of this machine looks for versions.
fn lay_out(folder: &Path, options: &ApiTask) -> std::io::Result<()> {
    let (environments, code) = (folder.join("envs"), folder.join("code"));
    std::fs::create_dir(&environments)?;
    std::fs::create_dir(&code)?;
    symlink(options.code.canonicalize()?, code.join(HERE))?;
    let environment = environments.join(HERE);
    if let Some(given) = &options.environment {
        return symlink(given.canonicalize()?, environment);
    }
    // The image's own Python has the packages.
    let bin = environment.join("bin");
    std::fs::create_dir_all(&bin)?;
    let python = tools::find("python3").ok_or_else(|| std::io::Error::other("there is no python3 in the image"))?;
    symlink(python, bin.join("python"))
}

/// The pod limits memory, processors and processes, and is a sandbox itself: of the layers inside it takes what there is.
fn executor(folder: &Path) -> Outcome<LocalExecutor> {
    let helper = tools::own_program()?;
    let found = csw_sandbox::doctor::report(&helper, &Manager::none())
        .map_err(|error| Failure::local(error.to_string(), "`csw doctor` says what this pod lacks"))?;
    let mut local = LocalConfig::new(folder.to_owned(), helper);
    local.layers = found.usable;
    local.contained = true;
    let scratch = local.scratch.clone();
    LocalExecutor::new(local).map_err(|error| Failure::file(&scratch, &error))
}
