//! The side of a service that serves pages: it runs nothing, and asks the scheduler of its site.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use csw_core::{
    causes::chain,
    ids::{RunId, VersionId},
    ports::{Capacity, Executor, ExecutorError, RunEvents, Zygotes},
    run::{Outcome, Phases, RunEnd, RunOrder, Task, TaskResult, Usage},
};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{config::KubernetesConfig, token::RunKey};

/// A question may wait for a place, and for its Job, longer than it takes.
const SPARE: Duration = Duration::from_mins(5);

/// The scheduler of a site, somewhere else.
pub struct Scheduler {
    url: String,
    token: String,
    http: reqwest::Client,
    config: KubernetesConfig,
}

impl Scheduler {
    /// The scheduler at an address, which knows services by the key of the site's tokens.
    pub fn new(url: &str, key: &RunKey, config: KubernetesConfig) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        Self { url, token: key.service_token(), http: crate::executor::http(), config }
    }
}

/// What a scheduler answers.
#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    meta_parameters: Value,
    #[serde(default)]
    model_parameters: Value,
    #[serde(default)]
    traceback: String,
}

impl Answer {
    fn outcome(self, task: Task) -> Outcome {
        match (self.status.as_str(), task) {
            ("SUCCESS", Task::Version) => Outcome::Returned(TaskResult::Version(self.version)),
            ("SUCCESS", _) => Outcome::Returned(TaskResult::Defaults {
                meta_parameters: self.meta_parameters,
                model_parameters: self.model_parameters,
            }),
            ("FAIL", _) => Outcome::Failed { traceback: self.traceback },
            _ => Outcome::Lost { sentence: self.traceback },
        }
    }
}

async fn ask(request: reqwest::RequestBuilder, task: Task) -> Outcome {
    let lost = |sentence: String| Outcome::Lost { sentence };
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return lost(format!("the scheduler can't be reached: {}", chain(&error.without_url()))),
    };
    match answer.status() {
        StatusCode::OK => match answer.json::<Answer>().await {
            Ok(answer) => answer.outcome(task),
            Err(error) => lost(format!("the scheduler's answer can't be read: {}", chain(&error.without_url()))),
        },
        StatusCode::UNAUTHORIZED => lost("the scheduler has another key than this service".to_owned()),
        status => lost(format!("the scheduler answered {status}")),
    }
}

#[async_trait]
impl Executor for Scheduler {
    /// Asks what a model is asked outside the queue. Runs of the queue are the scheduler's own.
    async fn start(&self, order: RunOrder, events: Arc<dyn RunEvents>) -> Result<(), ExecutorError> {
        if !matches!(order.task, Task::Version | Task::Defaults) {
            let cause = "this service serves pages; the scheduler takes runs from the queue".to_owned();
            return Err(ExecutorError::Unavailable { cause });
        }
        let question = json!({ "task_name": order.task, "task_kwargs": order.arguments, "tag": order.version });
        let patience = self.config.start_limit + Duration::from_secs(order.limits.deadline_seconds.into()) + SPARE;
        let request = self
            .http
            .post(format!("{}/{}/", self.url, order.model))
            .bearer_auth(&self.token)
            .timeout(patience)
            .json(&question);
        tokio::spawn(async move {
            let outcome = ask(request, order.task).await;
            let (phases, usage) = (Phases::default(), Usage::default());
            let end = RunEnd { outcome, model_version: None, phases, usage };
            if let Err(error) = events.ended(&order, end).await {
                tracing::debug!(%error, "nobody waits for an answer of the scheduler");
            }
        });
        Ok(())
    }

    async fn cancel(&self, _: RunId) {}

    async fn live(&self) -> Vec<RunId> {
        Vec::new()
    }

    async fn warm(&self, _: RunOrder) {}

    async fn evict(&self, _: VersionId) {}

    fn manifests(&self, order: &RunOrder) -> Result<Vec<Value>, String> {
        crate::inputs::manifest::objects(order, &self.config)
    }

    fn capacity(&self) -> Capacity {
        self.config.capacity
    }

    fn zygotes(&self) -> Zygotes {
        Zygotes::default()
    }

    async fn shut_down(&self, _: u32) {}
}
