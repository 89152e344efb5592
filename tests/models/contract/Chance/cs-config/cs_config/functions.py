"""A model that draws from a generator which was made, without a seed, when the model was imported."""

import random

GENERATOR = random.Random()


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


def run_model(meta_param_dict, adjustment):
    drawn = f"{GENERATOR.random()}\n"
    return {"renderable": [{"media_type": "Text", "title": "Drawn", "data": drawn}], "downloadable": []}
