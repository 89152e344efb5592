//! Names that appear in URLs. They keep the case their owner chose, and are compared without regard to it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The word that was probably meant.
#[must_use]
pub fn near<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = |word: &&str| strsim::damerau_levenshtein(&given.to_lowercase(), &word.to_lowercase());
    let best = known.filter(|word| !word.is_empty()).min_by_key(close)?;
    (close(&best) <= 1.max(given.chars().count() / 3)).then_some(best)
}

/// Words that are first segments of our own routes, or will be; no account may shadow them.
pub const RESERVED: &[&str] = &[
    "about",
    "accounts",
    "admin",
    "api",
    "api-token-auth",
    "apps",
    "assets",
    "billing",
    "builds",
    "dashboard",
    "dmca",
    "docs",
    "events",
    "favicon.ico",
    "feed",
    "git",
    "health",
    "healthz",
    "help",
    "hooks",
    "inputs",
    "log",
    "login",
    "logout",
    "metrics",
    "model-config",
    "models",
    "new",
    "o",
    "outputs",
    "privacy",
    "projects",
    "publish",
    "readyz",
    "rest-auth",
    "robots.txt",
    "root",
    "settings",
    "sims",
    "signup",
    "static",
    "storage",
    "support",
    "system",
    "terms",
    "unsigned",
    "users",
    "verify",
    "webhooks",
];

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("{what} must not be empty")]
    Empty {
        /// What was being named.
        what: &'static str,
    },
    /// Too long.
    #[error("{what} `{given}` has more than {limit} characters")]
    TooLong {
        /// What was being named.
        what: &'static str,
        /// The text.
        given: String,
        /// Characters allowed.
        limit: usize,
    },
    /// A character that may not appear.
    #[error("{what} `{given}` may have {allowed} only")]
    Character {
        /// What was being named.
        what: &'static str,
        /// The text.
        given: String,
        /// What may appear, in words.
        allowed: &'static str,
    },
    /// Taken by the site itself.
    #[error("{what} `{given}` is reserved; please choose another one")]
    Reserved {
        /// What was being named.
        what: &'static str,
        /// The text.
        given: String,
    },
    /// Not `owner/title`.
    #[error("`{given}` is not the name of a model: write OWNER/TITLE")]
    NotAModel {
        /// The text.
        given: String,
    },
}

fn check(
    what: &'static str,
    text: &str,
    limit: usize,
    allowed: &'static str,
    ok: fn(char) -> bool,
) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.chars().count() > limit {
        return Err(NameError::TooLong { what, given: text.chars().take(limit).collect(), limit });
    }
    if !text.chars().all(ok) || text.starts_with('.') {
        return Err(NameError::Character { what, given: text.to_owned(), allowed });
    }
    Ok(())
}

/// The name of an account: at most 150 letters, digits or `@ . + - _`, and no reserved word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(String);

impl AccountName {
    /// As the owner wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form for comparison.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }

    /// A name that is already stored; reserved words are not checked again, so that a new one locks nobody out.
    #[must_use]
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }
}

impl TryFrom<String> for AccountName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        check("the username", &text, 150, "letters, digits and @ . + - _", |c| {
            c.is_alphanumeric() || "@.+-_".contains(c)
        })?;
        if RESERVED.contains(&text.to_lowercase().as_str()) {
            return Err(NameError::Reserved { what: "the username", given: text });
        }
        Ok(Self(text))
    }
}

/// The title of a model: at most 255 letters, digits or `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelTitle(String);

impl ModelTitle {
    /// As the owner wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form for comparison.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }

    /// Turns every run of other characters into `-`, as the publish form always did.
    pub fn cleaned(text: &str) -> Result<Self, NameError> {
        let mut clean = String::with_capacity(text.len());
        for c in text.trim().chars() {
            if c.is_ascii_alphanumeric() {
                clean.push(c);
            } else if !clean.ends_with('-') {
                clean.push('-');
            }
        }
        Self::try_from(clean.trim_matches('-').to_owned())
    }
}

impl TryFrom<String> for ModelTitle {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        check("the model's title", &text, 255, "letters, digits and -", |c| c.is_ascii_alphanumeric() || c == '-')?;
        Ok(Self(text))
    }
}

/// `owner/title`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName {
    /// The account that published it.
    pub owner: AccountName,
    /// Its title.
    pub title: ModelTitle,
}

impl FromStr for ModelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (owner, title) = text.split_once('/').ok_or_else(|| NameError::NotAModel { given: text.to_owned() })?;
        Ok(Self { owner: owner.to_owned().try_into()?, title: title.to_owned().try_into()? })
    }
}

impl TryFrom<String> for ModelName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.title)
    }
}

macro_rules! text {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                text.to_owned().try_into()
            }
        }
    )*};
}

text!(AccountName, ModelTitle);

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_refused_in_any_case() {
        assert!(matches!("Publish".parse::<AccountName>(), Err(NameError::Reserved { .. })));
        assert!("publisher".parse::<AccountName>().is_ok());
    }

    #[test]
    fn titles_are_cleaned_by_runs() {
        assert_eq!(ModelTitle::cleaned(" Tax & Benefit  Model! ").unwrap().as_str(), "Tax-Benefit-Model");
        assert!(ModelTitle::cleaned("!!!").is_err());
    }

    #[test]
    fn a_model_name_has_two_parts() {
        let name: ModelName = "PSLmodels/Tax-Cruncher".parse().unwrap();
        assert_eq!(name.to_string(), "PSLmodels/Tax-Cruncher");
        assert!("a/b/c".parse::<ModelName>().is_err());
        assert!("../x".parse::<ModelName>().is_err());
    }
}
