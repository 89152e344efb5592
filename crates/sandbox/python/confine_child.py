"""The confinement of one run inside a zygote that is itself sandboxed.

A zygote started with the stage `zygote` already lives behind every outer layer
(namespaces, its own root, seccomp, no-new-privileges). A child it forks shares
all of that with its siblings, so each child calls `confine` first, before any
code of the model runs. What this adds, from strong to supporting:

* its own user id, when the zygote has a range of them: the kernel then refuses
  signals, tracing and files of mode 0700 between runs;
* a Landlock domain: files outside the listed sets, signals and abstract sockets
  out of the domain, and tracing of anything outside it are refused. Without a
  range of user ids this is what separates the runs;
* limits of its own, and no capability left at all.

Standard library and ctypes only, Python 3.8 and later. Import this module in
the zygote, before the fork: the child then makes system calls and nothing else.

The dictionary (csw_sandbox::ChildConfinement, as JSON):

    uid, gid     numbers inside the namespace, or None to keep the zygote's
    scratch      the run's own folder: working directory, HOME, and tmp below it
    read_only    paths that may be read and executed
    writable     paths that may be changed as well (scratch is always one)
    devices      paths of device files that may be read and written
    landlock     False skips Landlock (a kernel without it)
    limits       memory_bytes (address space; None when a cgroup limits memory),
                 cpu_seconds, max_processes, max_file_bytes, max_open_files, data_bytes;
                 None or a missing key leaves that limit alone
"""

import ctypes
import os
import resource
import struct

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

# The same numbers on every architecture.
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_ADD_RULE = 445
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# Rights that a rule on a file (not a folder) may name.
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
# The number of file rights known to each version of the Landlock interface.
_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15}
_RIGHTS_SINCE_ABI_5 = 16
_SCOPES_SINCE_ABI_6 = 3  # abstract Unix sockets and signals


class ConfinementError(OSError):
    """A layer could not be put in place; the run must not start."""


def _check(result, what):
    if result < 0:
        code = ctypes.get_errno()
        raise ConfinementError(code, "%s: %s" % (what, os.strerror(code)))
    return result


def _prctl(option, value, what):
    unsigned = ctypes.c_ulong
    _check(_LIBC.prctl(option, unsigned(value), unsigned(0), unsigned(0), unsigned(0)), what)


def _syscall(what, number, *arguments):
    return _check(_LIBC.syscall(ctypes.c_long(number), *arguments), what)


def landlock_abi():
    """The version of Landlock the kernel offers, 0 for none."""
    null, zero, version = ctypes.c_void_p(None), ctypes.c_size_t(0), ctypes.c_uint32(1)
    found = _LIBC.syscall(ctypes.c_long(_LANDLOCK_CREATE_RULESET), null, zero, version)
    return max(int(found), 0)


def _allow(ruleset, path, rights):
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, opened))
        _syscall(
            "Landlock rule for " + path,
            _LANDLOCK_ADD_RULE,
            ctypes.c_int(ruleset),
            ctypes.c_int(_LANDLOCK_RULE_PATH_BENEATH),
            rule,
            ctypes.c_uint32(0),
        )
    finally:
        os.close(opened)


def _landlock(abi, read_only, writable, devices):
    rights = (1 << _RIGHTS_BY_ABI.get(abi, _RIGHTS_SINCE_ABI_5)) - 1
    scopes = _SCOPES_SINCE_ABI_6 if abi >= 6 else 0
    # Older kernels accept a longer structure when its unknown tail is zero.
    attributes = ctypes.create_string_buffer(struct.pack("=QQQ", rights, 0, scopes), 24)
    ruleset = _syscall(
        "Landlock ruleset",
        _LANDLOCK_CREATE_RULESET,
        attributes,
        ctypes.c_size_t(24),
        ctypes.c_uint32(0),
    )
    try:
        for path in read_only:
            _allow(ruleset, path, _READ & rights)
        for path in devices:
            _allow(ruleset, path, (_READ_FILE | _WRITE_FILE | _IOCTL_DEV | _READ_DIR) & rights)
        for path in writable:
            _allow(ruleset, path, rights)
        _syscall(
            "Landlock domain",
            _LANDLOCK_RESTRICT_SELF,
            ctypes.c_int(ruleset),
            ctypes.c_uint32(0),
        )
    finally:
        os.close(ruleset)


def _limit(which, value):
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def _limits(limits):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for key, which in (
        ("memory_bytes", resource.RLIMIT_AS),
        ("cpu_seconds", resource.RLIMIT_CPU),
        ("max_processes", resource.RLIMIT_NPROC),
        ("max_file_bytes", resource.RLIMIT_FSIZE),
        ("max_open_files", resource.RLIMIT_NOFILE),
        ("data_bytes", resource.RLIMIT_DATA),
    ):
        value = limits.get(key)
        if value is not None:
            _limit(which, int(value))


def _become(uid, gid):
    if gid is not None:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
    if uid is not None:
        os.setresuid(uid, uid, uid)


def _drop_capabilities():
    _LIBC.prctl(_PR_CAP_AMBIENT, ctypes.c_ulong(_PR_CAP_AMBIENT_CLEAR_ALL), ctypes.c_ulong(0),
                ctypes.c_ulong(0), ctypes.c_ulong(0))
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    nothing = ctypes.create_string_buffer(24)
    _check(_LIBC.capset(header, nothing), "dropping capabilities")


def confine(spec):
    """Confines the calling process for good. Raises ConfinementError (an OSError)
    when a layer fails: the caller must then exit without running the model.
    Returns what is in place: {"uid": bool, "landlock": version or 0}."""
    scratch = spec["scratch"]
    os.setsid()
    os.umask(0o077)
    # Orphans of the run stay below it, so that ending the run can find them all.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, "becoming the reaper of the run")
    _limits(spec.get("limits") or {})
    _become(spec.get("uid"), spec.get("gid"))
    _drop_capabilities()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, "refusing new privileges")
    os.chdir(scratch)
    temporary = os.path.join(scratch, "tmp")
    os.makedirs(temporary, mode=0o700, exist_ok=True)
    os.environ["HOME"] = scratch
    os.environ["TMPDIR"] = temporary
    abi = landlock_abi() if spec.get("landlock", True) else 0
    if abi:
        _landlock(
            abi,
            spec.get("read_only", ()),
            [scratch] + [path for path in spec.get("writable", ()) if path != scratch],
            spec.get("devices", ()),
        )
    _prctl(_PR_SET_DUMPABLE, 0, "refusing tracers")
    return {"uid": spec.get("uid") is not None, "landlock": abi}
