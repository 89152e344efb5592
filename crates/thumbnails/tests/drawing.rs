//! Drawing by the real browser in the real sandbox. Without a browser on this machine the tests say so and pass.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use csw_core::{
    output::MediaType,
    ports::{DrawError, Illustrator, Subject},
};
use csw_sandbox::{LayerSet, cgroup::Manager, doctor};
use csw_thumbnails::{Chromium, NAMES, ThumbnailConfig};

struct Bench {
    chromium: Chromium,
    cgroups: Manager,
    folder: tempfile::TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.cgroups.close();
    }
}

/// What the tests of other crates build as well.
fn helper() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let helper = own.parent().and_then(Path::parent).unwrap().join("csw-sandbox-helper");
    assert!(helper.exists(), "`cargo test --workspace` builds {}", helper.display());
    helper
}

fn bench(name: &str, change: impl FnOnce(&mut ThumbnailConfig)) -> Option<Bench> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let files = NAMES.iter().flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)));
    let Some(browser) = files.into_iter().find(|file| file.is_file()) else {
        eprintln!("skipped: no Chromium in PATH");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let cgroups = Manager::detect(&format!("thumbnails-{name}-{}", std::process::id()));
    let layers = doctor::report(&helper(), &cgroups).unwrap().usable;
    let mut config = ThumbnailConfig::new(browser, folder.path(), helper());
    (config.layers, config.cgroups) = (layers, cgroups.clone());
    change(&mut config);
    Some(Bench { chromium: Chromium::new(config).unwrap(), cgroups, folder })
}

impl Bench {
    async fn draw(&self, media_type: MediaType, text: &str, scripts: &[&str]) -> Result<Bytes, DrawError> {
        let scripts = scripts.iter().map(|script| Bytes::copy_from_slice(script.as_bytes())).collect();
        let subject = Subject { media_type, bytes: Bytes::copy_from_slice(text.as_bytes()), scripts };
        let drawn = self.chromium.draw(&subject).await;
        let rooms = std::fs::read_dir(self.folder.path().join("work")).unwrap().count();
        assert_eq!(rooms, 0, "its folder is gone");
        drawn
    }
}

/// A bokeh document whose "BokehJS" is this program.
async fn scripted(bench: &Bench, script: &str) -> Result<Bytes, DrawError> {
    bench.draw(MediaType::Bokeh, "{}", &[script]).await
}

/// What a pod leaves of the sandbox.
fn in_a_pod(config: &mut ThumbnailConfig) {
    config.layers = LayerSet { namespaces: false, user_namespace: false, ..config.layers };
    config.cgroups = Manager::none();
}

#[tokio::test]
async fn what_is_seen_becomes_a_picture() {
    let Some(bench) = bench("seen", |_| {}) else { return };
    is_seen(&bench).await;
}

#[tokio::test]
async fn in_a_pod_too() {
    let Some(bench) = bench("seen-in-a-pod", in_a_pod) else { return };
    is_seen(&bench).await;
}

async fn is_seen(bench: &Bench) {
    let table = "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>";
    for (media_type, text) in [
        (MediaType::Table, table),
        (MediaType::Csv, "a,b\n1,2\n"),
        (MediaType::Markdown, "# Title\n\n*words*"),
        (MediaType::Text, "words <b>"),
    ] {
        let picture = bench.draw(media_type, text, &[]).await.unwrap();
        assert!(picture.starts_with(b"\x89PNG") && picture.len() < 200_000, "{media_type:?}: {}", picture.len());
    }
    // Later than a second, and not by the clock of the wall.
    let late = "Bokeh = {embed: {embed_item: async () => setTimeout(() => plot.textContent = 'drawn', 3000)}};";
    scripted(bench, late).await.unwrap();
}

#[tokio::test]
async fn where_nothing_is_seen_there_is_no_picture() {
    let Some(bench) = bench("unseen", |_| {}) else { return };
    let why = bench.draw(MediaType::Table, "<p></p>", &[]).await.unwrap_err().to_string();
    assert_eq!(why, "drawing was given up: the picture shows one colour only");
    assert!(matches!(bench.draw(MediaType::Hdf5, "", &[]).await, Err(DrawError::Nothing { .. })));
}

