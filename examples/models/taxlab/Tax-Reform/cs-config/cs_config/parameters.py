"""The form's parameters, and how what it sends becomes a reform in Tax-Calculator's format."""

import copy
from functools import lru_cache

import paramtools
import taxcalc

from taxreform import SAMPLES

LAST_YEAR = taxcalc.Policy.LAST_BUDGET_YEAR
FIRST_YEAR, THIS_YEAR = 2024, 2026
CHECKBOX = "_checkbox"

GROUPS = {"Deciles of income": "weighted_deciles", "Brackets of income": "standard_income_bins"}


class MetaParameters(paramtools.Parameters):
    """The year in which the reform begins."""

    array_first = True
    defaults = {
        "year": {
            "title": "First year of the reform",
            "description": "The form shows current law of this year.",
            "type": "int",
            "value": THIS_YEAR,
            "validators": {"choice": {"choices": list(range(FIRST_YEAR, LAST_YEAR + 1))}},
        }
    }


class Report(paramtools.Parameters):
    """What to compute of the reform."""

    defaults = {
        "years": {
            "title": "Years of revenue",
            "description": "Revenue is computed for so many years from the first; later ones are cut at "
            f"{LAST_YEAR}.",
            "type": "int",
            "value": 5,
            "validators": {"range": {"min": 1, "max": 10}},
        },
        "sample": {
            "title": "Part of the survey to use",
            "description": "A larger part is more exact and takes longer: 5 % are 14,000 tax returns.",
            "type": "str",
            "value": "5 %",
            "validators": {"choice": {"choices": list(SAMPLES)}},
        },
        "groups": {
            "title": "Income groups",
            "description": "How winners and losers are grouped.",
            "type": "str",
            "value": next(iter(GROUPS)),
            "validators": {"choice": {"choices": list(GROUPS)}},
        },
    }


def year_of(meta_param_dict):
    """Read the first year from whatever the platform sends."""
    meta = MetaParameters()
    meta.adjust(meta_param_dict or {})
    return int(meta.year)


def meta_dump(year):
    """Describe the meta parameters."""
    meta = MetaParameters()
    meta.adjust({"year": year})
    return meta.dump()


@lru_cache(maxsize=1)
def _current_law():
    return taxcalc.Policy()


def policy_dump(year):
    """Describe current law of a year, and which parameters have the toggle that switches indexing."""
    policy = copy.copy(_current_law())
    policy.array_first = False
    policy.set_state(year=year)
    dump = policy.dump()
    policy.clear_state()
    schema = dump["schema"]
    schema["additional_members"]["checkbox"] = {"type": "bool", "number_dims": 0}
    # Growth with inflation is Tax-Calculator's own; whoever reads the dump need not know how it is done.
    schema["operators"].update(array_first=False, uses_extend_func=False)
    for name, parameter in dump.items():
        if name != "schema" and parameter.get("indexable"):
            parameter["checkbox"] = bool(parameter["indexed"])
    return dump


def reform_of(given, year):
    """Turn the section Policy of an adjustment into a reform, and list the toggles that cannot be used.

    Values without a year begin in the first year of the reform, and `NAME_checkbox` becomes `NAME-indexed`.
    """
    reform, errors = {}, {}
    policy = _current_law()
    for name, value in given.items():
        if not name.endswith(CHECKBOX):
            reform[name] = _from_year(value, year)
            continue
        base = name.removesuffix(CHECKBOX)
        switch = value[-1]["value"] if isinstance(value, list) and value else value
        if base not in policy.keys():
            errors[name] = [f"Unknown field: {base}"]
        elif not policy._data[base].get("indexable"):
            errors[name] = [f"{base} cannot follow inflation: it is no amount of money."]
        elif not isinstance(switch, bool):
            errors[name] = [f"Not a valid boolean: {switch}."]
        else:
            reform[f"{base}-indexed"] = [{"year": year, "value": switch}]
    return reform, errors


def _from_year(value, year):
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return [{"year": year, "value": value}]
    return [{"year": year, **item} for item in value]


def check_reform(reform):
    """Let Tax-Calculator check a reform: errors and warnings, `{parameter: [message]}`."""
    unknown = [name for name in reform if name.removesuffix("-indexed") not in _current_law().keys()]
    if unknown:
        return {"schema": [f"Unknown field: {name}" for name in unknown]}, {}
    policy = taxcalc.Policy()
    policy.adjust(copy.deepcopy(reform), print_warnings=False, raise_errors=False)
    return _as_text(policy.errors), _as_text(policy.warnings)


def _as_text(found):
    return {
        name: [str(message) for message in (messages if isinstance(messages, list) else [messages])]
        for name, messages in found.items()
    }
