//! Names and labels by which a Job is known as an attempt at a run.

use std::collections::BTreeMap;

use csw_core::{
    ids::{Lease, RunId},
    names::ModelName,
    run::RunOrder,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest, Sha256};

/// The site whose run it is.
pub(crate) const SITE: &str = "studio.compute/site";
const RUN: &str = "studio.compute/run";
const LEASE: &str = "studio.compute/lease";
pub(crate) const MODEL: &str = "studio.compute/model";
const TASK: &str = "studio.compute/task";
/// The version that an inputs server has.
pub(crate) const VERSION: &str = "studio.compute/version";
/// The inputs server that a pod is of.
pub(crate) const INPUTS: &str = "studio.compute/inputs";
/// `open` where a model has the internet, else `closed`.
pub(crate) const NETWORK: &str = "studio.compute/network";

/// The build that an object is of.
pub(crate) const BUILD: &str = "studio.compute/build";
/// The attempt at that.
pub(crate) const BUILD_ATTEMPT: &str = "studio.compute/build-attempt";

/// The name of all Jobs of builds, and of their pods.
pub(crate) const BUILD_NAME: &str = "csw-build";

/// The name of all Jobs of runs, and of their pods.
pub(crate) const RUN_NAME: &str = "csw-run";

/// The name of all inputs servers, and of their pods.
pub(crate) const INPUTS_NAME: &str = "csw-inputs";

/// The longest value of a label.
const LABEL: usize = 63;

/// So much of a model's name is in that of its inputs server: what Kubernetes adds for pods must fit as well.
const LONGEST_READABLE: usize = 30;

/// The name of the Job of an attempt: the same whenever it is asked for, so that creating it twice makes one.
pub(crate) fn job_name(run: RunId, lease: Lease) -> String {
    let lease = lease.as_uuid().simple().to_string();
    // The end of a lease is its random part.
    format!("csw-{}-{}", run.as_uuid().simple(), &lease[lease.len() - 12..])
}

/// The labels of an attempt's Job and pods.
pub(crate) fn labels(order: &RunOrder, site: &str) -> BTreeMap<String, String> {
    let mut labels = common(RUN_NAME, order, site);
    labels.insert(RUN.to_owned(), order.run.to_string());
    labels.insert(LEASE.to_owned(), order.lease.to_string());
    labels.insert(TASK.to_owned(), order.task.as_str().to_owned());
    labels
}

/// The labels of an inputs server and its pods.
pub(crate) fn inputs_labels(order: &RunOrder, site: &str) -> BTreeMap<String, String> {
    let mut labels = common(INPUTS_NAME, order, site);
    labels.insert(VERSION.to_owned(), order.version.to_string());
    labels.insert(INPUTS.to_owned(), inputs_name(&order.model));
    labels
}

fn common(name: &str, order: &RunOrder, site: &str) -> BTreeMap<String, String> {
    let network = if order.network { "open" } else { "closed" };
    [
        ("app.kubernetes.io/name", name.to_owned()),
        ("app.kubernetes.io/managed-by", "csw".to_owned()),
        (SITE, site.to_owned()),
        (MODEL, label(&format!("{}.{}", order.model.owner, order.model.title))),
        (NETWORK, network.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The name of a model's inputs server: readable, and no other model's.
pub(crate) fn inputs_name(model: &ModelName) -> String {
    let whole = format!("{}/{}", model.owner, model.title).to_lowercase();
    let digest = hex::encode(&Sha256::digest(whole.as_bytes())[..4]);
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let readable: String = whole.chars().map(allowed).take(LONGEST_READABLE).collect();
    format!("inputs-{}-{digest}", readable.trim_matches('-'))
}

/// The attempt that an object belongs to.
pub(crate) fn attempt_of(metadata: &ObjectMeta) -> Option<(RunId, Lease)> {
    let labels = metadata.labels.as_ref()?;
    Some((labels.get(RUN)?.parse().ok()?, labels.get(LEASE)?.parse().ok()?))
}

/// A text as the value of a label: what is not allowed becomes a hyphen.
pub(crate) fn label(text: &str) -> String {
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
    fn inputs_servers_of_different_models_have_different_names_that_fit() {
        let name = |model: &str| inputs_name(&model.parse().unwrap());
        let (one, other) = (name("ann/Some-Model"), name("ann-Some/Model"));
        assert!(
            one.starts_with("inputs-ann-some-model-") && other.starts_with("inputs-ann-some-model-"),
            "{one} {other}"
        );
        assert_ne!(one, other);
        let long = name(&format!("{}/{}", "a".repeat(39), "b".repeat(60)));
        assert!(long.len() + 17 <= LABEL, "{long}");
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
