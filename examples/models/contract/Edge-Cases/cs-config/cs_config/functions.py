"""The four functions that Compute Studio calls, each able to misbehave.

`cases/` holds what `run_model` can do, `forms.py` what `get_inputs` can, and `checks.py` what `validate_inputs` can.
With the defaults the model is well behaved.
"""

from cs_config import __version__, cases, checks, forms
from cs_config.inputs import read


def get_version():
    """Answer in several lines."""
    return __version__


def get_inputs(meta_param_dict):
    """Describe the parameters, in the way that the meta parameter `form` names."""
    return forms.describe(read(meta_param_dict or {}, "form", "plain"))


def validate_inputs(meta_param_dict, adjustment, errors_warnings):
    """Answer in the way that the parameter `check` names."""
    return checks.answer(meta_param_dict, adjustment, errors_warnings)


def run_model(meta_param_dict, adjustment):
    """Do what the parameter `case` names."""
    return cases.run(meta_param_dict, adjustment)
