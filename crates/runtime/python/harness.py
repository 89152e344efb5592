"""The Python side of a run: calls one of a model's four functions and reports what came of it.

Standard library only, Python 3.8 and later; `contract.py` beside it knows what the functions may return. The server
starts it inside a sandbox with a socket at descriptor 3, as a fresh interpreter for one run, or as a zygote that
imports the model and forks a child per run.

    fresh   descriptor 3 is the run's socket
    zygote  descriptor 3 takes lines of JSON: first what to import, then {"fork": n} with a run's socket, its log
            pipe and the doors of its cgroup attached; it answers with lines

A frame on a run's socket is one byte of kind, four bytes of length (little endian), and the content. To the run: C
(confinement, JSON), W (what to import while nobody has anything to do, JSON; it may be left out), A (what to do,
JSON). From it: H (sign of life), I (imported), per output O (head, JSON), D (bytes,
repeated) and E (end), and at last R (the end, JSON). Standard output and error belong to the model.
"""

import errno
import gc
import importlib
import json
import os
import random
import re
import resource
import select
import signal
import socket
import struct
import sys
import time
import traceback

from .contract import (
    CHUNK,
    ContractError,
    body,
    checked_defaults,
    checked_outputs,
    checked_parse,
    checked_version,
    encode_text,
    to_json,
)

HEADER = struct.Struct("<BI")
TRACEBACK_BYTES = 64 * 1024
NO_REPORT = 70
"""The exit code of a run that could not report: the model took its socket away."""

TAKES_ANY_NUMBER = 0x04
"""The flag of code objects for `*args`."""

THREADS_THAT_SURVIVE_A_FORK = ("jemalloc_bg_thd",)
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
SET_THREADS = re.compile(r"(openblas|libmkl_rt|libgomp|libiomp5|libomp|libblis)[^/]*\.so[^/]*$")
SETTERS = (
    "openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "scipy_openblas_set_num_threads64_",
    "MKL_Set_Num_Threads",
    "omp_set_num_threads",
    "bli_thread_set_num_threads",
)


# ---- what travels -------------------------------------------------------------------------------------------------


class Channel:
    """A run's socket."""

    def __init__(self, sock):
        self.sock = sock

    def send(self, kind, content=b""):
        self.sock.sendall(HEADER.pack(ord(kind), len(content)))
        if len(content):
            self.sock.sendall(content)

    def send_json(self, kind, value):
        self.send(kind, to_json(value, "the result", keep_nul=False))

    def receive_if_any(self, kind):
        """The next frame, or None where the server closes the socket before it."""
        if not self.sock.recv(1, socket.MSG_PEEK):
            return None
        return self.receive(kind)

    def receive(self, kind):
        return self.receive_one_of(kind)[1]

    def receive_one_of(self, kinds):
        got, length = HEADER.unpack(self._exactly(HEADER.size))
        if chr(got) not in kinds:
            raise ConnectionError("expected a frame %s, got %s" % (" or ".join(kinds), chr(got)))
        return chr(got), json.loads(self._exactly(length).decode("utf-8"))

    def _exactly(self, length):
        content = bytearray()
        while len(content) < length:
            part = self.sock.recv(min(length - len(content), CHUNK))
            if not part:
                raise ConnectionError("the server closed the run's socket")
            content += part
        return bytes(content)


# ---- one run ------------------------------------------------------------------------------------------------------


