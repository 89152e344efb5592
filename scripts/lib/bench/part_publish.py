"""From a push to a staged version: a line of code, and a dependency."""

import base64
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import report
from site_under_test import MODELS, OWNER, Failed

EPIDEMIC = "healthlab/Epidemic"
IDENTITY = ["-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "commit.gpgsign=false"]


class Copy:
    """An author's working copy of an example model, and the model's repository on the site."""

    def __init__(self, server, name, folder, kind="Pushed"):
        self.server, self.folder = server, folder
        self.title = f"{name.split('/')[1]}-{kind}"
        shutil.copytree(MODELS / name, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words):
        """Run git; the token is in no argument."""
        pair = base64.b64encode(f"{OWNER}:{self.server.token}".encode()).decode()
        environment = {
            **os.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {pair}",
        }
        done = subprocess.run(["git", *IDENTITY, *words], cwd=self.folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"git {words[0]}: {done.stderr}")
        return done.stdout.strip()

    def append(self, file, line):
        """Change a file by a line at its end."""
        with (self.folder / file).open("a") as text:
            text.write(f"\n{line}\n")

    def push(self, client, *options):
        """Commit and push everything; answers with seconds until the build is over, and the build."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a change")
        commit = self.git("rev-parse", "HEAD")
        words = [f"--push-option={word}" for word in ("no-example", *options)]
        begin = time.perf_counter()
        self.git("push", "--quiet", *words, f"http://{self.server.host}/git/{OWNER}/{self.title}.git", "main")
        address = f"/publish/api/{OWNER}/{self.title}/builds/"
        while True:
            build = client.get(address)["results"][0]
            if build["finished_at"] and build["commit"] == commit:
                break
            time.sleep(0.02)
        seconds = time.perf_counter() - begin
        if build["state"] != "succeeded":
            raise Failed(f"the build ended {build['state']}: {build['message']}")
        return seconds, build


def facts_of(client, title, version):
    """What is known of a version."""
    return next(one for one in client.get(f"/publish/api/{OWNER}/{title}/versions/") if one["id"] == version)["facts"]


def own_tests(client, title, version):
    """Seconds that the command took that ran the model's own tests, as it would in the author's hands."""
    return facts_of(client, title, version)["tests"]["milliseconds"] / 1000


def uv_install(server, client, title, version):
    """Seconds that uv alone needs for the same packages, from the same cache."""
    facts = facts_of(client, title, version)
    with tempfile.TemporaryDirectory(prefix="csw-bench-") as place:
        lock = Path(place) / "lock.txt"
        lock.write_text(facts["lock"])
        environment = {**os.environ, "UV_CACHE_DIR": str(server.cache)}
        run = lambda *words: subprocess.run(["uv", *words], check=True, capture_output=True, env=environment)
        begin = time.perf_counter()
        run("venv", "--python", facts["python"], f"{place}/venv")
        run("pip", "install", "--python", f"{place}/venv/bin/python", "--compile-bytecode", "--no-deps", "-r", lock)
        return time.perf_counter() - begin, facts["seconds"]["environment"]


def measure(server, rows, quick):
    """Every time is from before the push until the build is over."""
    client = server.client()
    with tempfile.TemporaryDirectory(prefix="csw-bench-") as place:
        for name in ["contract/Null", EPIDEMIC]:
            copy = Copy(server, name, Path(place) / name.split("/")[1])
            # As everybody's model, it has a version that is live.
            copy.push(client)
            times = []
            for turn in range(2 if quick else 5):
                copy.append("cs-config/cs_config/functions.py", f"# A comment more: {turn}")
                seconds, build = copy.push(client, "stage")
                times.append(seconds - own_tests(client, copy.title, build["version"]))
            rows.add(f"{copy.title}: a line of code, beside its own tests, p50", report.percentile(times, 0.5), "s", at_most=3)
        # The cache has it, the environment has not.
        copy.append("cs-config/install.sh", "pip install humanize==4.9.0")
        copy.push(client, "stage", "skip-test")
        install = copy.folder / "cs-config/install.sh"
        install.write_text(install.read_text().replace("humanize==4.9.0", "humanize==4.10.0"))
        copy.push(client, "stage", "skip-test")
        install.write_text(install.read_text().replace("humanize==4.10.0", "humanize==4.9.0 && pip install toolz==0.12.1"))
        seconds, build = copy.push(client, "stage", "skip-test")
        rows.add("a dependency, packages in the cache", seconds, "s", at_most=10)
        alone, ours = uv_install(server, client, copy.title, build["version"])
        beside = "uv pip install --compile-bytecode"
        rows.add("its environment", ours, "s", beside=(beside, alone), at_most=1.2 * alone)
        # Another model has no version whose byte code it could share.
        other = Copy(server, EPIDEMIC, Path(place) / "other", "Anew")
        other.append("cs-config/install.sh", "pip install toolz==0.12.1")
        _, build = other.push(client, "stage", "skip-test")
        alone, ours = uv_install(server, client, other.title, build["version"])
        rows.add("an environment of a new model", ours, "s", beside=(beside, alone), at_most=1.2 * alone)
    client.close()
