//! Sources and scripts that are not as they should be: each ends in time, leaves nothing behind, and is told with the way out.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::any,
};
use csw_core::{
    build::{Source, Stage},
    ports::{BuildOptions, Publisher},
    secret::Secrets,
};

use support::{Bench, git, name};

/// A repository with a model in it.
fn repository(bench: &Bench, files: &[(&str, &str)]) -> PathBuf {
    let folder = bench.model(files);
    git(&folder, &["init", "-q"]);
    commit(&folder, "one");
    folder
}

fn commit(folder: &Path, message: &str) -> String {
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-q", "--allow-empty", "-m", message]);
    git(folder, &["rev-parse", "HEAD"])
}

fn at(url: impl Into<String>, reference: &str) -> Source {
    Source::Git { url: url.into(), reference: reference.to_owned() }
}

async fn refusal(bench: &Bench, source: Source) -> String {
    let error = bench.fetch(source).await.unwrap_err();
    assert_eq!(error.stage, Stage::Fetch);
    error.sentence
}

fn leftovers(bench: &Bench) -> usize {
    ["checkouts", "work"].iter().filter_map(|name| fs::read_dir(bench.data().join(name)).ok()).flatten().count()
}

#[tokio::test]
async fn an_empty_repository_is_told_so() {
    let bench = Bench::new().await;
    let folder = bench.place.path().join("empty");
    fs::create_dir(&folder).unwrap();
    git(&folder, &["init", "-q"]);
    let sentence = refusal(&bench, at(folder.display().to_string(), "")).await;
    assert!(sentence.contains("is empty: push a commit first"), "{sentence}");
    assert_eq!(leftovers(&bench), 0);
}

#[tokio::test]
async fn a_huge_repository_is_refused_with_the_limit() {
    let bench = Bench::bare(|config| config.source_bytes = 1_000_000);
    let folder = repository(&bench, &[("data.csv", &"0123456789".repeat(200_000))]);
    let sentence = refusal(&bench, at(folder.display().to_string(), "master")).await;
    assert!(sentence.contains("has more than 1 MB") && sentence.contains("branch without data"), "{sentence}");
    let sentence = refusal(&bench, Source::Folder(folder)).await;
    assert!(sentence.contains("has more than 1 MB"), "{sentence}");
    let many = Bench::bare(|config| config.source_entries = 3);
    let folder = repository(&many, &[]);
    assert!(refusal(&many, at(folder.display().to_string(), "")).await.contains("or 3 files"));
    assert_eq!(leftovers(&bench) + leftovers(&many), 0);
}

#[tokio::test]
async fn history_that_was_written_anew_is_followed_and_what_it_lost_is_missed() {
    let bench = Bench::new().await;
    let folder = repository(&bench, &[]);
    let (url, old) = (folder.display().to_string(), git(&folder, &["rev-parse", "HEAD"]));
    git(&folder, &["tag", "v1"]);
    assert_eq!(bench.fetch(at(&url, "v1")).await.unwrap().commit, old);
    git(&folder, &["tag", "-d", "v1"]);
    git(&folder, &["commit", "-q", "--amend", "-m", "another"]);
    git(&folder, &["reflog", "expire", "--expire=now", "--all"]);
    git(&folder, &["gc", "-q", "--prune=now"]);
    let new = git(&folder, &["rev-parse", "HEAD"]);
    assert_eq!(bench.fetch(at(&url, "master")).await.unwrap().commit, new);
    for gone in [old.as_str(), "v1"] {
        let sentence = refusal(&bench, at(&url, gone)).await;
        assert!(sentence.contains(&format!("`{gone}` is no branch, tag or commit")), "{sentence}");
    }
}

#[tokio::test]
async fn submodules_and_links_out_of_the_tree_stay_out() {
    let bench = Bench::new().await;
    let other = repository(&bench, &[]);
    let folder = repository(&bench, &[]);
    let add = format!("{}", other.display());
    git(&folder, &["-c", "protocol.file.allow=always", "submodule", "add", "-q", &add, "inner"]);
    symlink("/etc/passwd", folder.join("users.txt")).unwrap();
    symlink("../../../../etc", folder.join("cs-config/etc")).unwrap();
    symlink("users.txt", folder.join("chain.txt")).unwrap();
    symlink("cs-config/setup.py", folder.join("good.py")).unwrap();
    commit(&folder, "links");
    let checkout = bench.fetch(at(folder.display().to_string(), "")).await.unwrap();
    let files = &checkout.folder;
    assert!(bench.said().contains("The repository has submodules; they are not fetched."), "{}", bench.said());
    assert_eq!(fs::read_dir(files.join("inner")).unwrap().count(), 0);
    for left in ["users.txt", "cs-config/etc", "chain.txt"] {
        assert!(fs::symlink_metadata(files.join(left)).is_err(), "{left}");
        assert!(bench.said().contains(&format!("Left out `{left}`")), "{left}: {}", bench.said());
    }
    assert!(files.join("good.py").is_file());
}

