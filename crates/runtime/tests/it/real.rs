//! What real models do to their interpreters. The points are those of `tests/it/real_models.rs`.

use csw_core::{
    model::{Artifact, Strategy},
    ports::Executor,
    run::{Outcome, RunOrder},
};
use serde_json::{Value, json};

use crate::support::{Place, case};

const BOTH: [Strategy; 2] = [Strategy::Zygote, Strategy::Fresh];

/// The three functions that a run needs, beside `found()`, whose JSON is the only output.
const FRAME: &str = "
import json, os, sys


def get_version():
    return '1'


def get_inputs(meta):
    return {'meta_parameters': {}, 'model_parameters': {'S': {}}}


def run_model(meta, adjustment):
    text = {'media_type': 'Text', 'title': 'Found', 'data': json.dumps(found())}
    return {'renderable': [text], 'downloadable': []}
";

fn order(code: &str, strategy: Strategy) -> RunOrder {
    let artifact = Artifact::Environment { environment: "test".to_owned(), code: code.to_owned() };
    RunOrder { artifact, ..case(strategy, "quiet", json!({})) }
}

async fn found(place: &Place, code: &str, strategy: Strategy) -> Value {
    let (end, seen) = place.run(&order(code, strategy)).await;
    assert!(matches!(end.outcome, Outcome::Returned(_)), "{strategy:?} {code}: {end:?} {}", seen.logged());
    let outputs = seen.outputs.lock().unwrap();
    outputs[0].json()
}

fn model(place: &Place, code: &str, python: &str) {
    place.model(code, &format!("{FRAME}\n\n{python}\n"));
}

/// Point 1: what is made at import is made once for all runs that are forked, and anew in each fresh interpreter.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_shared_by_all_runs() {
    let place = Place::new();
    model(&place, "import", "TOKEN = os.urandom(8).hex()\n\ndef found():\n    return TOKEN");
    let forked = [found(&place, "import", Strategy::Zygote).await, found(&place, "import", Strategy::Zygote).await];
    assert_eq!(forked[0], forked[1]);
    let fresh = [found(&place, "import", Strategy::Fresh).await, found(&place, "import", Strategy::Fresh).await];
    assert!(fresh[0] != fresh[1] && fresh[0] != forked[0]);
}

/// Point 2: what a run leaves in its interpreter stays with it, but for the first run of a zygote that is warmed up.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_is_inherited_where_that_is_wanted() {
    let place = Place::new();
    let python = "RUNS = []\n\ndef found():\n    RUNS.append(1)\n    return len(RUNS)";
    model(&place, "counts", python);
    for (strategy, expected) in [(Strategy::Fresh, 1), (Strategy::Zygote, 1), (Strategy::WarmedZygote, 2)] {
        for _ in 0..2 {
            assert_eq!(found(&place, "counts", strategy).await, expected, "{strategy:?}");
        }
        assert_eq!(place.executor.obstacle(&order("counts", strategy).artifact, strategy), None);
    }
}

/// Point 20: neither what is in the current folder nor what lies beside the model's package hides a package.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_shadows_a_package() {
    let place = Place::new();
    let python = "
def found():
    for name in ('statistics', 'cs_config', 'late'):
        os.makedirs(name)
        with open(name + '/__init__.py', 'w') as file:
            file.write('WRONG = True')
    import statistics, cs_config
    try:
        import late
        from_here = True
    except ImportError:
        from_here = False
    wrong = [m.__name__ for m in (statistics, cs_config) if hasattr(m, 'WRONG')]
    return {'wrong': wrong, 'from_here': from_here, 'empty': [p for p in sys.path if p in ('', '.')]}";
    model(&place, "shadow", python);
    // A folder of the repository that is named like a module of Python itself, with the repository on the path.
    let code = place.folder.path().join("code/shadow");
    std::fs::create_dir_all(code.join("statistics")).unwrap();
    std::fs::write(code.join("statistics/__init__.py"), "WRONG = True").unwrap();
    std::fs::write(code.join("csw-path.txt"), ".\ncs-config\n").unwrap();
    for strategy in BOTH {
        let seen = found(&place, "shadow", strategy).await;
        assert_eq!(seen, json!({ "wrong": [], "from_here": false, "empty": [] }), "{strategy:?}");
    }
}

