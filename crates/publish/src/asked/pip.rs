//! The language of pip: its command line, requirements files, and requirements.

use std::path::{Path, PathBuf};

use super::plan::{Asked, Own, Plan, Repository, package_name};
use crate::repository::{GitReference, identity, is_plain};

/// Options that take a value in the next argument, and matter no further here.
const WITH_VALUE: &[&str] = &[
    "-t",
    "--target",
    "--python-version",
    "--platform",
    "--implementation",
    "--abi",
    "--progress-bar",
    "--timeout",
    "--retries",
    "--proxy",
    "--root",
    "--prefix",
    "--src",
    "--upgrade-strategy",
    "--global-option",
    "--config-settings",
    "-C",
    "--cache-dir",
    "--log",
    "--trusted-host",
    "--cert",
    "--client-cert",
    "--no-binary",
    "--only-binary",
    "--use-feature",
    "--exists-action",
    "-d",
    "--dest",
    "-w",
    "--wheel-dir",
    "-p",
    "--python",
    "--resolution",
    "--index-strategy",
    "--keyring-provider",
    "--extra",
    "--group",
];
/// Nested files; a file that names itself would never end.
const DEEPEST: usize = 20;

/// Reads one call of `pip install`.
pub(crate) fn read(asked: &Asked, repository: &Repository, plan: &mut Plan) {
    let mut reader = Reader { asked, repository, plan, with_dependencies: true };
    reader.command_line();
}

struct Reader<'a> {
    asked: &'a Asked,
    repository: &'a Repository,
    plan: &'a mut Plan,
    with_dependencies: bool,
}

