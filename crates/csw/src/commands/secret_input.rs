//! The value of a secret: from the command line, stdin, or a file.

use std::{fs, io::Read};

use crate::{
    cli::SecretInput,
    failure::{Failure, Outcome},
};

/// More is no secret.
const MOST: u64 = 1 << 20;

/// The value that is meant.
pub(crate) fn value(input: SecretInput) -> Outcome<String> {
    match (input.secret_file, input.secret_value) {
        (Some(path), _) => {
            let file = fs::File::open(&path).map_err(|error| Failure::file(&path, &error))?;
            let text = read(file).map_err(|error| Failure::file(&path, &error))?;
            Ok(without_end(text))
        }
        (None, Some(value)) if value == "-" => {
            let text = read(std::io::stdin().lock())
                .map_err(|error| Failure::local(format!("stdin: {error}"), "pipe the value into the command"))?;
            Ok(without_end(text))
        }
        (None, Some(value)) => Ok(value),
        (None, None) => Err(Failure::usage("which value?", "give it by `--secret-value`, or `--secret-file`")),
    }
}

fn read(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

/// Editors and `echo` end the last line; passwords do not.
fn without_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_goes() {
        assert_eq!(without_end("a\n".to_owned()), "a");
        assert_eq!(without_end("a\r\n".to_owned()), "a");
        assert_eq!(without_end("a\nb\n\n".to_owned()), "a\nb\n");
    }

    #[test]
    fn files_hold_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "s3cret\n").unwrap();
        assert_eq!(value(SecretInput { secret_value: None, secret_file: Some(path.clone()) }).unwrap(), "s3cret");
        fs::write(&path, b"\xff").unwrap();
        assert!(value(SecretInput { secret_value: None, secret_file: Some(path) }).is_err());
    }
}
