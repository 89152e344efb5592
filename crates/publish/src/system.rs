//! Packages of the operating system: whether this machine has those that a model asks for. Nothing is ever installed.

use std::{fs, path::Path, process::Command};

/// Those that are not here.
pub(crate) fn lacking(packages: &[String]) -> Vec<&str> {
    packages.iter().map(String::as_str).filter(|name| !is_here(name)).collect()
}

/// What a reader is told about packages that are not here; nothing where all are.
pub(crate) fn warning(packages: &[String]) -> Option<String> {
    let lacking = lacking(packages);
    if lacking.is_empty() {
        return None;
    }
    Some(format!(
        "`install.sh` asks for packages of the system that this machine lacks: {}. They are not installed by builds: the operator must run `apt-get install {}`. Images get them with `csw models build --image`",
        lacking.join(", "),
        lacking.join(" ")
    ))
}

fn is_here(package: &str) -> bool {
    installed(package).unwrap_or(false) || is_program_here(package)
}

/// What dpkg says; nothing where there is none.
fn installed(package: &str) -> Option<bool> {
    // A name that is an option would be one.
    if package.starts_with('-') {
        return Some(false);
    }
    let mut command = Command::new("dpkg-query");
    command.args(["--show", "--showformat=${db:Status-Status}\n", package]).env("LC_ALL", "C");
    let ended = command.output().ok()?;
    Some(String::from_utf8_lossy(&ended.stdout).lines().any(|line| line == "installed"))
}

/// A machine may have the program by another way than its package; names differ, and a near guess saves most false
/// alarms.
fn is_program_here(package: &str) -> bool {
    let program = match package {
        "r-base" | "r-base-core" | "r" => "R",
        "nodejs" => "node",
        "build-essential" => "gcc",
        name if name.starts_with("texlive") => "pdflatex",
        name => name,
    };
    ["/usr/bin", "/usr/local/bin", "/bin"]
        .iter()
        .any(|folder| fs::exists(Path::new(folder).join(program)).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_the_command() {
        let packages = ["git", "no-such-package", "-x"].map(str::to_owned);
        assert_eq!(lacking(&packages), ["no-such-package", "-x"]);
        let warning = warning(&packages[1..2]).unwrap();
        assert!(warning.contains("`apt-get install no-such-package`"), "{warning}");
        assert_eq!(super::warning(&packages[..1]), None);
    }

    #[test]
    fn a_package_without_a_program_is_known_by_dpkg() {
        // The C library is on every Debian, and no program.
        if let Some(known) = installed("libc6") {
            assert!(known);
            assert!(!installed("no-such-package").unwrap());
        }
    }
}