class Run:
    """Calls one function of the model and reports."""

    def __init__(self, channel, order):
        self.channel = channel
        self.order = order
        self.process = os.getpid()
        self.milliseconds = 0

    def perform(self):
        report = {}
        try:
            functions = import_functions()
            self.channel.send("I")
            report["returned"] = self._task(functions, self.order["arguments"])
        except ContractError as broken:
            report["failed"] = str(broken)
        except SystemExit as left:
            report["failed"] = "the model called `sys.exit(%s)` instead of returning" % _shown(left.code)
        except BaseException as problem:  # whatever it is, its author must see it
            report["failed"] = told(problem)
            report["memory_error"] = isinstance(problem, MemoryError)
            report["disk_full"] = getattr(problem, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        self.finish(report)

    def _task(self, functions, arguments):
        task = self.order["task"]
        meta, adjustment = arguments.get("meta_param_dict"), arguments.get("adjustment")
        if task == "version":
            return {"version": checked_version(self._call(functions, "get_version"))}
        if task == "defaults":
            answer = checked_defaults(self._call(functions, "get_inputs", {} if meta is None else meta))
        elif task == "parse":
            errors = arguments.get("errors_warnings") or {}
            answer = checked_parse(self._call(functions, "validate_inputs", meta or {}, adjustment or {}, errors))
            self.version = version_of(functions)
        else:
            result = self._call(functions, "run_model", meta or {}, adjustment or {})
            self.version = version_of(functions)
            answer = {"outputs": self._send(checked_outputs(result))}
        return {task: answer}

    def _call(self, functions, name, *arguments):
        function = getattr(functions, name, None)
        if not callable(function):
            raise ContractError("`cs_config/functions.py` has no function `%s`" % name)
        begin = time.monotonic()
        try:
            return function(*arguments[: _capacity(function, len(arguments))])
        finally:
            self.milliseconds = int((time.monotonic() - begin) * 1000 + 0.5)

    def _send(self, outputs):
        # The other half of a fork of the model's own must not send a second result.
        self.only_the_run()
        for kind, position, output in outputs:
            place = '`run_model`: %s[%d] "%s"' % (kind, position, output["title"][:120])
            parts = body(output, place)
            head = {"kind": kind, "position": position, "title": output["title"],
                    "media_type": output["media_type"], "id": _uuid(output.get("id"))}
            self.channel.send_json("O", head)
            for part in parts:
                self.channel.send("D", part)
            self.channel.send("E")
        return len(outputs)

    def only_the_run(self):
        if os.getpid() != self.process:
            os._exit(0)

    def finish(self, report):
        self.only_the_run()
        flush()
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        report["milliseconds"] = self.milliseconds
        report["version"] = getattr(self, "version", None)
        report["cpu_milliseconds"] = int(sum(u.ru_utime + u.ru_stime for u in used) * 1000)
        report["peak_memory_bytes"] = max(u.ru_maxrss for u in used) * 1024
        self.channel.send_json("R", report)


def _uuid(given):
    # By hand: the module `uuid` takes longer to import than a small model to run.
    digits = str(given).replace("-", "") if given else ""
    return digits if re.fullmatch("[0-9a-fA-F]{32}", digits) else None


def _shown(code):
    try:
        return "" if code is None else repr(code)[:1000]
    except Exception:
        return "..."


def _capacity(function, given):
    """How many positional arguments the function takes: real ones leave out what they do not need."""
    code = getattr(function, "__code__", None)
    if code is not None and not hasattr(function, "__wrapped__"):
        return given if code.co_flags & TAKES_ANY_NUMBER else min(given, code.co_argcount)
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return given
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return given
    return min(given, sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters))


def version_of(functions):
    try:
        return checked_version(functions.get_version())
    except Exception as problem:
        print("get_version failed after the run: %s: %s" % (type(problem).__name__, problem), file=sys.stderr)
        return None


def import_functions():
    return importlib.import_module("cs_config.functions")


def told(problem):
    """The traceback without the frames of this file, at most 64 kB, head and tail."""
    trace = problem.__traceback__
    if isinstance(problem, (MemoryError, RecursionError)):
        traceback.clear_frames(trace)
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    try:
        text = "".join(traceback.format_exception(type(problem), problem, trace))
    except Exception:
        text = "%s (its traceback can't be shown)\n" % type(problem).__name__
    content = encode_text(text.replace("\0", "\ufffd"))
    if len(content) > TRACEBACK_BYTES:
        half = TRACEBACK_BYTES // 2 - 64
        cut = "\n... %d bytes are left out here ...\n" % (len(content) - 2 * half)
        content = content[:half] + cut.encode("ascii") + content[-half:]
    return content.decode("utf-8", "ignore")


