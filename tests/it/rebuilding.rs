//! Environments: packages of another time, the shims of `install.sh`, byte code, equal locks.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use csw_tests::{Account, Done, Draft, Result, Server, csw, example};
use serde_json::{Value, json};

use crate::common::Run;

const MODEL: &str = "ann/Old";
const THEN: &str = "2022-01-15T00:00:00Z";

/// Works with attrs as it was in January 2022, which nobody wrote down.
const ROTTEN: &str = "import attr\n\nif int(attr.__version__.split('.')[0]) > 21:\n    \
                      raise ImportError(\"cannot import name 'old' from 'attr'\")\n\n\n\
                      def get_version():\n    return attr.__version__\n";

fn rotten(server: &Server, name: &str) -> Result<Draft> {
    Draft::new(&server.beside(name), ROTTEN)?.file("cs-config/install.sh", "pip install attrs\n")
}

fn message(done: &Done) -> Result<String> {
    let answer: Value = serde_json::from_str(&done.stdout)?;
    let told = answer["message"].as_str().or(answer["build"]["message"].as_str());
    Ok(told.unwrap_or_default().to_owned())
}

async fn facts(server: &Server, account: &Account, model: &str) -> Result<Value> {
    Ok(server.client(Some(account))?.versions(model).await?.remove(0).facts)
}

#[tokio::test]
async fn point_21_an_old_model_comes_back_with_the_packages_of_its_time() -> Result {
    let server = Server::empty()?;
    let ann = server.account("ann", "member")?;
    let old = rotten(&server, "old")?.commit(THEN)?;
    let done = server.publish(&ann, MODEL, old.folder(), &[])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("cannot import name 'old' from 'attr'"), "{}", done.stderr);
    assert!(done.stderr.contains("Trying again with packages as they were on 2022-01-15T00:00:00Z"), "{}", done.stderr);
    let found = facts(&server, &ann, MODEL).await?;
    assert_eq!(found["as_of"], THEN);
    assert_eq!(found["packages"][0], json!({ "name": "attrs", "version": "21.4.0" }));
    let run = Run::of(&server.client(Some(&ann))?, MODEL, json!({}), json!({})).await?.succeeded();
    assert_eq!(run.end.model_version.as_deref(), Some("21.4.0"));
    // Of files that nobody committed the time is not known; it can be said.
    let loose = rotten(&server, "loose")?;
    let done = server.publish(&ann, "ann/Loose", loose.folder(), &[])?;
    assert_eq!(done.code, 1);
    assert!(message(&done)?.contains("cannot import name 'old' from 'attr'"), "{}", done.stderr);
    assert!(!done.stderr.contains("Trying again"), "{}", done.stderr);
    let done = server.publish(&ann, "ann/Loose", loose.folder(), &["--as-of", "2022-01-15"])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(facts(&server, &ann, "ann/Loose").await?["as_of"], THEN);
    Ok(())
}

/// `csw check` on the same models, with downloads that are shared with the other tests.
#[tokio::test]
async fn point_21_a_check_finds_the_same() -> Result {
    let server = Server::empty()?;
    let settings = server.beside("config.toml");
    fs::write(&settings, format!("cache = {:?}\n", server.packages()?))?;
    let cache = server.beside("check");
    let check = |folder: &Path, words: &[&str]| -> Result<Done> {
        let folder = folder.display().to_string();
        let command = ["check", &folder, "--json", "--cache", &cache, "--config", &settings];
        csw(&[&command, words].concat(), &[])
    };
    let old = rotten(&server, "old")?.commit(THEN)?;
    let verdict: Value = check(old.folder(), &[])?.json()?;
    assert_eq!((&verdict["ok"], &verdict["facts"]["as_of"]), (&json!(true), &json!(THEN)));
    assert_eq!(verdict["version"], "21.4.0");
    let given: Value = check(old.folder(), &["--as-of", "2021-12-29"])?.json()?;
    assert_eq!(given["facts"]["as_of"], "2021-12-29T00:00:00Z");
    let new = check(old.folder(), &["--as-of", "2024-06-01"])?;
    assert_eq!(new.code, 1, "{}", new.stderr);
    assert!(!new.stderr.contains("Trying again"), "who says a date means it: {}", new.stderr);
    // What no packages mend fails with both reasons, and leaves no checkout behind.
    let broken = "import attr\n\ndef run_model(meta_param_dict, adjustment):\n    raise OSError(attr.__version__)\n";
    let broken = Draft::new(&server.beside("broken"), broken)?.file("cs-config/install.sh", "pip install attrs\n")?;
    let failed = check(broken.commit(THEN)?.folder(), &[])?;
    assert_eq!(failed.code, 1);
    let told = message(&failed)?;
    assert!(told.contains("With packages as they were on 2022-01-15T00:00:00Z it fails in stage test"), "{told}");
    assert!(told.contains("OSError: 21.4.0"), "{told}");
    assert_eq!(fs::read_dir(Path::new(&cache).join("checkouts"))?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn point_22_a_script_of_the_conda_days_is_published() -> Result {
    let server = Server::empty()?;
    let ann = server.account("ann", "member")?;
    let install = "set -e\nconda config --add channels conda-forge\nconda install -y -c conda-forge \"six>=1.16\" pip\n\
                   mamba install -y attrs\nsudo apt-get update && sudo apt-get install -y no-such-latex r-base\n\
                   pip install \"git+https://github.com/nobody-has-this/own.git@v1#egg=own\"\n";
    let setup = "from setuptools import setup\nsetup(name='own', version='3', py_modules=['own'])\n";
    let functions =
        "import attr, own, six\n\n\ndef run_model(meta_param_dict, adjustment):\n    return shown(own.PLACE)\n";
    let draft = Draft::new(&server.beside("model"), functions)?
        .file("cs-config/install.sh", install)?
        .file("setup.py", setup)?
        .file("own.py", "PLACE = 'the files at hand'\n")?
        .commit("2026-01-15T00:00:00Z")?;
    let remote = ["remote", "add", "origin", "https://token@github.com/nobody-has-this/own"];
    let added = std::process::Command::new("git").args(remote).current_dir(draft.folder()).status()?;
    assert!(added.success());
    let done = server.publish(&ann, MODEL, draft.folder(), &["--no-example"])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!done.stderr.contains("token@"), "{}", done.stderr);
    let run = Run::of(&server.client(Some(&ann))?, MODEL, json!({}), json!({})).await?.succeeded();
    let text = run.data(&server.client(Some(&ann))?, MODEL, "Result").await?;
    assert_eq!(text, "the files at hand");
    let found = facts(&server, &ann, MODEL).await?;
    assert_eq!(found["system_packages"], json!(["no-such-latex", "r-base"]));
    let told = found["warnings"].to_string();
    assert!(told.contains("asks for packages of the system that this machine lacks: no-such-latex"), "{told}");
    let page = server.fetch(Some(&ann), &format!("/{MODEL}/"), &[]).await?.text().await?;
    assert!(page.contains("that this machine lacks: no-such-latex"));
    Ok(())
}

fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path)?);
        } else {
            found.insert(path);
        }
    }
    Ok(found)
}

