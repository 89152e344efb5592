//! The side of a Job: its arguments, with the credentials of its attempt.

use redis::cmd;
use serde_json::Value;

use super::{RedisAddress, address::is_a_word, key, password, user};
use crate::{pace::Pauses, token};

/// The variable with the certificates of the authorities of Redis, as PEM.
pub const REDIS_CA: &str = "CSW_REDIS_CA";

/// A Redis that is just started again is asked so often.
const TRIES: u32 = 3;

/// The arguments of the attempt that a token is good for. The error says why the server has to be asked for them.
pub(crate) async fn fetch(address: &RedisAddress, token: &str) -> Result<Value, String> {
    let (run, lease) = token::names(token).ok_or("the token names no run")?;
    let link = address.link(&user(lease), &password(token)).map_err(|error| error.to_string())?;
    let mut command = cmd("GET");
    command.arg(key(run, lease));
    let mut pauses = Pauses::up_to(std::time::Duration::from_secs(1));
    let mut tries = 1;
    loop {
        let cause = match link.ask::<Option<String>>(&command).await {
            Ok(Some(text)) => return serde_json::from_str(&text).map_err(|error| error.to_string()),
            Ok(None) => return Err("Redis has no arguments of this run".to_owned()),
            // It is there, and does not know this user.
            Err(error) if is_a_word(&error) => return Err(format!("Redis refuses: {error}")),
            Err(error) => error.to_string(),
        };
        if tries == TRIES {
            return Err(format!("Redis does not answer: {cause}"));
        }
        tries += 1;
        pauses.pause(None).await;
    }
}