#[tokio::test]
async fn an_output_reaches_nothing() {
    let Some(bench) = bench("reach", |_| {}) else { return };
    reaches_nothing(&bench).await;
}

#[tokio::test]
async fn nor_in_a_pod() {
    let Some(bench) = bench("reach-in-a-pod", in_a_pod) else { return };
    reaches_nothing(&bench).await;
}

async fn reaches_nothing(bench: &Bench) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let here = listener.local_addr().unwrap();
    // Each of these would colour the picture, were it shown.
    let shown = [
        "<iframe src='file:///etc/passwd' style='border:0'></iframe>".to_owned(),
        "<object data='file:///etc/passwd'></object><embed src='file:///proc/self/environ'>".to_owned(),
        "<meta http-equiv='refresh' content='0;url=file:///etc/passwd'>".to_owned(),
        format!("<link rel='stylesheet' href='http://{here}/a.css'><style>@import 'http://{here}/b.css';</style>"),
        "<script>document.body.append('ran')</script><p onclick='1' onfocus=\"document.body.append('ran')\" autofocus></p>".to_owned(),
    ];
    for markup in shown {
        let drawn = bench.draw(MediaType::Table, &markup, &[]).await;
        let why = drawn.map(|picture| picture.len()).unwrap_err().to_string();
        assert!(why.ends_with("one colour only"), "{markup}: {why}");
    }
    // What the browser says instead is a picture; nobody is asked for it.
    let _ =
        bench.draw(MediaType::Table, &format!("<meta http-equiv='refresh' content='0;url=http://{here}/'>"), &[]).await;
    // A script that may run finds nothing either: it says so, and draws only what it got.
    for way in [
        "fetch('file:///etc/passwd').then(answer => answer.text())".to_owned(),
        format!("fetch('http://{here}/')"),
        format!(
            "new Promise((good, bad) => {{ const s = new WebSocket('ws://{here}/'); s.onopen = good; s.onerror = bad }})"
        ),
        "new Promise((good, bad) => { parent.location = 'file:///etc/passwd'; setTimeout(bad, 500) })".to_owned(),
        "new Promise((good, bad) => { location = 'file:///etc/passwd'; setTimeout(bad, 500) })".to_owned(),
    ] {
        let script = format!(
            "Bokeh = {{embed: {{embed_item: async () => {{ try {{ plot.append(await {way}) }} catch {{}} }}}}}};"
        );
        let why = scripted(bench, &script).await.map(|picture| picture.len()).unwrap_err().to_string();
        assert!(why.ends_with("one colour only"), "{way}: {why}");
    }
    assert!(listener.accept().is_err(), "nobody came");
}

#[tokio::test]
async fn what_never_ends_is_ended() {
    let Some(bench) = bench("endless", |config| config.seconds = 6) else { return };
    let why = scripted(&bench, "while (true) {}").await.map(|picture| picture.len()).unwrap_err();
    assert!(matches!(why, DrawError::GivenUp { .. }), "{why}");
}

#[tokio::test]
async fn what_takes_too_much_is_given_up() {
    let Some(bench) = bench("greedy", |config| config.memory_bytes = 700_000_000) else { return };
    let greedy = "const all = []; while (true) all.push(new Uint8Array(1 << 24).fill(7));";
    let why = scripted(&bench, greedy).await.map(|picture| picture.len()).unwrap_err();
    assert!(matches!(why, DrawError::GivenUp { .. }), "{why}");
}

#[tokio::test]
async fn a_browser_that_is_none_is_told() {
    let Some(bench) = bench("none", |config| config.browser = "/usr/bin/false".into()) else { return };
    let why = bench.draw(MediaType::Text, "x", &[]).await.unwrap_err().to_string();
    assert!(why.contains("the browser ended with exit status: 1"), "{why}");
    let nowhere = ThumbnailConfig::new("/nowhere/chromium".into(), bench.folder.path(), helper());
    let why = Chromium::new(nowhere).map(drop).unwrap_err().to_string();
    assert!(why.contains("`/nowhere/chromium`"), "{why}");
}
