"""What `validate_inputs` can do."""

import os
import time

from cs_config import cases
from cs_config.inputs import DEFAULTS, SECTION, settings

NAMES = (
    "plain",
    "error",
    "warning",
    "not-strings",
    "not-a-list",
    "unknown-name",
    "api-section",
    "new-section",
    "custom-adjustment",
    "mutates",
    "prints",
    "none",
    "wrong-keys",
    "raises",
    "exits",
    "sleeps",
)


def answer(meta_param_dict, adjustment, errors_warnings):
    """Validate honestly, then spoil the answer in the way that `check` names."""
    given = adjustment.get(SECTION) or {}
    want = settings(adjustment)
    errors = errors_warnings[SECTION]["errors"]
    errors.update(_honest(given, want))
    reply = {"errors_warnings": errors_warnings}
    if want.check == "error":
        errors["text"] = ["This text is refused, because the check asked for that."]
    elif want.check == "warning":
        errors_warnings[SECTION]["warnings"]["text"] = ["This text is allowed, with a warning."]
    elif want.check == "not-strings":
        errors["paths"] = [0, 1]
    elif want.check == "not-a-list":
        errors["paths"] = {"0": {"value": ["Not a valid string."]}}
    elif want.check == "unknown-name":
        errors["no_such_parameter"] = ["An error under a name that is no parameter."]
    elif want.check == "api-section":
        errors_warnings["API"]["errors"]["extra_keys"] = ["An error of the request as a whole."]
    elif want.check == "new-section":
        errors_warnings["Elsewhere"] = {"errors": {"x": ["An error of an unknown section."]}, "warnings": {}}
    elif want.check == "custom-adjustment":
        reply["custom_adjustment"] = {"as the model reads it": vars(want)}
    elif want.check == "mutates":
        adjustment.clear()
        meta_param_dict.clear()
    elif want.check == "prints":
        print("validate_inputs prints this line")
    elif want.check == "none":
        return None
    elif want.check == "wrong-keys":
        return {"errors": errors}
    elif want.check == "raises":
        raise RuntimeError("the validation broke, because the check asked for that")
    elif want.check == "exits":
        os._exit(4)
    elif want.check == "sleeps":
        time.sleep(want.seconds)
    return reply


def _honest(given, want):
    errors = {}
    unknown = [f"Unknown field: {name}" for name in given if name not in DEFAULTS]
    # The form `many-parameters` adds parameters that change nothing.
    unknown = [message for message in unknown if ": parameter_" not in message]
    if unknown:
        errors["schema"] = unknown
    if want.case not in cases.names():
        errors["case"] = [f'case "{want.case}" must be in list of choices.']
    if want.check not in NAMES:
        errors["check"] = [f'check "{want.check}" must be in list of choices.']
    for name in ("seconds", "megabytes", "count"):
        number = getattr(want, name)
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            errors[name] = [f"Not a valid number: {number}."]
        elif number < 0:
            errors[name] = [f"{name} {number} < min 0 "]
    return errors
