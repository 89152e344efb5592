//! A Job as it is watched: the most of the object is what we wrote ourselves, and ten thousand of them are kept.

use std::borrow::Cow;

use k8s_openapi::{
    NamespaceResourceScope, Resource as _,
    api::batch::v1::{Job, JobCondition},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Deserialize;

/// What is looked at of a Job.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SeenJob {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: Spec,
    pub(crate) status: Status,
}

/// Of its specification.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Spec {
    pub(crate) suspend: Option<bool>,
}

/// Of its status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    pub(crate) conditions: Option<Vec<JobCondition>>,
}

impl kube::Resource for SeenJob {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        Job::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        Job::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        Job::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        <Job as kube::Resource>::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