def _is_ours(filename):
    return os.path.dirname(filename) == os.path.dirname(__file__) or "importlib" in filename


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # closed or replaced by the model
            pass
    try:
        import ctypes

        ctypes.CDLL(None).fflush(None)
    except Exception:
        pass


def prepare_process(order):
    """What differs from run to run, put in place before any code of the model goes on."""
    os.environ.update(order["environment"])
    threads = str(order["threads"])
    for name in THREAD_VARIABLES:
        os.environ[name] = threads
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        except Exception:  # the model has put something else there
            pass
    try:
        import faulthandler

        faulthandler.enable(file=2, all_threads=False)
    except Exception:
        pass


def perform(channel, order):
    """Never returns: the run's process ends here, whatever the model left behind."""
    try:
        Run(channel, order).perform()
    except ContractError as broken:
        channel.send_json("R", {"failed": str(broken)})
    except BaseException:
        os._exit(NO_REPORT)
    os._exit(0)


def fresh():
    channel = Channel(socket.socket(fileno=3))
    channel.send("H")
    kind, order = channel.receive_one_of("WA")
    prepare_process(order)
    set_up_paths(order["paths"])
    if kind == "W":
        try:
            import_functions()
        except BaseException:  # the run imports it again, and tells what is wrong
            pass
        order = channel.receive("A")
        prepare_process(order)
    perform(channel, order)


# ---- the zygote ---------------------------------------------------------------------------------------------------


def set_up_paths(paths):
    """The model's own packages come before those of its environment, and behind Python's own, which nothing hides."""
    packages = [place for place, path in enumerate(sys.path) if path.endswith(("site-packages", "dist-packages"))]
    place = packages[0] if packages else len(sys.path)
    sys.path[place:place] = paths.get("first", [])
    sys.path.extend(paths.get("last", []))


def unfit():
    """Why this process must not fork, or None."""
    import threading

    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if names:
        return "importing the model starts threads: %s" % ", ".join(names)
    native = []
    for task in os.listdir("/proc/self/task"):
        if int(task) == os.getpid():
            continue
        try:
            with open("/proc/self/task/%s/comm" % task) as file:
                native.append(file.read().strip())
        except OSError:
            continue
    bad = [name for name in native if name not in THREADS_THAT_SURVIVE_A_FORK]
    if bad:
        return "importing the model starts native threads: %s" % ", ".join(bad)
    return None


def has_children():
    try:
        with open("/proc/self/task/%d/children" % os.getpid()) as file:
            return bool(file.read().strip())
    except OSError:
        return False


def warm_up(functions):
    """One run with the default inputs, so that children inherit what was compiled for it."""
    inputs = functions.get_inputs({}) if _capacity(functions.get_inputs, 1) else functions.get_inputs()
    meta = {name: given.get("value", []) for name, given in inputs["meta_parameters"].items() if name != "schema"}
    adjustment = {section: {} for section in inputs["model_parameters"]}
    folder = os.getcwd()
    try:
        functions.run_model(json.loads(to_json(meta, "meta")), adjustment)
    finally:
        os.chdir(folder)


def new_seeds():
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def raise_threads(count):
    """Libraries that were loaded with one thread, so that the zygote could fork."""
    set_python_threads(count)
    if count < 2 or "numpy" not in sys.modules:
        return
    import ctypes

    with open("/proc/self/maps") as file:
        paths = {line.split(None, 5)[5].strip() for line in file if ".so" in line and line.count("/")}
    for path in paths:
        if not SET_THREADS.search(path):
            continue
        try:
            library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        except OSError:
            continue
        for name in SETTERS:
            if hasattr(library, name):
                getattr(library, name)(ctypes.c_int(count))


def set_python_threads(count):
    """Those that keep the number where no library's setter reaches it. Numba's own one would start the threads."""
    for module, name in (("numba.core.config", "NUMBA_NUM_THREADS"), ("numba.np.ufunc.parallel", "NUM_THREADS")):
        if module in sys.modules:
            setattr(sys.modules[module], name, count)
    if count > 1 and "numexpr" in sys.modules:
        sys.modules["numexpr"].set_num_threads(count)


