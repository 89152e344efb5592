//! Privileges, processes, network, limits, and what science needs.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::support::{Sandbox, TELL, is_root, text};
use csw_sandbox::{LayerSet, NetworkAccess, PassedFd};

#[test]
fn no_other_process_is_seen() {
    let out = Sandbox::new().python("import os; print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))");
    assert_eq!(out.trim(), "[2]", "neither init nor anything outside");
}

#[test]
fn no_privilege_and_no_way_to_one() {
    let out = Sandbox::new().python(&format!(
        "{TELL}
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    if libc.syscall(number, *args) < 0: raise OSError(ctypes.get_errno(), '')
status = dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines())
print('caps', status['CapEff'], status['CapPrm'], status['CapAmb'], status['NoNewPrivs'], status['Seccomp'])
print('uid', os.getuid())
tell('setuid', lambda: os.setuid(0))
tell('unshare', lambda: call(272, 0x10000000))
tell('clone', lambda: call(56, 0x10000011, 0, 0, 0, 0))
tell('clone3', lambda: call(435, 0, 0))
tell('ptrace', lambda: call(101, 16, 1, 0, 0))
tell('mount', lambda: call(165, 0, 0, 0, 0, 0))
tell('uring', lambda: call(425, 1, 0))
tell('x32', lambda: call(0x40000000 + 39))
tell('keyctl', lambda: call(250, 0, 0))
import socket
tell('vsock', lambda: socket.socket(40, socket.SOCK_STREAM))
tell('host', lambda: print(socket.gethostname()))"
    ));
    let none = "0000000000000000";
    assert!(out.contains(&format!("caps {none} {none} {none} 1 2")), "{out}");
    assert!(!out.contains("uid 0\n"), "{out}");
    for name in ["unshare", "clone", "ptrace", "mount", "uring", "keyctl", "vsock"] {
        assert!(out.contains(&format!("{name} refused 1\n")), "{name}: {out}");
    }
    // Not permitted, or in a user namespace not even a number that means anyone.
    assert!(out.contains("setuid refused"), "{out}");
    assert!(out.contains("clone3 refused 38"), "{out}");
    assert!(out.contains("x32 refused 38"), "{out}");
    assert!(out.contains("sandbox\n"), "{out}");
}

#[test]
fn the_network_is_loopback_of_its_own() {
    let server = TcpListener::bind("127.0.0.1:0").expect("server");
    let port = server.local_addr().expect("address").port();
    let mut sandbox = Sandbox::new();
    let script = format!(
        "{TELL}
import socket
tell('outside', lambda: socket.create_connection(('127.0.0.1', {port}), 5))
def inside():
    s = socket.create_server(('127.0.0.1', 0))
    socket.create_connection(('localhost', s.getsockname()[1]), 5)
tell('inside', inside)"
    );
    let out = sandbox.python(&script);
    assert!(out.contains("outside refused"), "{out}");
    assert!(out.contains("inside done"), "{out}");
    sandbox.confinement.network = NetworkAccess::None;
    let out = sandbox.python(&script);
    assert!(out.contains("inside refused"), "{out}");
    sandbox.confinement.network = NetworkAccess::Full;
    let out = sandbox.python(&script);
    assert!(out.contains("outside done"), "{out}");
}

