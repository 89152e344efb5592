//! What every command promises: JSON, exit codes, and a way out of every error.

use csw_tests::{Result, Server, csw};
use serde_json::Value;

#[test]
fn errors_end_with_a_hint() -> Result {
    let unreachable = [("CS_URL", "http://127.0.0.1:9"), ("CS_API_TOKEN", "x")];
    let cases: &[(&[&str], i32)] = &[
        (&["models", "list"], 4),
        (&["models", "show"], 2),
        (&["models", "-n", "nonsense", "show"], 2),
        (&["models", "--url", "ftp://x", "list"], 2),
        (&["accounts", "list", "--config", "/nonexistent.toml"], 5),
        (&["backup", "--data", "/nonexistent", "--to", "/nonexistent"], 5),
        (&["restore", "--from", "/nonexistent", "--data", "/nonexistent"], 5),
        (&["check", "/nonexistent"], 5),
        (&["up", "--data", "/proc/x", "--json"], 5),
        (&["up", "--data", "/proc/x", "--public-url", "studio.example.org"], 2),
        (&["up", "--data", "/proc/x", "--public-url", "https://example.org/studio"], 2),
        (&["accounts", "list", "--data", "/nonexistent"], 5),
        (&["sims", "-n", "a/b", "create", "--adjustment", "{"], 2),
        (&["sims", "-n", "a/b", "create", "--inputs", "/nonexistent"], 5),
        (&["sims", "-n", "a/b", "show", "1"], 4),
        (&["models", "-n", "a/b", "publish", "--repo", "/nonexistent"], 5),
        (&["models", "-n", "a/b", "build", "--repo", "/nonexistent"], 5),
        (&["models", "-n", "a/b", "test", "--repo", "/nonexistent"], 5),
        (&["models", "-n", "a/b", "build", "--image", "--tag", "no tag"], 2),
        (&["models", "-n", "a/b", "push"], 2),
        (&["models", "-n", "a/b", "push", "--registry", "https://example.org"], 2),
        (&["models", "-n", "a/b", "push", "--registry", "example.org/x", "--user", "me"], 2),
        (&["models", "-n", "a/b", "config"], 4),
        (&["models", "-n", "a/b", "config", "-o", "-"], 4),
        (&["publish"], 2),
        (&["publish", "init", "/proc/x"], 5),
        (&["publish", "-n", "a/$(id)"], 2),
        (&["svc", "build", "--tag", "no tag"], 2),
        (&["svc", "build", "--base", "two words"], 2),
        (&["svc", "push"], 2),
        (&["svc", "config"], 2),
        (&["svc", "config", "--image", "i"], 2),
        (&["svc", "config", "--image", "i", "--public-url", "https://x.org", "--node-selector", "n"], 2),
        (&["svc", "config", "--image", "i", "--public-url", "nowhere//", "--ingress"], 2),
        (&["svc", "config", "--image", "i", "--public-url", "http://192.0.2.1", "--ingress"], 2),
        (&["svc", "config", "--image", "i", "--public-url", "https://x.org", "--out", "/proc/x"], 5),
        (&["man", "--out", "/proc/x"], 5),
    ];
    for (words, code) in cases {
        let done = csw(words, &unreachable)?;
        assert_eq!(done.code, *code, "{words:?}: {}", done.stderr);
        let last = done.stderr.trim().lines().last().unwrap_or_default().to_owned();
        assert!(last.starts_with("hint: "), "{words:?}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{words:?}");
    }
    Ok(())
}

#[test]
fn a_server_says_when_it_is_ready_and_stops_when_asked() -> Result {
    let mut server = Server::empty()?;
    let first = std::fs::read_to_string(server.data().join("first-login.txt"))?;
    assert!(first.contains("csw accounts create"), "{first}");
    let second = csw(&["up", "--data", &server.place(), "--listen", "127.0.0.1:0", "--json"], &[])?;
    assert_eq!(second.code, 5);
    assert!(second.stderr.contains("another process"), "{}", second.stderr);
    assert_eq!(server.stop()?, 0);
    for line in server.log()?.lines() {
        serde_json::from_str::<Value>(line)?;
    }
    server.start()
}

