//! The stages for real: git, uv, the sandbox and the package index.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Command,
    time::Instant,
};

use csw_core::{
    build::{Source, Stage},
    model::Artifact,
    ports::{BuildOptions, Publisher},
    secret::Secrets,
};
use csw_publish::UNRESOLVABLE;

use support::{Bench, common::repository_root, git, name};

#[tokio::test]
async fn a_model_of_the_standard_library_is_built_and_tested() {
    let bench = Bench::new().await;
    let folder = repository_root().join("examples/models/contract/Null");
    let checkout = bench.fetch(Source::Folder(folder)).await.unwrap();
    let built = bench.build(&checkout).await.unwrap_or_else(|error| panic!("{error}\n{}", bench.said()));
    assert_eq!(bench.python(&built, "import cs_config.functions as f; print(f.get_version())"), "1.0.0");
    let (environment, code) = bench.folders(&built);
    // Sealed, and with byte code of everything.
    assert_eq!(fs::metadata(&environment).unwrap().permissions().mode() & 0o222, 0);
    let compiled = fs::read_dir(code.join("csw-site/cs_config/__pycache__")).unwrap().count();
    assert!(compiled >= 2, "{compiled}");
    let report =
        bench.publisher.test(&name(), &checkout, &built, &BuildOptions::default(), &Secrets::new(), &bench.log).await;
    let report = report.unwrap_or_else(|error| panic!("{error}\n{}", bench.said()));
    assert!(report.passed >= 7, "{}", report.summary);
    bench.publisher.discard(checkout.clone()).await;
    assert!(!checkout.folder.exists());
    assert_eq!(fs::read_dir(bench.data().join("work")).unwrap().count(), 0);
}

#[tokio::test]
async fn own_packages_are_code_and_a_change_of_code_keeps_the_environment() {
    let bench = Bench::new().await;
    let folder = repository_root().join("examples/models/finlab/Mortgage");
    let first = bench.publish(&folder).await;
    assert_eq!(bench.python(&first, "import mortgage, importlib.metadata as m; print(m.version('mortgage'))"), "1.2.0");
    let changed = bench.place.path().join("changed");
    let copied = Command::new("cp").arg("-r").arg(&folder).arg(&changed).status().unwrap();
    assert!(copied.success());
    fs::write(changed.join("mortgage/extra.py"), "VALUE = 5\n").unwrap();
    let start = Instant::now();
    let second = bench.publish(&changed).await;
    println!("a change of code alone: {:.1} s, {}", start.elapsed().as_secs_f64(), second.facts["seconds"]);
    assert_eq!(bench.python(&second, "import mortgage.extra as e; print(e.VALUE)"), "5");
    assert_eq!(bench.folders(&first).0, bench.folders(&second).0);
    assert_ne!(first.digest, second.digest);
    let again = bench.publish(&folder).await;
    assert_eq!((again.digest, again.artifact), (first.digest, first.artifact));
}

#[tokio::test]
async fn packages_of_install_sh_come_from_one_lock() {
    let bench = Bench::new().await;
    let install = "set -e\nconda install -y -c conda-forge 'six=1.16'\npip install -r req.txt\napt-get install -y no-such-tool\npython -c 'import six'\necho \"made by $(python -c 'import six; print(six.__version__)')\" > made.txt\n";
    let folder = bench.model(&[("cs-config/install.sh", install), ("req.txt", "attrs\n")]);
    let built = bench.publish(&folder).await;
    assert_eq!(bench.python(&built, "import six, attr; print(six.__version__)"), "1.16.0");
    let names: Vec<&str> =
        built.facts["packages"].as_array().unwrap().iter().filter_map(|fact| fact["name"].as_str()).collect();
    assert_eq!(names, ["attrs", "setuptools", "six"]);
    assert_eq!(built.facts["system_packages"][0], "no-such-tool");
    let warnings = built.facts["warnings"].to_string();
    assert!(warnings.contains("Any version is taken of: attrs") && warnings.contains("no-such-tool"), "{warnings}");
    assert!(built.facts["lock"].as_str().unwrap().contains("--hash=sha256:"));
    assert!(built.facts["environment_bytes"].as_u64().unwrap() > 10_000);
    // The step that waited has run with the packages.
    assert_eq!(fs::read_to_string(bench.folders(&built).1.join("made.txt")).unwrap(), "made by 1.16.0\n");
}

