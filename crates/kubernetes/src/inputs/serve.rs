//! A question on its way to an inputs server.

use std::{sync::Arc, time::Duration};

use csw_core::{
    causes::chain,
    run::{Outcome, Task},
};
use reqwest::{Response, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::servers::InUse;
use crate::{
    attempt::{Attempt, Seen},
    executor::Inner,
    pace::Pauses,
};

/// What is tried again waits at most so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Answers that may break off before somebody says that the question is lost.
const BROKEN: u32 = 3;

/// What came of asking.
pub(crate) enum Served {
    /// The end is told, or nobody wants it.
    Over,
    /// This end has to be told.
    End(Outcome),
    /// A Job has to be asked.
    Not,
}

/// Asks an inputs server until the end is told.
pub(crate) async fn serve(inner: &Arc<Inner>, attempt: &Arc<Attempt>, server: &InUse) -> Served {
    let mut settled = attempt.seen.subscribe();
    tokio::select! {
        served = ask(inner, attempt, server) => served,
        _ = settled.wait_for(Seen::is_settled) => of_settled(attempt),
    }
}

fn of_settled(attempt: &Attempt) -> Served {
    attempt.seen.borrow().untold().map_or(Served::Over, Served::End)
}

async fn ask(inner: &Arc<Inner>, attempt: &Arc<Attempt>, server: &InUse) -> Served {
    let patience = Instant::now() + inner.config.inputs_patience;
    let mut pauses = Pauses::up_to(LONGEST_PAUSE);
    let mut broken = 0;
    loop {
        let cause = match send(inner, attempt, server).await {
            Ok(answer) if answer.status().is_success() => {
                // It tells the end before it says the last word.
                let _ = tokio::time::timeout(longest(inner, attempt), answer.bytes()).await;
                broken += 1;
                if attempt.seen.borrow().is_settled() {
                    return of_settled(attempt);
                }
                if broken == BROKEN {
                    return Served::End(Outcome::Lost {
                        sentence: "its inputs server was lost again and again".to_owned(),
                    });
                }
                "it broke off".to_owned()
            }
            Ok(answer) if answer.status() == StatusCode::CONFLICT => return Served::Not,
            Ok(answer) => format!("it answers {}", answer.status()),
            Err(error) => chain(&error.without_url()),
        };
        if Instant::now() >= patience {
            tracing::warn!(run = %attempt.order.run, server = server.name, cause, "a Job is asked in the place of an inputs server");
            return Served::Not;
        }
        tracing::debug!(run = %attempt.order.run, server = server.name, cause, "an inputs server is asked again");
        pauses.pause(None).await;
    }
}

/// An answer may take so long: its own deadline is kept beside the model.
fn longest(inner: &Inner, attempt: &Attempt) -> Duration {
    Duration::from_secs(attempt.order.limits.deadline_seconds.into()) + inner.config.inputs_patience
}

async fn send(inner: &Inner, attempt: &Attempt, server: &InUse) -> reqwest::Result<Response> {
    let order = &attempt.order;
    let base = inner.config.inputs_url.replace("{name}", &server.name).replace("{namespace}", &inner.config.namespace);
    let path = if order.task == Task::Parse { "async" } else { "sync" };
    let token = inner.key.token(order.run, order.lease);
    let asked = json!({ "task_id": order.run, "task_name": order.task });
    let request = inner.http.post(format!("{}/{path}/", base.trim_end_matches('/'))).bearer_auth(token).json(&asked);
    request.timeout(longest(inner, attempt)).send().await
}
