//! A run that goes well, in each of the three ways.

use csw_core::ports::Executor;
use csw_core::{
    model::Strategy,
    run::{Outcome, Task, TaskResult},
};
use serde_json::json;

use crate::support::{Place, null, order};

const STRATEGIES: [Strategy; 3] = [Strategy::Fresh, Strategy::Zygote, Strategy::WarmedZygote];

#[tokio::test(flavor = "multi_thread")]
async fn every_strategy_runs_the_null_model() {
    let place = Place::new();
    for strategy in STRATEGIES {
        for number in [3, 4] {
            let (end, seen) = place.run(&null(strategy, number)).await;
            assert_eq!(
                end.outcome,
                Outcome::Returned(TaskResult::Sim { outputs: 1 }),
                "{strategy:?} {}",
                seen.logged()
            );
            assert!(end.model_version.is_some());
            let outputs = seen.outputs.lock().unwrap();
            assert_eq!(outputs[0].text(), format!("{number}\n"));
            println!("{strategy:?} {:?} {:?}", end.phases, end.usage);
        }
    }
    assert_eq!(
        place.executor.zygotes().parked,
        2,
        "{:?}",
        place.executor.why_fresh(&null(Strategy::Zygote, 0).artifact)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_task_is_understood() {
    let place = Place::new();
    let ask = |task, arguments| order("null", task, Strategy::Zygote, arguments);
    let (end, _) = place.run(&ask(Task::Version, json!({}))).await;
    assert!(matches!(&end.outcome, Outcome::Returned(TaskResult::Version(text)) if !text.is_empty()), "{end:?}");
    let (end, _) = place.run(&ask(Task::Defaults, json!({"meta_param_dict": {}}))).await;
    let Outcome::Returned(TaskResult::Defaults { meta_parameters, model_parameters }) = &end.outcome else {
        panic!("{end:?}")
    };
    assert_eq!(*meta_parameters, json!({}));
    assert!(model_parameters["Null"]["number"].is_object());
    let errors_warnings = json!({"Null": {"errors": {}, "warnings": {}}});
    let arguments =
        json!({"meta_param_dict": {}, "adjustment": {"Null": {"number": "x"}}, "errors_warnings": errors_warnings});
    let (end, _) = place.run(&ask(Task::Parse, arguments)).await;
    let Outcome::Returned(TaskResult::Parse { errors_warnings, custom_adjustment }) = &end.outcome else {
        panic!("{end:?}")
    };
    assert_eq!(errors_warnings["Null"]["errors"]["number"][0], "Not a valid integer: x.");
    assert_eq!(*custom_adjustment, None);
    assert!(end.model_version.is_some());
}