/// A host that asks for a password, refuses, moves and serves repositories.
async fn host(root: PathBuf) -> String {
    let refuse =
        |status: StatusCode| move || async move { (status, [(header::WWW_AUTHENTICATE, "Basic realm=\"x\"")]) };
    let moved = |request: Request| async move {
        let place = request.uri().to_string().replacen("/old/", "/git/", 1);
        Redirect::permanent(&place)
    };
    let routes = Router::new()
        .route("/private/{*rest}", any(refuse(StatusCode::UNAUTHORIZED)))
        .route("/forbidden/{*rest}", any(refuse(StatusCode::FORBIDDEN)))
        .route("/broken/{*rest}", any(|| async { StatusCode::BAD_GATEWAY }))
        .route("/old/{*rest}", any(moved))
        .route("/git/{*rest}", any(serve_git))
        .with_state(root);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

async fn serve_git(State(root): State<PathBuf>, headers: HeaderMap, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path().trim_start_matches("/git"))
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", text(header::CONTENT_TYPE))
        .env("GIT_PROTOCOL", headers.get("git-protocol").and_then(|value| value.to_str().ok()).unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let answer = tokio::task::spawn_blocking(move || {
        use std::io::Write as _;
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&body).unwrap();
        child.wait_with_output().unwrap().stdout
    });
    let answer = answer.await.unwrap();
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").unwrap_or(0);
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut response = Body::from(answer[end + 4..].to_vec()).into_response();
    for line in head.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            *response.status_mut() = StatusCode::from_u16(value[..3].parse().unwrap()).unwrap();
        } else if name == "Content-Type" {
            response.headers_mut().insert(header::CONTENT_TYPE, value.parse().unwrap());
        }
    }
    response
}

#[tokio::test]
async fn hosts_that_refuse_are_told_apart_and_a_moved_repository_is_followed() {
    let bench = Bench::new().await;
    let folder = repository(&bench, &[]);
    let bare = bench.place.path().join("hosted");
    fs::create_dir(&bare).unwrap();
    git(&bare, &["clone", "-q", "--bare", &folder.display().to_string(), "model.git"]);
    let host = host(bare).await;
    for (path, words) in [
        ("private/a", "a private repository needs a token in it"),
        ("forbidden/a", "not open to everybody"),
        ("broken/a", "could not be fetched"),
        ("git/other.git", "was not found"),
    ] {
        let sentence = refusal(&bench, at(format!("{host}/{path}"), "")).await;
        assert!(sentence.contains(words), "{path}: {sentence}");
    }
    let secret = host.replacen("http://", "http://t0ken:hunter2@", 1);
    for path in ["private", "forbidden"] {
        let sentence = refusal(&bench, at(format!("{secret}/{path}/a"), "")).await;
        assert!(sentence.contains("refused the login") && !sentence.contains("hunter2"), "{sentence}");
    }
    let moved = bench.fetch(at(format!("{host}/old/model.git"), "master")).await.unwrap();
    assert_eq!(moved.commit, git(&folder, &["rev-parse", "HEAD"]));
    assert!(!bench.said().contains("hunter2"));
}

/// What became of a build with this script, under tight limits.
async fn installed(bench: &Bench, install: &str) -> String {
    let folder = bench.model(&[("cs-config/install.sh", install)]);
    let error = bench.build_error(&folder).await;
    assert_eq!(error.stage, Stage::Build);
    assert_eq!(fs::read_dir(bench.data().join("work")).unwrap().count(), 0, "its folder is gone");
    error.sentence
}

/// Processes of this machine with these words in their command line.
fn processes(words: &str) -> usize {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).replace('\0', " ").contains(words)).count()
}

#[tokio::test]
async fn a_script_without_end_is_stopped() {
    let bench = Bench::bare(|config| config.build_seconds = 2);
    let sentence = installed(&bench, "echo begun\nwhile true; do :; done\n").await;
    assert_eq!(sentence, "`install.sh` was stopped after 2 seconds; the last line was: begun");
}

#[tokio::test]
async fn a_script_that_forks_without_end_leaves_no_process() {
    let bench = Bench::bare(|config| config.build_seconds = 60);
    // A shell that gives up at the first fork that fails, however long a busy machine takes to get there.
    let script = "dash -c 'for i in $(seq 3000); do sleep 6174 & done'\nexit 9\n";
    let sentence = installed(&bench, script).await;
    assert!(sentence.contains("exit status: 9"), "{sentence}");
    assert!(bench.said().contains("Cannot fork"), "there is a limit: {}", bench.said());
    // The kernel ends them with the first process of their namespace, one after the other.
    for _ in 0..100 {
        if processes("sleep 6174") == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{} processes are left", processes("sleep 6174"));
}

#[tokio::test]
async fn a_script_that_eats_the_disk_is_stopped() {
    let bench = Bench::bare(|config| {
        config.room_bytes = 20_000_000;
        config.build_seconds = 60;
    });
    let script = "i=0; while true; do i=$((i+1)); head -c 5000000 /dev/zero > part$i || exit 9; sleep 0.1; done\n";
    let sentence = installed(&bench, script).await;
    assert!(sentence.contains("`install.sh` wrote more than 0.0 GB"), "{sentence}");
}

#[tokio::test]
async fn a_script_that_asks_gets_no_answer() {
    let bench = Bench::new().await;
    let sentence = installed(&bench, "read -p 'Proceed? ' answer || { echo nobody answers; exit 7; }\n").await;
    assert!(sentence.contains("exit status: 7") && sentence.contains("nobody answers"), "{sentence}");
}

#[tokio::test]
async fn tests_without_end_are_stopped() {
    let bench = Bench::with(|config| config.test_seconds = 5).await;
    let tests = "import time\n\ndef test_slow():\n    print('begun', flush=True)\n    time.sleep(6175)\n";
    let folder = bench.model(&[("cs-config/cs_config/tests/test_functions.py", tests)]);
    let checkout = bench.fetch(Source::Folder(folder)).await.unwrap();
    let built = bench.build(&checkout).await.unwrap_or_else(|error| panic!("{error}\n{}", bench.said()));
    let options = BuildOptions::default();
    let tested = bench.publisher.test(&name(), &checkout, &built, &options, &Secrets::new(), &bench.log).await;
    let sentence = tested.unwrap_err().sentence;
    assert!(sentence.contains("The model's own tests") && sentence.contains("after 5 seconds"), "{sentence}");
}
