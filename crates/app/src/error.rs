//! What a use case can answer instead of a result; each has a sentence for the person who asked.

use csw_core::{
    names::NameError,
    ports::{ObjectError, RepositoryError, StoreError},
};
use serde_json::{Value, json};
use thiserror::Error;

/// Why a use case did not do as asked.
#[derive(Debug, Error)]
pub enum AppError {
    /// There is no such thing, or the caller may not know that there is.
    #[error("{what} does not exist")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// The caller has to say who they are.
    #[error("Authentication credentials were not provided.")]
    LoginRequired,
    /// What the caller says to be is not believed.
    #[error("{sentence}")]
    Credential {
        /// Why not.
        sentence: String,
    },
    /// The caller may not do this.
    #[error("{sentence}")]
    Forbidden {
        /// What is missing, and who can give it.
        sentence: String,
    },
    /// The request has errors, by field: `{"field": ["sentence", ...]}`.
    #[error("the request is not valid: {errors}")]
    Invalid {
        /// By field.
        errors: Value,
    },
    /// Values of meta parameters have errors, in ParamTools' form: `{"errors": {"name": ["sentence"]}}`.
    #[error("meta parameters are not valid: {errors}")]
    MetaParameters {
        /// In ParamTools' form.
        errors: Value,
    },
    /// Its state does not allow this.
    #[error("{sentence}")]
    Conflict {
        /// The state, and the way out.
        sentence: String,
    },
    /// Too often, or too much at once.
    #[error("{sentence}")]
    TooMany {
        /// The limit.
        sentence: String,
        /// When to try again.
        retry_after_seconds: u32,
    },
    /// The model's own code failed while it was asked for its schema.
    #[error("the model failed: {traceback}")]
    ModelFailed {
        /// Python's traceback.
        traceback: String,
    },
    /// A part that is needed does not answer; the same request may succeed later.
    #[error("{sentence}")]
    Unavailable {
        /// Which part, for whoever asked.
        sentence: String,
    },
    /// A defect of ours.
    #[error("{sentence}")]
    Internal {
        /// For the log.
        sentence: String,
    },
}

/// Results of use cases.
pub type AppResult<T> = Result<T, AppError>;

impl AppError {
    /// An error of one field.
    pub fn field(name: &str, sentence: impl Into<String>) -> Self {
        Self::Invalid { errors: json!({ name: [sentence.into()] }) }
    }

    /// A name that can't be one, as an error of this field.
    pub(crate) fn name(field: &str, error: &NameError) -> Self {
        Self::field(field, sentence_of(error))
    }

    /// It in words for people, with all that is wrong with the fields of a request.
    pub fn sentence(&self) -> String {
        let (Self::Invalid { errors } | Self::MetaParameters { errors }) = self else { return self.to_string() };
        let fields = errors.as_object().into_iter().flat_map(|fields| fields.values());
        let sentences: Vec<&str> = fields.filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect();
        sentences.join(" ")
    }

    /// Something that is not there.
    pub fn missing(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    /// Something the caller may not do.
    pub fn forbidden(sentence: impl Into<String>) -> Self {
        Self::Forbidden { sentence: sentence.into() }
    }

    /// A part that can't be used now. Its own words are for the log: they may name hosts, files and statements.
    fn unavailable(part: &str, cause: &str) -> Self {
        tracing::warn!(cause, "{part} can't be used");
        let is_full = ["full", "No space left"].iter().any(|words| cause.contains(words));
        let sentence = if is_full {
            format!("{part} is full: its operator has to make room. Nothing that was there is lost.")
        } else {
            format!("{part} does not answer at the moment. Try again in a few seconds.")
        };
        Self::Unavailable { sentence }
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what } => Self::NotFound { what },
            StoreError::State { what } => Self::Conflict { sentence: what },
            StoreError::Conflict { what } => Self::Conflict { sentence: format!("{what} exists already.") },
            StoreError::Unavailable { .. } => Self::unavailable("The database", &error.to_string()),
            StoreError::Corrupt { .. } => Self::Internal { sentence: error.to_string() },
        }
    }
}

impl From<ObjectError> for AppError {
    fn from(error: ObjectError) -> Self {
        Self::unavailable("The storage of outputs", &error.to_string())
    }
}

impl From<RepositoryError> for AppError {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::Unusable { sentence } => Self::Conflict { sentence },
            other => Self::unavailable("The storage of repositories", &other.to_string()),
        }
    }
}

/// What is wrong with a name, as a sentence of its own.
pub(crate) fn sentence_of(error: &NameError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_part_says_is_for_the_log_alone() {
        let refused = |cause: &str| {
            let error = StoreError::Unavailable { cause: cause.to_owned() };
            AppError::from(error).to_string()
        };
        let sentence = refused("connection to 10.0.0.7:5432 refused for user csw");
        assert_eq!(sentence, "The database does not answer at the moment. Try again in a few seconds.");
        assert!(refused("database or disk is full (/srv/data/csw.db)").starts_with("The database is full"));
    }
}