/// Whoever sets the variable for the server gets byte code all the same: it is made with the environment, and an
/// interpreter neither compiles nor writes.
#[tokio::test]
async fn byte_code_is_compiled_at_build_whatever_the_server_was_told() -> Result {
    let server = Server::with_variables(&[("PYTHONDONTWRITEBYTECODE", "1")])?;
    let ann = server.account("ann", "member")?;
    let functions = "import json, os, sys\nimport six\n\n\ndef run_model(meta_param_dict, adjustment):\n    \
                     missing = []\n    \
                     for name, module in sorted(sys.modules.items()):\n        \
                     cached = getattr(module, '__cached__', None)\n        \
                     if cached and str(module.__file__).endswith('.py') and not os.path.exists(cached):\n            \
                     missing.append(name)\n    \
                     return shown(json.dumps({'missing': missing, 'writes': not sys.dont_write_bytecode}))\n";
    let draft =
        Draft::new(&server.beside("model"), functions)?.file("cs-config/install.sh", "pip install six==1.16.0\n")?;
    let done = server.publish(&ann, MODEL, draft.folder(), &["--no-example"])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    let places = ["envs", "code"].map(|name| server.data().join(name));
    let list = || -> Result<Vec<_>> { places.iter().map(|place| files(place)).collect() };
    let before = list()?;
    for sources in &before {
        let python = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "py");
        for source in sources.iter().filter(python).filter(|path| {
            path.components().any(|part| part.as_os_str() == "csw-site" || part.as_os_str() == "site-packages")
        }) {
            let stem = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let cache = source.parent().unwrap_or(source).join("__pycache__");
            let compiled = sources.iter().any(|file| {
                file.starts_with(&cache)
                    && file
                        .file_name()
                        .is_some_and(|name| name.to_string_lossy().starts_with(&format!("{stem}.cpython")))
            });
            assert!(compiled, "{} has no byte code", source.display());
        }
    }
    let client = server.client(Some(&ann))?;
    let run = Run::of(&client, MODEL, json!({}), json!({})).await?.succeeded();
    let found = run.json(&client, MODEL, "Result").await?;
    assert_eq!(found, json!({ "missing": [], "writes": false }));
    assert_eq!(list()?, before, "a run adds nothing");
    Ok(())
}

#[tokio::test]
async fn equal_locks_share_an_environment() -> Result {
    let server = Server::with_real_models()?;
    let owner = server.publisher()?;
    let (numbers, cluster) = ("contract/Numbers", "contract/Cluster");
    let first = facts(&server, &owner, cluster).await?;
    let second = facts(&server, &owner, numbers).await?;
    assert_eq!(first["lock"], second["lock"]);
    assert!(first["lock"].as_str().is_some_and(|lock| lock.contains("numpy==2.2")), "{first}");
    assert_eq!((&first["environment_reused"], &second["environment_reused"]), (&json!(false), &json!(true)));
    // A change of code alone builds no environment.
    let changed = server.beside("changed");
    let copied = std::process::Command::new("cp").arg("-r").arg(example(numbers)?).arg(&changed).status()?;
    assert!(copied.success());
    fs::write(Path::new(&changed).join("cs-config/cs_config/extra.py"), "MORE = 1\n")?;
    let done = server.publish(&owner, numbers, Path::new(&changed), &["--no-example"])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(facts(&server, &owner, numbers).await?["environment_reused"], true);
    Ok(())
}
