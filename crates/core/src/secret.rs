//! Secrets: what services and models need to know and nobody may read. Site-wide ones are for services; those of a model
//! become environment variables of its runs.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{ids::ModelId, names::ModelName};

/// Bytes that a value may have. The kernel takes no more than twice as much in one environment variable.
pub const VALUE_LIMIT: usize = 64 * 1024;

/// Characters that a name may have.
pub const NAME_LIMIT: usize = 128;

/// Secrets that one model, or the site, may have.
pub const SECRETS_LIMIT: usize = 100;

/// Bytes that the values of one model may have together: a program is started with an environment of limited size.
pub const TOTAL_LIMIT: usize = 512 * 1024;

/// Variables that decide how an interpreter starts, or that we set ourselves.
const RESERVED: &[&str] = &[
    "BASH_ENV",
    "CS_API_TOKEN",
    "CS_URL",
    "ENV",
    "EXP_TASK_TIME",
    "HOME",
    "IFS",
    "LANG",
    "LOGNAME",
    "MPLBACKEND",
    "OWNER",
    "PATH",
    "PWD",
    "SHELL",
    "TEMP",
    "TITLE",
    "TMP",
    "TMPDIR",
    "USER",
    "audit",
    "values",
];

/// What such variables begin with.
const RESERVED_PREFIXES: &[&str] = &["BASH_FUNC_", "CSW_", "DYLD_", "GLIBC_", "LC_", "LD_", "MALLOC_", "PYTHON"];

/// Why a text is no name of a secret, or a value of none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretTextError {
    /// Not the name of an environment variable.
    #[error("A secret's name has letters, digits and `_` only, begins with no digit, and has 1 to 128 characters.")]
    Name,
    /// The name of a variable that has a meaning already.
    #[error("`{given}` is reserved: it decides how models are started. Choose another name.")]
    Reserved {
        /// The name.
        given: String,
    },
    /// Nothing.
    #[error("A secret's value may not be empty; delete the secret if it is not needed any more.")]
    Empty,
    /// Longer than [`VALUE_LIMIT`].
    #[error("A secret's value has at most 65536 bytes; this one has {bytes}.")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// An environment variable can't hold it.
    #[error("A secret's value may not hold a NUL character.")]
    Nul,
}

/// The name of a secret, fit to be an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SecretName {
    type Err = SecretTextError;

    fn from_str(text: &str) -> Result<Self, SecretTextError> {
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins || text.len() > NAME_LIMIT || !text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
            return Err(SecretTextError::Name);
        }
        if RESERVED.contains(&text) || RESERVED_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            return Err(SecretTextError::Reserved { given: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

/// A value that is never printed and is wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Zeroizing<String>);

impl SecretValue {
    /// A value that may be stored.
    pub fn checked(text: String) -> Result<Self, SecretTextError> {
        let value = Self(Zeroizing::new(text));
        match value.expose() {
            "" => Err(SecretTextError::Empty),
            text if text.len() > VALUE_LIMIT => Err(SecretTextError::TooLong { bytes: text.len() }),
            text if text.contains('\0') => Err(SecretTextError::Nul),
            _ => Ok(value),
        }
    }

    /// The value itself. Whoever asks for it keeps it out of logs and messages.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretValue {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for SecretValue {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The secrets of a run, by the names of their environment variables.
pub type Secrets = BTreeMap<String, SecretValue>;

/// Whose secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretScope {
    /// The site's, for its services.
    Site,
    /// A model's, for its runs and tests.
    Model {
        /// Which: names may be given to others, identifiers are not.
        id: ModelId,
        /// Its name, for stores that people look into.
        name: ModelName,
    },
}

impl SecretScope {
    /// What rows and authenticated data name it by.
    pub fn key(&self) -> String {
        match self {
            Self::Site => "site".to_owned(),
            Self::Model { id, .. } => format!("model:{id}"),
        }
    }

    /// What people call it.
    pub fn title(&self) -> String {
        match self {
            Self::Site => "the site".to_owned(),
            Self::Model { name, .. } => name.to_string(),
        }
    }
}

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its name.
    pub name: SecretName,
    /// How often it was set.
    pub version: u32,
    /// Who set it last; nothing is known where it was put into the store by other means.
    pub set_by: Option<String>,
    /// When.
    pub set_at: Option<Timestamp>,
}

/// What was done with secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretAction {
    /// A value was stored.
    Set,
    /// A person read a value.
    Read,
    /// It was removed.
    Delete,
    /// All rows were sealed with a new key.
    Rotate,
}

impl SecretAction {
    /// The stored and printed word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Read => "read",
            Self::Delete => "delete",
            Self::Rotate => "rotate",
        }
    }

    /// The action with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Set, Self::Read, Self::Delete, Self::Rotate].into_iter().find(|action| action.as_str() == word)
    }
}

/// A line of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretEvent {
    /// When.
    pub at: Timestamp,
    /// The account's name, or how somebody at the server's own machine is called.
    pub who: String,
    /// What was done.
    pub action: SecretAction,
    /// Whose secret.
    pub scope: String,
    /// Which; empty where it is about all.
    pub secret: String,
    /// Which version of it, where that is known.
    pub version: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_environment_variables() {
        for good in ["super", "API_KEY", "_x9", "path", "Python"] {
            assert_eq!(good.parse::<SecretName>().unwrap().as_str(), good);
        }
        for bad in ["", "9a", "a-b", "a b", "é", "a=b", &"x".repeat(129)] {
            assert_eq!(bad.parse::<SecretName>(), Err(SecretTextError::Name), "{bad}");
        }
        for taken in ["PATH", "PYTHONPATH", "PYTHON", "LD_PRELOAD", "HOME", "CSW_DATA", "OWNER", "LC_ALL", "audit"] {
            let refused = taken.parse::<SecretName>().unwrap_err();
            assert!(refused.to_string().contains("is reserved"), "{refused}");
        }
    }

    #[test]
    fn values_are_bounded_and_never_printed() {
        let value = SecretValue::checked("hunter2".to_owned()).unwrap();
        assert_eq!(format!("{value} {value:?}"), "*** ***");
        assert_eq!(value.expose(), "hunter2");
        assert_eq!(SecretValue::checked(String::new()), Err(SecretTextError::Empty));
        assert_eq!(SecretValue::checked("a\0".to_owned()), Err(SecretTextError::Nul));
        assert!(SecretValue::checked("x".repeat(VALUE_LIMIT)).is_ok());
        let long = SecretValue::checked("x".repeat(VALUE_LIMIT + 1)).unwrap_err();
        assert_eq!(long, SecretTextError::TooLong { bytes: VALUE_LIMIT + 1 });
    }
}