/// Environments share the byte code of what is equal in them, and nothing else.
#[tokio::test]
async fn what_is_as_before_is_not_compiled_again() {
    let bench = Bench::new().await;
    let first = bench.model(&[("cs-config/install.sh", "pip install attrs==23.1.0 six==1.16\n")]);
    let first = bench.publish(&first).await;
    let changed = bench.model(&[("cs-config/install.sh", "pip install attrs==23.2.0 six==1.16\n")]);
    let checkout = bench.fetch(Source::Folder(changed)).await.unwrap();
    let options = BuildOptions { former: Some(first.artifact.clone()), ..BuildOptions::default() };
    let second = bench.publisher.build(&name(), &checkout, &options, &bench.log).await.unwrap();
    assert!(bench.said().contains(" modules are as they were, "), "{}", bench.said());
    let python = first.facts["python"].as_str().unwrap().rsplit_once('.').unwrap().0;
    let tag = format!("cpython-{}", python.replace('.', ""));
    let site = |built| bench.folders(built).0.join(format!("lib/python{python}/site-packages"));
    let inode = |built, file: &str| {
        let found = fs::metadata(site(built).join(file));
        found.unwrap_or_else(|error| panic!("{file}: {error}")).ino()
    };
    let (same, other) = (format!("__pycache__/six.{tag}.pyc"), format!("attr/__pycache__/_make.{tag}.pyc"));
    assert_eq!(inode(&first, &same), inode(&second, &same));
    assert_ne!(inode(&first, &other), inode(&second, &other));
    // What is taken over says where it is now, and is what the source beside it says.
    let script = "import attr, six, importlib.metadata as m\nprint(m.version('attrs'), six.moves.__name__, \
                  six.add_metaclass.__code__.co_filename)";
    let place = site(&second).canonicalize().unwrap().join("six.py");
    assert_eq!(bench.python(&second, script), format!("23.2.0 six.moves {}", place.display()));
    // A former version that is gone is no reason to fail.
    let gone = Artifact::Environment { environment: "0".repeat(64), code: String::new() };
    let third = bench.model(&[("cs-config/install.sh", "pip install six==1.15\n")]);
    let checkout = bench.fetch(Source::Folder(third)).await.unwrap();
    let options = BuildOptions { former: Some(gone), ..BuildOptions::default() };
    let third = bench.publisher.build(&name(), &checkout, &options, &bench.log).await.unwrap();
    assert!(inode(&third, &same) != inode(&second, &same));
}

#[tokio::test]
async fn a_source_distribution_is_built_in_the_sandbox() {
    let bench = Bench::new().await;
    let folder = bench.model(&[("cs-config/install.sh", "pip install docopt==0.6.2\n")]);
    let built = bench.publish(&folder).await;
    assert_eq!(built.facts["built_in_sandbox"], true);
    assert_eq!(bench.python(&built, "import docopt; print(docopt.__version__)"), "0.6.2");
}

#[tokio::test]
async fn a_repository_without_install_sh_is_understood() {
    let bench = Bench::new().await;
    let pyproject = "[build-system]\nrequires=['setuptools']\nbuild-backend='setuptools.build_meta'\n[project]\nname='the-model'\nversion='2'\ndependencies=['six<2']\n";
    let folder = bench.model(&[
        ("pyproject.toml", pyproject),
        ("src/the_model/__init__.py", "A = 1\n"),
        ("src/the_model/data.txt", "x"),
    ]);
    fs::remove_file(folder.join("cs-config/install.sh")).unwrap();
    let built = bench.publish(&folder).await;
    assert_eq!(bench.python(&built, "import the_model, six; print(the_model.A)"), "1");
}

#[tokio::test]
async fn an_environment_file_alone_is_enough() {
    let bench = Bench::new().await;
    let yml = "name: model\nchannels:\n  - conda-forge\ndependencies:\n  - python>=3.8\n  - \"six>=1.15\"\n  - pandoc\n  \
               - pip:\n    - \"attrs==23.2.0\"\n";
    let folder = bench.model(&[("environment.yml", yml)]);
    fs::remove_file(folder.join("cs-config/install.sh")).unwrap();
    let built = bench.publish(&folder).await;
    assert_eq!(bench.python(&built, "import six, attr; print(attr.__version__)"), "23.2.0");
    assert!(bench.said().contains("There is no `cs-config/install.sh`; installing what `environment.yml` asks for"));
    assert_eq!(built.facts["system_packages"], serde_json::json!(["pandoc"]));
}

