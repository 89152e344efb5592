//! One of several replicas leads: a Lease says which.
//!
//! Clocks are not compared: a replica takes the Lease over when it has seen no change of it for the Lease's duration, by
//! its own clock. The leader gives up before that time is over where it can't renew.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Refused, send};

/// The times of a lead. They are the same in all replicas of a site.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// A Lease that nobody renews for so long is free.
    pub duration: Duration,
    /// How often the leader renews it.
    pub renewal: Duration,
    /// A leader that could not renew for so long leads no more.
    pub give_up: Duration,
    /// How often the others look.
    pub look: Duration,
}

impl Default for Times {
    /// The next leader is there within 13 seconds of the last renewal.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(9),
            renewal: Duration::from_secs(3),
            give_up: Duration::from_secs(7),
            look: Duration::from_secs(2),
        }
    }
}

/// A Lease of a namespace, and who we are.
#[derive(Clone)]
pub struct Candidate {
    client: Client,
    namespace: String,
    lease: String,
    identity: String,
    times: Times,
    /// Nobody else can do its work.
    alone: bool,
}

/// What was seen of the Lease, and when it last changed.
struct Observed {
    holder: String,
    renewed: String,
    since: Instant,
}

impl Candidate {
    /// A candidate for a Lease; `identity` is different in every process.
    pub fn new(client: Client, namespace: String, lease: String, identity: String) -> Self {
        Self { client, namespace, lease, identity, times: Times::default(), alone: false }
    }

    /// The same with other times.
    #[must_use]
    pub const fn with_times(mut self, times: Times) -> Self {
        self.times = times;
        self
    }

    /// The same for a process that holds what its site consists of, so that nobody else can do its work: where the API
    /// server is away it leads until another is seen to have the Lease.
    #[must_use]
    pub const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Waits until we lead.
    pub async fn lead(&self) -> Leadership {
        let mut observed = None;
        loop {
            match self.attempt(&mut observed).await {
                Ok(true) => break,
                // Somebody else leads, or was faster.
                Ok(false) | Err(Refused::Exists | Refused::Conflict) => {}
                Err(error) => tracing::warn!(lease = self.lease, ?error, "the Lease of the leader can't be had"),
            }
            tokio::time::sleep(self.times.look).await;
        }
        tracing::info!(lease = self.lease, identity = self.identity, "this process leads");
        let (sender, lost) = watch::channel(None);
        let (candidate, resigned) = (self.clone(), CancellationToken::new());
        let asked = resigned.clone();
        // Whatever ends this, we lead no more.
        let renewal = tokio::spawn(async move {
            match candidate.renew(asked).await {
                Some(reason) => drop(sender.send(Some(reason))),
                None => candidate.resign().await,
            }
        });
        Leadership { lost, resigned, renewal }
    }

    fn path(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.namespace)
    }

    /// Takes the Lease if it is free or ours; false: it is somebody else's.
    async fn attempt(&self, observed: &mut Option<Observed>) -> Result<bool, Refused> {
        let path = format!("{}/{}", self.path(), self.lease);
        let found = match send(&self.client, "GET", &path, &Value::Null).await {
            Ok(found) => found,
            Err(Refused::Missing) => {
                let new = json!({
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": { "name": self.lease, "namespace": self.namespace },
                    "spec": self.spec(&Value::Null),
                });
                send(&self.client, "POST", &format!("{}?fieldValidation=Strict", self.path()), &new).await?;
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let spec = &found["spec"];
        let text = |name: &str| spec[name].as_str().unwrap_or_default().to_owned();
        let (holder, renewed) = (text("holderIdentity"), text("renewTime"));
        let is_new = observed.as_ref().is_none_or(|seen| (&seen.holder, &seen.renewed) != (&holder, &renewed));
        if is_new {
            *observed = Some(Observed { holder: holder.clone(), renewed, since: Instant::now() });
        }
        let expired = observed.as_ref().is_some_and(|seen| seen.since.elapsed() >= self.times.duration);
        if !holder.is_empty() && holder != self.identity && !expired {
            return Ok(false);
        }
        let mut taken = found.clone();
        taken["spec"] = self.spec(spec);
        // Its version is in it: of two who take it at once, one is refused.
        send(&self.client, "PUT", &path, &taken).await?;
        Ok(true)
    }

    /// The Lease as ours.
    fn spec(&self, former: &Value) -> Value {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let is_ours = former["holderIdentity"] == self.identity.as_str();
        let transitions = former["leaseTransitions"].as_u64().unwrap_or_default();
        json!({
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.times.duration.as_secs().max(1),
            "acquireTime": if is_ours { former["acquireTime"].clone() } else { now.clone().into() },
            "renewTime": now,
            "leaseTransitions": if is_ours { transitions } else { transitions + 1 },
        })
    }

    /// Renews the Lease until we are asked to resign or can lead no more, by this reason.
    async fn renew(&self, resigned: CancellationToken) -> Option<Lost> {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.times.renewal) => {}
                () = resigned.cancelled() => return None,
            }
            match tokio::time::timeout(self.times.renewal, self.attempt(&mut None)).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => {
                    tracing::warn!(lease = self.lease, "another process leads now");
                    return Some(Lost::Taken);
                }
                // A conflict may be with our own request of before, which a slow server has carried out by now.
                other => tracing::warn!(lease = self.lease, ?other, "the Lease could not be renewed"),
            }
            if !self.alone && renewed.elapsed() >= self.times.give_up {
                tracing::warn!(lease = self.lease, "this process leads no more: its Lease can't be renewed");
                return Some(Lost::NotRenewed);
            }
        }
    }

    /// Leaves the Lease to the next.
    async fn resign(&self) {
        let path = format!("{}/{}", self.path(), self.lease);
        let Ok(mut found) = send(&self.client, "GET", &path, &Value::Null).await else { return };
        if found["spec"]["holderIdentity"] == self.identity.as_str() {
            found["spec"]["holderIdentity"] = "".into();
            if let Err(error) = send(&self.client, "PUT", &path, &found).await {
                tracing::warn!(lease = self.lease, ?error, "the next leader waits until the Lease is over");
            }
        }
    }
}

/// Why a process leads no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Another has the Lease.
    Taken,
    /// The API server did not answer, or refused, for so long that another may have it.
    NotRenewed,
}

/// The lead, while it lasts.
pub struct Leadership {
    lost: watch::Receiver<Option<Lost>>,
    resigned: CancellationToken,
    renewal: tokio::task::JoinHandle<()>,
}

impl Leadership {
    /// Waits until we lead no more.
    pub async fn lost(&self) -> Lost {
        let mut lost = self.lost.clone();
        let reason = lost.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| *reason).unwrap_or(Lost::NotRenewed)
    }

    /// Gives it up, so that the next need not wait.
    pub async fn resign(self) {
        self.resigned.cancel();
        if let Err(error) = self.renewal.await {
            tracing::warn!(%error, "the lead ended unexpectedly");
        }
    }
}
