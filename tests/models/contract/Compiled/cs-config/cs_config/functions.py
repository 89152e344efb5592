"""A model that compiles its code at the first call, and keeps it for the life of its process."""

import time

COMPILED = {}


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


def kernel():
    """Compile once in a process; that takes longer than everything else."""
    if "kernel" not in COMPILED:
        print("compiling")
        time.sleep(0.6)
        COMPILED["kernel"] = compile("number * number", "kernel", "eval")
    return COMPILED["kernel"]


def run_model(meta_param_dict, adjustment):
    square = eval(kernel(), {"number": number_of(adjustment)})
    return {"renderable": [{"media_type": "Text", "title": "Square", "data": f"{square}\n"}], "downloadable": []}
