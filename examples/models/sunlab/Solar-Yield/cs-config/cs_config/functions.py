"""The four functions that Compute Studio calls."""

import solaryield
from cs_config import report
from cs_config.parameters import meta_of, model_of, sections_of, value_of, wrong_shapes


def get_version():
    """Name the version of the model."""
    return solaryield.__version__


def get_inputs(meta_param_dict):
    """Describe the parameters, with the defaults for the chosen place."""
    meta = meta_of(meta_param_dict)
    return {
        "meta_parameters": meta.dump(),
        "model_parameters": {title: section.dump() for title, section in sections_of(meta).items()},
    }


def validate_inputs(meta_param_dict, adjustment, errors_warnings):
    """Let ParamTools check types and ranges, then check what it cannot know."""
    sections = sections_of(meta_of(meta_param_dict))
    for title, section in sections.items():
        section.adjust(adjustment.get(title) or {}, raise_errors=False)
        for name, messages in section.errors.items():
            errors_warnings[title]["errors"][name] = [str(message) for message in messages]
    if not any(section.errors for section in sections.values()):
        errors_warnings["Site"]["errors"].update(wrong_shapes(sections))
        if value_of(sections["System"], "inverter_power") > 1.5 * value_of(sections["System"], "power"):
            errors_warnings["System"]["warnings"]["inverter_power"] = [
                "inverter_power is far more than the panels can give."
            ]
    return {"errors_warnings": errors_warnings}


def run_model(meta_param_dict, adjustment):
    """Compute the year hour by hour, and what other directions would yield."""
    sections = sections_of(meta_of(meta_param_dict))
    for title, section in sections.items():
        section.adjust(adjustment.get(title) or {})
    site, system, money = model_of(sections)
    sky = solaryield.skies(site)
    hours = solaryield.hourly(site, system, sky)
    grid = solaryield.orientations(site, system, report.TILTS, report.DIRECTIONS.values(), sky)
    return report.outputs(hours, grid, system, money)
