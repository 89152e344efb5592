"""A model that does nothing, warm: submitted, validated, run in sandboxes, durable, read; beside RQ on Redis."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

import processes
import report
from cluster_under_test import free_port
from site_under_test import ROOT, Failed

HERE = Path(__file__).resolve().parent
RQ_PYTHON = ROOT / ".tools/rq/bin/python"
WARM_UP = 30


def adjustment(number):
    """Inputs that no other number has."""
    return {"Null": {"number": [{"value": number}]}}


def ours(server, count):
    """Seconds of each simulation, and CPU seconds of one."""
    title = server.publish("contract/Null")
    client = server.client()
    for number in range(WARM_UP):
        client.run(title, adjustment(-1 - number), fresh=True)
    before, times = processes.cpu_seconds(server.pid), []
    for number in range(count):
        seconds, found = client.run(title, adjustment(number), fresh=True)
        times.append(seconds)
        if found["outputs"]["renderable"][0]["data"] != f"{number}\n":
            raise Failed(f"the output of {number} is not its own")
    cpu = (processes.cpu_seconds(server.pid) - before) / count
    client.close()
    return times, cpu


def rq(server, count):
    """The same with RQ: the function once for each job, in a process that the worker forks for it."""
    title = server.publish("contract/Null")
    _, environment = server.interpreter(title)
    port = free_port()
    redis = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    started = []
    with tempfile.TemporaryDirectory(prefix="csw-bench-redis-") as folder:
        try:
            for command in ([*redis, "--dir", folder], [RQ_PYTHON, HERE / "rq_worker.py", str(port)]):
                quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                started.append(subprocess.Popen(command, env=environment, **quiet))
                time.sleep(1)
            client = subprocess.Popen(
                [RQ_PYTHON, HERE / "rq_client.py", str(port), str(WARM_UP), str(count)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            started.append(client)
            if client.stdout.readline() != "warm\n":
                raise Failed("RQ did not get warm")
            pids = [process.pid for process in started[:2]]
            before = processes.cpu_seconds(*pids)
            client.stdin.write("go\n")
            client.stdin.flush()
            times = json.loads(client.stdout.readline())
            cpu = (processes.cpu_seconds(*pids) - before) / count
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(20)
    return times, cpu


def measure(server, rows, quick):
    """Alternate, so that a busy minute of the machine hits both."""
    rounds, count = (1, 30) if quick else (3, 100)
    mine, theirs, my_cpu, their_cpu = [], [], 0, 0
    for _ in range(rounds):
        times, cpu = ours(server, count)
        mine, my_cpu = mine + times, my_cpu + cpu / rounds
        times, cpu = rq(server, count)
        theirs, their_cpu = theirs + times, their_cpu + cpu / rounds
    p50, p50_rq = (report.percentile(times, 0.5) * 1e3 for times in (mine, theirs))
    p99, p99_rq = (report.percentile(times, 0.99) * 1e3 for times in (mine, theirs))
    rows.add("p50", p50, "ms", ("RQ", p50_rq), at_most=p50_rq)
    rows.add("p99", p99, "ms", ("RQ", p99_rq), at_most=4 * p50)
    rows.add("CPU of one", my_cpu * 1e3, "ms", ("RQ", their_cpu * 1e3))
