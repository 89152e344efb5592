//! With the libraries that models use. Needs an environment that has numpy, pandas and numba: its folder is named by
//! `CSW_TEST_ENVIRONMENT`; without that these tests print that they were skipped.

use csw_core::{
    model::{Artifact, Strategy},
    run::{Outcome, RunOrder},
};
use serde_json::{Value, json};

use crate::support::{Place, case};

const COMPILED: &str = r#"
import numba
import numpy as np
import pandas as pd

@numba.njit(cache=False)
def simulate(n):
    total = 0.0
    for i in range(n):
        total += (i % 7) * 0.5
    return total

@numba.njit
def table(values):
    out = np.zeros_like(values)
    for i in range(values.shape[0]):
        out[i] = values[: i + 1].sum() ** 0.5
    return out

def get_version():
    return "1"

def get_inputs(meta):
    return {"meta_parameters": {}, "model_parameters": {"S": {}}}

def run_model(meta, adjustment):
    found = {"total": simulate(1000), "table": table(np.arange(5.0)), "scalar": np.int64(3), "flag": np.bool_(True),
             "nan": np.float64("nan"), "when": pd.Timestamp("2026-11-24"), "never": pd.NaT,
             "times": np.array(["2026-01-01", "NaT"], dtype="datetime64[D]"),
             "frame": pd.DataFrame({"a": [1, 2]}), "random": np.random.random()}
    return {"renderable": [{"media_type": "bokeh", "title": "P", "data": {"root_id": "x", "doc": {}, **found}}],
            "downloadable": []}
"#;

/// A parallel loop of numba says how many threads it has, and so does numexpr where it is installed.
const THREADS: &str = r#"
import json
import numba

try:
    import numexpr
except ImportError:
    numexpr = None

def get_version():
    return "1"

def run_model(meta, adjustment):
    @numba.njit(parallel=True)
    def total(n):
        found = 0
        for i in numba.prange(n):
            found += i
        return found

    found = {"total": total(1000), "numba": numba.get_num_threads(),
             "numexpr": numexpr and numexpr.get_num_threads()}
    return {"renderable": [{"media_type": "Text", "title": "T", "data": json.dumps(found)}], "downloadable": []}
"#;

fn place() -> Option<Place> {
    let Ok(environment) = std::env::var("CSW_TEST_ENVIRONMENT") else {
        println!("skipped: CSW_TEST_ENVIRONMENT names no environment");
        return None;
    };
    let place = Place::new();
    place.model("compiled", COMPILED);
    place.model("threads", THREADS);
    std::os::unix::fs::symlink(environment, place.folder.path().join("envs/libraries")).unwrap();
    Some(place)
}

async fn data(place: &Place, strategy: Strategy) -> (Value, u64) {
    let artifact = Artifact::Environment { environment: "libraries".to_owned(), code: "compiled".to_owned() };
    let order = RunOrder { artifact, ..case(strategy, "none", json!({})) };
    let (end, seen) = place.run(&order).await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?} {}", seen.logged());
    assert_eq!(place.executor.why_fresh(&order.artifact), None);
    println!("{strategy:?}: {:?} {:?}", end.phases, end.usage);
    let outputs = seen.outputs.lock().unwrap();
    (outputs[0].json(), end.phases.run)
}

#[tokio::test(flavor = "multi_thread")]
async fn compiled_code_is_inherited_and_chance_is_not() {
    let Some(place) = place() else { return };
    let (mut fresh, slow) = data(&place, Strategy::Fresh).await;
    assert_eq!(fresh["scalar"], 3);
    assert_eq!((&fresh["nan"], &fresh["never"], &fresh["flag"]), (&Value::Null, &Value::Null, &json!(true)));
    assert_eq!(fresh["when"], "2026-11-24T00:00:00");
    assert_eq!(fresh["frame"], json!([{"a": 1}, {"a": 2}]));
    assert_eq!(fresh["table"].as_array().map(Vec::len), Some(5));
    assert_eq!(fresh["times"][1], Value::Null);
    data(&place, Strategy::Zygote).await;
    let (mut first, fast) = data(&place, Strategy::WarmedZygote).await;
    let (mut second, _) = data(&place, Strategy::WarmedZygote).await;
    assert_ne!(first["random"], second["random"]);
    for found in [&mut fresh, &mut first, &mut second] {
        found["random"] = Value::Null;
    }
    assert_eq!(fresh, first);
    assert_eq!(first, second);
    println!("fresh {slow} ms, after a warm-up {fast} ms");
}

/// The zygote is started by a validation, which gets one CPU; the runs that are forked from it get their own number.
#[tokio::test(flavor = "multi_thread")]
async fn threads_of_libraries_follow_the_cpus_of_each_run() {
    let Some(place) = place() else { return };
    let artifact = Artifact::Environment { environment: "libraries".to_owned(), code: "threads".to_owned() };
    for strategy in [Strategy::Zygote, Strategy::Fresh] {
        for cpus in [1, 2, 1] {
            let mut order = RunOrder { artifact: artifact.clone(), ..case(strategy, "none", json!({})) };
            order.limits.cpus = f64::from(cpus);
            let (end, seen) = place.run(&order).await;
            assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?} {}", seen.logged());
            assert_eq!(place.executor.why_fresh(&artifact), None);
            let found = seen.outputs.lock().unwrap()[0].json();
            assert_eq!((&found["total"], &found["numba"]), (&json!(499_500), &json!(cpus)), "{strategy:?}");
            assert!(found["numexpr"].is_null() || found["numexpr"] == cpus, "{strategy:?}: {found}");
        }
    }
}
