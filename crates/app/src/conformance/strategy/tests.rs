//! Versions of all kinds, as an executor that follows a script plays them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    ids::{OutputId, RunId, VersionId},
    model::Artifact,
    output::MediaType,
    ports::{Capacity, Clock, Executor, ExecutorError, Randomness, RunEvents, Zygotes},
    run::{Limits, Outcome, OutputBody, OutputDraft, Phases, RunEnd, RunOrder, Sharing, TaskResult, Usage},
};
use serde_json::json;

use super::*;

const FRESH: Strategy = Strategy::Fresh;
const ZYGOTE: Strategy = Strategy::Zygote;
const WARMED: Strategy = Strategy::WarmedZygote;

/// A run that the script expects: how it is asked for, what it returns, and how long it takes.
struct Scene {
    strategy: Strategy,
    returns: Result<&'static [&'static str], Outcome>,
    milliseconds: u64,
    /// What is found out by it, and whether it is of all forks.
    obstacle: Option<&'static str>,
    is_general: bool,
}

fn scene(strategy: Strategy, outputs: &'static [&'static str], milliseconds: u64) -> Scene {
    Scene { strategy, returns: Ok(outputs), milliseconds, obstacle: None, is_general: false }
}

#[derive(Default)]
struct Script {
    scenes: Mutex<VecDeque<Scene>>,
    obstacle: Mutex<Option<(Strategy, String)>>,
    deadlines: Mutex<Vec<u32>>,
}

#[async_trait]
impl Executor for Script {
    async fn start(&self, order: RunOrder, events: Arc<dyn RunEvents>) -> Result<(), ExecutorError> {
        let scene = self.scenes.lock().unwrap().pop_front().expect("no run that nobody needs");
        assert_eq!(order.strategy, scene.strategy);
        self.deadlines.lock().unwrap().push(order.limits.deadline_seconds);
        if let Some(reason) = scene.obstacle {
            let of = if scene.is_general { ZYGOTE } else { scene.strategy };
            *self.obstacle.lock().unwrap() = Some((of, reason.to_owned()));
        }
        let outputs = scene.returns.as_ref().copied().unwrap_or_default();
        for (position, text) in (0..).zip(outputs) {
            let draft = OutputDraft {
                id: OutputId::from_uuid(uuid::Uuid::nil()),
                kind: OutputKind::Renderable,
                position,
                title: format!("Output {position}"),
                media_type: MediaType::Text,
                body: OutputBody::Bytes(Bytes::from_static(text.as_bytes())),
                size: text.len() as u64,
                sha256: (*text).to_owned(),
            };
            events.output(&order, draft).await.unwrap();
        }
        let outcome = match scene.returns {
            Ok(outputs) => Outcome::Returned(TaskResult::Sim { outputs: u32::try_from(outputs.len()).unwrap() }),
            Err(outcome) => outcome,
        };
        let phases = Phases { run: scene.milliseconds, ..Phases::default() };
        let end = RunEnd { outcome, model_version: None, phases, usage: Usage::default() };
        events.ended(&order, end).await.unwrap();
        Ok(())
    }

    async fn cancel(&self, _: RunId) {}

    async fn live(&self) -> Vec<RunId> {
        vec![]
    }

    async fn warm(&self, _: RunOrder) {}

    async fn evict(&self, _: VersionId) {}

    fn obstacle(&self, _: &Artifact, strategy: Strategy) -> Option<String> {
        let found = self.obstacle.lock().unwrap().clone();
        found.filter(|(of, _)| *of == strategy || *of == ZYGOTE && strategy == WARMED).map(|(_, reason)| reason)
    }

    fn capacity(&self) -> Capacity {
        Capacity { cpus: 1.0, memory_bytes: 1 << 30, runs: 1 }
    }

    fn zygotes(&self) -> Zygotes {
        Zygotes::default()
    }

    async fn shut_down(&self, _: u32) {}
}

struct Still;

impl Clock for Still {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
}

impl Randomness for Still {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

impl BuildLog for Still {
    fn write(&self, _: &str) {}
}

fn subject() -> Subject {
    Subject {
        model: "a/M".parse().unwrap(),
        version: VersionId::from_uuid(uuid::Uuid::nil()),
        artifact: Artifact::Environment { environment: "e".to_owned(), code: "c".to_owned() },
        limits: Limits { cpus: 1.0, memory_bytes: 1 << 30, deadline_seconds: 3600 },
        network: false,
        sharing: Sharing::Public,
        warm_up: true,
        secrets: csw_core::secret::Secrets::new(),
    }
}

/// Plays the scenes after a fresh run that returned `fresh`, and gives what was decided and the deadlines.
async fn play(fresh: &'static [&'static str], milliseconds: u64, scenes: Vec<Scene>) -> (Choice, Vec<u32>) {
    let script = Script::default();
    let conformance = Conformance { executor: &script, clock: &Still, randomness: &Still };
    let subject = subject();
    script.scenes.lock().unwrap().push_back(scene(FRESH, fresh, milliseconds));
    let first = conformance.sim(&subject, FRESH, &json!({})).await.unwrap();
    script.scenes.lock().unwrap().extend(scenes);
    let trial =
        Trial { conformance: &conformance, subject: &subject, arguments: &json!({}), fresh: &first, log: &Still };
    let choice = trial.choose().await.unwrap();
    assert!(script.scenes.lock().unwrap().is_empty(), "a run of the script was left out");
    (choice, script.deadlines.into_inner().unwrap())
}

