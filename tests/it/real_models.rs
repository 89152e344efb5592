//! How real models behave, point by point; `tests/models` has the models.
//!
//! | point | what | tests |
//! | --- | --- | --- |
//! | 1 | import is the cost | runtime `an_import_is_shared_by_all_runs`; here `point_01_...` |
//! | 2 | compiled code is the second cost | here `point_02_...`; runtime `compiled_code_is_inherited_and_chance_is_not` |
//! | 3 | defaults are cached, validation waits for a submission | here `point_03_...`; web `forms_validate_nothing` |
//! | 4 | memory | here `point_04_...` |
//! | 5 | large outputs, which compress | here `point_05_...`; `contract.rs` `two_hundred_megabytes_pass_through` |
//! | 6 | errors of every shape and place | here `point_06_...`; `contract.rs` `what_a_validator_answers_is_understood` |
//! | 7 | validation in two stages | here `point_07_...`; params `warnings_do_not_refuse_and_types_hide_ranges` |
//! | 8 | valid inputs, failing run | here `point_08_...`; `examples.rs` |
//! | 9 | validators that are empty on purpose | here `point_09_...` |
//! | 10 | bounds of all kinds | here `point_10_...`; params `bounds_of_real_schemas` |
//! | 11, 12, 14 | scalars, times for dates, check boxes, spoilt dictionaries | here `points_11_12_14_...` |
//! | 13 | `schema` among the parameters, types beyond the five | here `point_13_...` |
//! | 15 | tables with prose | here `point_15_...` |
//! | 16 | three releases of bokeh | here `point_16_...`; app `old_bokeh_documents_compare_as_well` |
//! | 17 | noise on stdout | here `point_17_...` |
//! | 18 | titles | here `point_18_...`; `contract.rs` `titles_are_harmless_as_files` |
//! | 19 | versions of several lines | here `point_19_...` |
//! | 20 | folders that shadow packages | runtime `nothing_shadows_a_package`; publish `a_folder_hides_no_package` |
//! | 21 | dependencies that rot | `rebuilding.rs` |
//! | 22 | conda, own `git+https`, apt-get, other files | publish `pipeline.rs` |
//! | 23 | processes and threads of the model's own | here `point_23_...`; runtime `models_may_start_processes` |

use std::fs;

use csw_client::{Client, NewSimulation};
use csw_tests::{Account, Result, Server};
use serde_json::{Value, json};

use crate::common::{Run, unescaped};

const ODDITIES: &str = "contract/Oddities";
const NUMBERS: &str = "contract/Numbers";
const CLUSTER: &str = "contract/Cluster";

struct Site {
    server: Server,
    owner: Account,
    client: Client,
}

impl Site {
    fn new() -> Result<Self> {
        let server = Server::with_real_models()?;
        let owner = server.publisher()?;
        let client = server.client(Some(&owner))?;
        Ok(Self { server, owner, client })
    }

    async fn oddities(&self, adjustment: Value) -> Result<Run> {
        Run::of(&self.client, ODDITIES, json!({}), adjustment).await
    }

    /// Facts about the live version of a model.
    async fn version(&self, model: &str) -> Result<csw_client::Version> {
        let mut versions = self.client.versions(model).await?;
        assert_eq!(versions.len(), 1);
        Ok(versions.remove(0))
    }

    async fn page(&self, path: &str) -> Result<String> {
        let page = self.server.fetch(Some(&self.owner), path, &[]).await?;
        assert_eq!(page.status(), 200, "{path}");
        Ok(page.text().await?)
    }

    async fn log(&self, model: &str, run: &Run) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.client.log(model, run.pk, 0).await?).into_owned())
    }
}

/// Of ten models that are published, those that can be forked are.
#[tokio::test]
async fn point_01_imports_are_paid_once() -> Result {
    let site = Site::new()?;
    for (model, strategy) in [(ODDITIES, "zygote"), ("contract/Numbers", "zygote")] {
        let version = site.version(model).await?;
        assert_eq!(version.strategy, strategy, "{model}: {}", version.facts["strategy_reason"]);
        assert!(version.facts["import_milliseconds"].is_u64());
    }
    Ok(())
}

