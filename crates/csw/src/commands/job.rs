//! `csw job`: one run, inside the Job that a server made for it.

use csw_core::run::RunOrder;
use csw_kubernetes::{
    job::{Carrier, JobError, NextRun, Orders, next_run},
    redis::RedisAddress,
};
use csw_runtime::direct::{self, Place, Ready};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::up::start_log;
use crate::{
    cli::{Job, LogForm},
    failure::{Code, Failure, Outcome},
};

pub(super) async fn run(options: Job) -> Outcome {
    start_log(Some(LogForm::Text))?;
    let stop = asked_to_stop()?;
    let scratch = std::env::temp_dir();
    let place = Place { environment: options.environment.clone(), code: options.code.clone(), scratch };
    let mut ready = None;
    let mut next = NextRun { run: options.run, task: options.task, token: options.token.clone() };
    let mut redis = redis(&options)?;
    loop {
        let carrier = Carrier::new(&options.callback_url, next.token.clone(), place.scratch.clone())
            .map_err(|error| failed(&error))?
            .with_redis(redis.take())
            .with_processor(options.outputs_url.as_deref())
            .lingering(options.linger);
        let order = tokio::select! {
            order = carrier.order() => order,
            // Nobody has heard of this process yet.
            () = stop.cancelled() => return Ok(()),
        };
        let order = match order {
            Ok(order) => checked(order, &next)?,
            Err(JobError::Gone) => return Ok(()),
            Err(error) => return Err(failed(&error)),
        };
        tokio::select! {
            () = direct::execute(&order, &place, &carrier, stop.clone(), ready.take()) => {}
            () = log_to_the_end(&carrier) => {}
        }
        if !options.linger {
            return Ok(());
        }
        // Nobody finds anything of another run.
        drop(carrier);
        direct::clear(&place);
        let asked =
            async { tokio::join!(next_run(&options.callback_url, &options.token), Ready::after(&order, &place)) };
        let (asked, interpreter) = tokio::select! {
            both = asked => both,
            () = stop.cancelled() => return Ok(()),
        };
        ready = interpreter;
        next = match asked.map_err(|error| failed(&error))? {
            Some(next) => next,
            None => return Ok(()),
        };
    }
}

fn redis(options: &Job) -> Outcome<Option<RedisAddress>> {
    let address = options.redis_url.as_deref().map(|url| RedisAddress::new(url, options.redis_ca.clone()));
    address.transpose().map_err(|error| Failure::usage(error.to_string(), "its server makes Jobs with an address"))
}

/// Sends the log for as long as the run is told of.
async fn log_to_the_end(carrier: &Carrier) {
    carrier.send_log().await;
    // Nobody wants it; the run finds that out by itself.
    std::future::pending::<()>().await;
}

/// The order that this Job was made for.
fn checked(order: RunOrder, wanted: &NextRun) -> Outcome<RunOrder> {
    if (order.run, order.task) == (wanted.run, wanted.task) {
        return Ok(order);
    }
    Err(Failure::usage(
        format!("the token is good for run {} ({}), and this is another", order.run, order.task.as_str()),
        "start `csw job` with the words of its Job",
    ))
}

/// Cancelled by SIGTERM: the node is emptied, or the Job deleted.
pub(super) fn asked_to_stop() -> Outcome<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| {
        Failure::local(format!("signals can't be handled: {error}"), "raise the limit of open files")
    })?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        tracing::info!("asked to stop");
        asked.cancel();
    });
    Ok(stop)
}

fn failed(error: &JobError) -> Failure {
    Failure::new(Code::Unavailable, error.to_string(), "its server makes another Job where that helps")
}
