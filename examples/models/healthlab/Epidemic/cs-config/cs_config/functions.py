"""The four functions that Compute Studio calls."""

import epidemic
from cs_config import report
from cs_config.parameters import meta_of, sections_of, setting_of, value_of, wrong_shapes


def get_version():
    """Name the version of the model."""
    return epidemic.__version__


def get_inputs(meta_param_dict):
    """Describe the parameters, with the defaults for the chosen country and pathogen."""
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
        for title, errors in wrong_shapes(sections).items():
            errors_warnings[title]["errors"].update(errors)
    return {"errors_warnings": errors_warnings}


def run_model(meta_param_dict, adjustment):
    """Follow the epidemic with the response and without, and compare."""
    sections = sections_of(meta_of(meta_param_dict))
    for title, section in sections.items():
        section.adjust(adjustment.get(title) or {})
    setting = setting_of(sections)
    course = epidemic.simulate(setting)
    alone = epidemic.simulate(setting.without_response())
    start = value_of(sections["Outbreak"], "start_date")
    beds = value_of(sections["Response"], "beds")
    return report.outputs(setting, start, beds, course, alone)
