"""The demonstration: a server, every example model published, one simulation of each, and a table."""

import argparse
import base64
import concurrent.futures
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The program that scripts/demo built, unless another is named.
CSW = Path(os.environ.get("CSW") or ROOT / "target/quick/csw")
MODELS = ROOT / "examples/models"
# Models that serve tests, not people.
NOT_SHOWN = {"contract"}
LARGEST = "Tax-Reform"
PHASES = ["queue", "start", "import", "run", "store"]


# Equal files make an equal commit, whenever and by whomever they are pushed.
SIGNATURE = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in [("NAME", "Demo"), ("EMAIL", "demo@example.org"), ("DATE", "2026-01-01T00:00:00Z")]
}

# What the last `--once` built, for the next: environments and versions, no simulations.
TOOLS = ROOT / ".tools"
KEPT = TOOLS / "demo-site"
# Parts of a data folder that never change once they are there, so that links do.
SEALED = {"envs", "code", "objects"}
# Repositories of a kept site have the commits already: a push would change nothing.
LEFT_OUT = {"git"}


class Failed(Exception):
    """Something did not work; the text says what."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def cache():
    """Downloaded packages are kept between demonstrations."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "csw" / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Server:
    """`csw up`, from its first line to its end."""

    def __init__(self, data, listen):
        data.mkdir(parents=True, exist_ok=True)
        self.log = data / "server.log"
        self.process = subprocess.Popen(
            [CSW, "up", "--data", data, "--listen", listen, "--cache", cache(), "--json", "--log", "json"],
            stdout=subprocess.PIPE,
            stderr=self.log.open("ab"),
            text=True,
        )
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the server did not start:\n{tail(self.log)}")
        self.facts = json.loads(line)
        self.url = self.facts["url"]
        self.data = data

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def tail(file, lines=15):
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])


