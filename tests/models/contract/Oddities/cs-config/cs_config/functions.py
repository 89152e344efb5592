"""The four functions of a model with every oddity of real ones."""

import copy
import os

from cs_config import outputs, schema

CHECKBOX = "_checkbox"


def get_version():
    """Answer in several lines."""
    return "2.3.1\nwith data of 2026-11-01\n"


def value_of(given, default):
    """Take the last value of value objects, or a scalar."""
    if isinstance(given, list):
        return given[-1]["value"] if given else default
    return default if given is None else given


def get_inputs(meta_param_dict):
    """Describe the inputs, and spoil what was given."""
    source = value_of((meta_param_dict or {}).pop("data_source", None), "CPS")
    token = os.urandom(8).hex()
    return {
        "meta_parameters": schema.meta_parameters(source, token),
        "model_parameters": schema.model_parameters(source),
    }


def validate_inputs(meta_param_dict, adjustment, errors_warnings):
    """Check in two stages, as ParamTools does: one wrong type hides the ranges of its section."""
    known = schema.model_parameters("CPS")
    for section, given in adjustment.items():
        errors = errors_warnings[section]["errors"]
        unknown = [
            name for name in given if name not in known[section] and name.replace(CHECKBOX, "") not in known[section]
        ]
        if unknown:
            # Under a name that is no parameter.
            errors["schema"] = [f"Unknown field: {name}" for name in unknown]
        errors.update(wrong_types(given))
        if not errors:
            errors.update(wrong_ranges(given))
    adjustment.clear()
    return {"errors_warnings": errors_warnings}


def wrong_types(given):
    """Find what is no number."""
    errors = {}
    tests = value_of(given.get("Tests"), [[]])
    if not all(isinstance(number, (int, float)) for row in tests for number in row):
        # Not text, for a wrong type inside a table.
        errors["Tests"] = [0, 1]
    if not isinstance(value_of(given.get("STD"), 0), (int, float)):
        errors["STD"] = [f"Not a valid number: {value_of(given['STD'], 0)}."]
    return errors


def wrong_ranges(given):
    """Find what is out of range; one of the errors is a meta parameter's."""
    errors = {}
    if value_of(given.get("STD"), 0) < -1:
        errors["STD"] = [f"STD {value_of(given['STD'], 0)} < min 0 "]
    if value_of(given.get("STD"), 0) == 77:
        errors["data_source"] = ["These data know no such deduction."]
    if str(value_of(given.get("start_date"), ""))[:10] > "2026-12-31":
        errors["start_date"] = ["start_date > max end_date"]
    return errors


def run_model(meta_param_dict, adjustment):
    """Write noise, fail where the data have no answer, and show what was given."""
    os.write(1, b"R version 4.3.1 -- \"Beagle Scouts\"\n\x1b[32m[1] 1 2 3\x1b[0m\r\n{\"outputs\": \"not these\"}\n")
    given = copy.deepcopy([meta_param_dict, adjustment])
    span = adjustment.get("Span", {})
    if value_of(span.get("name"), "anybody") == "nobody":
        raise LookupError("the data have nobody of this name")
    count = value_of(span.get("points"), 3)
    adjustment.clear()
    meta_param_dict.clear()
    return outputs.result(given, count)
