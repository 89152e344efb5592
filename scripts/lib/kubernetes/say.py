"""How the scripts of the cluster speak and start other programs."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# Everything that is kept between runs, and, below it, everything that is not.
HOME = ROOT / "target/kubernetes"
LIVE = HOME / "live"
# What its programs say; it outlives them.
LOGS = HOME / "logs"


class Trouble(Exception):
    """A sentence for whoever started the script."""


def say(text):
    print(f"test-kubernetes: {text}", file=sys.stderr, flush=True)


def call(*command, log=None, **options):
    """Runs a command to its end; what it said is shown only if it failed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    if log:
        log.write_text(done.stdout)
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-20:])
        raise Trouble(f"{' '.join(words[:4])} failed ({done.returncode}):\n{last}")
    return done.stdout


def wait(what, ready, seconds=120):
    """Waits until `ready` says something true, and passes it on."""
    end = time.monotonic() + seconds
    while True:
        answer = ready()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Trouble(f"{what} was not there after {seconds} s; the logs are in {LOGS}")
        time.sleep(0.2)


def environment(**more):
    return {**os.environ, **{name: str(value) for name, value in more.items()}}
