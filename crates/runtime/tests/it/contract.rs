//! What a model may do and return, and what a person would call the right answer to it. Each case runs forked and in a
//! new interpreter, where that could make a difference.

use csw_core::{
    model::{Artifact, Strategy},
    output::{MediaType, OutputKind},
    run::{Outcome, RunEnd, Task, TaskResult},
};
use serde_json::{Value, json};

use crate::support::{Output, Place, Receiver, case, failed, order};

const BOTH: [Strategy; 2] = [Strategy::Zygote, Strategy::Fresh];

async fn run(place: &Place, strategy: Strategy, name: &str, settings: Value) -> (RunEnd, Vec<Output>, String) {
    let (end, seen) = place.run(&case(strategy, name, settings)).await;
    let outputs = seen.outputs.lock().unwrap().clone();
    let log = seen.logged();
    (end, outputs, log)
}

/// The cases that must fail, and a part of the sentence.
#[tokio::test(flavor = "multi_thread")]
async fn broken_contracts_are_told_in_sentences() {
    let place = Place::new();
    for (name, sentence) in [
        ("none", "`run_model` returned nothing; expected a dictionary with `renderable` and `downloadable`"),
        ("list", "`run_model` returned a value of the type `list`"),
        ("wrong-keys", "without `renderable`, `downloadable` and with the unknown key `renderables`, `downloads`"),
        ("one-key", "without `downloadable`"),
        ("extra-key", "renderable[0] \"Text\" has the unknown key `colour`"),
        ("no-title", "renderable[0] has no `title`"),
        ("no-data", "renderable[0] \"Text\" has no `data`"),
        ("unknown-media-type", "\"Page\" is of the unknown media type `HTML`; there are bokeh, table, CSV, PNG"),
        ("not-a-dictionary", "renderable[0] must be a dictionary"),
        ("not-json", "\"Plot\": data.thing is of the type `object`, which JSON can't hold"),
        ("circular", "\"Plot\": data.itself contains itself"),
        ("number-as-text", "\"Number\": the data of the media type Text must be text, not `int`"),
        ("title-not-text", "renderable[0]: its title must be text, not `int`"),
    ] {
        let (end, _, _) = run(&place, Strategy::Zygote, name, json!({})).await;
        let told = failed(&end);
        assert!(told.contains(sentence), "{name}: {told}");
        assert!(!told.contains("Traceback"), "{name}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exceptions_are_told_as_tracebacks_of_the_model_alone() {
    let place = Place::new();
    for (name, parts) in [
        ("raises", &["KeyError: 'missing'", "direct cause", "ValueError: the model cannot be run"][..]),
        ("raises-secret", &["ConnectionError: postgresql://"]),
        ("raises-unprintable", &["Unprintable"]),
        ("raises-surrogate", &["half a character: \u{fffd}"]),
        ("recursion", &["RecursionError"]),
        ("keyboard-interrupt", &["KeyboardInterrupt"]),
    ] {
        let (end, _, _) = run(&place, Strategy::Zygote, name, json!({})).await;
        let told = failed(&end);
        for part in parts {
            assert!(told.contains(part), "{name}: {told}");
        }
        assert!(told.contains("run_model"), "{name}: {told}");
        assert!(!told.contains("csw_harness"), "{name}: {told}");
    }
    let (end, _, _) = run(&place, Strategy::Zygote, "raises-long", json!({"megabytes": 2})).await;
    let told = failed(&end);
    assert!(told.len() <= 64 * 1024 && told.starts_with("Traceback") && told.contains("bytes are left out here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_without_a_result_are_told() {
    let place = Place::new();
    for strategy in BOTH {
        for (name, sentence) in [
            ("sys-exit", "called `sys.exit('the model leaves')` instead of returning"),
            ("sys-exit-zero", "called `sys.exit(0)` instead of returning"),
            ("os-exit", "ended its process (exit code 0) before its function returned"),
            ("abort", "ended by signal SIGABRT"),
            ("segfault", "ended by signal SIGSEGV"),
            ("closes-descriptors", "closed the connection over which its results are returned"),
        ] {
            let (end, _, _) = run(&place, strategy, name, json!({})).await;
            assert!(failed(&end).contains(sentence), "{strategy:?} {name}: {end:?}");
        }
        // What kills it by SIGKILL might be the machine: another attempt is due.
        for name in ["kills-itself", "kills-its-group"] {
            let (end, _, _) = run(&place, strategy, name, json!({})).await;
            assert!(matches!(&end.outcome, Outcome::Lost { sentence } if sentence.contains("SIGKILL")), "{end:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_harmless_succeeds() {
    let place = Place::new();
    for strategy in BOTH {
        for name in [
            "quiet",
            "echo",
            "warns",
            "reads-stdin",
            "threads",
            "thread-raises",
            "mutates-inputs",
            "closes-streams",
            "child-returns-too",
            "changes-directory",
            "removes-directory",
            "kills-parent",
            "base64-bytes",
            "empty",
        ] {
            let (end, outputs, log) = run(&place, strategy, name, json!({})).await;
            let count = u32::from(name != "empty");
            let expected = Outcome::Returned(TaskResult::Sim { outputs: count });
            assert_eq!(end.outcome, expected, "{strategy:?} {name} {log}");
            assert_eq!(outputs.len(), count as usize);
            assert_eq!(
                end.model_version.as_deref().map(|text| text.lines().count()),
                Some(2),
                "{:?}",
                end.model_version
            );
        }
        let (_, outputs, _) = run(&place, strategy, "reads-stdin", json!({})).await;
        assert_eq!(outputs[0].json(), json!({"stdin": ""}));
        let (_, outputs, _) = run(&place, strategy, "child-returns-too", json!({})).await;
        assert_eq!(outputs[0].text(), "from the parent\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_arrive_untouched() {
    let place = Place::new();
    let settings =
        json!({"STD": -1, "odd": [{"value": "2020-10-19T04:00:00.000Z"}], "big": 9e99, "deep": [[1, [2.5, null]]]});
    let order = case(Strategy::Zygote, "echo", settings);
    let (_, seen) = place.run(&order).await;
    let echoed = seen.outputs.lock().unwrap()[0].json();
    assert_eq!(echoed["adjustment"], order.arguments["adjustment"]);
    assert_eq!(echoed["meta_parameters"], order.arguments["meta_param_dict"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_media_type_arrives_as_bytes() {
    let place = Place::new();
    let (end, outputs, _) = run(&place, Strategy::Zygote, "all-media-types", json!({})).await;
    assert_eq!(end.outcome, Outcome::Returned(TaskResult::Sim { outputs: 22 }));
    for kind in [OutputKind::Renderable, OutputKind::Downloadable] {
        let of_kind: Vec<_> = outputs.iter().filter(|output| output.draft.kind == kind).collect();
        let media: Vec<_> = of_kind.iter().map(|output| output.draft.media_type).collect();
        assert_eq!(media, MediaType::ALL);
        for (position, output) in of_kind.iter().enumerate() {
            assert_eq!(output.draft.position as usize, position);
            assert_eq!(output.draft.size, output.bytes.len() as u64);
        }
        assert!(of_kind[3].bytes.starts_with(b"\x89PNG"));
        assert_eq!(of_kind[0].json()["root_id"], "p1");
        assert_eq!(of_kind[10].text(), "a line of text: naïve, 数, 🙂\n");
    }
    let (_, outputs, _) = run(&place, Strategy::Zygote, "base64-bytes", json!({})).await;
    assert!(outputs[0].bytes.starts_with(b"\x89PNG"));
    let (_, outputs, _) = run(&place, Strategy::Zygote, "bytes-like", json!({})).await;
    assert!(outputs[0].bytes.starts_with(b"\x89PNG") && outputs[0].bytes == outputs[1].bytes);
    assert_eq!(outputs[2].text(), "these bytes are UTF-8\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_json_does_not_know_becomes_what_a_person_would_write() {
    let place = Place::new();
    let (_, outputs, _) = run(&place, Strategy::Zygote, "nan", json!({})).await;
    assert_eq!(outputs[0].json()["numbers"], json!([null, null, null]));
    assert_eq!(outputs[1].text(), "number\nnan\ninf\n-inf\n");
    place.model(
        "dates",
        "import datetime, decimal, enum, pathlib\n\
         class Colour(enum.Enum):\n    RED = 'red'\n\
         ODD = {'root_id': None, 'doc': {}, 'date': datetime.date(2026, 11, 24),\n\
                'time': datetime.datetime(2026, 11, 24, 12, 30), 'decimal': decimal.Decimal('1.50'), 'tuple': (1, 2),\n\
                'set': {1}, 1: 'a key that is a number', 'enum': Colour.RED, 'path': pathlib.Path('/a/b')}\n\
         def get_version():\n    return '1'\n\n\
         def run_model(meta, adjustment):\n\
         \u{20}   plot = {'media_type': 'bokeh', 'title': 'Plot', 'data': ODD}\n\
         \u{20}   return {'renderable': [plot], 'downloadable': []}\n",
    );
    let mut dates = case(Strategy::Zygote, "dates", json!({}));
    dates.artifact = Artifact::Environment { environment: "test".to_owned(), code: "dates".to_owned() };
    let (end, seen) = place.run(&dates).await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
    let data = seen.outputs.lock().unwrap()[0].json();
    assert_eq!((&data["enum"], &data["path"]), (&json!("red"), &json!("/a/b")));
    assert_eq!(data["date"], "2026-11-24");
    assert_eq!(data["time"], "2026-11-24T12:30:00");
    assert_eq!(data["decimal"], 1.5);
    assert_eq!((&data["tuple"], &data["set"]), (&json!([1, 2]), &json!([1])));
    assert_eq!(data["1"], "a key that is a number");
    let (_, outputs, _) = run(&place, Strategy::Zygote, "surrogate", json!({})).await;
    assert_eq!(outputs[0].text(), "half a character: \u{fffd}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn titles_are_free_text() {
    let place = Place::new();
    let (end, outputs, _) = run(&place, Strategy::Zygote, "titles", json!({})).await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
    let titles: Vec<_> = outputs.iter().map(|output| output.draft.title.as_str()).collect();
    assert!(titles.contains(&"") && titles.contains(&"../../etc/passwd"));
    assert!(titles.iter().all(|title| !title.contains('\0')), "no database holds NUL in a text");
    let (_, outputs, _) = run(&place, Strategy::Zygote, "same-title", json!({})).await;
    assert_eq!(outputs.len(), 6);
    assert_eq!((outputs[0].text(), outputs[1].text()), ("first\n".to_owned(), "second\n".to_owned()));
    let ids: std::collections::HashSet<_> = outputs.iter().map(|output| output.draft.id).collect();
    assert_eq!(ids.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_and_many_outputs_arrive_whole() {
    let place = Place::new();
    let (_, outputs, _) = run(&place, Strategy::Zygote, "big-output", json!({"megabytes": 20})).await;
    assert_eq!(outputs[0].bytes.len(), 20 << 20);
    assert!(outputs[0].bytes.ends_with(b"0123456789abcde\n"));
    let (_, outputs, _) = run(&place, Strategy::Zygote, "many-outputs", json!({"count": 300})).await;
    assert_eq!(outputs.len(), 300);
    assert_eq!(outputs[299].text(), "299\n");
}

async fn ask(place: &Place, task: Task, arguments: Value) -> (RunEnd, std::sync::Arc<Receiver>) {
    place.run(&order("edge", task, Strategy::Zygote, arguments)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_are_checked() {
    let place = Place::new();
    for (form, sentence) in [
        ("raises", "RuntimeError: the defaults cannot be read"),
        ("exits", "exit code 3"),
        ("not-json", "model_parameters.Run.seconds.value[0].value is of the type `object`"),
        ("wrong-keys", "without `model_parameters` and with the unknown key `model_params`"),
        ("none", "`get_inputs` returned nothing"),
    ] {
        let (end, _) = ask(&place, Task::Defaults, json!({"meta_param_dict": {"form": form}})).await;
        assert!(failed(&end).contains(sentence), "{form}: {end:?}");
    }
    let (end, _) = ask(&place, Task::Defaults, json!({"meta_param_dict": {"form": "nan"}})).await;
    let Outcome::Returned(TaskResult::Defaults { model_parameters, .. }) = end.outcome else { panic!("{end:?}") };
    assert_eq!(model_parameters["Run"]["seconds"]["value"][0]["value"], Value::Null);
    let (end, seen) = ask(&place, Task::Defaults, json!({"meta_param_dict": {"form": "prints"}})).await;
    assert!(matches!(end.outcome, Outcome::Returned(_)));
    assert!(seen.logged().contains("get_inputs prints this line"));
    let (end, _) = ask(&place, Task::Defaults, json!({"meta_param_dict": {"form": "many-parameters"}})).await;
    assert!(matches!(end.outcome, Outcome::Returned(_)));
    let (end, _) = ask(&place, Task::Defaults, json!({"meta_param_dict": {"form": "schema-key"}})).await;
    let Outcome::Returned(TaskResult::Defaults { meta_parameters, .. }) = end.outcome else { panic!("{end:?}") };
    assert!(meta_parameters["schema"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn validations_are_checked() {
    let place = Place::new();
    let empty = json!({"errors": {}, "warnings": {}});
    let arguments = |check: &str| {
        json!({
            "meta_param_dict": {"form": [{"value": "plain"}]},
            "adjustment": {"Run": {"check": check}},
            "errors_warnings": {"Run": empty, "GUI": empty, "API": empty},
        })
    };
    for (check, sentence) in [
        ("none", "`validate_inputs` returned nothing; expected a dictionary with `errors_warnings`"),
        ("wrong-keys", "without `errors_warnings` and with the unknown key `errors`"),
        ("raises", "RuntimeError: the validation broke"),
        ("exits", "exit code 4"),
    ] {
        let (end, _) = ask(&place, Task::Parse, arguments(check)).await;
        assert!(failed(&end).contains(sentence), "{check}: {end:?}");
    }
    for (check, place_of_error, found) in [
        ("plain", "/Run/errors", json!({})),
        ("mutates", "/Run/errors", json!({})),
        ("not-strings", "/Run/errors/paths", json!([0, 1])),
        ("not-a-list", "/Run/errors/paths/0/value/0", json!("Not a valid string.")),
        ("unknown-name", "/Run/errors/no_such_parameter/0", json!("An error under a name that is no parameter.")),
        ("api-section", "/API/errors/extra_keys/0", json!("An error of the request as a whole.")),
        ("new-section", "/Elsewhere/errors/x/0", json!("An error of an unknown section.")),
    ] {
        let (end, _) = ask(&place, Task::Parse, arguments(check)).await;
        let Outcome::Returned(TaskResult::Parse { errors_warnings, .. }) = end.outcome else {
            panic!("{check} {end:?}")
        };
        assert_eq!(errors_warnings.pointer(place_of_error), Some(&found), "{check}");
    }
    let (end, _) = ask(&place, Task::Parse, arguments("custom-adjustment")).await;
    let Outcome::Returned(TaskResult::Parse { custom_adjustment, .. }) = end.outcome else { panic!("{end:?}") };
    assert_eq!(custom_adjustment.unwrap()["as the model reads it"]["check"], "custom-adjustment");
    assert_eq!(end.model_version.unwrap().lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_kept_in_order_and_cut() {
    let place = Place::with(|config| config.log_bytes = 1_000_000);
    for strategy in BOTH {
        let (_, _, log) = run(&place, strategy, "prints", json!({"count": 3})).await;
        let lines: Vec<String> =
            (0..3).flat_map(|n| ["stdout", "stderr"].map(|name| format!("{name} line {n}"))).collect();
        assert_eq!(log.lines().collect::<Vec<_>>(), lines, "{strategy:?}");
    }
    let (end, _, log) = run(&place, Strategy::Zygote, "prints-megabytes", json!({"megabytes": 3})).await;
    assert!(matches!(end.outcome, Outcome::Returned(_)));
    assert!(log.len() < 1_000_100 && log.ends_with("longer than a run may write.]\n"), "{}", log.len());
    let (_, _, log) = run(&place, Strategy::Zygote, "prints-raw-bytes", json!({})).await;
    assert!(log.contains("<script>alert(1)</script>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_in_the_log() {
    let place = Place::new();
    for strategy in BOTH {
        let (_, _, log) = run(&place, strategy, "warns", json!({})).await;
        for words in ["UserWarning: a warning of the model", "DEBUG:root:a log line of level debug", "ERROR:root:"] {
            assert!(log.contains(words), "{strategy:?} {log}");
        }
        let (_, outputs, log) = run(&place, strategy, "thread-raises", json!({})).await;
        assert_eq!(outputs[0].text(), "returned all the same\n");
        assert!(log.contains("ZeroDivisionError"), "{strategy:?} {log}");
        let (_, outputs, _) = run(&place, strategy, "threads", json!({})).await;
        let sums: Vec<u64> = (0..10).map(|index| (0..1000 * index).sum()).collect();
        assert_eq!(outputs[0].json(), json!({ "sums": sums }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_live() {
    let place = Place::new();
    let order = case(Strategy::Zygote, "prints-slowly", json!({"seconds": 60}));
    let seen = place.start(&order).await;
    seen.until(|seen| seen.logged().contains("tick 2").then_some(())).await;
    assert!(seen.end.lock().unwrap().is_none());
    csw_core::ports::Executor::cancel(&place.executor, order.run).await;
    assert_eq!(seen.ended().await.outcome, Outcome::Cancelled);
}