async fn chosen(fresh: &'static [&'static str], scenes: Vec<Scene>) -> (Strategy, bool, String) {
    let (Choice { strategy, reason, deterministic }, _) = play(fresh, 1000, scenes).await;
    (strategy, deterministic, reason.unwrap_or_default())
}

#[tokio::test]
async fn equal_outputs_are_forked_and_warmed_where_that_is_faster() {
    let quick = vec![scene(ZYGOTE, &["1"], 100)];
    assert_eq!(chosen(&["1"], quick).await, (ZYGOTE, true, String::new()));
    let compiled = vec![scene(ZYGOTE, &["1"], 1000), scene(WARMED, &["1"], 300), scene(ZYGOTE, &["1"], 1000)];
    assert_eq!(chosen(&["1"], compiled).await, (WARMED, true, String::new()));
    // The first one was slow because the machine had something else to do.
    let disturbed = vec![scene(ZYGOTE, &["1"], 1000), scene(WARMED, &["1"], 500), scene(ZYGOTE, &["1"], 510)];
    assert_eq!(chosen(&["1"], disturbed).await, (ZYGOTE, true, String::new()));
    let in_vain = vec![scene(ZYGOTE, &["1"], 1000), scene(WARMED, &["1"], 950)];
    assert_eq!(chosen(&["1"], in_vain).await, (ZYGOTE, true, String::new()));
}

#[tokio::test]
async fn long_runs_are_tried_where_most_may_be_gained_and_no_more_than_needed() {
    let decide = async |scenes| play(&["1"], 5000, scenes).await.0;
    assert_eq!(decide(vec![scene(WARMED, &["1"], 1000)]).await.strategy, WARMED);
    let in_vain = decide(vec![scene(WARMED, &["1"], 4900), scene(ZYGOTE, &["1"], 5000)]).await;
    assert_eq!((in_vain.strategy, in_vain.deterministic), (ZYGOTE, true));
    let a_little = decide(vec![scene(WARMED, &["1"], 3900), scene(ZYGOTE, &["1"], 5000)]).await;
    assert_eq!((a_little.strategy, a_little.deterministic), (WARMED, true));
    let remembers = decide(vec![scene(WARMED, &["2"], 1000), scene(ZYGOTE, &["1"], 5000)]).await;
    assert_eq!((remembers.strategy, remembers.deterministic), (ZYGOTE, true));
    let random = vec![
        scene(WARMED, &["2"], 1000),
        scene(ZYGOTE, &["3"], 5000),
        scene(FRESH, &["4"], 5000),
        scene(ZYGOTE, &["5"], 5000),
        scene(WARMED, &["6"], 1000),
    ];
    let random = decide(random).await;
    assert_eq!((random.strategy, random.deterministic), (WARMED, false));
    let thread = Scene { obstacle: Some("native threads"), ..scene(WARMED, &["1"], 5000) };
    let not_warmed = decide(vec![thread, scene(ZYGOTE, &["1"], 5000)]).await;
    assert_eq!((not_warmed.strategy, not_warmed.deterministic), (ZYGOTE, true));
    // What can't be forked at all was run in a fresh interpreter instead: nothing is left to find out.
    let thread = Scene { obstacle: Some("it has threads"), is_general: true, ..scene(WARMED, &["1"], 5000) };
    let unforked = decide(vec![thread]).await;
    assert_eq!((unforked.strategy, unforked.deterministic), (FRESH, true));
}

#[tokio::test]
async fn other_outputs_are_never_forked() {
    let (strategy, deterministic, reason) =
        chosen(&["1"], vec![scene(ZYGOTE, &["2"], 1), scene(FRESH, &["1"], 1)]).await;
    assert_eq!((strategy, deterministic), (FRESH, true));
    assert_eq!(reason, "a forked run gave different outputs");
    // A model that remembers its runs.
    let remembers = vec![scene(ZYGOTE, &["1"], 1000), scene(WARMED, &["2"], 1)];
    let (strategy, deterministic, reason) = chosen(&["1"], remembers).await;
    assert_eq!((strategy, deterministic), (ZYGOTE, true));
    assert_eq!(reason, "it is not run in advance: a forked run gave different outputs");
    let more = vec![scene(ZYGOTE, &["2", "3"], 1), scene(FRESH, &["4"], 1)];
    let (strategy, deterministic, reason) = chosen(&["1"], more).await;
    assert_eq!((strategy, deterministic, reason.as_str()), (FRESH, false, "a forked run gave other outputs"));
}

