"""The client of the comparison: waits for each result with a blocking read, RQ's quickest way."""

import json
import sys
import time

from cs_config.functions import run_model
from redis import Redis
from rq import Queue

port, warm_up, count = map(int, sys.argv[1:])
queue = Queue("null", connection=Redis(port=port))


def run(number):
    """Seconds from submission to the result."""
    begin = time.perf_counter()
    job = queue.enqueue(run_model, {}, {"Null": {"number": [{"value": number}]}})
    result = job.latest_result(timeout=30).return_value
    seconds = time.perf_counter() - begin
    if result["renderable"][0]["data"] != f"{number}\n":
        sys.exit(f"the output of {number} is not its own")
    return seconds


for each in range(warm_up):
    run(-1 - each)
print("warm", flush=True)
sys.stdin.readline()
print(json.dumps([run(each) for each in range(count)]), flush=True)
