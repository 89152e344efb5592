"""The four functions that Compute Studio calls. The model is one line of `run_model`."""

from cs_config import __version__

SECTION = "Null"
SMALLEST, LARGEST = -1_000_000_000, 1_000_000_000


def get_version():
    """Name the version of the model."""
    return __version__


def get_inputs(meta_param_dict):
    """Describe the only parameter; there are no meta parameters."""
    return {
        "meta_parameters": {},
        "model_parameters": {
            SECTION: {
                "number": {
                    "title": "Number",
                    "description": "The text that comes out repeats this number.",
                    "type": "int",
                    "number_dims": 0,
                    "value": [{"value": 0}],
                    "validators": {"range": {"min": SMALLEST, "max": LARGEST}},
                }
            }
        },
    }


def validate_inputs(meta_param_dict, adjustment, errors_warnings):
    """Refuse what is no whole number, or one out of range."""
    number = _number(adjustment)
    messages = []
    if isinstance(number, bool) or not isinstance(number, int):
        messages.append(f"Not a valid integer: {number}.")
    elif number < SMALLEST:
        messages.append(f"number {number} < min {SMALLEST} ")
    elif number > LARGEST:
        messages.append(f"number {number} > max {LARGEST} ")
    if messages:
        errors_warnings[SECTION]["errors"]["number"] = messages
    return {"errors_warnings": errors_warnings}


def run_model(meta_param_dict, adjustment):
    """Repeat the number."""
    text = {"media_type": "Text", "title": "Number", "data": f"{_number(adjustment)}\n"}
    return {"renderable": [text], "downloadable": []}


def _number(adjustment):
    given = (adjustment.get(SECTION) or {}).get("number", 0)
    if isinstance(given, list):
        return given[-1]["value"] if given else 0
    return given
