"""An identical simulation is answered from the memo; thirty at once run once."""

import threading
import time

import report
from site_under_test import Failed


def adjustment(number):
    """Inputs apart from those of other parts."""
    return {"Null": {"number": [{"value": 500_000_000 + number}]}}


def measure(server, rows, quick):
    """First one after another, then at once."""
    title = server.publish("contract/Null")
    client = server.client()
    client.run(title, adjustment(0))
    runs, times, posts = server.executions(), [], []
    for _ in range(20 if quick else 200):
        begin = time.perf_counter()
        number = client.create(title, adjustment(0))
        posts.append(time.perf_counter() - begin)
        found = client.settled(title, number)
        times.append(time.perf_counter() - begin)
        if not found["from_memo"]:
            raise Failed(f"simulation {number} was not answered from the memo")
    client.close()
    rows.add("answer, p50", report.percentile(times, 0.5) * 1e3, "ms", at_most=10)
    rows.add("answer, p99", report.percentile(times, 0.99) * 1e3, "ms")
    rows.add("of that the POST, p50", report.percentile(posts, 0.5) * 1e3, "ms")
    rows.add("executions", server.executions() - runs, at_most=0)
    at_once(server, rows, title, 30)


def at_once(server, rows, title, count):
    """Submit the same new inputs from so many connections."""
    barrier, ends, problems = threading.Barrier(count + 1), [], []

    def one():
        client = server.client()
        try:
            client.get("/healthz")
            barrier.wait()
            client.run(title, adjustment(1))
            ends.append(time.perf_counter())
        except Exception as problem:
            problems.append(problem)
        finally:
            client.close()

    runs = server.executions()
    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    barrier.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    rows.add(f"{count} at once: executions", server.executions() - runs, at_most=1)
    rows.add(f"{count} at once: all read", (max(ends) - begin) * 1e3, "ms")