#[tokio::test]
async fn a_setup_file_alone_is_enough() {
    let bench = Bench::new().await;
    let setup = "from setuptools import setup, find_packages\nsetup(name='the-model', version='4', \
                 packages=find_packages(exclude=['cs-config']), package_data={'the_model': ['*.csv']}, \
                 install_requires=['six<2'])\n";
    let folder = bench.model(&[
        ("setup.py", setup),
        ("the_model/__init__.py", "import pkgutil\nDATA = pkgutil.get_data(__name__, 'data.csv').decode()\n"),
        ("the_model/data.csv", "1,2"),
    ]);
    fs::remove_file(folder.join("cs-config/install.sh")).unwrap();
    let built = bench.publish(&folder).await;
    assert_eq!(bench.python(&built, "import the_model, six; print(the_model.DATA)"), "1,2");
    let names: Vec<&str> =
        built.facts["packages"].as_array().unwrap().iter().filter_map(|fact| fact["name"].as_str()).collect();
    assert!(names.contains(&"six"), "{names:?}");
}

/// Beside the package lies a folder of its name, with data: what is installed is meant.
#[tokio::test]
async fn a_folder_hides_no_package() {
    let bench = Bench::new().await;
    let setup = "from setuptools import setup\nsetup(name='thing', version='1', packages=['thing'])\n";
    let folder = bench.model(&[
        ("cs-config/install.sh", "mamba install -y six=1.16\npip install ./python\n"),
        ("python/setup.py", setup),
        ("python/thing/__init__.py", "A = 'installed'\n"),
        ("thing/data.csv", "1"),
        ("thing/__init__.py", "A = 'beside'\n"),
        ("six/__init__.py", "A = 'beside'\n"),
    ]);
    let built = bench.publish(&folder).await;
    assert_eq!(bench.python(&built, "import thing, six; print(thing.A, six.__version__)"), "installed 1.16.0");
}

#[tokio::test]
async fn a_git_reference_to_the_repository_itself_is_the_checkout() {
    let bench = Bench::new().await;
    let install = "pip install 'git+file:///REPO@v0#egg=own'\n";
    let setup =
        "from setuptools import setup\nsetup(name='own', version='3', py_modules=['own'], install_requires=['six'])\n";
    let folder = bench.model(&[("setup.py", setup), ("own.py", "A = 'checkout'\n")]);
    let path = folder.display().to_string();
    fs::write(folder.join("cs-config/install.sh"), install.replace("/REPO", &path)).unwrap();
    git(&folder, &["init", "-q"]);
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "-q", "-m", "one"]);
    let commit = git(&folder, &["rev-parse", "HEAD"]);
    git(&folder, &["tag", "v1"]);
    for reference in ["", "master", "v1", &commit, &commit[..8]] {
        let source = Source::Git { url: format!("file://{path}"), reference: reference.to_owned() };
        let checkout = bench.fetch(source).await.unwrap_or_else(|error| panic!("{reference}: {error}"));
        assert_eq!(checkout.commit, commit);
        assert!(checkout.committed_at.is_some() && !checkout.folder.join(".git").exists());
    }
    let checkout = bench.fetch(Source::Git { url: path, reference: "v1".into() }).await.unwrap();
    let built = bench.build(&checkout).await.unwrap_or_else(|error| panic!("{error}\n{}", bench.said()));
    assert_eq!(bench.python(&built, "import own, six; print(own.A)"), "checkout");
}