#[test]
fn the_doctor_reports_every_layer_and_tool() -> Result {
    let done = csw(&["doctor", "--json"], &[])?;
    let report: Value = serde_json::from_str(&done.stdout)?;
    assert_eq!(done.code == 0, report["ok"] == true, "{}", done.stderr);
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    for finding in &findings {
        assert!(finding["cost_of_absence"].as_str().is_some_and(|cost| !cost.is_empty()), "{finding}");
    }
    for name in ["sandbox", "git", "uv"] {
        assert!(findings.iter().any(|finding| finding["name"] == name), "{name} is not reported");
    }
    assert!(report["cgroup_mode"].is_string());
    Ok(())
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2() -> Result {
    let cases: &[&[&str]] = &[
        &[],
        &["nonsense"],
        &["up", "--lisen", "x"],
        &["up", "--grace", "soon"],
        &["accounts", "create"],
        &["accounts", "create", "ann", "--role", "boss"],
        &["sims", "-n", "a/b", "show", "first"],
        &["backup", "--data", "x"],
    ];
    for words in cases {
        let done = csw(words, &[])?;
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{words:?}: {}", done.stderr);
        assert!(done.stderr.contains("--help"), "{words:?}: {}", done.stderr);
    }
    let help = csw(&["--help"], &[])?;
    assert!(help.code == 0 && help.stdout.contains("Exit codes:"), "{}", help.stdout);
    Ok(())
}

#[test]
fn a_word_that_is_nearly_right_is_answered_with_the_right_one() -> Result {
    for (words, meant) in [
        (&["modles", "list"][..], "'models'"),
        (&["up", "--lisen", "x"][..], "'--listen'"),
        (&["models", "-n", "a/b", "pusch"][..], "'push'"),
    ] {
        let done = csw(words, &[])?;
        assert!(done.code == 2 && done.stderr.contains(meant), "{words:?}: {}", done.stderr);
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "lisen = 'x'\n")?;
    let done = csw(&["config", "show", "--config", &file.display().to_string()], &[])?;
    assert!(done.code == 2 && done.stderr.contains("did you mean `listen`?"), "{}", done.stderr);
    let server = Server::with_models()?;
    let done = csw(&["models", "-n", "contract/Nul", "show"], &[("CS_URL", server.url()?)])?;
    assert!(done.code == 3 && done.stderr.contains("did you mean contract/Null?"), "{}", done.stderr);
    Ok(())
}

#[test]
fn a_version_tells_what_it_is_made_of() -> Result {
    let server = Server::with_models()?;
    let words = ["models", "-n", "contract/Edge-Cases", "versions", "--json"];
    let versions: Value = csw(&words, &[("CS_URL", server.url()?)])?.json()?;
    let version = versions[0]["id"].as_str().unwrap_or_default().to_owned();
    let words = ["models", "-n", "contract/Edge-Cases", "show", "--sbom", &version, "--json"];
    let bill: Value = csw(&words, &[("CS_URL", server.url()?)])?.json()?;
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let names: Vec<&str> =
        bill["components"].as_array().into_iter().flatten().filter_map(|part| part["name"].as_str()).collect();
    assert!(names.contains(&"Python"), "{names:?}");
    Ok(())
}

#[test]
fn settings_are_shown_with_their_origin_and_without_secrets() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "listen = '127.0.0.1:1'\n[site]\nsession_days = 9\n[mail]\nsmtp = 'smtps://u:p4ss@h'\n")?;
    let words = ["config", "show", "--origin", "--json", "--config", &file.display().to_string(), "--data", "d"];
    let shown = csw(&words, &[("CS_API_TOKEN", "t0ken"), ("TAG", "v7")])?;
    assert!(!shown.stdout.contains("t0ken") && !shown.stdout.contains("p4ss"), "{}", shown.stdout);
    let all: Vec<Value> = shown.json()?;
    let of = |name: &str| all.iter().find(|one| one["name"] == name).cloned().unwrap_or_default();
    assert_eq!(of("data")["origin"], serde_json::json!({ "kind": "flag", "flag": "--data" }));
    assert_eq!(of("TAG")["origin"], serde_json::json!({ "kind": "environment", "variable": "TAG" }));
    assert_eq!(of("token")["value"], "***");
    assert_eq!(
        (&of("site.session_days")["value"], &of("site.session_days")["origin"]["path"]),
        (&"9".into(), &file.display().to_string().into())
    );
    assert_eq!(of("machine.runs")["origin"]["kind"], "default");
    Ok(())
}

