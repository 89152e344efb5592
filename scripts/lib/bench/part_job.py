"""A simulation as a Job: from the start of its process to the model's function, and from there to the end a client sees."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import report
from cluster_under_test import Site
from site_under_test import MODELS, Failed

# What the model's function adds to its example: when it was called, and when it returned.
CLOCK = """

def run_model(meta_param_dict, adjustment):
    \"\"\"Tell the time, twice.\"\"\"
    import time

    begun = time.time()
    text = {"media_type": "Text", "title": "Times", "data": ""}
    text["data"] = f"{begun!r} {time.time()!r}"
    return {"renderable": [text], "downloadable": []}
"""
SPARE = 100
AT_MOST = 50


def clock(folder):
    """A model that tells the time, in a folder of models."""
    place = folder / "bench/Clock"
    shutil.copytree(MODELS / "contract/Null", place)
    with (place / "cs-config/cs_config/functions.py").open("a") as functions:
        functions.write(CLOCK)
    shutil.rmtree(place / "cs-config/cs_config/tests", ignore_errors=True)
    return folder


def bare(site, title, count):
    """Seconds of an interpreter that imports the model and ends."""
    python, environment = site.interpreter(title)
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        subprocess.run([python, "-s", "-B", "-c", "import cs_config.functions"], env=environment, check=True)
        times.append(time.perf_counter() - begin)
    return times


def one(site, client, title, number):
    """Seconds before the function, after it, and of all."""
    begin = time.time()
    found = client.settled(title, client.create(title, {"Null": {"number": [{"value": number}]}}, fresh=True))
    end = time.time()
    called, returned = map(float, found["outputs"]["renderable"][0]["data"].split())
    jobs = [job for job in site.cluster.jobs().values() if job["labels"]["studio.compute/task"] == "sim"]
    job = max(jobs, key=lambda job: job["created"])
    if not job["created"] < called < returned < end:
        raise Failed(f"the times are in disorder: {job['created']}, {called}, {returned}, {end}")
    return called - job["started"], end - returned, end - begin


def measure(_server, rows, quick):
    """One after the other; baseline and Jobs take turns."""
    rounds, count = (1, 5) if quick else (3, 20)
    with tempfile.TemporaryDirectory(prefix="csw-bench-cluster-") as place:
        Path(place).chmod(0o711)
        site = Site(Path(place) / "site", jobs=10)
        try:
            title = site.publish("bench/Clock", clock(Path(place)))
            client = site.client()
            for number in range(3):
                one(site, client, title, -1 - number)
            times, imports = [], []
            for turn in range(rounds):
                imports += bare(site, title, 5)
                times += [one(site, client, title, turn * count + number) for number in range(count)]
            client.close()
        finally:
            site.end()
    before, after, whole = zip(*times, strict=True)
    base = report.percentile(imports, 0.5) * 1e3
    rows.add(
        "from the start of the Job to `run_model`, p50", report.percentile(before, 0.5) * 1e3, "ms",
        ("interpreter and import", base), at_most=base + SPARE,
    )  # fmt: skip
    rows.add("the same, p95", report.percentile(before, 0.95) * 1e3, "ms")
    rows.add("from its return to SUCCESS, p50", report.percentile(after, 0.5) * 1e3, "ms", at_most=AT_MOST)
    rows.add("the same, p95", report.percentile(after, 0.95) * 1e3, "ms")
    rows.add("the whole simulation with both its Jobs, p50", report.percentile(whole, 0.5) * 1e3, "ms")