#[tokio::test]
async fn what_cannot_be_fetched_is_a_sentence() {
    let bench = Bench::new().await;
    let folder = bench.model(&[]);
    git(&folder, &["init", "-q"]);
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "-q", "-m", "one"]);
    let url = format!("file://{}", folder.display());
    for (url, reference, expected) in [
        (url.as_str(), "mster", "Did you mean `master`?"),
        (&url, "0000000", "`0000000` is no branch, tag or commit"),
        (&url, "--upload-pack=x", "starts with no `-`"),
        ("file:///no/such/repository", "", "was not found"),
        ("https://t0ken@no-such-host.invalid/a/b", "", "was not found: check its spelling"),
        ("ext::sh -c x", "", "cannot be fetched"),
    ] {
        let error = bench.fetch(Source::Git { url: url.into(), reference: reference.into() }).await.unwrap_err();
        assert!(error.sentence.contains(expected), "{url} {reference}: {}", error.sentence);
        assert_eq!(error.stage, Stage::Fetch);
    }
    assert!(!bench.said().contains("t0ken"));
    fs::remove_file(folder.join("cs-config/cs_config/functions.py")).unwrap();
    let error = bench.fetch(Source::Folder(folder)).await.unwrap_err();
    assert!(error.sentence.contains("Run `csk init`"), "{}", error.sentence);
    assert_eq!(fs::read_dir(bench.data().join("checkouts")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_cannot_be_built_is_a_sentence() {
    let bench = Bench::new().await;
    for (install, expected) in [
        ("set -e\necho working\nRscript x.R\n", "Rscript: command not found"),
        ("pip install no-such-package-xyzzy-42\n", UNRESOLVABLE),
        ("pip install 'six==1.16' 'six==1.15'\n", UNRESOLVABLE),
        ("set -e\ncurl --fail https://pypi.org/\n", "reaches for the network itself"),
        ("pip install six\npython -c 'import a_module_nobody_installs'\n", "No module named"),
    ] {
        let folder = bench.model(&[("cs-config/install.sh", install)]);
        let error = bench.build_error(&folder).await;
        assert!(error.sentence.contains(expected), "{install}: {}", error.sentence);
        assert_eq!(error.stage, Stage::Build);
    }
}

#[tokio::test]
async fn packages_as_of_a_date() {
    let bench = Bench::new().await;
    let folder = bench.model(&[("cs-config/install.sh", "pip install attrs\n")]);
    let checkout = bench.fetch(Source::Folder(folder)).await.unwrap();
    let options = BuildOptions { as_of: Some("2022-01-15T00:00:00Z".parse().unwrap()), ..BuildOptions::default() };
    let built = bench.publisher.build(&name(), &checkout, &options, &bench.log).await.unwrap();
    assert_eq!(bench.python(&built, "import attr; print(attr.__version__)"), "21.4.0");
    assert_eq!(built.facts["as_of"], "2022-01-15T00:00:00Z");
}

#[tokio::test]
async fn a_stranger_reaches_nothing_of_ours() {
    let bench = Bench::new().await;
    let secret = bench.place.path().join("secret");
    fs::write(&secret, "the key").unwrap();
    let install = format!(
        "cat {} && exit 9\nls {}/cache && exit 9\ntouch /usr/x 2>/dev/null && exit 9\nid -u | grep -qx 0 && exit 9\nln -s {} stolen.txt\nln -s /etc/passwd cs-config/users.txt\nenv | grep -i CARGO && exit 9\ntrue\n",
        secret.display(),
        bench.data().display(),
        secret.display(),
    );
    let folder = bench.model(&[("cs-config/install.sh", &install)]);
    let built = bench.publish(&folder).await;
    let code = bench.folders(&built).1;
    assert!(!code.join("stolen.txt").exists() && !code.join("cs-config/users.txt").exists());
    assert!(!bench.said().contains("the key"));
}

#[tokio::test]
async fn tests_that_fail_name_the_first() {
    let bench = Bench::new().await;
    let tests = "from cs_config import functions\n\ndef test_good():\n    assert functions.get_version()\n\ndef test_bad():\n    assert functions.get_version() == '2'\n";
    let folder = bench.model(&[
        ("cs-config/cs_config/tests/test_functions.py", tests),
        ("cs-config/cs_config/tests/__init__.py", ""),
    ]);
    let checkout = bench.fetch(Source::Folder(folder)).await.unwrap();
    let built = bench.build(&checkout).await.unwrap();
    let error = bench
        .publisher
        .test(&name(), &checkout, &built, &BuildOptions::default(), &Secrets::new(), &bench.log)
        .await
        .unwrap_err();
    assert!(
        error.sentence.contains("1 failed, 1 passed") && error.sentence.contains("::test_bad"),
        "{}",
        error.sentence
    );
    let without = bench.fetch(Source::Folder(bench.model(&[]))).await.unwrap();
    let built = bench.build(&without).await.unwrap();
    let report = bench
        .publisher
        .test(&name(), &without, &built, &BuildOptions::default(), &Secrets::new(), &bench.log)
        .await
        .unwrap();
    assert!(report.passed == 0 && report.summary.contains("no tests"));
}

#[tokio::test]
async fn own_tests_have_the_secrets_and_install_steps_do_not() {
    let bench = Bench::new().await;
    let tests = "import os\n\ndef test_secret():\n    assert len(os.environ['API_KEY']) == 7\n    assert 'PYTHONPATH' in os.environ\n";
    let folder = bench.model(&[
        ("cs-config/install.sh", "env | grep -q API_KEY && exit 9\ntrue\n"),
        ("cs-config/cs_config/tests/test_functions.py", tests),
    ]);
    let checkout = bench.fetch(Source::Folder(folder)).await.unwrap();
    let built = bench.build(&checkout).await.unwrap_or_else(|error| panic!("{error}\n{}", bench.said()));
    let secrets = Secrets::from([("API_KEY".to_owned(), "hunter2".into())]);
    let report =
        bench.publisher.test(&name(), &checkout, &built, &BuildOptions::default(), &secrets, &bench.log).await.unwrap();
    assert_eq!(report.passed, 1, "{}", bench.said());
    let without = bench
        .publisher
        .test(&name(), &checkout, &built, &BuildOptions::default(), &Secrets::new(), &bench.log)
        .await
        .unwrap_err();
    assert!(without.sentence.contains("1 failed"), "{}", without.sentence);
}

#[tokio::test]
async fn builds_side_by_side_make_one_environment() {
    let bench = Bench::new().await;
    let folder = bench.model(&[("cs-config/install.sh", "pip install six\n")]);
    let (one, two) = tokio::join!(bench.publish(&folder), bench.publish(&folder));
    assert_eq!((one.digest, one.artifact), (two.digest, two.artifact));
    let left = fs::read_dir(bench.data().join("envs")).unwrap().flatten();
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with('.')));
}

