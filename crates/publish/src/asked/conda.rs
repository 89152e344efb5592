//! The language of conda: its command line, and its specifications as requirements of PyPI.

use std::path::{Path, PathBuf};

use super::{
    environment_yml, pip,
    plan::{Asked, Own, Plan, Repository, canonical_name},
};

/// Packages that PyPI has under another name, or in a form of its own.
const RENAMED: &[(&str, &str)] = &[
    ("backports-functools-lru-cache", "backports.functools-lru-cache"),
    ("dask", "dask[complete]"),
    ("dask-core", "dask"),
    ("matplotlib-base", "matplotlib"),
    ("msgpack-python", "msgpack"),
    ("opencv", "opencv-python-headless"),
    ("panel-core", "panel"),
    ("plotly-orca", "plotly"),
    ("psycopg2", "psycopg2-binary"),
    ("py-opencv", "opencv-python-headless"),
    ("py-xgboost", "xgboost"),
    ("pyqt", "PyQt5"),
    ("pytables", "tables"),
    ("python-graphviz", "graphviz"),
    ("python-levenshtein", "Levenshtein"),
    ("pytorch", "torch"),
    ("pytorch-cpu", "torch"),
    ("pytorch-gpu", "torch"),
    ("ruamel-yaml", "ruamel.yaml"),
    ("seaborn-base", "seaborn"),
    ("tensorflow-base", "tensorflow"),
    ("tensorflow-cpu", "tensorflow"),
    ("uvicorn-standard", "uvicorn[standard]"),
];
/// Parts of a conda installation, and libraries that wheels bring along.
const COVERED: &[&str] = &[
    "blas",
    "bzip2",
    "c-compiler",
    "ca-certificates",
    "certifi-bundle",
    "cmake",
    "compilers",
    "conda",
    "conda-build",
    "cpuonly",
    "cudatoolkit",
    "cxx-compiler",
    "fortran-compiler",
    "gcc",
    "gfortran",
    "gxx",
    "hdf5",
    "icu",
    "intel-openmp",
    "libblas",
    "libffi",
    "libgcc",
    "libgcc-ng",
    "libgfortran",
    "liblapack",
    "libopenblas",
    "libstdcxx-ng",
    "llvm-openmp",
    "mamba",
    "mkl",
    "ncurses",
    "nomkl",
    "openblas",
    "openmp",
    "openssl",
    "pip",
    "pkg-config",
    "python-abi",
    "readline",
    "sqlite",
    "tk",
    "xz",
    "zlib",
];
/// Programs that are no Python packages.
const OF_THE_SYSTEM: &[&str] = &[
    "curl",
    "ffmpeg",
    "gdal",
    "geos",
    "ghostscript",
    "git",
    "git-lfs",
    "glpk",
    "graphviz",
    "imagemagick",
    "ipopt",
    "julia",
    "make",
    "nodejs",
    "openjdk",
    "pandoc",
    "proj",
    "r",
    "tectonic",
    "texlive-core",
    "unzip",
    "wget",
];
const WITH_VALUE: &[&str] =
    &["-c", "--channel", "-n", "--name", "-p", "--prefix", "--solver", "--subdir", "--platform", "--repodata-fn"];

/// Reads one call of conda, mamba or micromamba.
pub(crate) fn read(asked: &Asked, repository: &Repository, plan: &mut Plan) {
    let words: Vec<&str> = asked.args.iter().map(String::as_str).collect();
    if words.first() == Some(&"develop") {
        return develop(asked, repository, plan);
    }
    let is_env = words.first() == Some(&"env");
    let mut named_file = false;
    let mut args = words.into_iter().skip(if is_env { 2 } else { 1 });
    while let Some(arg) = args.next() {
        let (option, attached) = match arg.split_once('=') {
            Some((option, value)) if arg.starts_with("--") => (option, Some(value)),
            _ => (arg, None),
        };
        match option {
            "-f" | "--file" => {
                named_file = true;
                let name = attached.or_else(|| args.next()).unwrap_or_default();
                file(asked, repository, name, plan);
            }
            _ if WITH_VALUE.contains(&option) => {
                if attached.is_none() {
                    args.next();
                }
            }
            _ if option.starts_with('-') => {}
            _ if is_env => {}
            specification => require(specification, plan),
        }
    }
    if is_env && !named_file {
        let name =
            ["environment.yml", "environment.yaml"].into_iter().find(|name| asked.text(&asked.cwd, name).is_some());
        file(asked, repository, name.unwrap_or("environment.yml"), plan);
    }
}

