//! The users of Redis: who may do what, and nothing else.
//!
//! | user | may |
//! | --- | --- |
//! | `admin` | everything; makes and removes the users of runs |
//! | `scheduler` | get, set and delete `job-*` and `projects` |
//! | `executor` | get `job-*`, for workers of 1.6; none unless it has a password |
//! | `run-LEASE` | get the one key of its attempt |
//! | `default` | nothing: it is off |

use redis::{Cmd, RedisError, cmd};
use thiserror::Error;

use super::{Link, RedisAddress, address::is_a_word, hashed};

/// A shorter password is guessed: Redis answers millions of attempts in a second.
const SHORTEST: usize = 16;

/// Why users could not be set up.
#[derive(Debug, Error)]
pub enum AclError {
    /// A password is missing or worth nothing.
    #[error("the password of `{user}` has {length} characters: it needs {SHORTEST} at least")]
    Password {
        /// Whose.
        user: &'static str,
        /// How long it is.
        length: usize,
    },
    /// Neither the user `admin` nor the first user gets in.
    #[error("Redis lets neither `admin` in with its password, nor anybody without one: {0}")]
    Locked(String),
    /// It refused, or is not there.
    #[error("{0}")]
    Redis(String),
}

impl From<&RedisError> for AclError {
    fn from(error: &RedisError) -> Self {
        Self::Redis(error.to_string())
    }
}

/// A user with what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum User {
    /// Who makes users.
    Admin,
    /// Who writes arguments.
    Scheduler,
    /// Who reads them, in 1.6.
    Executor,
    /// Who everybody is that does not say who they are.
    Default,
}

impl User {
    const ALL: [Self; 4] = [Self::Admin, Self::Scheduler, Self::Executor, Self::Default];

    /// Its name.
    const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Scheduler => "scheduler",
            Self::Executor => "executor",
            Self::Default => "default",
        }
    }

    /// What it may do, on top of nothing.
    const fn rules(self) -> &'static [&'static str] {
        match self {
            Self::Admin => &["on", "~*", "+@all"],
            Self::Scheduler => &["on", "~job-*", "~projects", "+get", "+set", "+del"],
            Self::Executor => &["on", "~job-*", "+get"],
            Self::Default => &["off"],
        }
    }
}

/// The passwords of the users.
#[derive(Clone)]
pub struct Passwords {
    admin: String,
    scheduler: String,
    executor: Option<String>,
}

impl Passwords {
    /// None may be empty, or short.
    pub fn new(admin: &str, scheduler: &str, executor: Option<&str>) -> Result<Self, AclError> {
        let checked = |user: User, password: &str| {
            let length = password.chars().count();
            if length < SHORTEST {
                return Err(AclError::Password { user: user.name(), length });
            }
            Ok(password.to_owned())
        };
        Ok(Self {
            admin: checked(User::Admin, admin)?,
            scheduler: checked(User::Scheduler, scheduler)?,
            executor: executor.map(|password| checked(User::Executor, password)).transpose()?,
        })
    }

    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    pub(crate) fn scheduler(&self) -> &str {
        &self.scheduler
    }

    fn of(&self, user: User) -> Option<&str> {
        match user {
            User::Admin => Some(&self.admin),
            User::Scheduler => Some(&self.scheduler),
            User::Executor => self.executor.as_deref(),
            User::Default => None,
        }
    }

    /// The users there are, with their rules.
    fn users(&self) -> impl Iterator<Item = (User, Vec<String>)> {
        User::ALL.into_iter().filter_map(|user| {
            let password = self.of(user);
            if password.is_none() && user != User::Default {
                return None;
            }
            let rules = ["reset"].iter().chain(user.rules()).map(|rule| (*rule).to_owned());
            Some((user, rules.chain(password.map(hashed)).collect()))
        })
    }
}

/// The users as a file that Redis reads at its start (`aclfile`).
pub fn acl_file(passwords: &Passwords) -> String {
    let line = |(user, rules): (User, Vec<String>)| {
        // Such a file begins with nothing, and does not know the word.
        let rules: Vec<&str> = rules.iter().map(String::as_str).filter(|rule| *rule != "reset").collect();
        format!("user {} {}\n", user.name(), rules.join(" "))
    };
    passwords.users().map(line).collect()
}

/// Makes the users in a Redis that runs, as its `admin` or, where it is new, as whoever comes; tells whether it will know
/// them after a restart.
pub async fn set_up(address: &RedisAddress, passwords: &Passwords) -> Result<bool, AclError> {
    let link = enter(address, passwords).await?;
    if passwords.executor.is_none() {
        told(&link, acl("DELUSER").arg(User::Executor.name())).await?;
    }
    // Who comes without a name may be who we are, and loses everything last.
    for (user, rules) in passwords.users() {
        told(&link, acl("SETUSER").arg(user.name()).arg(rules)).await?;
    }
    let link = enter(address, passwords).await?;
    // Without such a file it says so.
    Ok(link.ask::<()>(&acl("SAVE")).await.is_ok())
}

fn acl(verb: &str) -> Cmd {
    let mut command = cmd("ACL");
    command.arg(verb);
    command
}

async fn told(link: &Link, command: &Cmd) -> Result<(), AclError> {
    link.ask(command).await.map_err(|error| AclError::from(&error))
}

async fn enter(address: &RedisAddress, passwords: &Passwords) -> Result<Link, AclError> {
    let mut causes = Vec::new();
    for (user, password) in [(User::Admin.name(), passwords.admin.as_str()), ("", "")] {
        let link = address.link(user, password).map_err(|error| AclError::from(&error))?;
        match link.ask::<String>(&acl("WHOAMI")).await {
            Ok(_) => return Ok(link),
            Err(error) if !is_a_word(&error) => return Err(AclError::from(&error)),
            Err(error) => causes.push(error.to_string()),
        }
    }
    Err(AclError::Locked(causes.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_empty_or_short() {
        let long = "0123456789abcdef";
        assert!(Passwords::new(long, long, None).is_ok());
        for (admin, scheduler, executor) in [("", long, None), (long, "short", None), (long, long, Some(""))] {
            let error = Passwords::new(admin, scheduler, executor).err().unwrap().to_string();
            assert!(error.contains("16"), "{error}");
        }
    }

    #[test]
    fn a_file_for_redis_has_no_password() {
        let passwords = Passwords::new("an admin's password", "a scheduler's password", None).unwrap();
        let file = acl_file(&passwords);
        assert_eq!(file.lines().count(), 3, "{file}");
        assert!(file.lines().any(|line| line == "user default off"), "{file}");
        assert!(file.contains("user scheduler on ~job-* ~projects +get +set +del #"), "{file}");
        assert!(!file.contains("'s password"), "{file}");
    }
}
