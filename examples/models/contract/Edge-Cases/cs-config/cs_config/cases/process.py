"""Cases about how a run ends, and what it leaves behind."""

import ctypes
import os
import signal
import subprocess
import sys
import time

from cs_config.cases.register import case, said

MEGABYTE = 1 << 20


@case("raises")
def raises(want):
    """Raise, from a chain of two."""
    try:
        {}["missing"]
    except KeyError as cause:
        raise ValueError(want.text or "the model cannot be run with these inputs") from cause


@case("raises-secret")
def raises_secret(want):
    """Raise with a text that looks like a password, as a failed log-in to a database does."""
    password = "s3cr3t-hunter2"
    raise ConnectionError(f"postgresql://model:{password}@db.example/data refused the connection")


@case("raises-unprintable")
def raises_unprintable(want):
    """Raise what cannot be turned into text."""

    class Unprintable(Exception):
        def __str__(self):
            raise RuntimeError("no text for this error")

    raise Unprintable()


@case("raises-long")
def raises_long(want):
    """Raise with a message of so many megabytes, none of them ASCII."""
    raise ValueError("é" * (want.megabytes * MEGABYTE))


@case("raises-surrogate")
def raises_surrogate(want):
    """Raise with a message that no UTF-8 can hold."""
    raise ValueError("half a character: \ud800")


@case("raises-group")
def raises_group(want):
    """Raise several errors at once, where Python knows that."""
    if sys.version_info < (3, 11):
        raise ValueError("several errors")
    raise ExceptionGroup("several errors", [ValueError("first"), KeyError("second")])  # noqa: F821


@case("recursion")
def recursion(want):
    """Call itself without end."""
    return recursion(want)


@case("sys-exit")
def sys_exit(want):
    """Leave by `sys.exit` with a message."""
    sys.exit("the model leaves")


@case("sys-exit-zero")
def sys_exit_zero(want):
    """Leave as if all were well, with no result."""
    sys.exit(0)


@case("os-exit")
def os_exit(want):
    """Leave at once, with no clean-up, code 0."""
    os._exit(0)


@case("keyboard-interrupt")
def keyboard_interrupt(want):
    """Raise what is no `Exception`."""
    raise KeyboardInterrupt


@case("abort")
def abort(want):
    """Abort, as a failed assertion in C does."""
    os.abort()


@case("segfault")
def segfault(want):
    """Read address 0."""
    ctypes.string_at(0)


@case("kills-itself")
def kills_itself(want):
    """Die by SIGKILL, as by the kernel when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


@case("kills-its-group")
def kills_its_group(want):
    """Send SIGKILL to the process group and to all that it may signal."""
    for target in (0, -1):
        try:
            os.kill(target, signal.SIGKILL)
        except OSError:
            pass
    return said("survived\n")


@case("kills-parent")
def kills_parent(want):
    """Send SIGKILL to the parent process, if it may."""
    try:
        os.kill(os.getppid(), signal.SIGKILL)
        return said({"parent": os.getppid(), "killed": True})
    except OSError as problem:
        return said({"killed": False, "problem": problem.strerror})


@case("memory")
def memory(want):
    """Take so many megabytes of memory, and touch every page."""
    held = []
    for _ in range(want.megabytes):
        held.append(bytearray(os.urandom(4096)) * (MEGABYTE // 4096))
    return said({"megabytes": len(held)})


@case("memory-in-child")
def memory_in_child(want):
    """Let a child process take the memory."""
    code = f"held = [bytearray(b'x') * {MEGABYTE} for _ in range({want.megabytes})]"
    return said({"child": subprocess.run([sys.executable, "-c", code]).returncode})


@case("sleeps")
def sleeps(want):
    """Sleep so many seconds."""
    time.sleep(want.seconds)
    return said(f"slept {want.seconds} s\n")


@case("busy")
def busy(want):
    """Use one CPU for so many seconds."""
    end = time.monotonic() + want.seconds
    rounds = 0
    while time.monotonic() < end:
        rounds += sum(range(1000)) > 0
    return said("computed\n")


@case("ignores-signals")
def ignores_signals(want):
    """Refuse SIGTERM, SIGINT and SIGHUP, and sleep so many seconds."""
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    time.sleep(want.seconds)
    return said("not to be moved\n")


@case("swallows-exceptions")
def swallows_exceptions(want):
    """Catch whatever is raised into it, for so many seconds."""
    end = time.monotonic() + want.seconds
    while time.monotonic() < end:
        try:
            time.sleep(end - time.monotonic())
        except BaseException:
            pass
    return said("not to be moved\n")


@case("child-left-running")
def child_left_running(want):
    """Return while a child process, which has inherited everything, goes on for so many seconds."""
    child = os.fork()
    if child == 0:
        time.sleep(want.seconds)
        os._exit(0)
    return said({"child": child})


@case("daemon-left-running")
def daemon_left_running(want):
    """The same with a grandchild in a session of its own, as a daemon."""
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(want.seconds)
        os._exit(0)
    os.waitpid(child, 0)
    return said("a daemon was left\n")


@case("child-returns-too")
def child_returns_too(want):
    """Fork and let both processes return, so that there are two results."""
    return said("from the child\n" if os.fork() == 0 else "from the parent\n")


@case("many-processes")
def many_processes(want):
    """Start up to `count` sleeping children, and tell how many there could be."""
    children = []
    try:
        for _ in range(want.count):
            child = os.fork()
            if child == 0:
                time.sleep(want.seconds)
                os._exit(0)
            children.append(child)
    except OSError as problem:
        return said({"started": len(children), "problem": problem.strerror})
    return said({"started": len(children)})


@case("many-files")
def many_files(want):
    """Open up to `count` files at once."""
    held = []
    try:
        while len(held) < want.count:
            held.append(open(os.devnull, "rb"))
    except OSError as problem:
        return said({"opened": len(held), "problem": problem.strerror})
    return said({"opened": len(held)})