fn develop(asked: &Asked, repository: &Repository, plan: &mut Plan) {
    for arg in asked.args.iter().skip(1).filter(|arg| !arg.starts_with('-')) {
        if let Some(path) = repository.inside(&asked.cwd.join(arg)) {
            plan.add_own(Own { path, extras: vec![], editable: true, with_dependencies: false });
        }
    }
}

fn file(asked: &Asked, repository: &Repository, name: &str, plan: &mut Plan) {
    let Some((path, text)) = asked.text(&asked.cwd, name) else {
        plan.warnings.push(format!("`{name}` was to be installed from, and is no readable file"));
        return;
    };
    if path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml") {
        let environment = environment_yml::read(text);
        for specification in &environment.conda {
            require(specification, plan);
        }
        pip_part(asked, repository, &path, &environment.pip, plan);
        return;
    }
    for line in text.lines().map(|line| line.split('#').next().unwrap_or(line).trim()) {
        // `@EXPLICIT` lists hold URLs of conda packages for one platform.
        if !line.is_empty() && !line.starts_with('@') && !line.contains("://") {
            require(line, plan);
        }
    }
}

/// The `pip:` part of a file has the lines of a requirements file.
fn pip_part(asked: &Asked, repository: &Repository, file: &Path, lines: &[String], plan: &mut Plan) {
    if lines.is_empty() {
        return;
    }
    let folder = file.parent().map_or_else(|| asked.cwd.clone(), Path::to_path_buf);
    let listing = PathBuf::from("\u{0}pip");
    let mut files = asked.files.clone();
    files.insert(folder.join(&listing), lines.join("\n"));
    let name = listing.to_string_lossy().into_owned();
    let asked =
        Asked { tool: "pip".into(), args: vec!["install".into(), "-r".into(), name], cwd: folder, files, link: None };
    pip::read(&asked, repository, plan);
}

/// Adds a specification: a requirement, a version of Python, or a program of the system.
fn require(specification: &str, plan: &mut Plan) {
    let Some((name, version)) = split(specification) else {
        plan.warnings.push(format!("`{specification}` was not understood, and left out"));
        return;
    };
    let canonical = canonical_name(&name);
    if canonical == "python" {
        plan.python.extend(version.filter(|version| !version.is_empty()));
    } else if COVERED.contains(&canonical.as_str()) || canonical.starts_with("cuda-") {
    } else if OF_THE_SYSTEM.contains(&canonical.as_str()) || canonical.starts_with("r-") {
        plan.system.push(canonical);
    } else {
        let renamed = RENAMED.iter().find(|(conda, _)| *conda == canonical).map_or(name.as_str(), |(_, pypi)| pypi);
        if version.is_none() {
            plan.warnings.push(format!("The version in `{specification}` was not understood; any is taken"));
        }
        plan.require(&format!("{renamed}{}", version.unwrap_or_default()));
    }
}

/// Name, and version in the words of PyPI; `None` there is one that cannot be said.
fn split(specification: &str) -> Option<(String, Option<String>)> {
    let text = specification.trim().trim_matches(['"', '\'']);
    let text = text.rsplit_once("::").map_or(text, |(_, rest)| rest);
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let rest = rest.trim();
    let version = match rest.strip_prefix('[') {
        Some(keys) => in_brackets(keys),
        None => rest.to_owned(),
    };
    Some((name.to_owned(), version_of(&version)))
}

/// `[version='>=1', build=x]`.
fn in_brackets(keys: &str) -> String {
    let Some((_, rest)) = keys.split_once("version") else { return String::new() };
    let rest = rest.trim_start().trim_start_matches('=').trim_start();
    match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => rest[1..].split(quote).next().unwrap_or_default().to_owned(),
        _ => rest.split([',', ']']).next().unwrap_or_default().to_owned(),
    }
}

/// `=1.2=build`, `==1.2`, `>=1,<2`, `1.2.*`, `1.2` in the words of PyPI.
fn version_of(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text == "*" {
        return Some(String::new());
    }
    if text.contains('|') {
        return None;
    }
    let mut parts = vec![];
    for part in text.split(',') {
        let part: String = part.split_whitespace().collect::<Vec<_>>().join(" ");
        let digits = part.find(|c: char| c.is_ascii_digit())?;
        let (operator, rest) = part.split_at(digits);
        // A build string follows another `=`, or a space.
        let number = rest.split(['=', ' ']).next().unwrap_or(rest);
        let fits = number.chars().all(|c| c.is_ascii_alphanumeric() || ".*+!_-".contains(c));
        if !fits {
            return None;
        }
        parts.push(match operator.trim() {
            "=" | "==" | "" if number.ends_with('*') => format!("=={}", prefix(number)),
            "=" => format!("=={number}.*"),
            "==" | "" => format!("=={number}"),
            // `>=1.*` says no more than `>=1`, and only to conda.
            operator @ (">=" | "<=" | ">" | "<" | "~=") => format!("{operator}{}", number.trim_end_matches(['*', '.'])),
            "!=" => format!("!={number}"),
            _ => return None,
        });
    }
    Some(parts.join(","))
}

