"""A model on NumPy: what its numbers become, how many threads it may use, what chance gives it."""

import json
import random
import uuid

# Imported by name, or it would be made by each run itself.
import numpy
import numpy.random
import threadpoolctl


def get_version():
    return "1.0.0"


def get_inputs(meta_param_dict):
    number = {"title": "Number", "description": "A number.", "type": "int", "value": [{"value": 2}], "validators": {}}
    return {"meta_parameters": {}, "model_parameters": {"Main": {"number": number}}}


def validate_inputs(meta_param_dict, adjustment, errors_warnings):
    return {"errors_warnings": errors_warnings}


def number_of(adjustment):
    given = adjustment.get("Main", {}).get("number", 2)
    return given[-1]["value"] if isinstance(given, list) else given


def scalars():
    """NumPy's own types where JSON is expected."""
    return {
        "integer": numpy.int64(3),
        "float": numpy.float32(0.5),
        "boolean": numpy.bool_(True),
        "array": numpy.arange(3),
        "nan": numpy.float64("nan"),
        "date": numpy.datetime64("2026-11-24"),
        "list": [numpy.uint8(255), numpy.str_("text")],
    }


def chance():
    """What has to differ from run to run, and what a seed keeps."""
    return {
        "global": numpy.random.random(),
        "generator": numpy.random.default_rng().random(),
        "python": random.random(),
        "uuid": str(uuid.uuid4()),
        "seeded": numpy.random.default_rng(7).random(),
    }


def run_model(meta_param_dict, adjustment):
    (numpy.ones((200, 200)) @ numpy.ones((200, 200))).sum()
    threads = {found["internal_api"]: found["num_threads"] for found in threadpoolctl.threadpool_info()}
    plot = {"target_id": None, "root_id": "p1", "doc": {"version": "3.9.0", "roots": []}, **scalars()}
    return {
        "renderable": [
            {"media_type": "bokeh", "title": "Scalars", "data": plot},
            {"media_type": "Text", "title": "Threads", "data": json.dumps(threads)},
            {"media_type": "Text", "title": "Chance", "data": json.dumps(chance())},
        ],
        "downloadable": [],
    }