def keep_nothing_for_the_next_run():
    """Compiled functions stay with the run: the folder of numba's cache is the zygote's and closed to its children."""
    caching = sys.modules.get("numba.core.caching")
    if caching is not None:
        caching.Cache.save_overload = lambda *_: None
        caching.Cache.load_overload = lambda *_: None


class Zygote:
    """Imports the model, parks, and forks."""

    def __init__(self, confine):
        self.confine = confine
        self.control = socket.socket(fileno=3)
        self.runs = {}

    def serve(self):
        line = bytearray()
        while not line.endswith(b"\n"):
            line += self.control.recv(1 << 16) or os._exit(0)
        order = json.loads(line.decode("utf-8"))
        prepare_process(order)
        set_up_paths(order["paths"])
        begin = time.monotonic()
        try:
            functions = import_functions()
            if order["warm"]:
                warm_up(functions)
        except BaseException as problem:
            return self.tell({"unfit": "importing the model failed: %s" % told(problem)[-2000:]})
        # Collected before the check: threads end with the pools that own them.
        gc.collect()
        reason = "importing the model starts processes" if has_children() else unfit()
        if reason is not None:
            return self.tell({"unfit": reason})
        flush()
        gc.freeze()
        reader, writer = os.pipe()
        for end in (reader, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.wakeup = (reader, writer)
        self.tell({"ready": int((time.monotonic() - begin) * 1000)})
        self.park()

    def tell(self, message):
        self.control.sendall(json.dumps(message).encode("ascii") + b"\n")

    def park(self):
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(self.wakeup[0], select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor != self.wakeup[0]:
                    self.request()
                    continue
                try:
                    os.read(self.wakeup[0], 4096)
                except BlockingIOError:
                    pass
                self.reap()

    def request(self):
        # The kernel ends a message where descriptors are attached to the next, so this is one line.
        message, ancillary, _, _ = self.control.recvmsg(65536, socket.CMSG_SPACE(4 * 16))
        if not message:
            os._exit(0)
        run = json.loads(message.decode("ascii"))["fork"]
        attached = ancillary[0][2]
        descriptors = struct.unpack("%di" % (len(attached) // 4), attached[: len(attached) // 4 * 4])
        reason = unfit()
        if reason is not None:
            for descriptor in descriptors:
                os.close(descriptor)
            return self.tell({"refused": run, "reason": reason})
        try:
            process = os.fork()
        except OSError as problem:
            for descriptor in descriptors:
                os.close(descriptor)
            return self.tell({"refused": run, "reason": str(problem)})
        if process == 0:
            self.child(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self.runs[process] = run
        self.tell({"forked": run, "process": process})

    def child(self, run_socket, log, *doors):
        try:
            # Into the run's cgroup: for a process that moves itself the kernel need not stop everybody.
            for door in doors:
                os.write(door, b"0")
                os.close(door)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.control.close()
            for descriptor in self.wakeup:
                os.close(descriptor)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.close(log)
            channel = Channel(socket.socket(fileno=run_socket))
            self.confine(channel.receive("C"))
            channel.send("H")
            order = channel.receive_if_any("A")
            if order is None:
                # Forked ahead, and no run came.
                os._exit(0)
            prepare_process(order)
            new_seeds()
            raise_threads(order["threads"])
            keep_nothing_for_the_next_run()
        except BaseException:
            traceback.print_exc()
            os._exit(NO_REPORT)
        perform(channel, order)

    def reap(self):
        while self.runs:
            try:
                process, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                return
            run = self.runs.pop(process, None)
            if run is not None:
                cpu = int((used.ru_utime + used.ru_stime) * 1000)
                self.tell({"exited": run, "status": status, "cpu_milliseconds": cpu,
                           "peak_memory_bytes": used.ru_maxrss * 1024})


def main(mode):
    if mode == "fresh":
        fresh()
    else:
        # Before the fork, so that a child makes system calls and nothing else.
        from .confine_child import confine

        Zygote(confine).serve()
