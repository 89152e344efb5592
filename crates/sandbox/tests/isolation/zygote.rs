//! Runs of one zygote: each confined after its fork, none within reach of another.

use std::fs;
use std::path::PathBuf;

use super::support::{Sandbox, TELL, own};
use csw_sandbox::{CONFINE_CHILD, Limits, Stage, UserRange};

struct Zygote {
    sandbox: Sandbox,
    runs: PathBuf,
}

impl Zygote {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        let runs = sandbox.folder.path().join("runs");
        fs::create_dir(&runs).expect("runs");
        let code = sandbox.folder.path().join("code");
        fs::create_dir(&code).expect("code");
        fs::write(code.join("confine_child.py"), CONFINE_CHILD).expect("module");
        sandbox.confinement.stage = Stage::Zygote;
        sandbox.confinement.read_only.push(code.clone());
        sandbox.confinement.writable.push(runs.clone());
        let code = code.to_str().expect("text").to_owned();
        sandbox.confinement.env.insert("PYTHONPATH".into(), code);
        Self { sandbox, runs }
    }

    /// The text of a run's dictionary, as Python reads it.
    fn run(&self, number: u32) -> String {
        let users = self.sandbox.confinement.users;
        let has_range = super::support::is_root() && self.sandbox.confinement.layers.user_namespace;
        let user = has_range.then_some(UserRange::FIRST_RUN + number);
        let scratch = self.runs.join(format!("run{number}"));
        fs::create_dir(&scratch).expect("scratch");
        own(&scratch, users, user.unwrap_or(UserRange::PROGRAM));
        let limits = Limits { max_processes: Some(30), max_open_files: Some(64), ..Limits::default() };
        let child = self.sandbox.confinement.child(user, &scratch, limits);
        serde_json::to_string(&child).expect("json")
    }
}

fn script(first: &str, second: &str) -> String {
    format!(
        "{TELL}
import json, signal, confine_child, ctypes, struct
zygote = os.getpid()
def run(spec, act):
    there, here = os.pipe()
    go, started = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            print(confine_child.confine(json.loads(spec)), flush=True)
            open('mine', 'w').write('secret')
            os.write(started, b'x')
            act(); sys.stdout.flush()
        except BaseException as e:
            print('failed', repr(e), flush=True)
        os._exit(0)
    os.read(go, 1)
    return pid
def sleep():
    signal.pause()
first = run(r'''{first}''', sleep)
def attack():
    tell('file', lambda: open(os.path.join(os.path.dirname(os.getcwd()), 'run0', 'mine')).read())
    tell('signal', lambda: os.kill(first, 9))
    tell('zygote', lambda: os.kill(zygote, 9))
    tell('memory', lambda: open('/proc/%d/mem' % first, 'rb'))
    tell('environ', lambda: open('/proc/%d/environ' % zygote).read())
    tell('setuid', lambda: os.setresuid(2, 2, 2) if os.getuid() != 2 else None)
    tell('list', lambda: [p for p in os.listdir('/proc') if p in (str(first), str(zygote))])
    tell('own', lambda: open('mine').read())
    import subprocess
    tell('child', lambda: subprocess.run(['/bin/cat', 'mine'], capture_output=True).stdout)
    print(sorted(l for l in open('/proc/self/status') if l[:6] in ('CapPrm', 'CapEff', 'CapAmb')))
    print('home', os.environ['HOME'] == os.getcwd(), oct(os.stat('mine').st_mode & 0o777))
second = run(r'''{second}''', attack)
os.waitpid(second, 0)
print('first lives', os.waitpid(first, os.WNOHANG) == (0, 0))
"
    )
}

#[test]
fn runs_of_one_zygote_cannot_reach_each_other() {
    for landlock in [true, false] {
        let mut zygote = Zygote::new();
        let has_range = super::support::is_root() && zygote.sandbox.confinement.layers.user_namespace;
        if !landlock && !has_range {
            println!("skipped: without users and Landlock nothing separates runs");
            continue;
        }
        zygote.sandbox.confinement.layers.landlock &= landlock;
        let out = zygote.sandbox.python(&script(&zygote.run(0), &zygote.run(1)));
        for name in ["file", "signal", "zygote", "memory", "environ"] {
            assert!(out.contains(&format!("{name} refused")), "{name}, {landlock}: {out}");
        }
        assert!(out.contains("list done []"), "{out}");
        assert!(out.contains("own done secret"), "{out}");
        assert!(out.contains("child done b'secret'"), "{out}");
        assert!(out.contains("home True 0o600"), "{out}");
        assert!(out.contains("first lives True"), "{out}");
        assert_eq!(out.matches("0000000000000000").count(), 3, "{out}");
        if has_range {
            assert!(out.contains("setuid refused 1"), "{out}");
        }
    }
}

/// The separation of runs where users cannot be changed: Landlock alone.
#[test]
fn without_a_range_of_users_landlock_separates_runs() {
    let mut zygote = Zygote::new();
    let layers = &mut zygote.sandbox.confinement.layers;
    if !layers.landlock {
        println!("skipped: no Landlock");
        return;
    }
    layers.user_namespace = !super::support::is_root();
    own(&zygote.runs, zygote.sandbox.confinement.users, UserRange::PROGRAM);
    let out = zygote.sandbox.python(&script(&zygote.run(0), &zygote.run(1)));
    for name in ["file", "memory", "environ"] {
        assert!(out.contains(&format!("{name} refused")), "{name}: {out}");
    }
    assert!(out.contains("own done secret"), "{out}");
    assert!(out.contains("'uid': False"), "{out}");
}