impl Reader<'_> {
    fn command_line(&mut self) {
        let asked = self.asked;
        self.with_dependencies = !asked.args.iter().any(|arg| arg == "--no-deps");
        let mut args = asked.args.iter().skip(1).map(String::as_str);
        while let Some(arg) = args.next() {
            let (option, attached) = split_option(arg);
            let is_option = option.starts_with('-');
            let mut value = || attached.or_else(|| args.next()).unwrap_or_default();
            match option {
                "-r" | "--requirement" | "--requirements" => {
                    let name = value();
                    self.file(&asked.cwd, name, false, 0);
                }
                "-c" | "--constraint" | "--constraints" => {
                    let name = value();
                    self.file(&asked.cwd, name, true, 0);
                }
                "-e" | "--editable" => {
                    let what = value();
                    self.requirement(what, &asked.cwd, true);
                }
                "-i" | "--index-url" | "--extra-index-url" | "-f" | "--find-links" => {
                    let url = value();
                    self.index(option, url);
                }
                "--pre" => self.plan.prereleases = true,
                _ if WITH_VALUE.contains(&option) => {
                    value();
                }
                _ if is_option => {}
                _ => self.requirement(arg, &asked.cwd, false),
            }
        }
    }

    fn index(&mut self, option: &str, url: &str) {
        let long = match option {
            "-i" | "--index-url" => "--index-url",
            "-f" | "--find-links" => "--find-links",
            other => other,
        };
        if url.starts_with("https://") || url.starts_with("http://") {
            self.plan.indexes.push(format!("{long}={url}"));
        } else {
            self.plan.warnings.push(format!("The package index `{url}` is no URL, and is not used"));
        }
    }

    fn file(&mut self, folder: &Path, name: &str, constraints: bool, depth: usize) {
        let asked = self.asked;
        let Some((path, text)) = asked.text(folder, name).or_else(|| asked.text(&asked.cwd, name)) else {
            self.plan.warnings.push(format!("`{name}` was to be installed from, and is no readable file"));
            return;
        };
        if depth > DEEPEST {
            return;
        }
        let parent = path.parent().unwrap_or(folder).to_path_buf();
        for line in logical_lines(text) {
            self.file_line(&line, &parent, constraints, depth);
        }
    }

    fn file_line(&mut self, line: &str, folder: &Path, constraints: bool, depth: usize) {
        if !line.starts_with('-') {
            let line = without_hashes(line);
            if constraints {
                if package_name(&line).is_some() {
                    self.plan.constraints.push(line);
                }
            } else {
                let base = self.asked.cwd.clone();
                self.requirement(&line, &base, false);
            }
            return;
        }
        let (option, rest) = match line.split_once([' ', '=']) {
            Some((option, rest)) => (option, rest.trim().trim_start_matches('=').trim()),
            None => (line, ""),
        };
        // `-rfile` without a space is as good.
        let (option, rest) = match split_option(option) {
            (short, Some(attached)) if rest.is_empty() => (short, attached),
            _ => (option, rest),
        };
        match option {
            "-r" | "--requirement" => self.file(folder, rest, constraints, depth + 1),
            "-c" | "--constraint" => self.file(folder, rest, true, depth + 1),
            "-e" | "--editable" => {
                let base = self.asked.cwd.clone();
                self.requirement(rest, &base, true);
            }
            "-i" | "--index-url" | "--extra-index-url" | "-f" | "--find-links" => self.index(option, rest),
            "--pre" => self.plan.prereleases = true,
            _ => {}
        }
    }

    /// One requirement: of the repository itself, by URL, or by name.
    fn requirement(&mut self, text: &str, folder: &Path, editable: bool) {
        let text = text.trim();
        let (name, place) = match text.split_once('@') {
            Some((name, place)) if package_name(name).is_some() && is_place(place.trim()) => {
                (Some(name.trim()), place.trim())
            }
            _ => (None, text),
        };
        if let Some(reference) = GitReference::parse(place) {
            return self.git(text, name, &reference, editable);
        }
        if place.starts_with("https://") || place.starts_with("http://") {
            return self.url(text, name, place);
        }
        if is_path(place) {
            return self.path(place, name, folder, editable);
        }
        self.plan.require(text);
    }

    fn git(&mut self, text: &str, name: Option<&str>, reference: &GitReference, editable: bool) {
        if self.repository.is(&reference.url) {
            let path = PathBuf::from(reference.subdirectory.as_deref().unwrap_or(""));
            return self.plan.add_own(Own {
                path,
                extras: name.map(extras).unwrap_or_default(),
                editable,
                with_dependencies: self.with_dependencies,
            });
        }
        let Some(named) = name.or(reference.egg.as_deref()) else {
            return self.plan.require(text);
        };
        let at = reference.reference.as_ref().map(|name| format!("@{name}")).unwrap_or_default();
        let sub = reference.subdirectory.as_ref().map(|path| format!("#subdirectory={path}")).unwrap_or_default();
        self.plan.require(&format!("{named} @ git+{}{at}{sub}", reference.url));
    }

    /// Hosts also give a repository away as an archive.
    fn url(&mut self, text: &str, name: Option<&str>, url: &str) {
        let repository =
            url.split_once("/archive/").or_else(|| url.split_once("/tarball/")).or_else(|| url.split_once("/zipball/"));
        let own = repository.is_some_and(|(url, _)| self.repository.identity.as_deref() == Some(&identity(url)));
        if !own {
            return self.plan.require(text);
        }
        let extras = name.map(extras).unwrap_or_default();
        let own = Own { path: PathBuf::new(), extras, editable: false, with_dependencies: self.with_dependencies };
        self.plan.add_own(own);
    }

    fn path(&mut self, place: &str, name: Option<&str>, folder: &Path, editable: bool) {
        let place = place.strip_prefix("file://").unwrap_or(place);
        let (path, bracket) = match place.split_once('[') {
            Some((path, bracket)) => (path, Some(bracket.trim_end_matches(']'))),
            None => (place, None),
        };
        let Some(path) = self.repository.inside(&folder.join(path)).filter(|path| is_plain(path)) else {
            self.plan.warnings.push(format!("`{place}` is outside of the repository, and was left out"));
            return;
        };
        let mut extras = name.map(extras).unwrap_or_default();
        extras.extend(bracket.into_iter().flat_map(|list| list.split(',')).map(|extra| extra.trim().to_owned()));
        let with_dependencies = self.with_dependencies;
        self.plan.add_own(Own { path, extras, editable, with_dependencies });
    }
}

/// `--option=value` and `-rfile` as option and value.
fn split_option(arg: &str) -> (&str, Option<&str>) {
    if arg.starts_with("--") {
        return arg.split_once('=').map_or((arg, None), |(option, value)| (option, Some(value)));
    }
    match arg.char_indices().nth(2) {
        Some((at, _)) if ["-r", "-c", "-e", "-i", "-f"].contains(&&arg[..at]) => {
            (&arg[..at], Some(arg[at..].trim_start_matches('=')))
        }
        _ => (arg, None),
    }
}

fn is_place(text: &str) -> bool {
    text.contains("://") || is_path(text)
}

fn is_path(text: &str) -> bool {
    let file = text.split(['[', ';']).next().unwrap_or(text).trim();
    let ending = [".whl", ".tar.gz", ".zip", ".tgz"].iter().any(|ending| file.ends_with(ending));
    text.starts_with(['.', '/'])
        || text.starts_with("file://")
        || ending
        || (file.contains('/') && !file.contains("://"))
}

fn extras(named: &str) -> Vec<String> {
    let inside = named.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
    inside.split(',').map(str::trim).filter(|extra| !extra.is_empty()).map(str::to_owned).collect()
}

