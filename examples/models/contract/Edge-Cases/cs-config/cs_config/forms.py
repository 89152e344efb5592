"""What `get_inputs` can do."""

import os
import time

from cs_config import cases, checks
from cs_config.inputs import DEFAULTS, SECTION

# Those that a platform can show, and those that it can only report.
TAME = ("plain", "many-parameters", "schema-key", "prints")
WILD = ("raises", "exits", "slow", "not-json", "nan", "wrong-keys", "none")


def describe(form):
    """Describe the parameters in the way that the form names."""
    if form == "raises":
        raise RuntimeError("the defaults cannot be read, because the form asked for that")
    if form == "exits":
        os._exit(3)
    if form == "slow":
        time.sleep(3600)
    if form == "none":
        return None
    if form == "prints":
        print("get_inputs prints this line")
    inputs = {"meta_parameters": _meta(form), "model_parameters": {SECTION: _parameters()}}
    section = inputs["model_parameters"][SECTION]
    if form == "many-parameters":
        section.update(_many(300))
    elif form == "schema-key":
        for part in (inputs["meta_parameters"], section):
            part["schema"] = {
                "labels": {},
                "additional_members": {"compatible_data": {"type": "compatible_data"}},
                "operators": {"array_first": False, "label_to_extend": None, "uses_extend_func": False},
            }
    elif form == "not-json":
        section["seconds"]["value"] = [{"value": object()}]
    elif form == "nan":
        section["seconds"]["value"] = [{"value": float("nan")}]
    elif form == "wrong-keys":
        inputs["model_params"] = inputs.pop("model_parameters")
    return inputs


def _meta(form):
    return {
        "form": {
            "title": "Form",
            "description": "How the model describes its parameters. Some answers are wrong on purpose.",
            "type": "str",
            "number_dims": 0,
            "value": [{"value": form}],
            "validators": {"choice": {"choices": list(TAME + WILD)}},
        }
    }


def _parameters():
    def parameter(name, title, description, kind, validators=None, dims=0):
        return {
            "title": title,
            "description": description,
            "type": kind,
            "number_dims": dims,
            "value": [{"value": DEFAULTS[name]}],
            "validators": validators or {},
        }

    def one_of(names):
        return {"choice": {"choices": list(names)}}

    return {
        "case": parameter(
            "case", "Case", "What the run does; see the README.", "str", one_of(cases.names())
        ),
        "check": parameter(
            "check", "Check", "What the validation answers.", "str", one_of(checks.NAMES)
        ),
        "seconds": parameter(
            "seconds",
            "Seconds",
            "How long, for the cases that take time.",
            "float",
            {"range": {"min": 0.0, "max": 100000.0}},
        ),
        "megabytes": parameter(
            "megabytes",
            "Megabytes",
            "How much, for the cases of size.",
            "int",
            {"range": {"min": 0, "max": 100000}},
        ),
        "count": parameter(
            "count",
            "Count",
            "How many, for the cases of number.",
            "int",
            {"range": {"min": 0, "max": 10000000}},
        ),
        "text": parameter("text", "Text", "Any text; some cases repeat it.", "str"),
        "target": parameter(
            "target", "Network target", "HOST:PORT that the case network tries to reach.", "str"
        ),
        "paths": parameter(
            "paths", "Paths", "Files and folders that the case read-files tries to read.", "str", dims=1
        ),
    }


def _many(count):
    return {
        f"parameter_{number}": {
            "title": f"Parameter {number}",
            "description": f"One of {count}; it changes nothing.",
            "type": ("int", "float", "bool", "str")[number % 4],
            "number_dims": 0,
            "value": [{"value": (number, number / 2, number % 8 == 2, f"text {number}")[number % 4]}],
            "validators": {},
        }
        for number in range(count)
    }
