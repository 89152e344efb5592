//! The model contract through the front door: whatever a model does, its reader gets the answer that a person would call
//! right.
//!
//! Each case is tested where it can be seen best: in `crates/runtime/tests/it/contract.rs` (streams, ends, what is
//! returned, in both kinds of interpreters), `ends.rs` (limits, what is left behind) and `isolation.rs` (folders, chance);
//! here is what comes of it on the site.
//!
//! | the model ... | tests |
//! | --- | --- |
//! | prints, warns | `logs_are_kept_in_order_and_cut`, `what_is_said_is_in_the_log`; here `what_a_model_says_is_its_log` |
//! | starts threads, reads stdin | `what_is_harmless_succeeds` |
//! | returns NaN, dates | `what_json_does_not_know_becomes_what_a_person_would_write` |
//! | returns NumPy scalars | `real_models.rs`: `numpy_becomes_what_a_person_would_write` |
//! | returns 200 MB | here `two_hundred_megabytes_pass_through` |
//! | returns not-JSON, wrong keys, nothing | `broken_contracts_are_told_in_sentences`; here `every_end_has_a_status_and_a_sentence` |
//! | returns two outputs of one title, titles with `/` or `..` | `titles_are_free_text`; here `titles_are_harmless_as_files` |
//! | raises, exits, segfaults | `exceptions_are_told_...`, `ends_without_a_result_are_told`; here `every_end_has_...` |
//! | exceeds memory or time | `deadlines_cancels_and_limits_end_a_run`; here `limits_end_a_run_with_a_reason` |
//! | changes its working directory | `what_is_harmless_succeeds`, `a_run_starts_with_an_empty_folder_that_goes_away` |

use std::{collections::BTreeSet, fs::File, path::Path};

use csw_client::{Client, NewSimulation};
use csw_tests::{Account, Result, Server};
use serde_json::{Value, json};

use crate::common::{Run, unescaped};

const EDGES: &str = "contract/Edge-Cases";

struct Site {
    server: Server,
    owner: Account,
    client: Client,
}

impl Site {
    fn new() -> Result<Self> {
        let server = Server::with_models()?;
        let owner = server.publisher()?;
        let client = server.client(Some(&owner))?;
        Ok(Self { server, owner, client })
    }

    /// Runs a case of the model that misbehaves.
    async fn case(&self, name: &str, mut settings: Value) -> Result<Run> {
        settings["case"] = json!([{ "value": name }]);
        self.run(json!({ "Run": settings })).await
    }

    async fn run(&self, adjustment: Value) -> Result<Run> {
        Run::of(&self.client, EDGES, json!({}), adjustment).await
    }

    async fn change(&self, settings: Value) -> Result {
        let path = format!("/publish/api/{EDGES}/detail/");
        self.client.put::<Value>(&path, &settings).await?;
        Ok(())
    }

    /// The page of a run, as it is sent.
    async fn page(&self, run: &Run) -> Result<String> {
        let page = self.server.fetch(Some(&self.owner), &run.end.gui_url, &[]).await?;
        assert_eq!(page.status(), 200);
        Ok(page.text().await?)
    }

    /// Whether the page of a run shows these words.
    async fn page_says(&self, run: &Run, words: &str) -> Result<bool> {
        Ok(unescaped(&self.page(run).await?).contains(words))
    }
}

#[tokio::test]
async fn every_end_has_a_status_and_a_sentence() -> Result {
    let site = Site::new()?;
    for (case, status, reason, sentence) in [
        ("raises", "FAIL", "FAIL", "ValueError: the model cannot be run with these inputs"),
        ("recursion", "FAIL", "FAIL", "RecursionError"),
        ("sys-exit", "FAIL", "FAIL", "called `sys.exit('the model leaves')` instead of returning"),
        ("sys-exit-zero", "FAIL", "FAIL", "called `sys.exit(0)` instead of returning"),
        ("os-exit", "FAIL", "FAIL", "ended its process (exit code 0) before its function returned"),
        ("segfault", "FAIL", "FAIL", "ended by signal SIGSEGV"),
        ("none", "FAIL", "FAIL", "`run_model` returned nothing"),
        ("wrong-keys", "FAIL", "FAIL", "with the unknown key `renderables`, `downloads`"),
        ("not-json", "FAIL", "FAIL", "data.thing is of the type `object`, which JSON can't hold"),
        ("kills-itself", "WORKER_FAILURE", "WORKER_FAILURE", "signal SIGKILL"),
    ] {
        let run = site.case(case, json!({})).await?;
        assert_eq!((run.end.status.as_str(), run.end.reason.as_deref()), (status, Some(reason)), "{case}");
        assert_eq!(run.inputs.status, "SUCCESS", "{case}: the inputs were valid");
        let told = run.end.traceback.clone().unwrap_or_default();
        assert!(told.contains(sentence), "{case}: {told}");
        assert!(run.end.outputs.is_none(), "{case}");
        assert!(site.page_says(&run, sentence).await?, "{case}: the page does not say it");
    }
    Ok(())
}