/// Lines without comments, joined where they end with a backslash.
fn logical_lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let line = |line: &str| {
        let end = line.find(" #").or_else(|| line.find("\t#")).unwrap_or(line.len());
        let line = line[..end].trim();
        (!line.is_empty() && !line.starts_with('#')).then(|| line.to_owned())
    };
    joined.lines().filter_map(line).collect()
}

/// The lock is ours; hashes of a file that the model brings would forbid any other build of a package.
fn without_hashes(line: &str) -> String {
    line.split(" --").next().unwrap_or(line).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(args: &[&str], files: &[(&str, &str)]) -> Plan {
        let asked = Asked {
            tool: "pip".into(),
            args: ["install"].iter().chain(args).map(|arg| (*arg).to_owned()).collect(),
            cwd: "/s".into(),
            files: files.iter().map(|(name, text)| (name.into(), (*text).to_owned())).collect(),
            link: None,
        };
        let mut plan = Plan::default();
        read(&asked, &Repository::new(Path::new("/s"), Some("https://github.com/O/Own.git")), &mut plan);
        plan
    }

    fn own(path: &str, editable: bool, extras: &[&str]) -> Own {
        let extras = extras.iter().map(|extra| (*extra).to_owned()).collect();
        Own { path: path.into(), extras, editable, with_dependencies: true }
    }

    #[test]
    fn requirements_options_and_quoting_are_read() {
        let found = plan(
            &[
                "--upgrade",
                "-q",
                "pandas>=1.0, <2",
                "numpy",
                "--timeout",
                "5",
                "--no-cache-dir",
                "a[b]==1; python_version>'3'",
            ],
            &[],
        );
        assert_eq!(found.requirements, ["pandas>=1.0, <2", "numpy", "a[b]==1; python_version>'3'"]);
    }

    #[test]
    fn files_nest_and_constrain() {
        let files = [
            ("/s/r.txt", "numpy==1 \\\n  --hash=sha256:00\n# no\n-r sub/more.txt\n-e .\n--pre\nx # why\n"),
            ("/s/sub/more.txt", "-c limits.txt\nscipy\n-r../r.txt\n"),
            ("/s/sub/limits.txt", "six<2\n"),
        ];
        let found = plan(&["-rr.txt"], &files);
        assert_eq!(found.requirements[..3], ["numpy==1", "scipy", "numpy==1"]);
        assert!(found.constraints.iter().all(|line| line == "six<2") && found.prereleases);
        assert_eq!(found.own, [own("", true, &[])]);
        assert!(plan(&["-r", "gone.txt"], &[]).warnings[0].contains("gone.txt"));
    }

    #[test]
    fn the_repository_itself_is_code_however_it_is_named() {
        for (arg, expected) in [
            (".", own("", false, &[])),
            ("./cs-config", own("cs-config", false, &[])),
            (".[x,y]", own("", false, &["x", "y"])),
            ("/s/lib", own("lib", false, &[])),
            ("cs-config/", own("cs-config", false, &[])),
            ("git+https://github.com/o/own@v1#egg=own", own("", false, &[])),
            ("own[z] @ git+https://tok@github.com/O/own.git@x#subdirectory=cs-config", own("cs-config", false, &["z"])),
            ("https://github.com/o/own/archive/master.zip", own("", false, &[])),
        ] {
            let found = plan(&[arg], &[]);
            assert_eq!(found.own, [expected], "{arg}");
            assert!(found.requirements.is_empty(), "{arg}");
        }
        assert_eq!(plan(&["-e", "git+ssh://git@github.com/o/own#egg=own"], &[]).own, [own("", true, &[])]);
        assert!(!plan(&["--no-deps", "."], &[]).own[0].with_dependencies);
    }

    #[test]
    fn other_repositories_are_passed_on() {
        let found = plan(
            &[
                "git+https://github.com/o/other@v1#egg=other&subdirectory=py",
                "x @ git+https://h/a/x",
                "git+https://h/a/y",
            ],
            &[],
        );
        assert_eq!(
            found.requirements,
            ["other @ git+https://github.com/o/other@v1#subdirectory=py", "x @ git+https://h/a/x", "git+https://h/a/y"]
        );
    }

    #[test]
    fn nothing_outside_of_the_repository_is_installed() {
        for arg in ["../other", "/etc", "./../../x", "file:///etc"] {
            let found = plan(&[arg], &[]);
            assert!(found.own.is_empty() && found.requirements.is_empty() && found.warnings.len() == 1, "{arg}");
        }
    }

    #[test]
    fn indexes_are_kept_apart() {
        let found = plan(&["torch", "--extra-index-url", "https://h/cpu", "-f=https://h/x", "-i", "/local"], &[]);
        assert_eq!(found.indexes, ["--extra-index-url=https://h/cpu", "--find-links=https://h/x"]);
        assert_eq!((found.requirements, found.warnings.len()), (vec!["torch".to_owned()], 1));
    }
}
