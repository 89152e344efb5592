//! Errors in one line.

use std::error::Error;

/// An error and its causes.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    with_causes(error.to_string(), error)
}

/// `text`, and the causes of an error that it does not name yet: the cause of a failed connection is in the third.
#[must_use]
pub fn with_causes(mut text: String, error: &dyn Error) -> String {
    let mut source = error.source();
    while let Some(cause) = source {
        let sentence = cause.to_string();
        if !text.contains(&sentence) {
            text.push_str(": ");
            text.push_str(&sentence);
        }
        source = cause.source();
    }
    text
}