#[tokio::test]
async fn limits_end_a_run_with_a_reason() -> Result {
    let site = Site::new()?;
    site.change(json!({ "memory": "0.3" })).await?;
    let run = site.case("memory", json!({ "megabytes": [{ "value": 600 }] })).await?;
    assert_eq!((run.end.status.as_str(), run.end.reason.as_deref()), ("WORKER_FAILURE", Some("OUT_OF_MEMORY")));
    assert!(run.end.traceback.as_deref().is_some_and(|text| text.contains("more than its 300 MB of memory")));
    site.change(json!({ "deadline": 1 })).await?;
    let run = site.case("sleeps", json!({ "seconds": [{ "value": 600.0 }] })).await?;
    assert_eq!((run.end.status.as_str(), run.end.reason.as_deref()), ("WORKER_FAILURE", Some("TIMED_OUT")));
    assert!(site.page_says(&run, "stopped at its time limit of 1 s").await?);
    Ok(())
}

#[tokio::test]
async fn what_a_model_says_is_its_log() -> Result {
    let site = Site::new()?;
    let run = site.case("prints", json!({ "count": [{ "value": 2 }] })).await?.succeeded();
    let log = site.client.log(EDGES, run.pk, 0).await?;
    assert_eq!(log, "stdout line 0\nstderr line 0\nstdout line 1\nstderr line 1\n");
    let words = ["sims", "-n", EDGES, "log", &run.pk.to_string(), "--json"];
    let told: Value = site.server.csw(&site.owner, &words)?.json()?;
    assert_eq!(told["log"].as_str().map(str::as_bytes), Some(&log[..]));
    // What is no text, and what looks like markup, is shown and not believed.
    let run = site.case("prints-raw-bytes", json!({})).await?.succeeded();
    let page = site.page(&run).await?;
    assert!(!page.contains("<script>alert(1)</script>") && unescaped(&page).contains("<script>alert(1)</script>"));
    let run = site.case("warns", json!({})).await?.succeeded();
    let log = String::from_utf8_lossy(&site.client.log(EDGES, run.pk, 0).await?).into_owned();
    assert!(log.contains("UserWarning: a warning of the model"), "{log}");
    assert!(log.contains("DEBUG:root:a log line of level debug"), "{log}");
    Ok(())
}

#[tokio::test]
async fn titles_are_harmless_as_files() -> Result {
    let site = Site::new()?;
    for (case, count) in [("titles", 16), ("same-title", 4)] {
        let run = site.case(case, json!({})).await?.succeeded();
        let zip = site.server.beside(&format!("{case}.zip"));
        site.client.save_zip(EDGES, run.pk, Path::new(&zip)).await?;
        let archive = zip::ZipArchive::new(File::open(&zip)?)?;
        let names: BTreeSet<String> = archive.file_names().map(|name| name.unwrap().to_lowercase()).collect();
        assert_eq!(
            (archive.len(), names.len()),
            (count, count),
            "{case}: every output has a name of its own: {names:?}"
        );
        for name in &names {
            let plain = name.find(".csv") == Some(name.len() - 4) && name.len() <= 255;
            let harmless = !name.contains(['/', '\\', '\0', '\n', '\u{202e}']) && !name.starts_with('.');
            assert!(plain && harmless, "{case}: {name:?}");
        }
        // Every one can be saved as a file, and stays in its folder.
        let folder = site.server.beside(case);
        let words = ["sims", "-n", EDGES, "download", &run.pk.to_string(), "--to", &folder, "--json"];
        let saved: Vec<Value> = site.server.csw(&site.owner, &words)?.json()?;
        let expected = run.end.outputs.as_ref().map(|outputs| outputs.outputs.iter().count());
        assert_eq!(Some(saved.len()), expected, "{case}");
        for file in &saved {
            let path = Path::new(file["file"].as_str().unwrap_or_default()).canonicalize()?;
            assert!(path.starts_with(Path::new(&folder).canonicalize()?), "{}", path.display());
        }
        assert!(site.page_says(&run, "Download").await?);
    }
    let run = site.case("titles", json!({})).await?.succeeded();
    let titles: Vec<String> =
        run.end.outputs.iter().flat_map(|found| found.outputs.iter().map(|output| output.title.clone())).collect();
    assert!(["", "..", "../../etc/passwd", "a/b/c"].iter().all(|title| titles.iter().any(|found| found == title)));
    Ok(())
}