#[test]
fn shells_and_manuals_get_what_they_need() -> Result {
    for (shell, word) in [("bash", "complete -F _csw"), ("zsh", "#compdef csw"), ("fish", "complete -c csw")] {
        let done = csw(&["completion", shell], &[])?;
        assert!(done.code == 0 && done.stdout.contains(word), "{shell}: {}", done.stderr);
    }
    let folder = tempfile::tempdir()?;
    let pages: Value = csw(&["man", "--out", &folder.path().display().to_string(), "--json"], &[])?.json()?;
    for page in ["csw.1", "csw-models-push.1", "csw-up.1"] {
        assert!(pages["pages"].as_array().is_some_and(|all| all.iter().any(|one| one == page)), "{pages}");
        assert!(folder.path().join(page).exists(), "{page}");
    }
    let page = csw(&["man"], &[])?;
    assert!(page.stdout.contains(".TH csw 1"), "{}", page.stdout.lines().next().unwrap_or_default());
    Ok(())
}

#[test]
fn a_site_for_a_cluster_has_the_settings_of_its_operator_and_keeps_their_secrets() -> Result {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("csw.toml");
    let credentials = folder.path().join("credentials");
    std::fs::write(&credentials, "[default]\naws_secret_access_key = geheim\n")?;
    let settings = format!(
        "token = 'mine'\ncache = '/home/me/cache'\n[site]\nsession_days = 9\n[mail]\nsmtp = 'smtps://u:geheim@h'\n\
         [kubernetes]\njobs = 7\n[objects]\ncredentials_file = '{}'\n[redis]\nca_file = '/mounted/ca.pem'\n",
        credentials.display()
    );
    std::fs::write(&file, settings)?;
    let words =
        ["--config", &file.display().to_string(), "svc", "config", "--namespace", "studio", "--image", "r.org/csw:1"]
            .map(str::to_owned);
    let common = ["--public-url", "https://studio.example.org", "--ingress", "--job-cleanup"].map(str::to_owned);
    let words: Vec<String> = words.into_iter().chain(common).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let hook = [("CSW_GITHUB_WEBHOOK_SECRET", "hook")];
    let answer: Value = csw(&[&words[..], &["--json"]].concat(), &hook)?.json()?;
    let objects = answer["objects"].as_array().unwrap();
    let of = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(of("Namespace")[0]["metadata"]["name"], "studio");
    assert_eq!((of("Deployment").len(), of("CronJob").len(), of("Ingress").len()), (1, 1, 1));
    let secret = &of("Secret")[0]["stringData"];
    let inside: toml::Table = secret["csw.toml"].as_str().unwrap().parse()?;
    assert_eq!(inside["objects"]["credentials_file"].as_str(), Some("/etc/csw/objects.credentials_file"));
    assert!(secret["objects.credentials_file"].as_str().unwrap().contains("geheim"));
    assert_eq!(inside["redis"]["ca_file"].as_str(), Some("/mounted/ca.pem"));
    assert_eq!(inside["site"]["session_days"].as_integer(), Some(9));
    assert_eq!(inside["github"]["webhook_secret"].as_str(), Some("hook"));
    assert_eq!(inside["kubernetes"]["callback_url"].as_str(), Some("http://csw-callbacks.studio:8090"));
    assert_eq!((inside["executor"].as_str(), inside["trust_forwarded"].as_bool()), (Some("kubernetes"), Some(true)));
    assert!(!inside.contains_key("token") && !inside.contains_key("cache"), "{inside}");
    for object in objects.iter().filter(|object| object["kind"] != "Secret") {
        assert!(!object.to_string().contains("geheim") && !object.to_string().contains("hook"), "{object:#}");
    }
    // The server itself takes these settings.
    std::fs::write(&file, inside.to_string())?;
    csw(&["--config", &file.display().to_string(), "config", "show", "--json"], &[])?.json::<Value>()?;

    let yaml = csw(&[&words[..], &["-o", "-"]].concat(), &[])?;
    assert_eq!(yaml.code, 0, "{}", yaml.stderr);
    assert!(yaml.stderr.contains("/mounted/ca.pem, which `redis.ca_file` names"), "{}", yaml.stderr);
    let parsed: Vec<Value> =
        yaml.stdout.split("---\n").map(serde_saphyr::from_str).collect::<std::result::Result<_, _>>()?;
    assert_eq!(parsed.len(), objects.len());
    assert!(parsed.iter().zip(objects).all(|(one, other)| one["kind"] == other["kind"]));

    let out = folder.path().join("manifests");
    let made: Value = csw(&[&words[..], &["--out", &out.display().to_string(), "--json"]].concat(), &[])?.json()?;
    for name in made["files"].as_array().unwrap() {
        let mode = std::os::unix::fs::PermissionsExt::mode(&out.join(name.as_str().unwrap()).metadata()?.permissions());
        assert_eq!(mode & 0o777, 0o600, "{name}: one of them has secrets");
    }
    assert_eq!(made["files"].as_array().unwrap().len(), objects.len());
    Ok(())
}