#[tokio::test]
async fn point_02_compiled_code_is_inherited() -> Result {
    const COMPILED: &str = "contract/Compiled";
    let site = Site::new()?;
    let version = site.version(COMPILED).await?;
    assert_eq!(version.strategy, "warmed_zygote", "{}", version.facts["strategy_reason"]);
    for number in [3, 4] {
        let adjustment = json!({ "Main": { "number": number } });
        let run = Run::of(&site.client, COMPILED, json!({}), adjustment).await?.succeeded();
        assert_eq!(run.data(&site.client, COMPILED, "Square").await?, format!("{}\n", number * number));
        assert_eq!(site.log(COMPILED, &run).await?, "", "nothing is compiled in the run");
    }
    // The publisher can forbid it.
    site.client.put::<Value>(&format!("/publish/api/{COMPILED}/detail/"), &json!({ "warm_up": false })).await?;
    let source = csw_tests::example(COMPILED)?;
    let done = site.server.publish(&site.owner, COMPILED, &source, &["--no-example"])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(site.version(COMPILED).await?.strategy, "zygote");
    Ok(())
}

#[tokio::test]
async fn point_03_defaults_are_cached_by_version_and_values() -> Result {
    let mut site = Site::new()?;
    let token = async |client: &Client, source: &str| -> Result<Value> {
        let schema = client.schema(ODDITIES, &json!({ "data_source": source })).await?;
        Ok(schema.meta_parameters["data_source"]["description"].clone())
    };
    let default = token(&site.client, "CPS").await?;
    assert_eq!(token(&site.client, "CPS").await?, default, "the model computes this anew at each call");
    let schema = site.client.schema(ODDITIES, &json!({ "data_source": "PUF" })).await?;
    assert_eq!(schema.model_parameters["Policy"]["STD"]["value"][0]["value"], 12400.0);
    let other = schema.model_parameters["Policy"].clone();
    site.server.stop()?;
    site.server.start()?;
    let client = site.server.client(Some(&site.owner))?;
    assert_eq!(token(&client, "CPS").await?, default, "also after a restart");
    assert_eq!(client.schema(ODDITIES, &json!({ "data_source": "PUF" })).await?.model_parameters["Policy"], other);
    let wrong = client.schema(ODDITIES, &json!({ "data_source": "SOI" })).await;
    assert!(wrong.is_err_and(|error| error.status() == Some(400)));
    Ok(())
}

#[tokio::test]
async fn point_04_memory_is_set_and_measured() -> Result {
    let site = Site::new()?;
    let model = site.client.model(ODDITIES).await?;
    let gigabytes: f64 = model.more["memory"].as_str().unwrap_or_default().parse()?;
    assert!(gigabytes >= 2.0, "a run gets {gigabytes} GB where nobody says anything");
    let facts = site.version(ODDITIES).await?.facts;
    let needed = facts["default_run_memory_bytes"].as_u64().unwrap_or_default();
    assert!((1 << 20..1 << 30).contains(&needed), "{needed}");
    let numbers = site.version("contract/Numbers").await?.facts["default_run_memory_bytes"].as_u64();
    assert!(numbers > Some(needed), "NumPy needs more than nothing: {numbers:?}");
    let path = format!("/publish/api/{ODDITIES}/detail/");
    let changed: Value = site.client.put(&path, &json!({ "memory": "0.1" })).await?;
    assert_eq!(changed["memory"], "0.1");
    Ok(())
}

#[tokio::test]
async fn point_05_large_plots_travel_compressed() -> Result {
    let site = Site::new()?;
    let run = site.oddities(json!({ "Span": { "points": 1_000_000 } })).await?.succeeded();
    let id = run.output("Plot of 3.3");
    let path = format!("/{ODDITIES}/api/v1/{}/outputs/{id}/", run.pk);
    let whole = site.server.fetch(Some(&site.owner), &path, &[]).await?.bytes().await?;
    assert!(whole.len() > 5_000_000, "{}", whole.len());
    let detail = format!("/{ODDITIES}/api/v1/{}/", run.pk);
    for path in [format!("/{ODDITIES}/{}/outputs/{id}/view/", run.pk), detail] {
        let sent = site.server.fetch(Some(&site.owner), &path, &[("accept-encoding", "gzip")]).await?;
        assert_eq!(sent.headers()["content-encoding"], "gzip", "{path}");
        let length = sent.bytes().await?.len();
        assert!(length < whole.len() / 6, "{path}: {length} of {}", whole.len());
    }
    Ok(())
}

