//! Runs the installation script with shims in place of the installers.

use std::{
    fs,
    io::Read,
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    plan::{Plan, Repository},
    standard,
};
use crate::{
    config::PublishConfig,
    failure::Failure,
    interpreter::Interpreter,
    jail::{Jail, Step},
    layout::INSTALL,
    mask::Log,
    process::Output,
};

const SHIM: &str = include_str!("shim.py");
const NAMES: &[&str] =
    &["pip", "pip3", "conda", "mamba", "micromamba", "uv", "apt-get", "apt", "sudo", "git", "python", "python3"];
/// `source activate` and conda's own set-up find something to read.
const EMPTY: &[&str] = &["activate", "deactivate", "etc/profile.d/conda.sh", "etc/profile.d/mamba.sh"];
const RECORD_BYTES: u64 = 16 << 20;
const NO_FOLLOW: i32 = nix::libc::O_NOFOLLOW;

/// Which pass over the script this is.
pub(crate) enum Pass<'p> {
    /// Packages are written down; steps of Python that fail are put off.
    Record,
    /// Packages are there: the program, and the folders with the model's own packages.
    Replay { python: &'p Path, python_path: &'p str, shown: Vec<PathBuf> },
}

/// Runs the script in `source` of the room, and reads what it asked for.
pub(crate) async fn run(
    config: &PublishConfig,
    jail: &Jail<'_>,
    interpreter: &Interpreter,
    url: Option<&str>,
    pass: Pass<'_>,
    log: &Log<'_>,
) -> Result<Plan, Failure> {
    let source = jail.room.join("source");
    let repository = Repository::new(&source, url);
    let record = jail.room.join("record");
    let (text, told) = standard::script(&source);
    let script = jail.desk.join("install.sh");
    let script = match text {
        Some(text) => {
            fs::write(&script, text).map_err(Failure::at("Writing", &script))?;
            script
        }
        None => source.join(INSTALL),
    };
    let shims = jail.desk.join("shims");
    let (python, replay) = match &pass {
        Pass::Record => (interpreter.executable.as_path(), false),
        Pass::Replay { python, .. } => (*python, true),
    };
    write_shims(
        &shims,
        interpreter,
        &json!({
            "record": record, "python": python, "version": interpreter.version(), "replay": replay,
            "source": source, "own": repository.identity.iter().collect::<Vec<_>>(),
        }),
    )?;
    jail.hand_over().await?;
    log.line(if replay { "Running the steps that waited for the packages" } else { &told });
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", shims.display());
    let mut env = vec![("PATH".to_owned(), path), ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned())];
    let mut read_only = interpreter.shown();
    if let Pass::Replay { python_path, shown, .. } = pass {
        env.push(("PYTHONPATH".to_owned(), python_path.to_owned()));
        read_only.extend(shown);
    }
    let ended = jail
        .run(Step {
            what: "`install.sh`",
            program: Path::new("/bin/bash"),
            args: vec![script.display().to_string()],
            working_dir: source.clone(),
            env,
            read_only,
            network: config.install_network,
            seconds: config.build_seconds,
            output: Output::Logged,
        })
        .await?;
    let offline = !config.install_network
        && ended.tail.iter().any(|line| line.contains("resolve host") || line.contains("name resolution"));
    if !ended.status.success() && offline {
        return Err(Failure::Unusable(format!(
            "`{INSTALL}` reaches for the network itself ({}). Packages are installed for it; put other files into the repository, or ask the operator to allow the network to `install.sh`",
            ended.last_line()
        )));
    }
    ended.success(&format!("`{INSTALL}`"))?;
    Ok(Plan::read(&read_record(&record)?, &repository))
}

fn write_shims(folder: &Path, interpreter: &Interpreter, settings: &serde_json::Value) -> Result<(), Failure> {
    let write = || {
        fs::create_dir_all(folder.join("etc/profile.d"))?;
        fs::write(folder.join("settings.json"), settings.to_string())?;
        let shim = folder.join("shim");
        // Neither the packages nor the variables of the model may change what the shims are.
        fs::write(&shim, format!("#!{} -IS\n{SHIM}", interpreter.executable.display()))?;
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755))?;
        let versioned = ["python", "pip"].map(|name| format!("{name}{}", interpreter.short_version()));
        for name in NAMES.iter().copied().chain(versioned.iter().map(String::as_str)) {
            symlink("shim", folder.join(name))?;
        }
        EMPTY.iter().try_for_each(|name| fs::write(folder.join(name), ""))
    };
    write().map_err(Failure::at("Writing the shims into", folder))
}

