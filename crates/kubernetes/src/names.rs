//! Names and labels by which a Job is known as an attempt at a run.

use std::collections::BTreeMap;

use csw_core::{
    ids::{Lease, RunId},
    run::RunOrder,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The site whose run it is.
pub(crate) const SITE: &str = "studio.compute/site";
const RUN: &str = "studio.compute/run";
const LEASE: &str = "studio.compute/lease";
const MODEL: &str = "studio.compute/model";
const TASK: &str = "studio.compute/task";
/// `open` where a model has the internet, else `closed`.
pub(crate) const NETWORK: &str = "studio.compute/network";

/// The name of all Jobs of runs, and of their pods.
pub(crate) const RUN_NAME: &str = "csw-run";

/// The longest value of a label.
const LABEL: usize = 63;

/// The name of the Job of an attempt: the same whenever it is asked for, so that creating it twice makes one.
pub(crate) fn job_name(run: RunId, lease: Lease) -> String {
    let lease = lease.as_uuid().simple().to_string();
    // The end of a lease is its random part.
    format!("csw-{}-{}", run.as_uuid().simple(), &lease[lease.len() - 12..])
}

/// The labels of an attempt's Job and pods.
pub(crate) fn labels(order: &RunOrder, site: &str) -> BTreeMap<String, String> {
    let network = if order.network { "open" } else { "closed" };
    [
        ("app.kubernetes.io/name", RUN_NAME.to_owned()),
        ("app.kubernetes.io/managed-by", "csw".to_owned()),
        (SITE, site.to_owned()),
        (RUN, order.run.to_string()),
        (LEASE, order.lease.to_string()),
        (MODEL, label(&format!("{}.{}", order.model.owner, order.model.title))),
        (TASK, order.task.as_str().to_owned()),
        (NETWORK, network.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The attempt that an object belongs to.
pub(crate) fn attempt_of(metadata: &ObjectMeta) -> Option<(RunId, Lease)> {
    let labels = metadata.labels.as_ref()?;
    Some((labels.get(RUN)?.parse().ok()?, labels.get(LEASE)?.parse().ok()?))
}

/// A text as the value of a label: what is not allowed becomes a hyphen.
fn label(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let text: String = text.chars().map(allowed).take(LABEL).collect();
    text.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_what_a_server_takes() {
        assert_eq!(label("owner.Title-1"), "owner.Title-1");
        assert_eq!(label("-é/x-"), "x");
        assert_eq!(label(&"a".repeat(100)).len(), LABEL);
    }

    #[test]
    fn attempts_at_a_run_have_different_names_that_fit() {
        let run: RunId = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
        let first = job_name(run, "0198c0de-0000-7000-8000-0000000000aa".parse().unwrap());
        let second = job_name(run, "0198c0de-0000-7000-8000-0000000000bb".parse().unwrap());
        assert_ne!(first, second);
        // A pod's name is the Job's and six characters, and becomes a label.
        assert!(first.len() + 6 <= LABEL, "{first}");
    }
}
