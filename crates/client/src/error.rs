//! Why a request did not give what was asked for.

use serde_json::Value;
use thiserror::Error;

/// Why a request did not give what was asked for.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The address of the server is no URL.
    #[error("`{url}` is not the URL of a server")]
    Address {
        /// As given.
        url: String,
    },
    /// No connection, or it broke.
    #[error("{url} does not answer: {cause}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What went wrong.
        cause: String,
    },
    /// The server said no.
    #[error("{method} {path} answered {status}: {sentence}")]
    Refused {
        /// Verb.
        method: String,
        /// What was asked.
        path: String,
        /// Status code.
        status: u16,
        /// Its reasons, in a line.
        sentence: String,
        /// Its answer, where it was JSON.
        body: Box<Value>,
        /// Seconds after which the same request may succeed.
        retry_after: Option<u64>,
    },
    /// The answer is not what this client knows.
    #[error("{path} answered something unexpected: {cause}")]
    Unexpected {
        /// What was asked.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A file on this machine could not be read or written.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
}

/// Results of requests.
pub type ClientResult<T> = Result<T, ClientError>;

impl ClientError {
    /// The status code of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Address { .. } => Some("give it as https://HOST[:PORT] with `--url` or `CS_URL`".to_owned()),
            Self::Unreachable { .. } => {
                Some("is the server up? its address comes from `--url`, `CS_URL` or the configuration file".to_owned())
            }
            Self::Refused { status: 401 | 403, .. } => Some(
                "give a token with `CS_API_TOKEN` or `--token`; `csw accounts create` makes one at the server's machine"
                    .to_owned(),
            ),
            Self::Refused { retry_after: Some(seconds), .. } => Some(format!("try again in {seconds} s")),
            Self::Unexpected { .. } => Some("is this a Compute Studio server, and of a like version?".to_owned()),
            _ => None,
        }
    }
}

/// The reasons of a refusal in one line, whatever shape they have.
pub(crate) fn sentence_of(body: &Value, text: &str) -> String {
    fn gather(value: &Value, name: Option<&str>, into: &mut Vec<String>) {
        match value {
            Value::String(sentence) => into.push(match name {
                Some(name) if !matches!(name, "detail" | "non_field_errors" | "error" | "title") => {
                    format!("{name}: {sentence}")
                }
                _ => sentence.clone(),
            }),
            Value::Array(items) => items.iter().for_each(|item| gather(item, name, into)),
            Value::Object(map) => map.iter().for_each(|(key, inner)| gather(inner, Some(key), into)),
            _ => {}
        }
    }
    let mut sentences = Vec::new();
    gather(body, None, &mut sentences);
    if !sentences.is_empty() {
        return sentences.join("; ");
    }
    let first: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
    if first.is_empty() { "it gave no reason".to_owned() } else { first }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_shape_of_refusal_reads_as_a_sentence() {
        assert_eq!(sentence_of(&json!({"detail": "Not found."}), ""), "Not found.");
        assert_eq!(
            sentence_of(&json!({"title": ["Too long."], "cpu": ["Too many."]}), ""),
            "Too long.; cpu: Too many."
        );
        assert_eq!(sentence_of(&json!({"errors": {"year": ["2010 < min 2013"]}}), ""), "year: 2010 < min 2013");
        assert_eq!(sentence_of(&Value::Null, "<html>\n"), "<html>");
        assert_eq!(sentence_of(&Value::Null, ""), "it gave no reason");
    }
}
