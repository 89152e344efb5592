//! The Redis that Jobs get their arguments from.

use csw_kubernetes::redis::{Passwords, Redis, RedisAddress};

use crate::{
    failure::{Failure, Outcome},
    settings::RedisSettings,
};

/// The Redis of a site, if it has one.
pub(crate) fn redis(settings: &RedisSettings) -> Outcome<Option<Redis>> {
    if settings.url.is_none() {
        return Ok(None);
    }
    let address = redis_address(settings)?;
    if address.is_clear() {
        tracing::warn!(
            url = address.url(),
            "arguments go to Redis in the clear; write rediss:// where others are near"
        );
    }
    let redis = Redis::new(address, &redis_passwords(settings)?).map_err(|error| failed(&error.to_string()))?;
    Ok(Some(redis))
}

/// Where it is.
pub(crate) fn redis_address(settings: &RedisSettings) -> Outcome<RedisAddress> {
    let url = settings.url.as_deref().ok_or_else(|| {
        Failure::usage("which Redis?", "name it as `redis.url`, such as rediss://redis.NAMESPACE:6379")
    })?;
    let ca = settings
        .ca_file
        .as_deref()
        .map(|path| std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error)));
    RedisAddress::new(url, ca.transpose()?)
        .map_err(|error| Failure::usage(format!("redis.url: {error}"), "write redis://HOST:PORT, or rediss:// for TLS"))
}

/// The passwords of its users.
pub(crate) fn redis_passwords(settings: &RedisSettings) -> Outcome<Passwords> {
    let (admin, scheduler) = (settings.admin_password(), settings.scheduler_password());
    let executor = settings.executor_password();
    Passwords::new(&admin.unwrap_or_default(), &scheduler.unwrap_or_default(), executor.as_deref())
        .map_err(|error| failed(&error.to_string()))
}

fn failed(sentence: &str) -> Failure {
    Failure::usage(
        format!("Redis: {sentence}"),
        "set CSW_REDIS_ADMIN_PASSWORD and CSW_REDIS_SCHEDULER_PASSWORD, or `redis.admin_password` and \
         `redis.scheduler_password`, to long random texts",
    )
}
