//! A full disk makes runs late, and ends none.

use std::time::Duration;

use csw_core::{
    model::Strategy,
    run::{Outcome, Task},
};
use serde_json::json;

use crate::support::{Place, SmallDisk, case, failed, null, order};

/// Writes so many megabytes once it has told that it runs, and was given the time to see the disk fill up.
const WRITES_LATE: &str = r#"
import time

def run_model(meta, adjustment):
    print("running", flush=True)
    time.sleep(1)
    with open("result", "wb") as file:
        for _ in range(adjustment["megabytes"]):
            file.write(bytes(1 << 20))
            file.flush()
    return {"renderable": [], "downloadable": []}

def get_version():
    return "1"
"#;

/// A place whose runs write to a disk of their own.
fn place() -> Option<(Place, SmallDisk)> {
    if !SmallDisk::is_possible() {
        return None;
    }
    let mut disk = None;
    let place = Place::with(|config| {
        std::fs::create_dir(&config.scratch).unwrap();
        disk = Some(SmallDisk::over(&config.scratch, 200 << 20).unwrap());
    });
    place.model("late", WRITES_LATE);
    Some((place, disk.unwrap()))
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_started_and_no_deadline_runs() {
    let Some((place, disk)) = place() else { return };
    disk.fill().unwrap();
    for strategy in [Strategy::Zygote, Strategy::Fresh] {
        let mut order = null(strategy, 5);
        order.limits.deadline_seconds = 2;
        let seen = place.start(&order).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(seen.end.lock().unwrap().is_none(), "it waits");
        disk.clear().unwrap();
        let end = seen.ended().await;
        assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
        disk.fill().unwrap();
    }
}

#[tokio::test]
async fn an_output_on_its_way_waits_for_room() {
    let Some((place, disk)) = place() else { return };
    let order = case(Strategy::Zygote, "big-bytes", json!({"megabytes": 60}));
    let seen = place.start(&order).await;
    while disk.files().unwrap().iter().all(|name| !name.starts_with("output-")) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    disk.fill().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(seen.end.lock().unwrap().is_none(), "it waits");
    disk.clear().unwrap();
    let end = seen.ended().await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
    assert_eq!(seen.outputs.lock().unwrap()[0].bytes.len(), 60 << 20);
}

#[tokio::test]
async fn a_model_that_finds_the_disk_full_is_not_to_blame_unless_it_filled_it() {
    let Some((place, disk)) = place() else { return };
    for strategy in [Strategy::Zygote, Strategy::Fresh] {
        let wanting = |megabytes: u32| {
            let arguments = json!({ "meta_param_dict": {}, "adjustment": { "megabytes": megabytes } });
            order("late", Task::Sim, strategy, arguments)
        };
        let seen = place.start(&wanting(1)).await;
        seen.until(|seen| (!seen.logged().is_empty()).then_some(())).await;
        disk.fill().unwrap();
        let end = seen.ended().await;
        let told = |sentence: &str| sentence.contains("disk of this machine was full");
        assert!(matches!(&end.outcome, Outcome::Lost { sentence } if told(sentence)), "{end:?}");
        disk.clear().unwrap();
        let (end, _) = place.run(&wanting(1)).await;
        assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
        let (end, _) = place.run(&wanting(300)).await;
        assert!(failed(&end).contains("No space left on device"), "{end:?}");
    }
}
