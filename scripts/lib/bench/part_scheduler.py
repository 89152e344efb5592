"""From the request to make a run to its Job: our executor behind a bare door, beside Tornado, redis-py and the client."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import report
import waiting
from cluster_under_test import DOOR, NAMESPACE, Cluster, Site, free_port
from site_under_test import ROOT, Failed

SERVICE = Path(__file__).with_name("tornado_service.py")
PYTHON = ROOT / ".tools/tornado/bin/python"
AT_ONCE = 16
WARM_UP = 100
# The times are taken at so much of the rate that the other service reaches, for so many seconds.
PACE, PACED_SECONDS = 0.8, 5
RUN = "studio.compute/run"


def knock(service, count, *pace):
    """Have so many tasks posted; answers with when each was sent."""
    command = [DOOR, "knock", service["url"], service["token"], str(count), *(pace or [str(AT_ONCE)])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"a task was not taken: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def created(cluster, sent, before):
    """When the Job of each was made; so many were there before."""
    begin = time.monotonic()
    while cluster.counts()["created"] < before + len(sent):
        if time.monotonic() - begin > 60:
            raise Failed("some tasks got no Job")
        time.sleep(0.05)
    found = {job["labels"][RUN]: job["created"] for job in cluster.jobs().values()}
    return {run: found[run] for run in sent}


def through(command, folder, count, pace=None):
    """Requests a second of a service with a Redis and a cluster of its own, and the seconds of each at a pace."""
    cluster, port = Cluster(folder, idle=True), str(free_port())
    redis = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    started = [subprocess.Popen([*redis, "--dir", str(folder)], stdout=subprocess.DEVNULL)]
    try:
        time.sleep(1)
        service = subprocess.Popen(
            [*command, f"redis://127.0.0.1:{port}"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **cluster.variables},
        )
        started.append(service)
        told = json.loads(service.stdout.readline())
        knock(told, WARM_UP)
        sent = knock(told, count)
        made = created(cluster, sent, WARM_UP)
        rate = count / (max(made.values()) - min(one["sent"] for one in sent.values()))
        pace = pace or PACE * rate
        paced = knock(told, int(pace * PACED_SECONDS), "at", str(pace))
        made_paced = created(cluster, paced, WARM_UP + count)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(20)
        cluster.stop()
    return rate, [made_paced[run] - one["sent"] for run, one in paced.items()]


def from_queue(folder, count):
    """Jobs a second that a whole site makes of runs that wait in its database."""
    site = Site(folder, jobs=count)
    try:
        client = site.client()
        client.run(site.publish("contract/Null"), {"Null": {"number": [{"value": 1}]}})
        client.close()
        site.move(idle=True)
        waiting.queue(site.data, count, {})
        site.start()
        begin = time.monotonic()
        while site.cluster.counts()["created"] < count:
            if time.monotonic() - begin > 120:
                raise Failed("some runs that wait got no Job")
            time.sleep(0.2)
        times = sorted(job["created"] for job in site.cluster.jobs().values())
    finally:
        site.end()
    return (count - 1) / (times[-1] - times[0])


def measure(_server, rows, quick):
    """Both services take turns."""
    rounds, ours, theirs = (1, 1000, 200) if quick else (3, 4000, 500)
    rates, times, rates_beside, times_beside = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="csw-bench-cluster-") as place:
        folder = Path(place)
        folder.chmod(0o711)
        for turn in range(rounds):
            rate, seconds = through([PYTHON, SERVICE, NAMESPACE], folder / f"theirs-{turn}", theirs)
            rates_beside.append(rate)
            times_beside += seconds
            rate, seconds = through([DOOR, "serve"], folder / f"ours-{turn}", ours, PACE * rate)
            rates.append(rate)
            times += seconds
        queued = from_queue(folder / "site", 500 if quick else 2000)
    rate, beside = report.percentile(rates, 0.5), report.percentile(rates_beside, 0.5)
    rows.add("tasks that become Jobs", rate, "/s", ("Tornado", beside), at_least=10 * beside)
    p99, p99_beside = (report.percentile(values, 0.99) * 1e3 for values in (times, times_beside))
    rows.add(f"from the request to the Job at {PACE * beside:.0f} a second, p99", p99, "ms", ("Tornado", p99_beside), at_most=p99_beside / 10)
    p50, p50_beside = (report.percentile(values, 0.5) * 1e3 for values in (times, times_beside))
    rows.add("the same, p50", p50, "ms", ("Tornado", p50_beside))
    rows.add("the same through a site's queue in SQLite", queued, "/s")
