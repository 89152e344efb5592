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
