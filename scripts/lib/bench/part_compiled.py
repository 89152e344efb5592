"""A model whose functions numba compiles at the first call: later runs beside a fresh process, with equal outputs."""

import json
import subprocess
import time

import report
from site_under_test import MODELS, Failed

MODEL = "quantlab/Option-Pricing"
FRESH = """
import json, sys, time
given = json.loads(sys.argv[1])
from cs_config.functions import run_model
begin = time.perf_counter()
result = run_model(given["meta_parameters"], given["adjustment"])
seconds = time.perf_counter() - begin
texts = [one["data"] for one in result["downloadable"] if isinstance(one["data"], str)]
print(json.dumps([seconds, texts]))
"""


def fresh_process(server, title, example, folder):
    """Seconds of a new interpreter with nothing compiled, of its function alone, and its texts."""
    python, environment = server.interpreter(title)
    environment |= {"NUMBA_CACHE_DIR": str(folder), "OPENBLAS_NUM_THREADS": "1"}
    begin = time.perf_counter()
    done = subprocess.run([python, "-c", FRESH, json.dumps(example)], env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise Failed(f"the model outside of the server: {done.stderr[-1000:]}")
    alone, texts = json.loads(done.stdout.splitlines()[-1])
    return seconds, alone, texts


def comparable(found):
    """Everything of the outputs but their identifiers."""
    lists = found["outputs"]["renderable"], found["outputs"]["downloadable"]
    return [[(one["title"], one["media_type"], one["data"]) for one in each] for each in lists]


def measure(server, rows, quick):
    """The same inputs again and again, each time fresh."""
    title = server.publish(MODEL)
    example = json.loads((MODELS / MODEL / "simulation.json").read_text())["example"]
    server.restart()
    client = server.client()
    given = (title, example["adjustment"], example["meta_parameters"], True)
    first, found = client.run(*given)
    times, equal, phases = [], True, [found["phases"]]
    for _ in range(3 if quick else 10):
        seconds, again = client.run(*given)
        times.append(seconds)
        phases.append(again["phases"])
        equal = equal and comparable(again) == comparable(found)
    client.close()
    fresh = []
    for turn in range(1 if quick else 3):
        folder = server.data.parent / f"numba-{turn}"
        folder.mkdir()
        fresh.append(fresh_process(server, title, example, folder))
    whole, alone = (sorted(one[which] for one in fresh)[len(fresh) // 2] for which in (0, 1))
    texts = [one["data"] for one in found["outputs"]["downloadable"] if one["media_type"] in ("CSV", "Text")]
    later = report.percentile(times, 0.5)
    rows.add("first run after a restart", first * 1e3, "ms", ("fresh process", whole * 1e3))
    rows.add("later runs, p50", later * 1e3, "ms", ("fresh process", whole * 1e3), at_most=whole * 1e3 / 5)
    run = report.percentile([phase.get("run", 0) for phase in phases[1:]], 0.5)
    rows.add("of that in the function", float(run), "ms", ("fresh process", alone * 1e3))
    rows.add("a fresh process is slower by", whole / later, "times", at_least=5)
    rows.add("outputs of all runs are equal", equal, at_least=True)
    same = bool(texts) and all(text in fresh[0][2] for text in texts)
    rows.add("texts equal those of the fresh process", same, at_least=True)
