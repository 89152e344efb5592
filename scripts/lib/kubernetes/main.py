"""`scripts/test-kubernetes`: the tests of runs in a cluster, against a real one that is made for them."""

import argparse
import os
import signal
import subprocess
import sys
import time

import cluster
import network
import parts
from built import BIN, build
from say import LIVE, ROOT, Trouble, environment, say


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--keep", action="store_true", help="leave the cluster up, without running the tests")
    words.add_argument("--down", action="store_true", help="remove what --keep has left")
    words.add_argument("tests", nargs="*", help="names of tests; all by default")
    asked = words.parse_args()
    # What is asked to stop takes down what it has put up.
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, lambda *_: sys.exit(130))
    if asked.down:
        cluster.down()
        return 0
    parts.install()
    build()
    compile_tests()
    kept = False
    try:
        image = cluster.up()
        if asked.keep:
            kept = True
            return tell(image)
        return run_tests(image, asked.tests)
    except KeyboardInterrupt:
        return 130
    finally:
        if not kept:
            save_logs()
            cluster.down()
            say("the cluster is gone")


def variables(image):
    return {
        "KUBECONFIG": cluster.KUBECONFIG,
        "CSW_TEST_CLUSTER": "1",
        "CSW_TEST_CLUSTER_IMAGE": image,
        "CSW_TEST_CLUSTER_REGISTRY": network.REGISTRY,
        "PATH": f"{BIN}:{ROOT}/.tools/bin:{os.environ['PATH']}",
    }


def tell(image):
    for name, value in variables(image).items():
        print(f"export {name}={value}")
    return 0


def compile_tests():
    say("building csw and its tests")
    build = subprocess.run(["cargo", "build", "--workspace", "--all-targets", "--quiet"], cwd=ROOT)
    if build.returncode:
        raise Trouble("csw does not build")


def run_tests(image, names):
    begin = time.monotonic()
    command = ["cargo", "test", "--quiet", "--package", "csw-tests", "--test", "it", "--", "--test-threads", "2"]
    command += [f"real_cluster::{name}" for name in names] or ["real_cluster"]
    code = subprocess.run(command, cwd=ROOT, env=environment(**variables(image))).returncode
    say(f"tests ended with {code} after {time.monotonic() - begin:.0f} s")
    return code


def save_logs():
    """The logs outlive the cluster, for whoever wants to know why."""
    logs = LIVE / "logs"
    if logs.exists():
        kept = LIVE.with_name("logs")
        subprocess.run(["rm", "-rf", str(kept)])
        logs.rename(kept)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Trouble as trouble:
        say(trouble)
        sys.exit(1)
