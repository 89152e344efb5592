//! Jobs that are over, where nothing else removes them.

use std::time::Duration;

use csw_core::causes::chain;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
};

use crate::{
    connect::NoCluster,
    names::{RUN_NAME, SITE},
};

/// Jobs asked for in one request.
const PAGE: u32 = 500;

/// Removes a site's Jobs that ended longer ago than `age`, with their pods; how many there were.
pub async fn remove_finished(client: &Client, namespace: &str, site: &str, age: Duration) -> Result<u32, NoCluster> {
    let failed = |error: kube::Error| NoCluster { cause: chain(&error) };
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let mut wanted =
        ListParams::default().labels(&format!("app.kubernetes.io/name={RUN_NAME},{SITE}={site}")).limit(PAGE);
    let mut removed = 0;
    loop {
        let page = jobs.list(&wanted).await.map_err(failed)?;
        for job in &page.items {
            let Some(name) = job.metadata.name.as_deref().filter(|_| is_over(job, age)) else { continue };
            match jobs.delete(name, &DeleteParams::background()).await {
                Ok(_) => removed += 1,
                // Somebody else was first.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(failed(error)),
            }
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => wanted = wanted.continue_token(&token),
            None => return Ok(removed),
        }
    }
}

fn is_over(job: &Job, age: Duration) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let end = conditions
        .iter()
        .filter(|condition| condition.status == "True" && matches!(condition.type_.as_str(), "Complete" | "Failed"))
        .find_map(|condition| condition.last_transition_time.as_ref());
    let ago = |end: i64| Timestamp::now().as_second().saturating_sub(end);
    end.is_some_and(|end| u64::try_from(ago(end.0.as_second())).is_ok_and(|seconds| seconds >= age.as_secs()))
}
