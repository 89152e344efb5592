import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import cs_storage
import pytest
from cs_kit import CoreTestFunctions

from cs_config import cases, checks, forms, functions
from cs_config.cases import outputs

EMPTY = {name: {"errors": {}, "warnings": {}} for name in ("Run", "GUI", "API")}
README = Path(__file__).parents[3] / "README.md"


def tame_inputs(meta_param_dict):
    """cs-kit asks for every value of the meta parameter; those that fail on purpose are left out."""
    form = (meta_param_dict or {}).get("form", "plain")
    return functions.get_inputs({"form": form if form in forms.TAME else "plain"})


class TestEdgeCases(CoreTestFunctions):
    get_version = functions.get_version
    get_inputs = tame_inputs
    validate_inputs = functions.validate_inputs
    run_model = functions.run_model
    ok_adjustment = {"Run": {"case": [{"value": "all-media-types"}]}}
    bad_adjustment = {"Run": {"case": [{"value": "no such case"}]}}


def run(case, **settings):
    adjustment = {"Run": {"case": case, **settings}}
    return functions.run_model({"form": [{"value": "plain"}]}, adjustment)


def run_alone(case, **settings):
    """Run a case in a process of its own, for those that end it."""
    adjustment = json.dumps({"Run": {"case": case, **settings}})
    code = (
        "import json, sys; from cs_config import functions; "
        "result = functions.run_model({}, json.loads(sys.argv[1])); "
        "print(json.dumps(result), flush=True)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, adjustment], capture_output=True, timeout=60, stdin=subprocess.DEVNULL
    )


def test_every_case_is_told_in_the_readme():
    if not README.exists():
        pytest.skip("tested apart from its repository")
    text = README.read_text()
    missing = [
        name
        for name in (*cases.names(), *checks.NAMES, *forms.TAME, *forms.WILD)
        if f"`{name}`" not in text
    ]
    assert not missing


def test_pictures_are_what_they_claim():
    made = {one["media_type"]: one["data"] for one in run("all-media-types")["renderable"]}
    assert len(made) == 11
    assert made["PNG"].startswith(b"\x89PNG") and made["PNG"].endswith(b"IEND\xaeB`\x82")
    assert made["JPEG"][:3] == b"\xff\xd8\xff"
    assert made["PDF"].startswith(b"%PDF-") and made["PDF"].endswith(b"%%EOF\n")
    assert made["HDF5"][:8] == b"\x89HDF\r\n\x1a\n"
    assert made["MP4"][4:8] == b"ftyp"


def test_sizes_are_kept():
    assert len(run("big-output", megabytes=3)["downloadable"][0]["data"]) == 3 << 20
    assert len(run("big-bytes", megabytes=1)["downloadable"][0]["data"]) == 1 << 20
    assert len(run("many-outputs", count=7)["renderable"]) == 7


def test_hostile_titles_still_keep_the_schema():
    made = run("titles")
    assert cs_storage.LocalResult().load(made)
    assert len(made["renderable"]) == len(outputs.TITLES)


@pytest.mark.parametrize("case", ["none", "list", "wrong-keys", "extra-key", "unknown-media-type"])
def test_wrong_results_are_wrong(case):
    with pytest.raises(Exception):
        result = run(case)
        cs_storage.LocalResult().load(result)
        result["renderable"], result["downloadable"]


@pytest.mark.parametrize(
    "case, error",
    [
        ("raises", ValueError),
        ("raises-secret", ConnectionError),
        ("recursion", RecursionError),
        ("sys-exit", SystemExit),
        ("keyboard-interrupt", KeyboardInterrupt),
    ],
)
def test_raises(case, error):
    with pytest.raises(error):
        run(case)


@pytest.mark.parametrize("case, code", [("abort", -6), ("segfault", -11), ("os-exit", 0), ("kills-itself", -9)])
def test_ends_its_process(case, code):
    done = run_alone(case)
    assert done.returncode == code
    assert done.stdout == b""


@pytest.mark.parametrize(
    "case",
    [
        "quiet", "echo", "prints", "prints-raw-bytes", "warns", "threads", "thread-raises", "random",
        "reads-stdin", "writes-file", "read-files", "network", "facts", "changes-directory", "removes-directory",
        "base64-bytes", "nan", "same-title", "many-files", "daemon-left-running", "memory-in-child", "busy",
    ],
)
def test_runs_well(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    done = run_alone(case, seconds=0.1, megabytes=1)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout


@pytest.mark.parametrize("check", [name for name in checks.NAMES if name not in ("raises", "exits")])
def test_checks_answer(check):
    answer = functions.validate_inputs(
        {}, {"Run": {"check": check, "seconds": 0.01}}, copy.deepcopy(EMPTY)
    )
    assert answer is not None or check == "none"


def test_version_has_several_lines():
    assert functions.get_version().count("\n") > 1