/// The record was written by a stranger's processes: a link or an endless file is none.
fn read_record(file: &Path) -> Result<String, Failure> {
    let opened = fs::OpenOptions::new().read(true).custom_flags(NO_FOLLOW | nix::libc::O_NONBLOCK).open(file);
    let opened = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        other => other.map_err(Failure::at("Reading", file))?,
    };
    let mut text = String::new();
    let regular = opened.metadata().is_ok_and(|metadata| metadata.is_file());
    if regular {
        opened.take(RECORD_BYTES).read_to_string(&mut text).map_err(Failure::at("Reading", file))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Runs a script with the shims, outside of any sandbox: it is ours.
    fn plan(script: &str, files: &[(&str, &str)]) -> (Plan, String) {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let source = place.join("source");
        fs::create_dir_all(&source).unwrap();
        for (name, text) in files {
            fs::write(source.join(name), text).unwrap();
        }
        let python = ["/usr/bin/python3", "/usr/local/bin/python3"].into_iter().find(|path| Path::new(path).exists());
        let interpreter: Interpreter = serde_json::from_value(json!({
            "version": [3, 11, 0], "executable": python.expect("a system Python"), "prefix": "/usr",
            "platform": "x", "soabi": "x", "cache_tag": "x", "compiled": true,
        }))
        .unwrap();
        let record = place.join("record");
        let settings = json!({
            "record": record, "python": interpreter.executable, "version": "3.11.0", "replay": false,
            "source": source, "own": ["github.com/o/own"],
        });
        let shims = place.join("shims");
        write_shims(&shims, &interpreter, &settings).unwrap();
        let ended = Command::new("bash")
            .args(["-c", script])
            .current_dir(&source)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", shims.display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        assert!(ended.status.success(), "{said}");
        let repository = Repository::new(&source, Some("https://github.com/O/Own"));
        (Plan::read(&read_record(&record).unwrap(), &repository), said)
    }

    #[test]
    fn a_script_of_the_conda_days_is_understood() {
        let script = r#"
            set -e
            conda config --add channels conda-forge
            source "$(conda info --base)/etc/profile.d/conda.sh"
            conda create -y -n env "python>=3.7" pip
            conda activate env 2>/dev/null || source activate env
            conda install -y -c PSLmodels "pandas>=1.0" 'bokeh=2.4' pytorch
            apt-get update && sudo DEBIAN_FRONTEND=noninteractive apt-get install -y r-base=4.0 pandoc
            pip install --upgrade "git+https://github.com/O/own.git@v1#egg=own" -r req.txt
            python -m pip install -e "./cs-config" --no-deps
            python --version
            mamba clean --all -y
        "#;
        let (plan, _) = plan(script, &[("req.txt", "-r more.txt\n"), ("more.txt", "six\n")]);
        assert_eq!(plan.requirements, ["pandas>=1.0", "bokeh==2.4.*", "torch", "six"]);
        assert_eq!(
            (plan.python, plan.system),
            (vec![">=3.7".to_owned()], vec!["r-base".to_owned(), "pandoc".to_owned()])
        );
        let own: Vec<_> =
            plan.own.iter().map(|own| (own.path.to_str().unwrap(), own.editable, own.with_dependencies)).collect();
        assert_eq!(own, [("", false, true), ("cs-config", true, false)]);
        assert!(!plan.replay);
    }

    #[test]
    fn files_that_are_gone_afterwards_were_read() {
        let (plan, _) = plan("echo numpy=1.2 > t.txt; conda install --file t.txt; rm t.txt", &[]);
        assert_eq!(plan.requirements, ["numpy==1.2.*"]);
    }

    #[test]
    fn a_clone_of_the_repository_is_the_repository() {
        let script =
            "git clone -b dev --depth 1 https://github.com/o/Own.git && cd Own && git checkout v1 && pip install .";
        let (plan, said) = plan(script, &[]);
        assert_eq!((plan.own[0].path.as_path(), plan.links.len()), (Path::new(""), 1), "{said}");
    }

    #[test]
    fn steps_of_python_wait_for_packages() {
        let (plan, said) =
            plan("set -e; python -c 'import a_package_that_is_not_there'; python -c 'print(\"here\")'", &[]);
        assert!(plan.replay && said.contains("this step waits") && said.contains("here"), "{said}");
    }

    #[test]
    fn environments_of_all_kinds_are_ours() {
        let script = "set -e; python3 -m venv v; . v/bin/activate; v/bin/pip install six; uv venv; uv pip install attrs; uv sync";
        let (plan, _) = plan(script, &[]);
        assert_eq!(plan.requirements, ["six", "attrs"]);
        assert!(plan.own[0].editable);
    }
}