/// Point 23: pools of both kinds, executors and programs work in a run, forked or not.
#[tokio::test(flavor = "multi_thread")]
async fn models_may_start_processes() {
    let place = Place::new();
    std::fs::create_dir_all(place.folder.path().join("code/processes/cs-config/cs_config")).unwrap();
    let work = "def square(n):\n    return n * n\n";
    std::fs::write(place.folder.path().join("code/processes/cs-config/cs_config/work.py"), work).unwrap();
    let python = "
import concurrent.futures, multiprocessing, subprocess
from cs_config.work import square


def found():
    seen = {}
    for method in ('fork', 'spawn', 'forkserver'):
        with multiprocessing.get_context(method).Pool(2) as pool:
            seen[method] = pool.map(square, range(4))
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        seen['executor'] = list(pool.map(square, range(4)))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        seen['threads'] = list(pool.map(square, range(4)))
    code = 'import cs_config.work as w, sys; print(w.square(2))'
    child = subprocess.run([sys.executable, '-c', code], env={**os.environ, 'PYTHONPATH': ':'.join(sys.path)},
                           capture_output=True, text=True)
    seen['program'] = child.stdout + child.stderr
    return seen";
    model(&place, "processes", python);
    for strategy in BOTH {
        let seen = found(&place, "processes", strategy).await;
        for kind in ["fork", "spawn", "forkserver", "executor", "threads"] {
            assert_eq!(seen[kind], json!([0, 1, 4, 9]), "{strategy:?} {kind}");
        }
        assert_eq!(seen["program"], "4\n", "{strategy:?}");
    }
    assert_eq!(place.executor.obstacle(&order("processes", Strategy::Zygote).artifact, Strategy::Zygote), None);
}

/// Point 23: what can't be forked is noticed, whatever makes it so, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_forked_says_why() {
    let place = Place::new();
    for (code, python, reason) in [
        (
            "thread",
            "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True, name='ticker').start()",
            "threads: ticker",
        ),
        ("native", "import _thread, time\n_thread.start_new_thread(time.sleep, (600,))", "native threads"),
        ("child", "import subprocess\nCHILD = subprocess.Popen(['sleep', '600'])", "starts processes"),
        ("dies", "os.register_at_fork(before=lambda: os._exit(1))", "parked interpreters end before"),
        ("breaks", "os.register_at_fork(after_in_child=lambda: os._exit(1))", "forked process did not start"),
    ] {
        model(&place, code, &format!("{python}\n\ndef found():\n    return os.getpid() > 0"));
        let artifact = order(code, Strategy::Zygote).artifact;
        for _ in 0..2 {
            assert_eq!(found(&place, code, Strategy::Zygote).await, true, "{code}");
        }
        let why = place.executor.obstacle(&artifact, Strategy::Zygote).unwrap_or_default();
        assert!(why.contains(reason), "{code}: {why}");
        assert_eq!(place.executor.obstacle(&artifact, Strategy::WarmedZygote), Some(why));
        assert_eq!(place.executor.obstacle(&artifact, Strategy::Fresh), None);
        // A new check begins without prejudice.
        place.executor.reconsider(&artifact);
        assert_eq!(place.executor.obstacle(&artifact, Strategy::Zygote), None, "{code}");
    }
    assert_eq!(place.executor.zygotes().parked, 0);
}

/// A version that can be forked, but not once it has run, is forked from an interpreter that has not, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_in_advance_says_why() {
    let place = Place::new();
    let python = "
import threading, time


def found():
    threading.Thread(target=time.sleep, args=(600,), daemon=True, name='left-over').start()
    return 1";
    model(&place, "leaves", python);
    let artifact = order("leaves", Strategy::WarmedZygote).artifact;
    assert_eq!(found(&place, "leaves", Strategy::WarmedZygote).await, 1);
    let why = place.executor.obstacle(&artifact, Strategy::WarmedZygote).unwrap_or_default();
    assert!(why.contains("left-over"), "{why}");
    assert_eq!(place.executor.obstacle(&artifact, Strategy::Zygote), None);
    assert_eq!(place.executor.zygotes().parked, 1);
}

/// Unless the model seeds it in the run, chance differs; with a seed it is the same as in a fresh process.
#[tokio::test(flavor = "multi_thread")]
async fn a_seed_means_the_same_in_every_interpreter() {
    let place = Place::new();
    let python = "
import random, uuid


def found():
    free = [random.random(), str(uuid.uuid4()), str(uuid.uuid1())]
    random.seed(7)
    return {'free': free, 'seeded': random.random()}";
    model(&place, "seeds", python);
    let mut seen = vec![];
    for strategy in
        [Strategy::Zygote, Strategy::Zygote, Strategy::WarmedZygote, Strategy::WarmedZygote, Strategy::Fresh]
    {
        seen.push(found(&place, "seeds", strategy).await);
    }
    for (at, one) in seen.iter().enumerate() {
        assert_eq!(one["seeded"], seen[0]["seeded"]);
        for other in &seen[..at] {
            for kind in 0..3 {
                assert_ne!(one["free"][kind], other["free"][kind], "{seen:?}");
            }
        }
    }
}
