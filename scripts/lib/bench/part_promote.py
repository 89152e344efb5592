"""Promotion and roll-back, while others submit simulations."""

import shutil
import tempfile
import threading
import time
from pathlib import Path

import report
from site_under_test import MODELS, OWNER, Failed


def publish(server, title, folder, version):
    """Publish the smallest model, saying this of its version."""
    (folder / "cs-config/cs_config/__init__.py").write_text(f'__version__ = "{version}"\n')
    server._csw("models", "-n", f"{OWNER}/{title}", "publish", "--no-example", "--repo", folder)


def submit(server, title, stop, counts, problems):
    """Submit simulations until it is told to stop."""
    client = server.client()
    number = 0
    while not stop.is_set():
        number += 1
        try:
            client.create(title, {"Null": {"number": [{"value": number}]}})
            counts.append(1)
        except Exception as problem:
            problems.append(problem)
    client.close()


def all_ended(server, title):
    """Wait until nothing that was submitted is under way; the number that succeeded."""
    sql = f"SELECT s.status, count(*) FROM simulations s JOIN models m ON m.id = s.model_id WHERE m.title = '{title}' GROUP BY 1"
    while True:
        found = dict(server.query(sql))
        if not {"STARTED", "PENDING"} & found.keys():
            return found.get("SUCCESS", 0)
        time.sleep(0.2)


def measure(server, rows, quick):
    """To the first answer that the other version gives."""
    title = "Promoted"
    with tempfile.TemporaryDirectory(prefix="csw-bench-") as place:
        folder = Path(place) / "model"
        shutil.copytree(MODELS / "contract/Null", folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        for version in ["1.0.0", "2.0.0"]:
            publish(server, title, folder, version)
    client = server.client()
    stop, counts, problems = threading.Event(), [], []
    threads = [threading.Thread(target=submit, args=(server, title, stop, counts, problems)) for _ in range(2)]
    for thread in threads:
        thread.start()
    times, live = [], "2.0.0"
    for _ in range(5 if quick else 40):
        begin = time.perf_counter()
        status, data = client.ask("POST", f"/publish/api/{OWNER}/{title}/rollback/")
        if status != 200:
            raise Failed(f"a roll-back answered {status}: {data[:500]}")
        other = "1.0.0" if live == "2.0.0" else "2.0.0"
        while client.get(f"/publish/api/{OWNER}/{title}/detail/")["version"] != other:
            pass
        times.append(time.perf_counter() - begin)
        live = other
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    client.close()
    succeeded = all_ended(server, title)
    rows.add("the other version answers, p50", report.percentile(times, 0.5) * 1e3, "ms", at_most=100)
    rows.add("the other version answers, longest", max(times) * 1e3, "ms", at_most=100)
    rows.add("submissions meanwhile", len(counts))
    rows.add("of these refused or lost", len(problems) + len(counts) - succeeded, at_most=0)
