"""A thousand simulations submitted at once, and reads meanwhile."""

import multiprocessing
import threading
import time

import report
from site_under_test import OWNER, Client, Failed

# The submissions have inputs of their own, so that the memo answers none.
BASE = 600_000_000
CONNECTIONS = 16


def read_on(host, token, paths, stop, results):
    """Read one page after another, from a process of its own; answers with the seconds of each."""
    client, times, bad = Client(host, token), [], 0
    while not stop.is_set():
        for path in paths:
            begin = time.perf_counter()
            status, _ = client.ask("GET", path)
            times.append(time.perf_counter() - begin)
            bad += status != 200
            time.sleep(0.01)
    results.put((times, bad))


def submit(server, title, count, problems):
    """Send the submissions from several connections."""
    numbers = iter(range(count))
    lock = threading.Lock()

    def some():
        client = server.client()
        try:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                client.create(title, {"Null": {"number": [{"value": BASE + number}]}})
        except Exception as problem:
            problems.append(problem)
        finally:
            client.close()

    threads = [threading.Thread(target=some) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(server, rows, quick):
    """Submit, and ask how many are over until all are."""
    count = 100 if quick else 1000
    title = server.publish("contract/Null")
    client = server.client()
    _, found = client.run(title, {"Null": {"number": [{"value": BASE - 1}]}}, fresh=True)
    base, number = f"/{OWNER}/{title}", found["model_pk"]
    reads = [f"{base}/api/v1/{number}/", f"{base}/api/v1/inputs/", "/api/v1/sims/", f"{base}/{number}/", f"{base}/new/"]
    reads = [path for path in reads if client.ask("GET", path)[0] == 200]
    succeeded = f"/api/v1/sims/?model={OWNER}/{title}&status=SUCCESS&page_size=1"
    before = client.get(succeeded)["count"]
    stop, results = multiprocessing.Event(), multiprocessing.Queue()
    reader = multiprocessing.Process(target=read_on, args=(server.host, server.token, reads, stop, results))
    reader.start()
    try:
        problems = []
        begin = time.perf_counter()
        submit(server, title, count, problems)
        submitted = time.perf_counter() - begin
        if problems:
            raise problems[0]
        done = 0
        while done < count and time.perf_counter() - begin < 300:
            time.sleep(0.1)
            done = client.get(succeeded)["count"] - before
        seconds = time.perf_counter() - begin
    finally:
        stop.set()
    times, bad = results.get(timeout=60)
    reader.join()
    client.close()
    if not times:
        raise Failed("nothing was read")
    rows.add(f"{count} at once: succeeded", done, at_least=count)
    rows.add("submitted after", submitted, "s")
    rows.add("all succeeded after", seconds, "s")
    rows.add("rate", done / seconds, "/s", at_least=50)
    rows.add(f"reads meanwhile ({len(times)}), p95", report.percentile(times, 0.95) * 1e3, "ms", at_most=100)
    rows.add("reads other than 200", bad, at_most=0)