#[tokio::test]
async fn chance_has_to_differ_in_forks_as_well() {
    let honest = vec![
        scene(ZYGOTE, &["same", "2"], 1000),
        scene(FRESH, &["same", "3"], 1),
        scene(ZYGOTE, &["same", "4"], 1),
        scene(WARMED, &["same", "5"], 1),
        scene(WARMED, &["same", "6"], 1),
        scene(ZYGOTE, &["same", "7"], 1000),
    ];
    assert_eq!(chosen(&["same", "1"], honest).await, (WARMED, false, String::new()));
    let frozen =
        vec![scene(ZYGOTE, &["same", "2"], 1), scene(FRESH, &["same", "3"], 1), scene(ZYGOTE, &["same", "2"], 1)];
    let (strategy, deterministic, reason) = chosen(&["same", "1"], frozen).await;
    assert_eq!((strategy, deterministic), (FRESH, false));
    assert!(reason.contains("forked ones do not (\"Output 1\")"), "{reason}");
    // A generator that the first run makes is the same in all children of the interpreter that ran it.
    let late = vec![
        scene(ZYGOTE, &["2"], 1000),
        scene(FRESH, &["3"], 1),
        scene(ZYGOTE, &["4"], 1),
        scene(WARMED, &["5"], 1),
        scene(WARMED, &["5"], 1),
    ];
    let (strategy, _, reason) = chosen(&["1"], late).await;
    assert_eq!(strategy, ZYGOTE);
    assert!(reason.starts_with("it is not run in advance: its runs differ by chance"), "{reason}");
}

#[tokio::test]
async fn a_silent_fall_back_is_noticed() {
    let thread = "importing the model starts threads: ticker";
    let fell_back = |outputs| vec![Scene { obstacle: Some(thread), ..scene(ZYGOTE, outputs, 1000) }];
    assert_eq!(chosen(&["1"], fell_back(&["1"])).await, (FRESH, true, thread.to_owned()));
    // What was executed instead was a second fresh run.
    assert_eq!(chosen(&["1"], fell_back(&["2"])).await, (FRESH, false, thread.to_owned()));
    let not_warmed =
        vec![scene(ZYGOTE, &["1"], 1000), Scene { obstacle: Some("native threads"), ..scene(WARMED, &["1"], 100) }];
    assert_eq!(chosen(&["1"], not_warmed).await, (ZYGOTE, true, "it is not run in advance: native threads".to_owned()));
}

#[tokio::test]
async fn what_breaks_or_hangs_when_forked_is_not_forked() {
    let hangs = Scene { returns: Err(Outcome::TimedOut { seconds: 65 }), ..scene(ZYGOTE, &[], 0) };
    let (choice, deadlines) = play(&["1"], 1000, vec![hangs, scene(FRESH, &["1"], 1)]).await;
    assert_eq!((choice.strategy, choice.deterministic), (FRESH, true));
    assert!(choice.reason.unwrap().contains("did not end within 65 s"));
    assert_eq!(deadlines, [3600, 65, 3600], "a fork that hangs is not waited for until the model's own deadline");
    let breaks = Scene { returns: Err(Outcome::Failed { traceback: "SIGSEGV".to_owned() }), ..scene(ZYGOTE, &[], 0) };
    let (strategy, deterministic, reason) = chosen(&["1"], vec![breaks, scene(FRESH, &["2"], 1)]).await;
    assert_eq!((strategy, deterministic), (FRESH, false));
    assert!(reason.contains("a forked run failed") && reason.contains("SIGSEGV"), "{reason}");
}

#[tokio::test]
async fn what_does_not_return_from_a_fork_is_called_anew() {
    let hangs = Scene { returns: Err(Outcome::TimedOut { seconds: 60 }), ..scene(ZYGOTE, &[], 60_000) };
    let script = Script { scenes: Mutex::new(VecDeque::from([hangs, scene(FRESH, &["1"], 5)])), ..Script::default() };
    let conformance = Conformance { executor: &script, clock: &Still, randomness: &Still };
    let asked = conformance.soon(&subject(), csw_core::run::Task::Sim, json!({})).await.unwrap();
    assert!(matches!(asked.end.outcome, Outcome::Returned(_)));
    assert_eq!(*script.deadlines.lock().unwrap(), [60, 3600]);
}
