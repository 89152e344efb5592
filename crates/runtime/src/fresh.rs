//! A new interpreter for one run, alone in its sandbox.

use std::{
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::Path,
    process::Stdio,
    sync::Arc,
};

use csw_core::run::{RunOrder, Usage};
use csw_sandbox::{Confinement, PassedFd, Stage};
use tokio::{process::Command, sync::oneshot};

use crate::{
    fork::StartError,
    harness::Mode,
    layout::Layout,
    local::Site,
    process::{Exit, Killer, Process, Wires, first_sign, last_words},
    scratch::{self, Folder},
    stops::Stops,
};

/// Starts an interpreter and waits for its first sign of life.
pub(crate) async fn start(
    site: &Site,
    order: &RunOrder,
    layout: &Layout,
    stops: &Stops,
) -> Result<Process, StartError> {
    site.harness.compile_for(&layout.python).await;
    let slot = site.slots.take();
    let (users, owner) = Site::identity(&slot, csw_sandbox::UserRange::PROGRAM);
    let path = site.config.scratch.join(slot.number().to_string());
    let folder = Folder::create(path, 0o700, owner).map_err(|error| StartError::io("making a run's folder", &error))?;
    scratch::make(&folder.path().join("tmp"), 0o700, owner)
        .map_err(|error| StartError::io("making a run's folder", &error))?;
    let mut confinement = Confinement {
        stage: Stage::Final,
        limits: site.limits(order),
        ..site.confinement(layout, order, folder.path(), folder.path())
    };
    confinement.users = users;
    let group = site.group(&format!("run-{}", order.lease), order)?.map(Arc::new);
    confinement.cgroups = group.iter().flat_map(|group| group.folders()).collect();
    let wires = Wires::new().map_err(|error| StartError::io("connecting a run's process", &error))?;
    let child = spawn(site, &confinement, layout, wires.their_socket, wires.their_log, Mode::Fresh)?;
    let (kill, killed) = oneshot::channel();
    let (tell, exit) = oneshot::channel();
    let path = folder.path().to_path_buf();
    let keeps = (folder, group.clone(), slot);
    tokio::spawn(async move {
        // Nobody may be listening any more.
        let _ = tell.send(await_end(child, killed).await);
        drop(tokio::task::spawn_blocking(move || drop(keeps)));
    });
    let mut killer = Killer::Guardian(Some(kill));
    let sign = tokio::select! {
        sign = first_sign(&wires.socket) => sign,
        stop = stops.requested() => return Err(StartError::Stopped(stop)),
    };
    if let Err(error) = sign {
        killer.kill();
        let end = exit.await.map_or_else(|_| error.to_string(), |exit| exit.to_string());
        let said = last_words(wires.log).await;
        return Err(StartError::Failed(format!("a new interpreter did not start ({end}): {said}")));
    }
    Ok(Process { socket: wires.socket, log: wires.log, exit, killer, group, folder: path, keeps: Box::new(()) })
}

/// Starts the interpreter of a version in the sandbox, with a socket at descriptor 3.
pub(crate) fn spawn(
    site: &Site,
    confinement: &Confinement,
    layout: &Layout,
    socket: OwnedFd,
    log: OwnedFd,
    mode: Mode,
) -> Result<tokio::process::Child, StartError> {
    let passed = vec![PassedFd { source: socket, target: 3 }];
    let arguments = site.harness.arguments(mode);
    let failed = |error: &dyn std::fmt::Display| StartError::Failed(error.to_string());
    let helper: &Path = &site.config.helper;
    let mut command =
        csw_sandbox::command(helper, confinement, &layout.python, arguments, passed).map_err(|error| failed(&error))?;
    let copy = log.try_clone().map_err(|error| StartError::io("copying a descriptor", &error))?;
    command.stdout(Stdio::from(log)).stderr(Stdio::from(copy));
    let mut command = Command::from(command);
    let child = command.kill_on_drop(true).spawn();
    child.map_err(|error| failed(&format!("starting `{}`: {error}", helper.display())))
}

/// Waits for the guardian of a sandbox; ends it when told to, or when nobody could tell any more.
pub(crate) async fn await_end(mut child: tokio::process::Child, killed: oneshot::Receiver<()>) -> Exit {
    let status = tokio::select! {
        status = child.wait() => status,
        _ = killed => {
            // It may have ended by itself; `wait` tells.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    status.map_or(Exit::Unknown, |status| Exit::Status(status.into_raw(), Usage::default()))
}
