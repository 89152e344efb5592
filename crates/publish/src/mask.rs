//! Credentials in URLs never reach a log, a sentence or a fact.

use csw_core::ports::BuildLog;

/// What stands where a credential was.
const MASK: &str = "***";

/// The text with `user:token@` of every URL replaced.
pub(crate) fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        masked.push_str(head);
        let end = tail.find(|c: char| c == '/' || c.is_whitespace() || "'\"`<>?#".contains(c)).unwrap_or(tail.len());
        let authority = &tail[..end];
        // A password may hold an `@` itself; the last one ends it.
        match authority.rfind('@') {
            Some(sign) if is_secret(&authority[..sign]) => {
                masked.push_str(MASK);
                masked.push_str(&authority[sign..]);
            }
            _ => masked.push_str(authority),
        }
        rest = &tail[end..];
    }
    masked.push_str(rest);
    masked
}

/// `git@` of an SSH address is a login that everybody has.
fn is_secret(user: &str) -> bool {
    user != "git"
}

/// A log of the build that masks what passes, line by line.
pub(crate) struct Log<'a> {
    inner: &'a dyn BuildLog,
}

impl<'a> Log<'a> {
    /// Wraps the log of a stage.
    pub(crate) fn new(inner: &'a dyn BuildLog) -> Self {
        Self { inner }
    }

    /// Appends one line.
    pub(crate) fn line(&self, text: &str) {
        self.inner.write(&format!("{}\n", mask(text)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credentials_are_masked() {
        for (given, expected) in [
            ("fetch https://me:tok@en@host/x.git now", "fetch https://***@host/x.git now"),
            ("git+https://ghp_1@github.com/a/b", "git+https://***@github.com/a/b"),
            ("'https://a:b@h'", "'https://***@h'"),
            ("ssh://git@github.com/a/b", "ssh://git@github.com/a/b"),
            ("https://h/a@b and mail@host", "https://h/a@b and mail@host"),
        ] {
            assert_eq!(mask(given), expected);
        }
    }

    proptest! {
        #[test]
        fn a_token_never_survives(token in "[A-Za-z0-9_:@]{6,20}", before in "[ a-z:/@]{0,12}") {
            let text = format!("{before} https://{token}SECRET@host.example/repo");
            prop_assert!(!mask(&text).contains("SECRET"));
        }

        #[test]
        fn text_without_a_sign_is_left_alone(text in "[^@]*") {
            prop_assert_eq!(mask(&text), text);
        }
    }
}
