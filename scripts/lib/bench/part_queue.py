"""10,000 simulations that wait, and a cluster that takes fifty at once; Jobs of a process that does next to nothing."""

import tempfile
import time
from pathlib import Path

import processes
import waiting
from cluster_under_test import HELPER, Site
from site_under_test import Failed

JOBS = 50
PATIENCE = 550


def finished(site, count):
    """Wait for all; answers with the seconds it took."""
    begin = time.monotonic()
    while site.query("SELECT count(*) FROM runs WHERE finished_at IS NULL")[0][0]:
        if time.monotonic() - begin > PATIENCE:
            left = site.query("SELECT state, count(*) FROM runs GROUP BY 1")
            raise Failed(f"not finished after {PATIENCE} s: {left}; {site.log.read_text()[-1000:]}")
        time.sleep(0.5)
    return time.monotonic() - begin


def measure(_server, rows, quick):
    """They wait before the server starts."""
    count = 1000 if quick else 10_000
    with tempfile.TemporaryDirectory(prefix="csw-bench-cluster-") as place:
        Path(place).chmod(0o711)
        site = Site(Path(place) / "site", jobs=JOBS)
        try:
            client = site.client()
            client.run(site.publish("contract/Null"), {"Null": {"number": [{"value": 1}]}})
            client.close()
            site.move(program=HELPER)
            waiting.queue(site.data, count, {"outputs": 1})
            site.start()
            seconds = finished(site, count)
            peak = processes.peak_bytes(site.pid)
            told = site.cluster.counts()
            ends = "SELECT count(*), sum(attempt) FROM runs WHERE reason = 'SUCCESS' AND task = 'sim'"
            succeeded, attempts = site.query(ends)[0]
        finally:
            site.end()
    # One ran before they waited.
    rows.add("succeeded", succeeded - 1, "", at_least=count)
    rows.add("attempts beyond one each", attempts - succeeded, "", at_most=0)
    rows.add("Jobs beyond one each", told["created"] - count, "", at_most=0)
    rows.add("live Jobs at most", told["peak"], "", at_most=JOBS)
    writes = (told["created"] + told["changed"] + told["deleted"]) / count
    rows.add("writes to the API server for each", writes, "", at_most=3)
    rows.add("lists of Jobs after the first", told["listed"] - 1, "", at_most=0)
    rows.add("the most that was resident of the server", peak / 2**20, "MiB", at_most=150)
    rows.add("rate", count / seconds, "/s")