#[tokio::test]
async fn point_06_errors_have_every_shape_and_place() -> Result {
    let site = Site::new()?;
    for (adjustment, place, found) in [
        (json!({ "Span": { "Tests": [{ "value": [[1, "x"]] }] } }), "/Span/errors/Tests", json!([0, 1])),
        (json!({ "Span": { "Days": 3 } }), "/Span/errors/schema/0", json!("Unknown field: Days")),
        // A meta parameter's, in a section of the model.
        (
            json!({ "Policy": { "STD": 77 } }),
            "/Policy/errors/data_source/0",
            json!("These data know no such deduction."),
        ),
        (json!({ "Nowhere": { "x": 1 } }), "/API/errors/extra_keys/0", json!("Unknown sections: Nowhere")),
    ] {
        let run = site.oddities(adjustment).await?;
        assert_eq!(run.inputs.status, "INVALID", "{place}");
        assert_eq!(run.inputs.errors_warnings.pointer(place), Some(&found), "{}", run.inputs.errors_warnings);
        let page = unescaped(&site.page(&format!("{}edit/", run.end.gui_url)).await?);
        let words = found.as_str().unwrap_or("Tests");
        assert!(page.contains(words), "the form does not say `{words}`");
    }
    Ok(())
}

#[tokio::test]
async fn point_07_types_come_before_ranges() -> Result {
    let site = Site::new()?;
    let both = json!({ "Policy": { "STD": "much" }, "Span": { "start_date": "2027-01-01" } });
    let run = site.oddities(both).await?;
    let found = &run.inputs.errors_warnings;
    assert_eq!(found["Policy"]["errors"]["STD"][0], "Not a valid number: much.");
    assert_eq!(
        found["Span"]["errors"]["start_date"][0], "start_date > max end_date",
        "another section is told as well"
    );
    let mended = site.oddities(json!({ "Policy": { "STD": -5 } })).await?;
    assert_eq!(mended.inputs.errors_warnings["Policy"]["errors"]["STD"][0], "STD -5 < min 0 ");
    Ok(())
}

#[tokio::test]
async fn point_08_valid_inputs_may_fail_in_the_run() -> Result {
    let site = Site::new()?;
    let run = site.oddities(json!({ "Span": { "name": "nobody" } })).await?;
    assert_eq!((run.inputs.status.as_str(), run.end.status.as_str()), ("SUCCESS", "FAIL"));
    let told = run.end.traceback.clone().unwrap_or_default();
    assert!(told.starts_with("Traceback") && told.contains("LookupError: the data have nobody of this name"), "{told}");
    let page = unescaped(&site.page(&run.end.gui_url).await?);
    assert!(page.contains("LookupError: the data have nobody of this name"));
    Ok(())
}

#[tokio::test]
async fn point_09_empty_validators_refuse_nothing_and_the_model_does() -> Result {
    let site = Site::new()?;
    let schema = site.client.schema(ODDITIES, &json!({})).await?;
    assert_eq!(schema.model_parameters["Span"]["name"]["validators"], json!({}));
    let run = site.oddities(json!({ "Span": { "name": "Any Name, Jr. 数" } })).await?.succeeded();
    let given = run.json(&site.client, ODDITIES, "Echo").await?;
    assert_eq!(given[1]["Span"]["name"], "Any Name, Jr. 数");
    let refused = site.oddities(json!({ "Span": { "nmae": "x" } })).await?;
    assert_eq!(refused.inputs.errors_warnings["Span"]["errors"]["schema"], json!(["Unknown field: nmae"]));
    Ok(())
}

