"""`scripts/test-kubernetes`: the tests of runs in a cluster, against a real one that is made for them."""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cluster
import network
import parts
import programs
from say import ROOT, Trouble, environment, say

sys.path.append(str(Path(__file__).resolve().parents[1]))
from suite import clippy  # noqa: E402


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--keep", action="store_true", help="leave the cluster up, without running the tests")
    words.add_argument("--down", action="store_true", help="remove what --keep has left")
    words.add_argument("--programs", type=Path, metavar="DIR", help="ready programs of a release, instead of building them")
    words.add_argument("tests", nargs="*", help="names of tests; all by default")
    asked = words.parse_args()
    # What is asked to stop takes down what it has put up.
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, lambda *_: sys.exit(130))
    if asked.down:
        cluster.down()
        return 0
    if asked.programs:
        programs.take(asked.programs)
    parts.install(builds=not programs.are_given())
    programs.prepare()
    compile_tests()
    kept = False
    try:
        sent = cluster.up()
        if asked.keep:
            kept = True
            return tell(sent)
        return run_tests(sent, asked.tests)
    except KeyboardInterrupt:
        return 130
    finally:
        if not kept:
            cluster.down()
            say("the cluster is gone")


def variables(sent):
    return {
        "KUBECONFIG": cluster.KUBECONFIG,
        **sent,
        "CSW_TEST_CLUSTER_REGISTRY": f"http://{network.REGISTRY}/models",
        "CSW_TEST_CLUSTER_IS_HERE": "1",
        "CSW_TEST_CLUSTER_KEEPS_POLICIES": "1",
        "PATH": f"{programs.folder()}:{ROOT}/.tools/bin:{os.environ['PATH']}",
    }


def tell(sent):
    for name, value in variables(sent).items():
        print(f"export {name}={shlex.quote(str(value))}")
    return 0


def compile_tests():
    say("building csw and its tests")
    command = ["cargo", "build", "--workspace", "--all-targets", "--quiet"]
    if subprocess.run(command, cwd=ROOT, env=environment(**clippy())).returncode:
        raise Trouble("csw does not build")


def run_tests(sent, names):
    begin = time.monotonic()
    if shutil.which("cargo-nextest"):
        wanted = " | ".join(f"test(/real_cluster::(\\w+::)?{name}/)" for name in names) or "test(real_cluster::)"
        command = ["cargo", "nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "pass"]
        command += ["--test-threads", "2", "-E", f"package(csw-tests) & ({wanted})"]
    else:
        command = ["cargo", "test", "--package", "csw-tests", "--test", "it", "--", "--test-threads", "2"]
        command += names or ["real_cluster::"]
    code = subprocess.run(command, cwd=ROOT, env=environment(**clippy(), **variables(sent))).returncode
    say(f"the tests ended with {code} after {time.monotonic() - begin:.0f} s")
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Trouble as trouble:
        say(trouble)
        sys.exit(1)
