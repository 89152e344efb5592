"""An epidemic model with NumPy, SciPy and bokeh: with no interpreter parked, and warm; beside its import alone."""

import json
import subprocess
import time

import report
from site_under_test import MODELS, Failed

MODEL = "healthlab/Epidemic"


def import_seconds(server, title):
    """A new interpreter that imports the model's code and ends."""
    python, environment = server.interpreter(title)
    begin = time.perf_counter()
    done = subprocess.run([python, "-c", "import cs_config.functions"], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"the import outside of the server: {done.stderr[-1000:]}")
    return time.perf_counter() - begin


def validation_seconds(server):
    """What the model's own validate_inputs took, the last time it was called."""
    sql = "SELECT phases FROM runs WHERE task = 'parse' AND state = 'finished' ORDER BY finished_at DESC LIMIT 1"
    return json.loads(server.query(sql)[0][0])["run"] / 1e3


def measure(server, rows, quick):
    """The bounds are of medians; pages of files are in memory, because each was read before."""
    title = server.publish(MODEL)
    example = json.loads((MODELS / MODEL / "simulation.json").read_text())["example"]
    given = (title, example["adjustment"], example["meta_parameters"], True)
    imports, cold, cold_own, warm, warm_own = [], [], [], [], []
    for _ in range(2 if quick else 5):
        imports.append(import_seconds(server, title))
        server.restart()
        client = server.client()
        seconds, found = client.run(*given)
        cold.append(seconds)
        cold_own.append(found["phases"]["run"] / 1e3)
        for _ in range(2 if quick else 6):
            seconds, found = client.run(*given)
            warm.append(seconds)
            warm_own.append(found["phases"]["run"] / 1e3 + validation_seconds(server))
        client.close()
    median = {name: report.percentile(values, 0.5) * 1e3 for name, values in locals().items() if name in NAMES}
    bound = median["imports"] + median["cold_own"] + 150
    rows.add("python -c 'import cs_config.functions', p50", median["imports"], "ms")
    rows.add("no interpreter parked, p50", median["cold"], "ms", ("import + own time", bound - 150), at_most=bound)
    rows.add("warm, p50", median["warm"], "ms", ("own time of both functions", median["warm_own"]), at_most=median["warm_own"] + 50)


NAMES = ("imports", "cold", "cold_own", "warm", "warm_own")