#[test]
fn without_a_network_of_its_own_there_are_local_sockets_only() {
    let mut sandbox = Sandbox::new();
    if !sandbox.confinement.layers.seccomp {
        println!("skipped: no filter of system calls");
        return;
    }
    let layers = LayerSet { namespaces: false, user_namespace: false, ..sandbox.confinement.layers };
    sandbox.confinement.layers = layers;
    sandbox.confinement.network = NetworkAccess::None;
    let out = sandbox.python(&format!(
        "{TELL}
import socket
tell('ip', lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
tell('datagram', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
tell('six', lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
tell('local', lambda: print(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).family))"
    ));
    for word in ["ip", "datagram", "six"] {
        assert!(out.contains(&format!("{word} refused")), "{word}: {out}");
    }
    assert!(out.contains("local done"), "{out}");
}

#[test]
fn python_has_threads_processes_and_locks() {
    let out = Sandbox::new().python(
        "
import subprocess, threading, multiprocessing, tempfile, concurrent.futures as f, getpass, pathlib, os
found = []
threads = [threading.Thread(target=found.append, args=(i,)) for i in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(found), subprocess.run(['sh', '-c', 'echo child'], capture_output=True, text=True).stdout.strip())
with f.ProcessPoolExecutor(2) as pool: print(list(pool.map(abs, [-1, -2])))
with multiprocessing.get_context('spawn').Pool(1) as pool: print(pool.map(abs, [-3]))
print(tempfile.NamedTemporaryFile().name.startswith('/tmp/'), getpass.getuser(), pathlib.Path.home() == pathlib.Path.cwd())
print(os.cpu_count() > 0, len(os.urandom(4)))
",
    );
    assert_eq!(out, "8 child\n[1, 2]\n[3]\nTrue model True\nTrue 4\n");
}

#[test]
fn a_fork_bomb_stops_at_the_limit() {
    let mut sandbox = Sandbox::new();
    sandbox.confinement.limits.max_processes = Some(20);
    let out = sandbox.python(
        "
import os, time
count = 0
try:
    while count < 1000:
        if os.fork() == 0: time.sleep(1000)
        count += 1
except BlockingIOError: pass
print(count)
",
    );
    let count: u32 = out.trim().parse().expect("a number");
    assert!((10..=20).contains(&count), "{count}");
}

#[test]
fn files_and_descriptors_are_limited() {
    let mut sandbox = Sandbox::new();
    sandbox.confinement.limits.max_file_bytes = Some(1000);
    let out = sandbox.python(&format!(
        "{TELL}
import signal, resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def write():
    with open('big', 'wb', 0) as f: f.write(bytes(900)); f.write(bytes(900)); f.write(b'x')
tell('write', write)
tell('open', lambda: [open('/dev/null') for _ in range(300)])
print(resource.getrlimit(resource.RLIMIT_CORE))"
    ));
    assert!(out.contains("write refused 27"), "{out}");
    assert!(out.contains("open refused 24"), "{out}");
    assert!(out.contains("(0, 0)"), "{out}");
}

#[test]
fn passed_descriptors_arrive_and_no_others() {
    let sandbox = Sandbox::new();
    let (mut ours, theirs) = UnixStream::pair().expect("pair");
    let script = "
import os, socket
s = socket.socket(fileno=3)
s.sendall(b'hello ' + s.recv(5))
print(sorted(int(n) for n in os.listdir('/proc/self/fd')))
print(repr(os.read(0, 10)), dict(os.environ).keys() - {'LC_CTYPE'} == {'PATH', 'HOME'})
";
    let passed = vec![PassedFd { source: OwnedFd::from(theirs), target: 3 }];
    let mut command = sandbox.command("/usr/bin/python3", &["-c", script], passed);
    let child = command.spawn().expect("helper");
    drop(command);
    ours.write_all(b"world").expect("write");
    let mut said = String::new();
    // To the end: no guardian may hold the other side.
    ours.read_to_string(&mut said).expect("read");
    let output = child.wait_with_output().expect("wait");
    assert_eq!(said, "hello world", "{}", text(&output.stderr));
    let out = text(&output.stdout);
    // The fourth is the listing itself.
    assert!(out.starts_with("[0, 1, 2, 3, 4]"), "{out}");
    assert!(out.contains("b'' True"), "{out}");
}

#[test]
fn the_user_is_not_the_servers() {
    if !is_root() {
        println!("skipped: not root");
        return;
    }
    let mut sandbox = Sandbox::new();
    for user_namespace in [true, false] {
        sandbox.confinement.layers.user_namespace &= user_namespace;
        sandbox.python(&format!("open('from{user_namespace}', 'w')"));
        let file = sandbox.scratch().join(format!("from{user_namespace}"));
        let owner = std::os::unix::fs::MetadataExt::uid(&file.metadata().expect("file"));
        assert_eq!(Some(owner), sandbox.confinement.users.host_id(1));
    }
}

#[test]
fn what_gives_way_is_last_and_bounded() {
    let mut sandbox = Sandbox::new();
    sandbox.confinement.gives_way = true;
    sandbox.confinement.limits.data_bytes = Some(256 << 20);
    let out = sandbox.python(
        "import os, resource
print(os.getpriority(os.PRIO_PROCESS, 0), resource.getrlimit(resource.RLIMIT_DATA)[0])
try: bytearray(512 << 20)
except MemoryError: print('refused')",
    );
    assert_eq!(out, "19 268435456\nrefused\n");
}