#[tokio::test]
async fn point_10_bounds_of_all_kinds_make_a_form() -> Result {
    let site = Site::new()?;
    let schema = site.client.schema(ODDITIES, &json!({})).await?;
    let validators = |section: &str, name: &str| schema.model_parameters[section][name]["validators"].clone();
    assert_eq!(validators("Span", "start_date"), json!({ "date_range": { "min": "2009-01-01", "max": "end_date" } }));
    assert_eq!(validators("Policy", "STD")["range"]["max"].as_f64(), Some(9e99));
    assert_eq!(validators("Policy", "is_refundable"), json!({ "range": { "min": false, "max": true } }));
    let form = site.page(&format!("/{ODDITIES}/new/")).await?;
    for name in ["STD", "is_refundable", "start_date", "end_date", "name", "Tests", "STD_checkbox"] {
        assert!(form.contains(name), "the form lacks {name}");
    }
    assert!(!form.contains("9e99") && !form.contains("9e+99"), "nobody wants to read this bound");
    let run = site.oddities(json!({ "Policy": { "STD": 9e98, "is_refundable": true } })).await?.succeeded();
    assert_eq!(run.json(&site.client, ODDITIES, "Echo").await?[1]["Policy"]["STD"].as_f64(), Some(9e98));
    let meta = site.client.schema(ODDITIES, &json!({ "full_sample": false })).await?;
    assert_eq!(meta.meta_parameters["full_sample"]["value"], json!([{ "value": false }]));
    Ok(())
}

/// The validator empties what it is given; the run gets all of it, as it was sent.
#[tokio::test]
async fn points_11_12_14_inputs_reach_the_model_untouched() -> Result {
    let site = Site::new()?;
    let adjustment = json!({
        "Policy": {
            "STD": -1,
            "STD_checkbox": [{ "value": false }],
            "is_refundable": [{ "year": 2027, "value": true }],
        },
        "Span": { "start_date": [{ "value": "2020-10-19T04:00:00.000Z" }], "Tests": [{ "value": [[1.5, 2], [3, 4]] }] },
    });
    let meta = json!({ "data_source": "PUF" });
    let run = Run::of(&site.client, ODDITIES, meta, adjustment.clone()).await?.succeeded();
    assert_eq!(run.inputs.adjustment, adjustment);
    let given = run.json(&site.client, ODDITIES, "Echo").await?;
    assert_eq!(given[1], adjustment);
    assert_eq!(given[0]["data_source"], json!([{ "value": "PUF" }]));
    assert_eq!(given[0]["full_sample"], json!([{ "value": true }]), "meta parameters are all there");
    // A second run of the same interpreter finds nothing of the first one.
    let again = NewSimulation { adjustment: adjustment.clone(), fresh: true, ..NewSimulation::default() };
    let run = Run::new(&site.client, ODDITIES, &again).await?.succeeded();
    assert_eq!(run.json(&site.client, ODDITIES, "Echo").await?[1], adjustment);
    Ok(())
}

#[tokio::test]
async fn point_13_schema_is_no_parameter() -> Result {
    let site = Site::new()?;
    let schema = site.client.schema(ODDITIES, &json!({})).await?;
    let members = &schema.meta_parameters["schema"]["additional_members"];
    assert_eq!(members["compatible_data"]["type"], "compatible_data");
    assert_eq!(schema.meta_parameters["data_source"]["compatible_data"], json!({ "cps": true, "puf": false }));
    let run = site.oddities(json!({})).await?.succeeded();
    let given = run.json(&site.client, ODDITIES, "Echo").await?;
    assert!(given[0].get("schema").is_none(), "{given}");
    assert_eq!(given[1], json!({ "Policy": {}, "Span": {} }), "every section is there");
    let refused = site.client.schema(ODDITIES, &json!({ "schema": 1 })).await;
    assert!(refused.is_err_and(|error| error.status() == Some(400)));
    // No meta parameters at all.
    let none = site.client.schema("contract/Compiled", &json!({})).await?;
    assert!(none.meta_parameters.is_empty());
    Ok(())
}

#[tokio::test]
async fn point_15_tables_are_fragments_with_prose() -> Result {
    let site = Site::new()?;
    let run = site.oddities(json!({})).await?.succeeded();
    let table = run.data(&site.client, ODDITIES, "Summary").await?;
    let table = table.as_str().expect("text");
    assert!(table.starts_with("<h3>Results</h3>") && table.contains("<table class=\"table table-striped"), "{table}");
    let id = run.output("Summary");
    let view = site.server.fetch(Some(&site.owner), &format!("/{ODDITIES}/{}/outputs/{id}/view/", run.pk), &[]).await?;
    let policy = view.headers()["content-security-policy"].to_str()?.to_owned();
    assert!(policy.starts_with("sandbox allow-scripts;") && !policy.contains("allow-same-origin"), "{policy}");
    let page = view.text().await?;
    for tag in
        ["<br>", "<b>billions</b>", "<details>", "<pre>", "<code>losses</code>", "<p>", "<h3>", "<td>1,234.5</td>"]
    {
        assert!(page.contains(tag), "{tag}");
    }
    Ok(())
}

