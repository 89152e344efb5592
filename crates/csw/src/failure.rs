//! How a command that did not do as asked ends: a code for scripts, a sentence, and a way out.

use std::{fmt, process::ExitCode};

use csw_app::AppError;
use csw_client::ClientError;
use csw_core::ports::StoreError;

/// The exit codes. Clap itself ends with 2 for a command line it can't read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// It was done, and the result is bad: a build, check or simulation failed, a backup is not whole.
    Failed = 1,
    /// What was asked makes no sense.
    Usage = 2,
    /// The server, or the site's rules, said no.
    Refused = 3,
    /// The server does not answer, or not now; the same command may succeed later.
    Unavailable = 4,
    /// Something on this machine: a file, a folder, a missing tool, the database.
    Local = 5,
}

/// Shown at the end of `csw --help`.
pub(crate) const EXIT_CODES: &str = "Exit codes:
  0  done
  1  done, and the result is bad: the build, check or simulation failed
  2  the command line makes no sense
  3  refused: no such thing, not allowed, not valid
  4  the server does not answer now; the same command may succeed later
  5  something on this machine: a file, a tool, the database";

/// Why a command did not do as asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    sentence: String,
    hint: String,
    missing: bool,
}

/// Results of commands.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(code: Code, sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), hint: hint.into(), missing: false }
    }

    pub(crate) fn local(sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Code::Local, sentence, hint)
    }

    pub(crate) fn usage(sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Code::Usage, sentence, hint)
    }

    pub(crate) fn failed(sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Code::Failed, sentence, hint)
    }

    /// Trouble with a file or folder.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "check the path",
            std::io::ErrorKind::PermissionDenied => "run as the user that owns it",
            std::io::ErrorKind::StorageFull => "free some space",
            _ => "check the path and its permissions",
        };
        Self::local(format!("{}: {error}", path.display()), hint)
    }

    /// Whether a server has no such thing.
    pub(crate) fn is_missing(&self) -> bool {
        self.missing
    }

    /// The same, with another way out.
    #[must_use]
    pub(crate) fn hinted(self, hint: String) -> Self {
        Self { hint, ..self }
    }

    /// Prints to stderr, and gives the code to end with.
    pub(crate) fn report(&self) -> ExitCode {
        let (error, hint) = if crate::output::is_coloured() {
            ("\x1b[1;31merror:\x1b[0m", "\x1b[1;36mhint:\x1b[0m")
        } else {
            ("error:", "hint:")
        };
        crate::output::complain(&format!("{error} {}\n{hint} {}", self.sentence, self.hint));
        ExitCode::from(self.code as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Address { .. } => Code::Usage,
            ClientError::File { .. } => Code::Local,
            ClientError::Unexpected { .. } => Code::Unavailable,
            other if other.is_temporary() => Code::Unavailable,
            _ => Code::Refused,
        };
        let hint = error.hint().unwrap_or_else(|| "see `csw --help`, or the site's `/api/` page".to_owned());
        let missing = matches!(error, ClientError::Refused { status: 404, .. });
        Self { missing, ..Self::new(code, error.to_string(), hint) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let hint = match &error {
            StoreError::Unavailable { .. } => "is the database in reach, and its disk not full?",
            StoreError::Corrupt { .. } => "restore the last backup with `csw restore`",
            _ => "see `csw accounts list`",
        };
        Self::local(error.to_string(), hint)
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Unavailable { sentence } | AppError::Internal { sentence } => {
                Self::local(sentence, "is the database in reach, and its disk not full?")
            }
            AppError::Invalid { errors } => {
                let sentences = sentences(&errors);
                Self::new(Code::Refused, sentences, "choose another value and try again")
            }
            other => Self::new(Code::Refused, other.to_string(), "see `csw --help`"),
        }
    }
}

fn sentences(errors: &serde_json::Value) -> String {
    let lists = errors.as_object().into_iter().flat_map(|map| map.values());
    let texts: Vec<&str> =
        lists.flat_map(|list| list.as_array().into_iter().flatten()).filter_map(serde_json::Value::as_str).collect();
    if texts.is_empty() { errors.to_string() } else { texts.join("; ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_by_field_read_as_sentences() {
        let failure = Failure::from(AppError::Invalid { errors: json!({"username": ["Taken.", "Too long."]}) });
        assert_eq!(failure.to_string(), "Taken.; Too long.");
        assert_eq!(failure.code, Code::Refused);
    }
}
