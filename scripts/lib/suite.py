"""Runs the checks, shows what they print, and adds up what passed and failed."""

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
CSW = ROOT / "target/debug/csw"

SHOWN = Lock()

# A summary line of a tool, with the words that come after its numbers.
SUMMARIES = {
    "cargo": re.compile(r"^test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed", re.M),
    "nextest": re.compile(r"Summary .*?(?P<passed>\d+) passed(?:.*?, (?P<failed>\d+) failed)?"),
    "pytest": re.compile(r"^=*\s*(?:(?P<failed>\d+) failed,? ?)?(?:(?P<passed>\d+) passed)?.* in [\d.]+s.*$", re.M),
    "node": re.compile(r"pass (?P<passed>\d+)\n.*?fail (?P<failed>\d+)", re.S),
}


def run(check, is_alone):
    """The numbers passed and failed of one check; one without numbers of its own counts as one."""
    begin = time.monotonic()
    process = subprocess.Popen(
        [str(word) for word in check.command],
        cwd=ROOT,
        env={**os.environ, **check.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if is_alone:
        tell(f"\n=== {check.title}\n")
    text = []
    for line in process.stdout:
        text.append(line)
        if is_alone:
            tell(line)
    code = process.wait()
    passed = failed = 0
    if check.kind:
        for found in SUMMARIES[check.kind].finditer(re.sub(r"\x1b\[[0-9;]*m", "", "".join(text))):
            passed += int(found["passed"] or 0)
            failed += int(found["failed"] or 0)
    if code == 0 and not passed:
        passed = 1
    if code and not failed:
        failed = 1
    # What ran beside others is shown in one piece.
    before = "" if is_alone else f"\n=== {check.title}\n" + "".join(text)
    tell(f"{before}--- {check.title}: {passed} passed, {failed} failed in {time.monotonic() - begin:.0f} s\n")
    return passed, failed


def tell(text):
    with SHOWN:
        sys.stdout.write(text)
        sys.stdout.flush()


@dataclass
class Check:
    title: str
    command: list
    kind: str | None = None
    environment: dict = field(default_factory=dict)
    # Whether others can't do without it, whichever of them are wanted.
    is_needed: bool = False


def clippy():
    """Makes one compilation do for lints and programs: Clippy's own driver compiles the workspace."""
    sysroot = subprocess.check_output(["rustc", "--print", "sysroot"], cwd=ROOT, text=True).strip()
    return {
        "RUSTC_WORKSPACE_WRAPPER": f"{sysroot}/bin/clippy-driver",
        "CLIPPY_ARGS": "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
        # What serves whoever edits and debugs costs time and gigabytes here.
        "CARGO_PROFILE_DEV_DEBUG": "0",
        "CARGO_INCREMENTAL": "0",
    }


def stages():
    """Lanes of checks; the lanes of a stage run side by side, for most of them wait more than they compute."""
    driver = clippy()
    threads = str((os.cpu_count() or 1) + 1)
    yield [[Check("format", ["cargo", "fmt", "--all", "--check"])]]
    build = ["cargo", "build", "--workspace", "--all-targets", "--quiet"]
    tools = Check("what the tests need", ["./scripts/setup", "test"], is_needed=True)
    yield [[Check("lints and build", build, environment=driver)], [tools]]
    if shutil.which("cargo-nextest"):
        nextest = ["cargo", "nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "slow"]
        # What a machine at its limits fails is tried once more, and listed as flaky where that helps.
        nextest += ["--final-status-level", "flaky", "--retries", "1"]
        nextest += ["--test-threads", threads]
        # A process for each of these would start a PostgreSQL for each.
        nextest += ["-E", "not binary_id(csw-store::contract)"]
        contracts = ["cargo", "test", "--workspace", "--test", "contract", "--no-fail-fast", "--quiet"]
        tests = [
            Check("contracts of stores", [*contracts, "--", "--test-threads", threads], "cargo", driver),
            Check("tests", nextest, "nextest", driver),
        ]
    else:
        tests = [Check("tests", ["cargo", "test", "--workspace", "--no-fail-fast", "--quiet"], "cargo", driver)]
    program = {"CSW": str(CSW)}
    client = [TOOLS / "cskit/bin/python", "-m", "pytest", "-q", "--color=no", "-rA", "tests/cskit"]
    modules = TOOLS / "browser/node_modules"
    browser = ["node", "--test", "--test-reporter=tap", *sorted(ROOT.glob("tests/e2e/*.test.mjs"))]
    scripts = [path for path in sorted((ROOT / "scripts").glob("check-*")) if os.access(path, os.X_OK)]
    yield [
        tests,
        [
            Check("Python client", client, "pytest", program),
            Check("types of scripts", [modules / ".bin/tsc", "--project", "crates/web/tsconfig.json"]),
            Check("browser", browser, "node", {**program, "NODE_PATH": str(modules)}),
            *(Check(path.name, [path], environment=program) for path in scripts),
        ],
    ]


def lane(checks, wanted, is_alone):
    """Each check that is wanted, with its numbers."""
    wanted = [check for check in checks if check.is_needed or not wanted or check.title in wanted]
    return [(check, run(check, is_alone)) for check in wanted]


def main():
    wanted = sys.argv[1:]
    numbers = []
    for lanes in stages():
        with ThreadPoolExecutor() as pool:
            # The first lane is followed as it goes.
            running = [pool.submit(lane, checks, wanted, at == 0) for at, checks in enumerate(lanes)]
            results = [result for each in running for result in each.result()]
        numbers += [both for _, both in results]
        if any(check.is_needed and failed for check, (_, failed) in results):
            break
    passed, failed = (sum(column) for column in zip(*numbers)) if numbers else (0, 0)
    tell(f"\n{passed} passed, {failed} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