#[tokio::test]
async fn an_archive_is_a_source() {
    let bench = Bench::new().await;
    let folder = bench.model(&[]);
    let file = bench.place.path().join("upload.tar");
    let mut builder = tar::Builder::new(fs::File::create(&file).unwrap());
    builder.append_dir_all("model-main", &folder).unwrap();
    builder.into_inner().unwrap();
    let checkout = bench
        .fetch(Source::Archive { file: file.clone(), commit: String::new(), committed_at: None, url: None })
        .await
        .unwrap();
    assert!(checkout.commit.len() == 64 && file.exists(), "a build that is begun again needs it");
    bench.build(&checkout).await.unwrap_or_else(|error| panic!("{error}\n{}", bench.said()));
    bench.publisher.discard(checkout).await;
    assert_eq!(fs::read_dir(bench.data().join("checkouts")).unwrap().count(), 0);
}

/// Every example, with its tests; `cargo test -p csw-publish -- --ignored --nocapture` prints what each step takes.
#[tokio::test]
#[ignore = "installs about 2 GB of packages"]
async fn every_example_is_built_and_tested() {
    let bench = Bench::new().await;
    let mut failed = vec![];
    let owners = fs::read_dir(repository_root().join("examples/models")).unwrap().flatten();
    for folder in owners.filter_map(|owner| fs::read_dir(owner.path()).ok()).flatten().flatten() {
        let folder = folder.path();
        let checkout = bench.fetch(Source::Folder(folder.clone())).await.unwrap();
        let outcome = match bench.build(&checkout).await {
            Ok(built) => {
                println!("{}: {} {}", folder.display(), built.facts["seconds"], built.facts["environment_bytes"]);
                println!("    {}", built.facts["warnings"]);
                bench
                    .publisher
                    .test(&name(), &checkout, &built, &BuildOptions::default(), &Secrets::new(), &bench.log)
                    .await
                    .map(|report| report.summary)
            }
            Err(error) => Err(error),
        };
        println!("    {outcome:?}");
        failed.extend(outcome.err().map(|error| (folder, error.sentence)));
    }
    assert!(failed.is_empty(), "{failed:#?}\n{}", bench.said());
}