#[tokio::test]
async fn point_16_three_releases_of_bokeh_stand_side_by_side() -> Result {
    let site = Site::new()?;
    let run = site.oddities(json!({})).await?.succeeded();
    let versions = [("Plot of 2.4", "2.4.3"), ("Plot of 3.3", "3.3.4"), ("Plot of 3.9", "3.9.0")];
    let view =
        async |title: &str| site.page(&format!("/{ODDITIES}/{}/outputs/{}/view/", run.pk, run.output(title))).await;
    // What the stage `push` takes out of an environment; no model here has that environment.
    for (_, version) in versions {
        let folder = site.server.data().join("objects/bokeh").join(version);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("bokeh.min.js"), format!("// BokehJS {version}"))?;
    }
    for (title, version) in versions {
        let document = run.data(&site.client, ODDITIES, title).await?;
        assert_eq!((&document["target_id"], &document["doc"]["version"]), (&Value::Null, &json!(version)));
        let script = format!("/storage/bokeh/{version}/bokeh.min.js");
        let page = view(title).await?;
        assert!(page.contains(&script), "{page}");
        let others = versions.iter().filter(|(_, other)| *other != version);
        assert!(others.into_iter().all(|(_, other)| !page.contains(&format!("/{other}/"))), "{page}");
        assert_eq!(site.page(&script).await?, format!("// BokehJS {version}"));
    }
    fs::remove_dir_all(site.server.data().join("objects/bokeh/2.4.3"))?;
    assert!(view("Plot of 2.4").await?.contains("BokehJS 2.4.3 is not on this site"));
    Ok(())
}

#[tokio::test]
async fn point_17_noise_is_a_log_and_never_a_result() -> Result {
    let site = Site::new()?;
    let run = site.oddities(json!({})).await?.succeeded();
    let log = site.log(ODDITIES, &run).await?;
    assert!(log.contains("R version 4.3.1") && log.contains("\u{1b}[32m[1] 1 2 3"), "{log}");
    assert!(log.contains("{\"outputs\": \"not these\"}"), "{log}");
    let page = site.page(&run.end.gui_url).await?;
    assert!(unescaped(&page).contains("R version 4.3.1"));
    Ok(())
}

#[tokio::test]
async fn point_18_titles_are_free_text() -> Result {
    let site = Site::new()?;
    let run = site.oddities(json!({})).await?.succeeded();
    let outputs = &run.end.outputs.as_ref().expect("outputs").outputs;
    let shown: Vec<_> = outputs.downloadable.outputs.iter().map(|o| (o.title.as_str(), o.filename.as_str())).collect();
    assert_eq!(shown[0], ("", "output.csv"));
    assert_eq!((shown[1], shown[2]), (("Revenue", "Revenue.csv"), ("Revenue", "Revenue (2).csv")));
    assert_eq!(shown[3].0, "Tax liability: baseline (current law) and reform, in $");
    assert_eq!(shown[3].1, "Tax liability_ baseline (current law) and reform, in $.csv");
    assert_eq!(shown[4], ("revenue.csv", "revenue (3).csv"), "an ending is not doubled, and case is no difference");
    assert!(shown[5].0.len() > 110 && shown[5].1.contains(".csv"), "{:?}", shown[5]);
    // Equal in both lists: each list has its own names.
    assert!(
        outputs
            .renderable
            .outputs
            .iter()
            .any(|o| (o.title.as_str(), o.filename.as_str()) == ("Revenue", "Revenue.html"))
    );
    Ok(())
}

#[tokio::test]
async fn point_19_versions_have_several_lines() -> Result {
    let site = Site::new()?;
    let run = site.oddities(json!({})).await?.succeeded();
    assert_eq!(run.end.model_version.as_deref(), Some("2.3.1\nwith data of 2026-11-01"));
    assert_eq!(site.version(ODDITIES).await?.version, "2.3.1\nwith data of 2026-11-01");
    assert!(site.page(&format!("/{ODDITIES}/")).await?.contains("2.3.1"));
    assert!(site.page(&run.end.gui_url).await?.contains("2.3.1"));
    // Its first line is a name for it.
    let done = site.server.csw(&site.owner, &["models", "-n", ODDITIES, "promote", "2.3.1"])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    Ok(())
}

