"""The server that is measured, and its client."""

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import report

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(os.environ.get("CSW") or ROOT / "target/release/csw").resolve()
MODELS = ROOT / "examples/models"
OWNER = "bench"
# The limits that keep one client from taking a site for itself would be what is measured.
SETTINGS = """
[site]
submissions_per_minute = 1000000
schema_computations_per_minute = 1000000
pending_runs_per_account = 1000000
"""


class Failed(Exception):
    """Something did not work; the text says what."""


class Client:
    """One connection that stays open."""

    def __init__(self, host, token):
        self.connection = http.client.HTTPConnection(host, timeout=120)
        self.headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}

    def ask(self, method, path, body=None, **headers):
        """Send a request; answers with the status and the bytes."""
        data = None if body is None else json.dumps(body).encode()
        headers = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, data, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def get(self, path, **headers):
        """The JSON of an answer 200."""
        status, data = self.ask("GET", path, **headers)
        if status != 200:
            raise Failed(f"GET {path} answered {status}: {data[:500]}")
        return json.loads(data)

    def create(self, title, adjustment=None, meta=None, fresh=False):
        """Submit a simulation; answers with its number."""
        body = {"meta_parameters": meta or {}, "adjustment": adjustment or {}}
        if fresh:
            body["fresh"] = True
        status, data = self.ask("POST", f"/{OWNER}/{title}/api/v1/", body)
        if status != 201:
            raise Failed(f"creating a simulation of {title} answered {status}: {data[:500]}")
        return json.loads(data)["sim"]["model_pk"]

    def settled(self, title, number, part=""):
        """The simulation once it is over, with its outputs' data, or what `part` of its address has."""
        address = f"/{OWNER}/{title}/api/v1/{number}/"
        # The stream of events ends with the simulation.
        self.ask("GET", f"{address}events/")
        found = self.get(address + part)
        if found["status"] != "SUCCESS":
            inputs = self.get(f"{address}edit/")
            why = found.get("traceback") or inputs.get("traceback") or inputs.get("errors_warnings")
            raise Failed(f"simulation {number} of {title} ended {found['status']}: {why}")
        return found

    def run(self, title, adjustment=None, meta=None, fresh=False):
        """Submit, wait, read every output. Answers with seconds by this process's clock, and the simulation."""
        begin = time.perf_counter()
        number = self.create(title, adjustment, meta, fresh)
        found = self.settled(title, number)
        return time.perf_counter() - begin, found

    def close(self):
        """End the connection."""
        self.connection.close()


class Server:
    """`csw up` in a folder of its own, with settings and variables beside those of every bench."""

    def __init__(self, folder, settings="", variables=None):
        if not PROGRAM.exists():
            raise Failed(f"{PROGRAM} is missing: build it with `cargo build --release -p csw`")
        self.program = PROGRAM
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.settings = folder / "config.toml"
        self.settings.write_text(settings + SETTINGS)
        self.variables = variables or {}
        self.cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "csw" / "packages"
        self.cache.mkdir(parents=True, exist_ok=True)
        self.process = None
        self.published = set()
        self.start()
        self.token = json.loads(self._csw("accounts", "create", OWNER, "--role", "admin", "--data", self.data))["token"]

    def start(self, log="warn"):
        """Start it and wait until it listens."""
        command = [PROGRAM, "up", "--config", self.settings, "--data", self.data, "--cache", self.cache]
        with self.log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [*command, "--listen", "127.0.0.1:0", "--json", "--log", "json", "--grace", "5"],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, **self.variables, "CSW_LOG": log},
            )
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the server did not start:\n{self.log.read_text()[-2000:]}")
        self.host = json.loads(line)["url"].removeprefix("http://")
        self.pid = self.process.pid

    def stop(self):
        """Stop it in order."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def restart(self, log="warn"):
        """Stop and start it: no model's interpreter survives that."""
        self.stop()
        self.start(log)

    def client(self):
        """A new connection."""
        return Client(self.host, self.token)

    def _csw(self, *arguments):
        done = subprocess.run([PROGRAM, *arguments, "--json"], capture_output=True, text=True, env=self.environment())
        if done.returncode:
            raise Failed(f"csw {' '.join(map(str, arguments))}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def environment(self):
        """What the command line has to know."""
        token = getattr(self, "token", "")
        return {**os.environ, "CS_URL": f"http://{self.host}", "CS_API_TOKEN": token}

    def publish(self, name, models=MODELS):
        """Publish an example once, or a model of another folder; answers with its title."""
        title = name.split("/")[1]
        if title not in self.published:
            begin = time.monotonic()
            self._csw("models", "-n", f"{OWNER}/{title}", "publish", "--no-example", "--repo", models / name)
            report.say(f"   {name} published in {time.monotonic() - begin:.0f} s")
            self.published.add(title)
        return title

    def query(self, sql, *values):
        """Ask the database beside the server."""
        connection = sqlite3.connect(f"file:{self.data}/csw.db?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def executions(self):
        """How often a model has run."""
        return self.query("SELECT count(*) FROM runs WHERE task = 'sim' AND started_at IS NOT NULL")[0][0]

    def interpreter(self, title):
        """The live version's interpreter, and the environment in which it finds the model's code."""
        sql = "SELECT v.artifact FROM versions v JOIN models m ON m.live_version_id = v.id WHERE m.title = ?"
        artifact = json.loads(self.query(sql, title)[0][0])
        code = self.data / "code" / artifact["code"]
        listed = code / "csw-path.txt"
        paths = listed.read_text().split() if listed.exists() else ["cs-config", "."]
        environment = {**os.environ, "PYTHONPATH": ":".join(str(code / path) for path in paths)}
        return self.data / "envs" / artifact["environment"] / "bin/python", environment
