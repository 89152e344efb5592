//! Thumbnails by the real browser. Without a Chromium on this machine the tests say so and pass.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{io::Read, time::Duration};

use csw_client::{Client, NewSimulation};
use csw_tests::{Account, Result, Server, program};
use flate2::read::ZlibDecoder;
use serde_json::{Value, json};

use crate::{common::Run, services::Services};

const EDGES: &str = "contract/Edge-Cases";
const NULL: &str = "contract/Null";

/// Media types, and names of thumbnails.
type Outputs = Vec<(String, Option<String>)>;

fn lacks_chromium() -> bool {
    let names = ["chrome-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| names.iter().any(|name| folder.join(name).is_file()));
    if !found {
        eprintln!("skipped: no Chromium in PATH");
    }
    !found
}

/// A server with models that draws thumbnails.
fn drawing() -> Result<Server> {
    let mut server = Server::prepared()?;
    server.variable("CSW_THUMBNAILS", "true".to_owned());
    server.start()?;
    Ok(server)
}

/// A simulation with an output of each media type, whose table holds this markup.
fn every_type(markup: &str) -> NewSimulation {
    let run = json!({ "case": [{ "value": "all-media-types" }], "text": [{ "value": markup }] });
    NewSimulation { adjustment: json!({ "Run": run }), ..NewSimulation::default() }
}

/// Media types and screenshots of what a simulation shows.
async fn shown(client: &Client, model: &str, pk: u32) -> Result<Outputs> {
    let outputs = client.remote(model, pk).await?.outputs.expect("it has outputs").outputs.renderable.outputs;
    Ok(outputs.into_iter().map(|output| (output.media_type, output.screenshot)).collect())
}

/// Waits until outputs of these media types have thumbnails.
async fn drawn(client: &Client, model: &str, pk: u32, types: &[&str]) -> Result<Outputs> {
    for _ in 0..600 {
        let outputs = shown(client, model, pk).await?;
        let lacking = outputs.iter().any(|(kind, file)| types.contains(&kind.as_str()) && file.is_none());
        if !lacking {
            return Ok(outputs);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("no thumbnails: {:?}", shown(client, model, pk).await?);
}

async fn fetch(server: &Server, file: &str, account: Option<&Account>) -> Result<(u16, Vec<u8>)> {
    let mut request = reqwest::Client::new().get(format!("{}/storage/screenshots/{file}", server.url()?));
    if let Some(account) = account {
        request = request.header("authorization", format!("Token {}", account.token));
    }
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.bytes().await?.to_vec()))
}

/// Width, height, and how many different bytes the packed pixels have: those of one colour have a few.
fn look(png: &[u8]) -> (u32, u32, usize) {
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    let (mut at, mut packed) = (8, Vec::new());
    while at < png.len() {
        let length = number(at) as usize;
        if &png[at + 4..at + 8] == b"IDAT" {
            packed.extend_from_slice(&png[at + 8..at + 8 + length]);
        }
        at += length + 12;
    }
    let mut pixels = Vec::new();
    ZlibDecoder::new(&*packed).read_to_end(&mut pixels).unwrap();
    let different = pixels.iter().collect::<std::collections::BTreeSet<_>>().len();
    (number(16), number(20), different)
}

#[tokio::test]
async fn results_are_seen_at_a_glance() -> Result {
    if lacks_chromium() {
        return Ok(());
    }
    let server = drawing()?;
    let owner = server.publisher()?;
    let client = server.client(Some(&owner))?;
    let run = Run::new(&client, EDGES, &every_type("a cell")).await?.succeeded();
    let types = ["table", "CSV", "PNG", "JPEG", "Markdown", "Text"];
    let outputs = drawn(&client, EDGES, run.pk, &types).await?;
    let file = |kind: &str| outputs.iter().find(|(media, _)| media == kind).and_then(|(_, file)| file.clone());
    for kind in types {
        let (status, png) = fetch(&server, &file(kind).unwrap(), Some(&owner)).await?;
        assert_eq!(status, 200);
        let (width, height, different) = look(&png);
        assert_eq!((width, height), (600, 450), "{kind}");
        assert!(different > 3, "{kind}: {different}");
    }
    for kind in ["MP3", "HDF5", "PDF"] {
        assert_eq!(file(kind), None);
    }
    // It is private.
    let stranger = server.account("stranger", "member")?;
    let table = file("table").unwrap();
    assert_eq!(fetch(&server, &table, Some(&stranger)).await?.0, 403);
    assert_eq!(fetch(&server, &table, None).await?.0, 403);
    let metrics = reqwest::get(format!("{}/metrics", server.url()?)).await?.text().await?;
    assert!(metrics.contains("csw_thumbnails_total{outcome=\"made\"}"), "{metrics}");
    Ok(())
}

#[tokio::test]
async fn what_was_not_drawn_is_drawn_by_the_next_server() -> Result {
    if lacks_chromium() {
        return Ok(());
    }
    let mut server = drawing()?;
    let client = server.client(Some(&server.publisher()?))?;
    let run = Run::of(&client, NULL, json!({}), json!({ "Null": { "number": [{ "value": 5 }] } })).await?.succeeded();
    // In the middle of drawing, or before it began.
    server.kill()?;
    server.variable("CSW_THUMBNAILS", "false".to_owned());
    server.start()?;
    let client = server.client(Some(&server.publisher()?))?;
    let again = Run::of(&client, NULL, json!({}), json!({ "Null": { "number": [{ "value": 6 }] } })).await?.succeeded();
    assert!(shown(&client, NULL, again.pk).await?.iter().all(|(_, file)| file.is_none()), "the operator wants none");
    server.stop()?;
    server.configure("[thumbnails]\nparallel = 2\n")?;
    server.variable("CSW_THUMBNAILS", "true".to_owned());
    server.start()?;
    let client = server.client(Some(&server.publisher()?))?;
    for pk in [run.pk, again.pk] {
        drawn(&client, NULL, pk, &["Text"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn hostile_outputs_harm_nothing_but_their_picture() -> Result {
    if lacks_chromium() {
        return Ok(());
    }
    let server = drawing()?;
    // What this site has of BokehJS came out of a stranger's environment.
    let scripts = server.data().join("objects/bokeh/3.3.0");
    std::fs::create_dir_all(&scripts)?;
    std::fs::write(scripts.join("bokeh.min.js"), "const all = []; while (true) all.push(new Array(1e6).fill(all));")?;
    let owner = server.publisher()?;
    let client = server.client(Some(&owner))?;
    let url = server.url()?;
    let markup = format!(
        "<img src='{url}/healthz'><iframe src='file:///etc/passwd'></iframe><script>location='{url}/'</script>a cell"
    );
    let run = Run::new(&client, EDGES, &every_type(&markup)).await?.succeeded();
    // Others are drawn all the same, and nothing of the browser is left.
    let outputs = drawn(&client, EDGES, run.pk, &["table", "Text"]).await?;
    let (_, table) = outputs.iter().find(|(media, _)| media == "table").unwrap();
    assert_eq!(fetch(&server, table.as_deref().unwrap(), Some(&owner)).await?.0, 200);
    Run::new(&client, NULL, &NewSimulation::default()).await?.succeeded();
    let bokeh = shown(&client, EDGES, run.pk).await?.into_iter().find(|(media, _)| media == "bokeh");
    assert_eq!(bokeh, Some(("bokeh".to_owned(), None)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_its_own_draws_where_there_are_no_namespaces() -> Result {
    if lacks_chromium() {
        return Ok(());
    }
    let site = Services::start("thumbnails").await?;
    let client = site.webapp.client(Some(&site.webapp.publisher()?))?;
    let run = Run::new(&client, EDGES, &every_type("a cell")).await?.succeeded();
    let (folder, csw) = (site.webapp.beside("pictures"), program()?.display().to_string());
    let mut words = vec![csw.as_str(), "thumbnails", "--start", "--listen", "127.0.0.1:0", "--folder", &folder];
    // The script knows the system calls of one architecture.
    let restricted = cfg!(target_arch = "x86_64");
    if restricted {
        words.insert(0, concat!(env!("CARGO_MANIFEST_DIR"), "/support/restricted.py"));
    } else {
        words.remove(0);
    }
    let mut thumbnails = site.webapp.service(&words)?;
    if restricted {
        thumbnails.becomes("/usr/bin/python3".into());
    }
    thumbnails.variable("CSW_THUMBNAILS", "true");
    let ready: Value = serde_json::from_str(&thumbnails.start()?)?;
    let outputs = drawn(&client, EDGES, run.pk, &["table", "CSV", "PNG", "JPEG", "Markdown", "Text"]).await?;
    let (_, table) = outputs.iter().find(|(media, _)| media == "table").unwrap();
    let owner = site.webapp.publisher()?;
    let (status, png) = fetch(&site.webapp, table.as_deref().unwrap(), Some(&owner)).await?;
    assert_eq!((status, look(&png).0), (200, 600));
    // Anybody may ask how it is, and nobody else what it has done.
    let place = ready["listen"].as_str().unwrap();
    assert_eq!(reqwest::get(format!("http://{place}/readyz")).await?.status(), 200);
    assert_eq!(reqwest::get(format!("http://{place}/metrics")).await?.status(), 401);
    thumbnails.stop()?;
    assert_eq!(std::fs::read_dir(std::path::Path::new(&folder).join("work"))?.count(), 0, "no picture is under way");
    Ok(())
}
