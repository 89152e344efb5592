//! A look at a repository before its first build.

use csw_tests::{Account, Draft, Result, Server, WorkingCopy, csw};
use serde_json::{Value, json};

const INSTALL: &str =
    "conda install -y \"python>=3.8\" pandas\napt-get install -y no-such-tool\ntouch /tmp/it-was-run\nexit 9\n";

/// A site that reads repositories of this machine, and a draft in one.
fn site() -> Result<(Server, Account, Draft)> {
    let server = Server::asked(&["--allow-local-repositories"])?;
    let ada = server.account("ada", "member")?;
    let draft = Draft::new(&server.beside("looked"), "raise RuntimeError('it was imported')")?
        .file("README.md", "# Looked at\n\nIt says well.\n")?
        .file("simulation.json", r#"{"oneliner": "Says well.", "cpu": 0.5}"#)?
        .file("cs-config/install.sh", INSTALL)?
        .file("cs-config/cs_config/tests/test_functions.py", "def test_one():\n    pass\n")?
        .commit("2024-05-31T12:00:00Z")?;
    Ok((server, ada, draft))
}

fn sentences(found: &Value) -> String {
    let problems = found["problems"].as_array().into_iter().flatten();
    problems.filter_map(|problem| problem["sentence"].as_str()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_repository_is_looked_at_and_nothing_of_it_runs() -> Result {
    let (server, ada, draft) = site()?;
    let url = format!("file://{}", draft.folder().display());
    let found: Value = server.csw(&ada, &["models", "look", "--repo", &url, "--json"])?.json()?;
    assert_eq!((&found["publishable"], &found["cs_config"]), (&json!(true), &json!(true)), "{found}");
    assert_eq!((&found["readme_title"], &found["oneliner"]), (&json!("Looked at"), &json!("Says well.")));
    assert_eq!(found["committed_at"], "2024-05-31T12:00:00Z");
    assert_eq!(found["commit"].as_str().map(str::len), Some(40));
    let functions: Vec<_> = found["functions"].as_array().into_iter().flatten().collect();
    assert!(functions.len() == 4 && functions.iter().all(|one| one["line"].is_number()), "{functions:?}");
    assert_eq!(found["lists"], json!(["cs-config/install.sh"]));
    assert_eq!((&found["system_packages"], &found["python"]), (&json!(["no-such-tool"]), &json!([">=3.8"])));
    assert_eq!(found["tests"], 1);
    let told = sentences(&found);
    assert!(told.contains("apt-get install no-such-tool") && !told.contains("it was imported"), "{told}");
    assert!(!std::path::Path::new("/tmp/it-was-run").exists(), "install.sh was run");
    // Nothing is kept of it.
    assert_eq!(std::fs::read_dir(server.data().join("checkouts"))?.count(), 0);
    assert_eq!(std::fs::read_dir(server.data().join("work"))?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn what_a_build_would_fail_of_is_told_with_the_way_out() -> Result {
    let (server, ada, draft) = site()?;
    let draft = draft
        .file("cs-config/cs_config/functions.py", "def get_version():\n    return 1\n\ndef run_model():\n    pass\n")?
        .file(".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = https://example.org/x\n")?;
    std::os::unix::fs::symlink("/etc/passwd", draft.folder().join("users.txt"))?;
    WorkingCopy::at(draft.folder(), &ada).commit("broken")?;
    let url = format!("file://{}", draft.folder().display());
    let looked = server.csw(&ada, &["models", "look", "--repo", &url, "--json"])?;
    assert_eq!(looked.code, 1, "{}", looked.stderr);
    let found: Value = serde_json::from_str(&looked.stdout)?;
    assert_eq!(found["publishable"], json!(false));
    let told = sentences(&found);
    for sentence in [
        "`get_inputs` is missing",
        "`validate_inputs` is missing",
        "`run_model` in line 4 can't be called with 2 values",
        "has submodules",
        "users.txt",
    ] {
        assert!(told.contains(sentence), "{sentence}: {told}");
    }
    // Without `cs-config` there is nothing to look at, and it is said what to do.
    std::fs::remove_dir_all(draft.folder().join("cs-config"))?;
    WorkingCopy::at(draft.folder(), &ada).commit("no model")?;
    let page = server.csw(&ada, &["models", "look", "--repo", &url])?;
    assert!(page.stderr.contains("was not found") && page.stderr.contains("csk init"), "{}", page.stderr);
    // What can't be fetched is no finding.
    for (tag, words) in [("nothing", "is no branch, tag or commit"), ("--upload-pack=x", "starts with no `-`")] {
        let refused = server.csw(&ada, &["models", "look", "--repo", &url, &format!("--tag={tag}")])?;
        assert!(refused.code == 3 && refused.stderr.contains(words), "{} {}", refused.code, refused.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_folder_is_looked_at_without_a_server() -> Result {
    let (server, _, draft) = site()?;
    let (folder, cache) = (draft.folder().display().to_string(), server.beside("cache"));
    let looked =
        csw(&["models", "look", "--repo", &folder, "--json"], &[("HOME", &cache), ("XDG_CACHE_HOME", &cache)])?;
    let found: Value = looked.json()?;
    assert_eq!((&found["readme_title"], &found["publishable"]), (&json!("Looked at"), &json!(true)));
    Ok(())
}
