//! The removal of finished Jobs, where the cluster does not see to it: old ones lack the TTL controller.

use serde_json::{Value, json};

use super::{Site, access::CLEANER, part, restricted};

/// How often.
const EVERY: &str = "*/30 * * * *";

/// The CronJob.
pub(super) fn cron_job(site: &Site) -> Value {
    let container = json!({
        "name": "cleanup",
        "image": site.image,
        "command": ["csw", "svc", "cleanup-jobs", "--namespace", site.namespace, "--site", site.site],
        "env": [{ "name": "HOME", "value": "/tmp" }],
        "resources": {
            "requests": { "cpu": "50m", "memory": "64Mi" },
            "limits": { "cpu": "500m", "memory": "128Mi" },
        },
        "securityContext": restricted(),
    });
    let mut pod = site.pod(CLEANER, &container, &json!([]));
    pod["restartPolicy"] = "Never".into();
    pod["automountServiceAccountToken"] = true.into();
    json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": site.metadata(CLEANER),
        "spec": {
            "schedule": EVERY,
            "concurrencyPolicy": "Forbid",
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": { "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": 600,
                "template": { "metadata": { "labels": part(CLEANER) }, "spec": pod },
            } },
        },
    })
}
