"""200 MB of outputs: what the server's memory grows by while they are stored and read."""

import time

import processes
from site_under_test import OWNER

MEGABYTES = 200


def drain(client, path):
    """Read an answer in parts, keep none; answers with its length."""
    client.connection.request("GET", path, headers=client.headers)
    answer, length = client.connection.getresponse(), 0
    while part := answer.read(1 << 20):
        length += len(part)
    return length


def measure(server, rows, quick):
    """The peak of resident memory, against what was resident before."""
    title = server.publish("contract/Edge-Cases")
    client = server.client()
    case = {"Run": {"case": [{"value": "big-bytes"}], "megabytes": [{"value": 1}]}}
    client.run(title, case, fresh=True)
    time.sleep(1)
    processes.forget_peak(server.pid)
    before = processes.peak_bytes(server.pid)
    case["Run"]["megabytes"] = [{"value": MEGABYTES}]
    begin = time.perf_counter()
    number = client.create(title, case, fresh=True)
    found = client.settled(title, number, "remote/")
    seconds = time.perf_counter() - begin
    stored = processes.peak_bytes(server.pid)
    lengths = [drain(client, f"/{OWNER}/{title}/{part}") for part in (f"api/v1/{number}/", f"{number}/download/")]
    peak = processes.peak_bytes(server.pid)
    client.close()
    rows.add("resident before", before / 2**20, "MiB")
    rows.add(f"more while {MEGABYTES} MB are stored", (stored - before) / 2**20, "MiB", at_most=64)
    rows.add("more once they were read, as JSON and zip", (peak - before) / 2**20, "MiB", at_most=64)
    rows.add("run and stored in", seconds, "s")
    rows.add("of that the model", found["phases"].get("run", 0) / 1e3, "s")
    rows.add("bytes read", sum(lengths) / 2**20, "MiB", at_least=2 * MEGABYTES)
