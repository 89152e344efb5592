//! Limits, and everything that can happen to a run from outside.

use std::{sync::Arc, time::Duration};

use csw_core::{
    ids::Lease,
    model::Strategy,
    ports::Executor,
    run::{Outcome, RunOrder},
};
use csw_sandbox::tree;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{Place, Receiver, case, null};

const BOTH: [Strategy; 2] = [Strategy::Zygote, Strategy::Fresh];

/// The interpreters of a place: their command line names its folder.
fn interpreters(place: &Place) -> Vec<i32> {
    let folder = place.folder.path().to_str().unwrap().to_owned();
    let named = |pid: &i32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&folder))
    };
    tree::descendants(std::process::id().cast_signed()).into_iter().filter(named).collect()
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_cancels_and_limits_end_a_run() {
    let place = Place::new();
    for strategy in BOTH {
        for name in ["sleeps", "busy", "ignores-signals", "swallows-exceptions"] {
            let mut order = case(strategy, name, json!({"seconds": 600}));
            order.limits.deadline_seconds = 1;
            let (end, _) = place.run(&order).await;
            assert_eq!(end.outcome, Outcome::TimedOut { seconds: 1 }, "{strategy:?} {name}");
        }
        let order = case(strategy, "sleeps", json!({"seconds": 600}));
        let seen = place.start(&order).await;
        assert!(place.executor.live().await.contains(&order.run));
        place.executor.start(order.clone(), Receiver::new()).await.expect("the same order again is no error");
        tokio::time::sleep(Duration::from_millis(300)).await;
        place.executor.cancel(order.run).await;
        assert_eq!(seen.ended().await.outcome, Outcome::Cancelled);
        for name in ["memory", "memory-in-child"] {
            let mut order = case(strategy, name, json!({"megabytes": 400}));
            order.limits.memory_bytes = 150_000_000;
            let (end, seen) = place.run(&order).await;
            let expected = Outcome::OutOfMemory { limit_bytes: 150_000_000 };
            assert_eq!(end.outcome, expected, "{strategy:?} {name} {}", seen.logged());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_behind() {
    let place = Place::new();
    for strategy in BOTH {
        for name in ["child-left-running", "daemon-left-running", "thread-left-running"] {
            let (end, _) = place.run(&case(strategy, name, json!({"seconds": 600}))).await;
            assert!(matches!(end.outcome, Outcome::Returned(_)), "{strategy:?} {name} {end:?}");
        }
    }
    let (end, _) = place.run(&case(Strategy::Zygote, "many-processes", json!({"count": 5000, "seconds": 600}))).await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
    // The zygote itself.
    while interpreters(&place).len() > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_zygote_is_replaced_and_its_runs_are_lost() {
    // The only child is then the run.
    let place = Place::with(|config| config.forked_ahead = 0);
    place.run(&null(Strategy::Zygote, 1)).await;
    signal(interpreters(&place)[0], Signal::SIGKILL);
    let (end, seen) = place.run(&null(Strategy::Zygote, 2)).await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?} {}", seen.logged());
    let order = case(Strategy::Zygote, "prints-slowly", json!({"seconds": 600}));
    let seen = place.start(&order).await;
    seen.until(|seen| (!seen.logged().is_empty()).then_some(())).await;
    // The guardian of the sandbox: everything in it goes along.
    let child = interpreters(&place).into_iter().find(|pid| interpreters(&place).contains(&parent(*pid))).unwrap();
    signal(parent(parent(parent(child))), Signal::SIGKILL);
    let end = seen.ended().await;
    assert!(
        matches!(&end.outcome, Outcome::Lost { sentence } if sentence.contains("forked from has ended")),
        "{end:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_zygote_is_given_up_and_the_run_is_not() {
    let place = Place::with(|config| {
        config.first_sign = Duration::from_millis(500);
        // A child that waits already needs no zygote.
        config.forked_ahead = 0;
    });
    place.run(&null(Strategy::Zygote, 1)).await;
    signal(interpreters(&place)[0], Signal::SIGSTOP);
    let order = null(Strategy::Zygote, 2);
    let (end, _) = place.run(&order).await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
    assert!(place.executor.why_fresh(&order.artifact).unwrap().contains("no sign of life"));
    assert_eq!(place.executor.zygotes().parked, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_kept_until_they_are_taken() {
    let place = Place::new();
    let receiver = Receiver::new();
    receiver.refusals.store(4, std::sync::atomic::Ordering::SeqCst);
    let order = null(Strategy::Zygote, 7);
    place.executor.start(order.clone(), receiver.clone()).await.unwrap();
    let end = receiver.ended().await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
    assert_eq!(receiver.outputs.lock().unwrap()[0].text(), "7\n");
    let stale = Arc::new(Receiver { stale: true, ..Receiver::default() });
    let order = null(Strategy::Zygote, 8);
    place.executor.start(order, stale.clone()).await.unwrap();
    while !place.executor.live().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(stale.end.lock().unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_attempt_may_come_before_the_last_one_is_gone() {
    let place = Place::new();
    for strategy in BOTH {
        let first = case(strategy, "prints-slowly", json!({"seconds": 600}));
        let seen = place.start(&first).await;
        seen.until(|seen| (!seen.logged().is_empty()).then_some(())).await;
        let mut next = case(strategy, "quiet", json!({}));
        (next.run, next.lease) = (first.run, Lease::from_uuid(Uuid::now_v7()));
        let (end, _) = place.run(&next).await;
        assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
        assert_eq!(seen.ended().await.outcome, Outcome::Cancelled, "the former attempt is nobody's any more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_hands_runs_back() {
    let place = Place::new();
    let order = |strategy| case(strategy, "sleeps", json!({"seconds": 600}));
    let orders: [RunOrder; 2] = BOTH.map(order);
    let mut seen = vec![];
    for order in &orders {
        seen.push(place.start(order).await);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    place.executor.shut_down(0).await;
    for seen in seen {
        let end = seen.ended().await;
        assert!(matches!(&end.outcome, Outcome::Lost { sentence } if sentence.contains("shut down")), "{end:?}");
    }
    while !interpreters(&place).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_outputs_cost_the_server_little_memory() {
    let place = Place::new();
    place.run(&case(Strategy::Zygote, "quiet", json!({}))).await;
    let before = resident();
    let receiver = Arc::new(Receiver { keep_bytes: false, ..Receiver::default() });
    let order = case(Strategy::Zygote, "big-output", json!({"megabytes": 200}));
    place.executor.start(order, receiver.clone()).await.unwrap();
    let mut most = before;
    let end = loop {
        tokio::select! {
            end = receiver.ended() => break end,
            () = tokio::time::sleep(Duration::from_millis(5)) => most = most.max(resident()),
        }
    };
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
    assert_eq!(receiver.outputs.lock().unwrap()[0].draft.size, 200 << 20);
    assert!(most - before < 64 << 20, "{} MB", (most - before) >> 20);
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_forked_ahead_serve_one_run_each_and_may_die_before_it() {
    let place = Place::new();
    let mut users = std::collections::BTreeSet::new();
    let waiting = async || {
        for _ in 0..400 {
            let children: Vec<i32> = interpreters(&place);
            let children: Vec<i32> = children.iter().copied().filter(|pid| children.contains(&parent(*pid))).collect();
            if !children.is_empty() {
                return children;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("nobody waits: {:?}", interpreters(&place));
    };
    for round in 1..=4 {
        let (end, seen) = place.run(&case(Strategy::Zygote, "facts", json!({}))).await;
        assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?} {}", seen.logged());
        let facts = seen.outputs.lock().unwrap()[0].json();
        users.insert(facts["uid"].to_string());
        let waiting = waiting().await;
        if nix::unistd::geteuid().is_root() {
            assert_eq!(users.len(), round, "each run has a user of its own: {users:?}");
        }
        // One of those that wait dies of something else, and no run is to notice.
        signal(waiting[0], Signal::SIGKILL);
        while interpreters(&place).contains(&waiting[0]) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    place.executor.shut_down(1).await;
    for _ in 0..400 {
        if interpreters(&place).is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("left behind: {:?}", interpreters(&place));
}
