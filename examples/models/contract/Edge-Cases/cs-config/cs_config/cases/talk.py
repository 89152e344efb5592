"""Cases about standard streams, warnings, threads and what a run is told."""

import logging
import os
import sys
import threading
import time
import warnings

from cs_config.cases.register import case, said


@case("quiet")
def quiet(want):
    """Do nothing out of the ordinary."""
    return said(want.text or "nothing out of the ordinary\n")


@case("echo")
def echo(want):
    """Return what the run was given, as it was given."""
    return said({"meta_parameters": want.meta_parameters, "adjustment": want.adjustment})


@case("prints")
def prints(want):
    """Write `count` lines to each of the standard streams."""
    for number in range(want.count):
        print(f"stdout line {number}")
        print(f"stderr line {number}", file=sys.stderr)
    return said("printed\n")


@case("prints-megabytes")
def prints_megabytes(want):
    """Write so many megabytes to stdout, without a single newline."""
    for _ in range(want.megabytes * 16):
        sys.stdout.write("x" * 65536)
    return said("printed\n")


@case("prints-raw-bytes")
def prints_raw_bytes(want):
    """Write what is no UTF-8, control characters, a NUL and markup, past Python, to the descriptors."""
    noise = b"\xff\xfe\x80 not UTF-8\n\x1b[31mred\x1b[0m\x07\x00\r<script>alert(1)</script>\n"
    os.write(1, noise)
    os.write(2, noise)
    return said("printed\n")


@case("prints-slowly")
def prints_slowly(want):
    """Write a line every tenth of a second, for so many seconds."""
    end = time.monotonic() + want.seconds
    number = 0
    while time.monotonic() < end:
        print(f"tick {number}", flush=True)
        number += 1
        time.sleep(0.1)
    return said(f"{number} ticks\n")


@case("closes-streams")
def closes_streams(want):
    """Close the standard streams, as a careless daemon does."""
    sys.stdout.close()
    sys.stderr.close()
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    return said("closed\n")


@case("closes-descriptors")
def closes_descriptors(want):
    """Close every descriptor but the standard streams, as some daemons do: the run cannot report any more."""
    os.closerange(3, 1024)
    return said("closed\n")


@case("warns")
def warns(want):
    """Warn, and log at every level."""
    warnings.warn("a warning of the model")
    logging.basicConfig(level=logging.DEBUG)
    for level in ("debug", "info", "warning", "error"):
        getattr(logging, level)("a log line of level %s", level)
    return said("warned\n")


@case("reads-stdin")
def reads_stdin(want):
    """Read standard input to its end, which should be there at once."""
    try:
        return said({"stdin": sys.stdin.read()})
    except (EOFError, OSError, ValueError) as problem:
        return said({"problem": type(problem).__name__})


@case("threads")
def threads(want):
    """Start ten threads and wait for all."""
    sums = [0] * 10

    def work(index):
        sums[index] = sum(range(1000 * index))

    workers = [threading.Thread(target=work, args=(index,)) for index in range(10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return said({"sums": sums})


@case("thread-left-running")
def thread_left_running(want):
    """Return while a thread that is no daemon goes on for so many seconds."""
    threading.Thread(target=time.sleep, args=(want.seconds,)).start()
    return said("returned before the thread ended\n")


@case("thread-raises")
def thread_raises(want):
    """Return well, though a thread raised."""
    worker = threading.Thread(target=lambda: 1 / 0)
    worker.start()
    worker.join()
    return said("returned all the same\n")


@case("mutates-inputs")
def mutates_inputs(want):
    """Change the dictionaries that it was given."""
    want.adjustment.clear()
    want.meta_parameters["new"] = object()
    return said("changed\n")


@case("random")
def random_numbers(want):
    """Return what must differ from run to run."""
    import random
    import uuid

    return said({"random": random.random(), "uuid": str(uuid.uuid4()), "pid": os.getpid()})
