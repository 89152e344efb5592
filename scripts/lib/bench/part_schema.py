"""The input schema of a form with 300 parameters: the server on one core, the generator of requests on another."""

import json
import os
import re
import subprocess

from site_under_test import OWNER, Failed

# wrk sends what this Lua script says.
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '%s'
"""


def pin(pid, cpus):
    """Keep all threads of a process on these CPUs."""
    subprocess.run(["taskset", "-a", "-p", "-c", cpus, str(pid)], check=True, stdout=subprocess.DEVNULL)


def generate(server, path, script, cpu, seconds):
    """Requests a second, and how many were not answered with 200."""
    command = ["taskset", "-c", cpu, "wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", *script]
    done = subprocess.run([*command, f"http://{server.host}{path}"], capture_output=True, text=True)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if not rate:
        raise Failed(f"wrk: {done.stdout}{done.stderr}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    return float(rate[1]), int(bad[1]) if bad else 0


def measure(server, rows, quick):
    """Ask for it with wrk, sixteen connections."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Failed("two CPUs are needed: one for the server, one for the generator")
    first, last = str(cpus[0]), str(cpus[-1])
    title = server.publish("contract/Edge-Cases")
    path, seconds = f"/{OWNER}/{title}/api/v1/inputs/", 2 if quick else 8
    body = json.dumps({"meta_parameters": {"form": "many-parameters"}})
    client = server.client()
    status, data = client.ask("POST", path, json.loads(body))
    client.close()
    if status != 200 or data.count(b'"parameter_') < 300:
        raise Failed(f"the schema answered {status} with {data.count(b'parameter_')} parameters: {data[:500]}")
    script = server.data.parent / "schema.lua"
    script.write_text(SCRIPT % body)
    pin(server.pid, first)
    try:
        rate, bad = generate(server, path, ["-s", script], last, seconds)
        rows.add("300 parameters", rate, "requests/s", at_least=2000)
        rows.add("size of the answer", len(data) / 1024, "KiB")
        rows.add("answers other than 200", bad, at_most=0)
        rate, _ = generate(server, "/healthz", [], last, seconds)
        rows.add("the least answer (/healthz)", rate, "requests/s")
    finally:
        pin(server.pid, ",".join(map(str, cpus)))
