"""The programs that the cluster is made of: ready ones of any release, or the distribution's own, which are built once."""

import functools
import os
import re
import shutil
from pathlib import Path

import built
from say import Trouble, call, say

# The folder of ready ones; told by the environment, so that whatever is started knows it too.
GIVEN = "CSW_TEST_CLUSTER_PROGRAMS"


def take(folder):
    """Has the cluster made of what is in a folder; kubectl may be elsewhere."""
    lacks = [name for name in built.PROGRAMS if name != "kubectl" and not os.access(folder / name, os.X_OK)]
    if lacks:
        raise Trouble(f"{folder} lacks {', '.join(lacks)}")
    os.environ[GIVEN] = str(folder.resolve())
    if not program("kubectl"):
        raise Trouble(f"kubectl is neither in {folder} nor on the PATH")


def are_given():
    return GIVEN in os.environ


def prepare():
    """Builds them where none are given, and says of which release they are."""
    if not are_given():
        built.build()
    say(f"the cluster is of Kubernetes {'.'.join(map(str, release('kube-apiserver')))}")


def folder():
    return Path(os.environ.get(GIVEN, built.BIN))


def program(name):
    own = folder() / name
    return own if own.exists() else shutil.which(name)


@functools.cache
def release(name):
    """What a program says of itself: flags come and go."""
    said = call(program(name), "--version")
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", said)
    if not found:
        raise Trouble(f"{name} does not say its release: {said}")
    return tuple(int(number) for number in found.groups())


def is_before(name, minor):
    return release(name) < (1, minor)