class Site:
    """The command line, with the tokens of the accounts it made."""

    def __init__(self, server):
        self.server = server
        self.file = server.data / "demo-accounts.json"
        self.accounts = json.loads(self.file.read_text()) if self.file.exists() else {}

    def account(self, name, role):
        if name in self.accounts:
            return
        password = secrets.token_urlsafe(9)
        command = [CSW, "accounts", "create", name, "--role", role, "--password-stdin", "--data", self.server.data, "--json"]
        done = subprocess.run(command, input=password, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"account {name}: {done.stderr.strip()}")
        self.accounts[name] = {"token": json.loads(done.stdout)["token"], "password": password}
        self.file.touch(mode=0o600)
        self.file.write_text(json.dumps(self.accounts, indent=1))

    def csw(self, owner, *arguments, log=None):
        environment = {**os.environ, "CS_URL": self.server.url, "CS_API_TOKEN": self.accounts[owner]["token"]}
        with contextlib.ExitStack() as stack:
            stderr = stack.enter_context(open(log, "ab")) if log else subprocess.PIPE
            done = subprocess.run(
                [CSW, *arguments, "--json"], env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        return done


def copy_site(source, target):
    """A data folder as another one, sharing what is sealed."""
    for part in source.iterdir():
        if part.name in LEFT_OUT:
            continue
        linked = part.name in SEALED and not subprocess.run(["cp", "-al", part, target], capture_output=True).returncode
        if not linked:
            # Links end at the border of a file system.
            subprocess.run(["cp", "-a", part, target], check=True)


def keep_site(data):
    """Keep a site for the next demonstration; one that can't be kept is only slower."""
    beside = KEPT.with_name("demo-site.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        copy_site(data, beside)
        shutil.rmtree(KEPT, ignore_errors=True)
        beside.rename(KEPT)
    except (OSError, subprocess.CalledProcessError) as problem:
        say(f"the built models are not kept for the next time: {problem}")


def start(data, listen):
    """A server on the site that was kept, or on a new one where there is none that this program can use."""
    if KEPT.exists():
        copy_site(KEPT, data)
        try:
            return Server(data, listen)
        except Failed:
            for folder in (KEPT, data):
                shutil.rmtree(folder)
    return Server(data, listen)


def git(folder, *arguments, token=None, owner=""):
    """Runs git in a folder; the token is in no argument, where everybody on the machine could read it."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **SIGNATURE}
    if token:
        pair = base64.b64encode(f"{owner}:{token}".encode()).decode()
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {pair}",
        }
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def working_copy(folder, place):
    """The model as its author has it: a repository of its own."""
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", str(folder)).split("\0")
    for name in filter(None, listed):
        target = place / (ROOT / name).relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    git(place, "init", "--quiet", "--initial-branch=main")
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message", f"{folder.name} as it is")
    return place


def follow(site, owner, name, commit):
    """The build of a commit, once it is over."""
    while True:
        done = site.csw(owner, "models", "-n", name, "builds")
        builds = json.loads(done.stdout) if done.returncode == 0 else []
        ours = [build for build in builds if build.get("commit") == commit or build["state"] == "queued"]
        if ours and ours[0]["state"] not in ("queued", "running"):
            return ours[0]
        if builds and not ours and builds[0]["state"] == "failed":
            return builds[0]
        time.sleep(0.5)


def publish(site, folder, logs):
    """What an author does: a push to the site's own forge, which needs no other preparation."""
    owner, name = folder.parent.name, f"{folder.parent.name}/{folder.name}"
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="csw-demo-") as place:
        copy = working_copy(folder, Path(place))
        commit = git(copy, "rev-parse", "HEAD").strip()
        token = site.accounts[owner]["token"]
        # The demonstration makes an example of its own, with other inputs than the defaults.
        url = f"{site.server.url}/git/{name}.git"
        git(copy, "push", "--quiet", "--push-option=no-example", url, "main", token=token, owner=owner)
    build = follow(site, owner, name, commit)
    log = logs / f"{owner}-{folder.name}.log"
    log.write_text(site.csw(owner, "models", "-n", name, "logs", build["id"]).stdout)
    if build["state"] != "succeeded":
        raise Failed(f"{name} was not published, {build['message']}; the log is {log}")
    say(f"  {name} pushed and live in {time.monotonic() - begin:.0f} s")


def simulate(site, folder):
    owner, name = folder.parent.name, f"{folder.parent.name}/{folder.name}"
    example = folder / "simulation.json"
    arguments = ["sims", "-n", name, "create", "--wait", "--fresh", "--public", "--title", f"{folder.name}: an example"]
    done = site.csw(owner, *arguments, "--inputs", example)
    try:
        result = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        raise Failed(f"{name}: {done.stderr.strip()}") from None
    lists = (result.get("outputs") or {}).get("outputs") or {}
    outputs = sum(len(each["outputs"]) for each in lists.values())
    return {
        "model": name,
        "version": (result.get("model_version") or "-").splitlines()[0],
        "url": site.server.url + result.get("gui_url", ""),
        "status": result.get("reason") or result["status"],
        "phases": result.get("phases") or {},
        "outputs": outputs,
        "ok": done.returncode == 0 and outputs > 0,
        "why": done.stderr.strip(),
    }


def table(rows):
    heads = ["MODEL", "VERSION", "URL", "STATUS", *(f"{phase.upper()} ms" for phase in PHASES), "OUTPUTS"]
    lines = [heads]
    for row in rows:
        times = [str(row["phases"].get(phase, "-")) for phase in PHASES]
        lines.append([row["model"], row["version"], row["url"], row["status"], *times, str(row["outputs"])])
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = [cell.ljust(width) if at < 4 else cell.rjust(width) for at, (cell, width) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip(), flush=True)


def shown_models():
    """The folders of the example models that people are shown."""
    files = MODELS.glob("*/*/simulation.json")
    return sorted(file.parent for file in files if file.parent.parent.name not in NOT_SHOWN)


def two_at_a_time(do, folders, problems):
    """Results by folder. The largest model comes first: the others take their turns beside it."""
    order = sorted(folders, key=lambda folder: folder.name != LARGEST)
    results = {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for folder, done in [(folder, pool.submit(do, folder)) for folder in order]:
            try:
                results[folder] = done.result()
            except Failed as problem:
                problems.append(str(problem))
                say(str(problem))
    return results


def publish_all(site, folders):
    """Publish them; answers with what went wrong."""
    logs = site.server.data / "demo-logs"
    logs.mkdir(exist_ok=True)
    site.account("demo", "admin")
    for owner in sorted({folder.parent.name for folder in folders}):
        site.account(owner, "member")
    say(f"publishing {len(folders)} models to {site.server.url}")
    problems = []
    two_at_a_time(lambda folder: publish(site, folder, logs), folders, problems)
    return problems


def simulate_all(site, folders):
    """Run one simulation of each and print the table; answers with what went wrong."""
    problems = []
    results = two_at_a_time(lambda folder: simulate(site, folder), folders, problems)
    rows = [results[folder] for folder in folders if folder in results]
    table(rows)
    for row in rows:
        if not row["ok"]:
            problems.append(row["model"])
            say(f"{row['model']}: {row['why']}")
    return problems


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--once", action="store_true", help="free port, throw-away data, stop at the end")
    options = parser.parse_args()
    listen = "127.0.0.1:0" if options.once else "127.0.0.1:8080"
    server, folders = None, shown_models()
    data = Path(tempfile.mkdtemp(prefix="csw-demo-")) if options.once else ROOT / "data"
    try:
        server = start(data, listen) if options.once else Server(data, listen)
        site = Site(server)
        problems = publish_all(site, folders)
        if options.once and not problems:
            server.stop()
            keep_site(data)
            server = site.server = Server(data, listen)
        problems += simulate_all(site, folders)
        if options.once:
            return 1 if problems else 0
        login = site.accounts["demo"]
        print(f"\nOpen {server.url} and log in as `demo` with the password {login['password']}")
        print(f"For the API: export CS_URL={server.url} CS_API_TOKEN={login['token']}")
        print("Ctrl-C stops the server; `scripts/demo` starts it again with the same data.", flush=True)
        server.process.wait()
        return 1 if problems else 0
    except Failed as problem:
        say(str(problem))
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        if server:
            server.stop()
        if options.once:
            shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
