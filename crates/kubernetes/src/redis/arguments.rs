//! What the server puts into Redis for its Jobs, and removes again.

use std::{sync::Arc, time::Duration};

use csw_core::{
    ids::{Lease, RunId},
    run::RunOrder,
};
use redis::{RedisResult, cmd};

use super::{AclError, Link, OF_RUN, Passwords, RedisAddress, hashed, key, password, user};

/// Arguments outlive the deadline of their run by so long.
const SPARE: Duration = Duration::from_mins(5);

/// A Redis that Jobs get their arguments from.
#[derive(Clone)]
pub struct Redis {
    pub(crate) address: RedisAddress,
    links: Arc<Links>,
}

struct Links {
    /// Makes and removes users.
    admin: Link,
    /// Writes keys.
    scheduler: Link,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("url", &self.address.url()).finish_non_exhaustive()
    }
}

impl Redis {
    /// A Redis whose users have these passwords. Nothing is asked of it yet.
    pub fn new(address: RedisAddress, passwords: &Passwords) -> Result<Self, AclError> {
        let link = |name, password: &str| address.link(name, password).map_err(|error| AclError::from(&error));
        let admin = link("admin", passwords.admin())?;
        let scheduler = link("scheduler", passwords.scheduler())?;
        Ok(Self { links: Arc::new(Links { admin, scheduler }), address })
    }
}

/// The arguments of live attempts.
pub(crate) struct Arguments {
    redis: Redis,
    /// A Job may wait so long for its start.
    start_limit: Duration,
}

impl Arguments {
    pub(crate) fn new(redis: Redis, start_limit: Duration) -> Self {
        Self { redis, start_limit }
    }

    /// Has the arguments of an attempt there, for whoever has its token. Where Redis can't be had, its Job asks the server.
    pub(crate) async fn keep(&self, order: &RunOrder, token: &str) {
        let (made, written) = tokio::join!(self.make_user(order, token), self.write(order));
        if let Err(error) = made.and(written) {
            tracing::warn!(run = %order.run, %error, "arguments can't be put into Redis; their Job asks for them");
        }
    }

    async fn make_user(&self, order: &RunOrder, token: &str) -> RedisResult<()> {
        let mut command = cmd("ACL");
        command.arg("SETUSER").arg(user(order.lease)).arg("reset").arg("on");
        command.arg(hashed(&password(token))).arg(format!("~{}", key(order.run, order.lease))).arg("+get");
        self.redis.links.admin.ask(&command).await
    }

    async fn write(&self, order: &RunOrder) -> RedisResult<()> {
        let lifetime = self.start_limit + Duration::from_secs(order.limits.deadline_seconds.into()) + SPARE;
        let mut command = cmd("SET");
        command.arg(key(order.run, order.lease)).arg(order.arguments.to_string()).arg("EX").arg(lifetime.as_secs());
        self.redis.links.scheduler.ask(&command).await
    }

    /// Removes what an attempt had there. What can't be removed now expires, and its user is swept.
    pub(crate) async fn forget(&self, run: RunId, lease: Lease) {
        let (mut keys, mut users) = (cmd("DEL"), cmd("ACL"));
        keys.arg(key(run, lease));
        users.arg("DELUSER").arg(user(lease));
        let links = &self.redis.links;
        let (deleted, removed) = tokio::join!(links.scheduler.ask::<()>(&keys), links.admin.ask::<()>(&users));
        if let Err(error) = deleted.and(removed) {
            tracing::warn!(%run, %error, "what a run had in Redis can't be removed now");
        }
    }

    /// Removes users of attempts that are over: a former process may not have come to it.
    pub(crate) async fn sweep(&self, is_live: impl Fn(Lease) -> bool) {
        let links = &self.redis.links;
        let users: Vec<String> = match links.admin.ask(cmd("ACL").arg("USERS")).await {
            Ok(users) => users,
            Err(error) => return tracing::warn!(%error, "users of former runs can't be looked for in Redis"),
        };
        let of_runs = users.iter().filter_map(|name| name.strip_prefix(OF_RUN)?.parse().ok());
        let over: Vec<Lease> = of_runs.filter(|lease: &Lease| !is_live(*lease)).collect();
        if over.is_empty() {
            return;
        }
        let mut command = cmd("ACL");
        command.arg("DELUSER").arg(over.into_iter().map(user).collect::<Vec<_>>());
        if let Err(error) = links.admin.ask::<()>(&command).await {
            tracing::warn!(%error, "users of former runs can't be removed from Redis");
        }
    }
}