/// `1.2*` means `1.2.*`.
fn prefix(number: &str) -> String {
    format!("{}.*", number.trim_end_matches(['*', '.']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(args: &[&str], files: &[(&str, &str)]) -> Plan {
        let asked = Asked {
            tool: "conda".into(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            cwd: "/s".into(),
            files: files.iter().map(|(name, text)| (name.into(), (*text).to_owned())).collect(),
            link: None,
        };
        let mut plan = Plan::default();
        read(&asked, &Repository::new(Path::new("/s"), None), &mut plan);
        plan
    }

    #[test]
    fn specifications_become_requirements() {
        for (conda, pypi) in [
            ("pandas", "pandas"),
            ("pandas=1.2", "pandas==1.2.*"),
            ("pandas=1.2=py38_0", "pandas==1.2.*"),
            ("pandas==1.2.3", "pandas==1.2.3"),
            ("pandas=1.2.*", "pandas==1.2.*"),
            ("pandas 1.2.*", "pandas==1.2.*"),
            ("pandas>=1,<2", "pandas>=1,<2"),
            ("\"pandas >=1.0, <2\"", "pandas>=1.0,<2"),
            ("conda-forge::pandas>=1", "pandas>=1"),
            ("pandas[version='>=1,<2',build=x]", "pandas>=1,<2"),
            ("pytorch=1.9", "torch==1.9.*"),
            ("ruamel_yaml", "ruamel.yaml"),
            ("matplotlib-base!=3", "matplotlib!=3"),
        ] {
            assert_eq!(plan(&["install", "-y", "-c", "conda-forge", conda], &[]).requirements, [pypi], "{conda}");
        }
    }

    #[test]
    fn python_tools_and_programs_are_told_apart() {
        let found =
            plan(&["create", "-n", "env", "python>=3.9", "pip", "mkl", "r-base", "r-dplyr", "pandoc=2", "numpy"], &[]);
        assert_eq!(found.requirements, ["numpy"]);
        assert_eq!(found.python, [">=3.9"]);
        assert_eq!(found.system, ["r-base", "r-dplyr", "pandoc"]);
        assert_eq!(plan(&["install", "python=3.8"], &[]).python, ["==3.8.*"]);
    }

    #[test]
    fn environment_files_are_read() {
        let yml = "name: x\nchannels:\n- conda-forge\ndependencies:\n- python=3.9\n- pandas>=1 # why\n- pip:\n  - cs-kit\n  - -e .\n";
        for args in [
            &["env", "update", "-f", "environment.yml"][..],
            &["env", "create"],
            &["env", "update", "--file=environment.yml"],
        ] {
            let found = plan(args, &[("/s/environment.yml", yml)]);
            assert_eq!(found.requirements, ["pandas>=1", "cs-kit"], "{args:?}");
            assert!(found.own[0].editable && found.own[0].path == Path::new(""));
        }
        let found = plan(&["install", "--file", "req.txt"], &[("/s/req.txt", "# c\nnumpy=1.2\n\nscipy\n")]);
        assert_eq!(found.requirements, ["numpy==1.2.*", "scipy"]);
        assert!(plan(&["env", "update"], &[]).warnings[0].contains("environment.yml"));
    }

    #[test]
    fn what_cannot_be_said_is_told() {
        let found = plan(&["install", "pandas=1|2", "=x"], &[]);
        assert_eq!((found.requirements, found.warnings.len()), (vec!["pandas".to_owned()], 2));
    }

    proptest! {
        #[test]
        fn an_exact_version_stays_what_it_is(name in "[a-z]{2,8}q", version in "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}") {
            let exact = plan(&["install", &format!("{name}=={version}")], &[]).requirements;
            prop_assert_eq!(exact, [format!("{name}=={version}")]);
            let fuzzy = plan(&["install", &format!("{name}={version}=build_0")], &[]).requirements;
            prop_assert_eq!(fuzzy, [format!("{name}=={version}.*")]);
        }
    }
}
