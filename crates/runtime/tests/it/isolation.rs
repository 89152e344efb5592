//! Runs do not see each other, nor anything of the machine they have no business with.

use std::{sync::Arc, time::Duration};

use csw_core::{
    ids::ModelId,
    model::Strategy,
    ports::{Executor, Zygotes},
    run::{Outcome, RunOrder, Sharing},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Place, Receiver, case, failed, null};

async fn said(place: &Place, order: &RunOrder) -> Value {
    let (end, seen) = place.run(order).await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
    let outputs = seen.outputs.lock().unwrap();
    outputs[0].json()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_one_zygote_differ_in_chance() {
    let place = Place::new();
    let order = || case(Strategy::Zygote, "random", json!({}));
    let (first, second) = (said(&place, &order()).await, said(&place, &order()).await);
    assert_ne!(first["random"], second["random"]);
    assert_ne!(first["uuid"], second["uuid"]);
    assert_eq!(place.executor.zygotes().parked, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_cannot_look_into_another() {
    // Folders are numbered in the order of the forks.
    let place = Place::with(|config| config.forked_ahead = 0);
    let sleeper = case(Strategy::Zygote, "writes-file", json!({"text": "mine"}));
    said(&place, &sleeper).await;
    let running = case(Strategy::Zygote, "sleeps", json!({"seconds": 600}));
    let seen = place.start(&running).await;
    let scratch = place.folder.path().join("scratch");
    // The second run of the zygote has the folder 1 in the folder of the first slot.
    std::fs::write(place.folder.path().join("secret"), "s").unwrap();
    std::fs::write(scratch.join("secret"), "s").unwrap();
    let of_other = scratch.join("0/1");
    while !of_other.join("tmp").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for strategy in [Strategy::Zygote, Strategy::Fresh] {
        let paths = [
            of_other.clone(),
            scratch.clone(),
            place.folder.path().to_path_buf(),
            "/root".into(),
            "/etc/shadow".into(),
        ];
        let found = said(&place, &case(strategy, "read-files", json!({"paths": paths}))).await;
        for path in &paths {
            let looked = &found[path.to_str().unwrap()];
            // Of a folder above what is shown, the way down is seen and nothing else.
            let nothing = looked["problem"].is_string() || !looked.to_string().contains("secret");
            assert!(nothing, "{strategy:?} {}: {looked}", path.display());
            if *path == of_other {
                assert!(looked["problem"].is_string(), "{looked}");
            }
        }
    }
    place.executor.cancel(running.run).await;
    assert_eq!(seen.ended().await.outcome, Outcome::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_starts_with_an_empty_folder_that_goes_away() {
    let place = Place::new();
    for strategy in [Strategy::Zygote, Strategy::Zygote, Strategy::Fresh] {
        let found = said(&place, &case(strategy, "writes-file", json!({}))).await;
        assert_eq!(found["current-was-there"], false);
        assert_eq!(found["temporary-was-there"], false);
        assert_eq!(found["current"], "written\n");
    }
    let left = || walk(&place.folder.path().join("scratch")).into_iter().filter(|name| name == "edge-case.txt").count();
    while left() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        found.push(entry.file_name().into_string().unwrap());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(walk(&entry.path()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_knows_its_names_and_secrets_and_nothing_of_the_server() {
    let place = Place::new();
    for strategy in [Strategy::Zygote, Strategy::Fresh] {
        let mut order = case(strategy, "facts", json!({}));
        order.secrets.insert("API_KEY".to_owned(), "hunter2".into());
        let facts = said(&place, &order).await;
        let names: Vec<&str> = facts["environment"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(["OWNER", "TITLE", "API_KEY"].iter().all(|name| names.contains(name)), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("CARGO")), "{names:?}");
        assert_eq!(facts["status"]["NoNewPrivs"], "1");
        assert_eq!(facts["status"]["CapEff"], "0000000000000000");
        assert_ne!(facts["uid"], 0);
        let descriptors = facts["descriptors"].as_object().unwrap();
        let sockets = descriptors.values().filter(|to| to.as_str().is_some_and(|to| to.starts_with("socket:"))).count();
        assert_eq!(sockets, 1, "its own socket and no other: {descriptors:?}");
        let mut plain = order.clone();
        plain.run = csw_core::ids::RunId::from_uuid(Uuid::now_v7());
        plain.lease = csw_core::ids::Lease::from_uuid(Uuid::now_v7());
        plain.secrets.clear();
        let facts = said(&place, &plain).await;
        assert!(!facts["environment"].to_string().contains("API_KEY"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_zygote_serves_its_model_alone() {
    let place = Place::new();
    let private = |id: u128| RunOrder {
        sharing: Sharing::PrivateTo(ModelId::from_uuid(Uuid::from_u128(id))),
        ..null(Strategy::Zygote, 1)
    };
    for (order, parked) in [(null(Strategy::Zygote, 1), 1), (private(1), 2), (private(2), 3), (private(1), 3)] {
        let (end, _) = place.run(&order).await;
        assert!(matches!(end.outcome, Outcome::Returned(_)));
        assert_eq!(place.executor.zygotes().parked, parked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_is_bounded_and_can_be_emptied() {
    // A zygote that forks ahead is in use for a moment longer.
    let place = Place::with(|config| (config.max_zygotes, config.forked_ahead) = (2, 0));
    let mut version = None;
    for code in ["a", "b", "c"] {
        place.model(code, "def get_version():\n    return '1'\n\ndef run_model(m, a):\n    return {'renderable': [], 'downloadable': []}\n");
        let mut order = null(Strategy::Zygote, 1);
        order.artifact = csw_core::model::Artifact::Environment { environment: "test".into(), code: code.into() };
        version = Some(order.version);
        let (end, _) = place.run(&order).await;
        assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
    }
    let Zygotes { parked, memory_bytes } = place.executor.zygotes();
    assert_eq!(parked, 2);
    assert!(memory_bytes > 1 << 20);
    place.executor.evict(version.unwrap()).await;
    assert_eq!(place.executor.zygotes().parked, 1);
    place.executor.shut_down(0).await;
    assert_eq!(place.executor.zygotes().parked, 0);
    let refused = place.executor.start(null(Strategy::Fresh, 1), Receiver::new()).await;
    assert!(refused.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_cannot_be_forked_runs_in_new_interpreters() {
    let place = Place::new();
    place.model(
        "threaded",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True, name='ticker').start()\n\
         def get_version():\n    return '1'\n\ndef run_model(m, a):\n    return {'renderable': [], 'downloadable': []}\n",
    );
    place.model("broken", "import no_such_package\n");
    let order = |code: &str| {
        let mut order = null(Strategy::Zygote, 1);
        order.artifact = csw_core::model::Artifact::Environment { environment: "test".into(), code: code.into() };
        order
    };
    let (end, _) = place.run(&order("threaded")).await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
    let why = place.executor.why_fresh(&order("threaded").artifact).unwrap();
    assert!(why.contains("ticker"), "{why}");
    let (end, _) = place.run(&order("broken")).await;
    let told = failed(&end);
    assert!(told.contains("ModuleNotFoundError: No module named 'no_such_package'"), "{told}");
    assert!(!told.contains("csw_harness"), "{told}");
    assert_eq!(place.executor.zygotes().parked, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn zygotes_start_once_for_however_many_ask() {
    let place = Arc::new(Place::new());
    place.executor.warm(null(Strategy::Zygote, 0)).await;
    let runs: Vec<_> = (0..8)
        .map(|number| {
            let place = Arc::clone(&place);
            tokio::spawn(async move { place.run(&null(Strategy::Zygote, number)).await.0 })
        })
        .collect();
    for run in runs {
        assert!(matches!(run.await.unwrap().outcome, Outcome::Returned(_)));
    }
    assert_eq!(place.executor.zygotes().parked, 1);
}
