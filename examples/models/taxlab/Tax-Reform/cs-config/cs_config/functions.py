"""The four functions that Compute Studio calls."""

import taxcalc

import taxreform
from cs_config import parameters, report


def get_version():
    """Name the versions of the model and of Tax-Calculator."""
    return f"{taxreform.__version__} (Tax-Calculator {taxcalc.__version__})"


def get_inputs(meta_param_dict):
    """Describe current law of the chosen year."""
    year = parameters.year_of(meta_param_dict)
    return {
        "meta_parameters": parameters.meta_dump(year),
        "model_parameters": {
            "Policy": parameters.policy_dump(year),
            "Report": parameters.Report().dump(),
        },
    }


def validate_inputs(meta_param_dict, adjustment, errors_warnings):
    """Let Tax-Calculator check the reform, and ParamTools the rest."""
    year = parameters.year_of(meta_param_dict)
    reform, toggles = parameters.reform_of(adjustment.get("Policy") or {}, year)
    errors, warnings = parameters.check_reform(reform)
    errors_warnings["Policy"]["errors"].update({**errors, **toggles})
    errors_warnings["Policy"]["warnings"].update(warnings)
    options = parameters.Report()
    options.adjust(adjustment.get("Report") or {}, raise_errors=False)
    errors_warnings["Report"]["errors"].update(options.errors)
    return {"errors_warnings": errors_warnings, "custom_adjustment": {"Policy": reform}}


def run_model(meta_param_dict, adjustment):
    """Compute revenue by year, and winners and losers in the first year."""
    year = parameters.year_of(meta_param_dict)
    reform, _ = parameters.reform_of(adjustment.get("Policy") or {}, year)
    options = parameters.Report(array_first=True)
    options.adjust(adjustment.get("Report") or {})
    years = min(int(options.years), parameters.LAST_YEAR - year + 1)
    group_by = parameters.GROUPS[options.groups]
    comparison = taxreform.compare(reform, year, years, options.sample, group_by)
    law = parameters.policy_dump(year)
    return report.outputs(comparison, year, reform, law, options.sample)
