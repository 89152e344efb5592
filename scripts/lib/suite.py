"""Runs the checks one after the other, shows what they print, and adds up what passed and failed."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
CSW = ROOT / "target/debug/csw"

# A summary line of a tool, with the words that come after its numbers.
SUMMARIES = {
    "cargo": re.compile(r"^test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed", re.M),
    "nextest": re.compile(r"Summary .*?(?P<passed>\d+) passed(?:.*?, (?P<failed>\d+) failed)?"),
    "pytest": re.compile(r"^=*\s*(?:(?P<failed>\d+) failed,? ?)?(?:(?P<passed>\d+) passed)?.* in [\d.]+s.*$", re.M),
    "node": re.compile(r"pass (?P<passed>\d+)\n.*?fail (?P<failed>\d+)", re.S),
}


def run(title, command, kind=None, environment=None):
    """The numbers passed and failed of one check; one without numbers of its own counts as one."""
    print(f"\n=== {title}", flush=True)
    begin = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    text = []
    for line in process.stdout:
        text.append(line)
        sys.stdout.write(line)
        sys.stdout.flush()
    code = process.wait()
    passed = failed = 0
    if kind:
        for found in SUMMARIES[kind].finditer(re.sub(r"\x1b\[[0-9;]*m", "", "".join(text))):
            passed += int(found["passed"] or 0)
            failed += int(found["failed"] or 0)
    if code == 0 and not passed:
        passed = 1
    if code and not failed:
        failed = 1
    print(f"--- {title}: {passed} passed, {failed} failed in {time.monotonic() - begin:.0f} s", flush=True)
    return passed, failed


def checks():
    yield "format", ["cargo", "fmt", "--all", "--check"], None, None
    yield "lints", ["cargo", "clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"], None, None
    # The whole-server tests start the program itself.
    yield "build", ["cargo", "build", "--workspace", "--quiet"], None, None
    if shutil.which("cargo-nextest"):
        nextest = ["cargo", "nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "slow", "--final-status-level", "fail"]
        yield "tests", nextest, "nextest", None
    else:
        yield "tests", ["cargo", "test", "--workspace", "--no-fail-fast", "--quiet"], "cargo", None
    client = [TOOLS / "cskit/bin/python", "-m", "pytest", "-q", "--color=no", "-rA", "tests/cskit"]
    yield "Python client", client, "pytest", {"CSW": str(CSW)}
    modules = TOOLS / "browser/node_modules"
    yield "types of scripts", [modules / ".bin/tsc", "--project", "crates/web/tsconfig.json"], None, None
    browser = {"CSW": str(CSW), "NODE_PATH": str(modules)}
    yield "browser", ["node", "--test", "--test-reporter=tap", *sorted(ROOT.glob("tests/e2e/*.test.mjs"))], "node", browser
    for script in sorted((ROOT / "scripts").glob("check-*")):
        if os.access(script, os.X_OK):
            yield script.name, [script], None, {"CSW": str(CSW)}


def main():
    wanted = sys.argv[1:]
    passed = failed = 0
    for title, command, kind, environment in checks():
        if wanted and title not in wanted:
            continue
        more = run(title, [str(word) for word in command], kind, environment)
        passed, failed = passed + more[0], failed + more[1]
    print(f"\n{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