#[tokio::test]
async fn two_hundred_megabytes_pass_through() -> Result {
    let site = Site::new()?;
    site.case("quiet", json!({})).await?.succeeded();
    let before = site.server.most_memory()?;
    let run = site.case("big-output", json!({ "megabytes": [{ "value": 200 }] })).await?.succeeded();
    let file = site.server.beside("big");
    let size = site.client.save_output(EDGES, run.pk, run.output("Big"), Path::new(&file)).await?;
    assert_eq!(size, 200 << 20);
    let more = site.server.most_memory()? - before;
    assert!(more < 64 << 20, "the server needed {} MB more", more >> 20);
    Ok(())
}

#[tokio::test]
async fn what_a_validator_answers_is_understood() -> Result {
    let site = Site::new()?;
    for (check, place, found, words) in [
        ("error", "/Run/errors/text/0", json!("This text is refused, because the check asked for that."), "is refused"),
        ("not-strings", "/Run/errors/paths", json!([0, 1]), "paths"),
        ("not-a-list", "/Run/errors/paths/0/value/0", json!("Not a valid string."), "Not a valid string."),
        (
            "unknown-name",
            "/Run/errors/no_such_parameter/0",
            json!("An error under a name that is no parameter."),
            "An error under",
        ),
        (
            "api-section",
            "/API/errors/extra_keys/0",
            json!("An error of the request as a whole."),
            "An error of the request",
        ),
        ("new-section", "/Elsewhere/errors/x/0", json!("An error of an unknown section."), "An error of an unknown"),
    ] {
        let run = site.run(json!({ "Run": { "check": check } })).await?;
        assert_eq!(run.inputs.status, "INVALID", "{check}");
        assert_eq!(run.inputs.errors_warnings.pointer(place), Some(&found), "{check}");
        assert_eq!(run.end.status, "STARTED", "{check}: nothing runs");
        let page = site.server.fetch(Some(&site.owner), &format!("{}edit/", run.end.gui_url), &[]).await?;
        assert_eq!(page.status(), 200, "{check}");
        assert!(unescaped(&page.text().await?).contains(words), "{check}: the form does not say `{words}`");
    }
    for (check, sentence) in [
        ("none", "`validate_inputs` returned nothing"),
        ("wrong-keys", "with the unknown key `errors`"),
        ("raises", "RuntimeError: the validation broke"),
        ("exits", "exit code 4"),
    ] {
        let run = site.run(json!({ "Run": { "check": check } })).await?;
        assert_eq!((run.inputs.status.as_str(), run.end.status.as_str()), ("FAIL", "STARTED"), "{check}");
        let told = run.inputs.traceback.unwrap_or_default();
        assert!(told.contains(sentence), "{check}: {told}");
    }
    let run = site.run(json!({ "Run": { "check": "warning" } })).await?.succeeded();
    assert_eq!(run.inputs.errors_warnings["Run"]["warnings"]["text"][0], "This text is allowed, with a warning.");
    Ok(())
}

#[tokio::test]
async fn a_form_that_cannot_be_made_is_told() -> Result {
    let site = Site::new()?;
    for (form, sentence) in [
        ("raises", "RuntimeError: the defaults cannot be read"),
        ("exits", "exit code 3"),
        ("none", "`get_inputs` returned nothing"),
        ("wrong-keys", "with the unknown key `model_params`"),
        ("not-json", "which JSON can't hold"),
    ] {
        let asked = site.client.schema(EDGES, &json!({ "form": form })).await;
        let told = asked.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains(sentence), "{form}: {told}");
        let new = NewSimulation { meta_parameters: json!({ "form": form }), ..NewSimulation::default() };
        assert!(site.client.create(EDGES, &new).await.is_err(), "{form}");
    }
    let listed = site.client.simulations(&csw_client::SimulationQuery::default()).await?;
    assert_eq!(listed.count, 0, "what was refused leaves nothing");
    let many = site.client.schema(EDGES, &json!({ "form": "many-parameters" })).await?;
    assert!(many.model_parameters["Run"].as_object().is_some_and(|section| section.len() > 300));
    let odd = site.client.schema(EDGES, &json!({ "form": "schema-key" })).await?;
    assert!(odd.model_parameters["Run"]["schema"]["additional_members"]["compatible_data"].is_object());
    Ok(())
}
