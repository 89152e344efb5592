"""What `run_model` can do: one function a case, found by name."""

from cs_config.cases import outputs, process, reach, talk
from cs_config.cases.register import CASES
from cs_config.inputs import settings

__all__ = ["names", "outputs", "process", "reach", "run", "talk"]


def names():
    """List the names of all cases."""
    return list(CASES)


def run(meta_param_dict, adjustment):
    """Do the case that the adjustment names."""
    want = settings(adjustment)
    want.meta_parameters, want.adjustment = meta_param_dict, adjustment
    return CASES[want.case](want)
