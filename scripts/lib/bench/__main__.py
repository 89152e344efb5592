"""`scripts/bench`: runs the parts that were named on one throw-away server and prints a table."""

import argparse
import importlib
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import report
import site_under_test

# `idle` is last: it fills the site with copies of a model.
PARTS = ["null", "memo", "schema", "burst", "compiled", "table", "outputs", "publish", "promote"]
# In a cluster, with a site of their own.
PARTS += ["job", "queue", "scheduler"]
PARTS += ["idle"]
# A part that takes longer is broken off.
LIMIT_SECONDS = 600


class TooLong(Exception):
    """A part did not end."""


def broken_off(_signal, _frame):
    raise TooLong(f"not finished after {LIMIT_SECONDS} s")


def measure(name, server, quick):
    module = importlib.import_module(f"part_{name}")
    rows = report.Rows(name)
    report.say(f"{name}: {module.__doc__.splitlines()[0]} (load {os.getloadavg()[0]:.1f})")
    begin = time.monotonic()
    signal.signal(signal.SIGALRM, broken_off)
    signal.alarm(LIMIT_SECONDS)
    try:
        module.measure(server, rows, quick)
    except Exception as problem:
        traceback.print_exc()
        rows.failed(f"{type(problem).__name__}: {problem}")
    finally:
        signal.alarm(0)
    report.say(f"{name}: {time.monotonic() - begin:.0f} s (load {os.getloadavg()[0]:.1f})")
    return rows


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file, too")
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"no part `{unknown[0]}`; there are {', '.join(PARTS)}")
    parts = [name for name in PARTS if not options.parts or name in options.parts]
    folder = Path(tempfile.mkdtemp(prefix="csw-bench-"))
    # Runs have users of their own, who have to pass through.
    folder.chmod(0o711)
    server, done = None, []
    try:
        server = site_under_test.Server(folder)
        for name in parts:
            done.append(measure(name, server, options.quick))
    finally:
        if server:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    cpus = len(os.sched_getaffinity(0))
    print(f"\n{cpus} CPUs, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}; {server.program}")
    report.table(done)
    if options.json:
        report.write(options.json, done)
    return 1 if any(rows.problem for rows in done) else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
