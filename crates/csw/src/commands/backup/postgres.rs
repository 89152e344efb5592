//! PostgreSQL is copied by its own tools.

use std::{path::Path, process::Command};

use percent_encoding::percent_decode_str;

use crate::{
    failure::{Failure, Outcome},
    tools,
};

/// Writes the database at `url` into `file`, as it is at one moment.
pub(crate) fn dump(url: &str, file: &Path) -> Outcome {
    call("pg_dump", url, |command| {
        command.args(["--format=custom", "--no-owner", "--file"]).arg(file);
    })
}

/// Fills the empty database at `url` from `file`.
pub(crate) fn load(url: &str, file: &Path) -> Outcome {
    call("pg_restore", url, |command| {
        command.args(["--no-owner", "--exit-on-error", "--single-transaction"]).arg(file);
    })
}

fn call(name: &str, url: &str, arguments: impl FnOnce(&mut Command)) -> Outcome {
    let program = tools::find(name).ok_or_else(|| {
        Failure::local(
            format!("`{name}` is not in PATH"),
            "install PostgreSQL's client tools: apt install postgresql-client",
        )
    })?;
    let (url, password) = without_password(url);
    let mut command = Command::new(program);
    command.arg("--dbname").arg(url);
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    arguments(&mut command);
    let output = command.output().map_err(|error| Failure::local(format!("{name}: {error}"), "try again"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::local(format!("{name}: {}", said.trim()), "is the server in reach, and the tool of the same version?"))
}

/// The URL as everybody on the machine may see it in a list of processes, and its password apart.
fn without_password(url: &str) -> (String, Option<String>) {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, host) = authority.rsplit_once('@')?;
        let (name, password) = user.split_once(':')?;
        let password = percent_decode_str(password).decode_utf8_lossy().into_owned();
        Some((format!("{scheme}://{name}@{host}{path}"), password))
    });
    match parts {
        Some((url, password)) => (url, Some(password)),
        None => (url.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_no_argument() {
        let (url, password) = without_password("postgres://ann:s%40cret@db:5432/site?sslmode=require");
        assert_eq!(url, "postgres://ann@db:5432/site?sslmode=require");
        assert_eq!(password.as_deref(), Some("s@cret"));
        assert_eq!(without_password("postgres://db/site"), ("postgres://db/site".to_owned(), None));
    }
}