#[tokio::test]
async fn point_23_what_cannot_be_forked_runs_all_the_same() -> Result {
    let site = Site::new()?;
    let version = site.version(CLUSTER).await?;
    assert_eq!(version.strategy, "fresh");
    assert_eq!(version.facts["strategy_reason"], "importing the model starts processes");
    assert_eq!(version.facts["deterministic"], true);
    assert!(
        site.page(&format!("/{CLUSTER}/"))
            .await?
            .contains("runs in fresh interpreters: importing the model starts processes")
    );
    let run = Run::of(&site.client, CLUSTER, json!({}), json!({ "Main": { "number": 5 } })).await?.succeeded();
    let text = run.data(&site.client, CLUSTER, "Work").await?;
    assert_eq!(text, "[0, 1, 4, 9, 16] through a socket from a child\n");
    Ok(())
}

/// A generator that was made at import would give all forks of an interpreter the same numbers.
#[tokio::test]
async fn chance_is_not_shared_between_runs() -> Result {
    const CHANCE: &str = "contract/Chance";
    let site = Site::new()?;
    let version = site.version(CHANCE).await?;
    assert_eq!((version.strategy.as_str(), &version.facts["deterministic"]), ("fresh", &json!(false)));
    let told = version.facts["strategy_reason"].as_str().unwrap_or_default();
    assert!(told.contains("forked ones do not (\"Drawn\")"), "{told}");
    let mut drawn = Vec::new();
    for _ in 0..3 {
        let run = Run::of(&site.client, CHANCE, json!({}), json!({})).await?.succeeded();
        assert_eq!(run.end.more["from_memo"], false, "a result of chance answers nobody else");
        drawn.push(run.data(&site.client, CHANCE, "Drawn").await?.to_string());
    }
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 3, "{drawn:?}");
    Ok(())
}

#[tokio::test]
async fn numpy_becomes_what_a_person_would_write() -> Result {
    let site = Site::new()?;
    let run = Run::of(&site.client, NUMBERS, json!({}), json!({})).await?.succeeded();
    let plot = run.data(&site.client, NUMBERS, "Scalars").await?;
    assert_eq!((&plot["integer"], &plot["float"], &plot["boolean"]), (&json!(3), &json!(0.5), &json!(true)));
    assert_eq!((&plot["array"], &plot["nan"]), (&json!([0, 1, 2]), &Value::Null));
    assert_eq!((&plot["date"], &plot["list"]), (&json!("2026-11-24"), &json!([255, "text"])));
    Ok(())
}

#[tokio::test]
async fn numpys_chance_differs_from_run_to_run_unless_seeded() -> Result {
    let site = Site::new()?;
    assert_eq!(site.version(NUMBERS).await?.strategy, "zygote");
    let mut drawn = Vec::new();
    for _ in 0..2 {
        let run = Run::of(&site.client, NUMBERS, json!({}), json!({})).await?.succeeded();
        drawn.push(run.json(&site.client, NUMBERS, "Chance").await?);
    }
    for name in ["global", "generator", "python", "uuid"] {
        assert_ne!(drawn[0][name], drawn[1][name], "{name}");
    }
    assert_eq!(drawn[0]["seeded"], drawn[1]["seeded"]);
    Ok(())
}

/// In children of a zygote, which imported NumPy with one thread, and in fresh processes.
#[tokio::test]
async fn threads_of_linear_algebra_follow_the_cpus_of_a_run() -> Result {
    let site = Site::new()?;
    let machine = std::thread::available_parallelism()?.get() as u64;
    for (model, strategy) in [(NUMBERS, "zygote"), (CLUSTER, "fresh")] {
        assert_eq!(site.version(model).await?.strategy, strategy);
        for cpus in [2_u64, 1] {
            let settings = json!({ "cpu": cpus.to_string() });
            site.client.put::<Value>(&format!("/publish/api/{model}/detail/"), &settings).await?;
            let new = NewSimulation { fresh: true, ..NewSimulation::default() };
            let run = Run::new(&site.client, model, &new).await?.succeeded();
            let threads = run.json(&site.client, model, "Threads").await?;
            assert_eq!(threads["openblas"], cpus.min(machine), "{model}: {threads}");
        }
    }
    Ok(())
}
