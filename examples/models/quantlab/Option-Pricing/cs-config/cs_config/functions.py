"""The four functions that Compute Studio calls."""

import optionpricing
from cs_config import report
from cs_config.parameters import SECTIONS, MetaParameters, terms_of
from optionpricing.prices import follow


def get_version():
    """Name the version of the model."""
    return optionpricing.__version__


def get_inputs(meta_param_dict):
    """Describe the parameters; there are no meta parameters."""
    return {
        "meta_parameters": MetaParameters().dump(),
        "model_parameters": {title: section().dump() for title, section in SECTIONS.items()},
    }


def validate_inputs(meta_param_dict, adjustment, errors_warnings):
    """Let ParamTools check types and ranges, then check what it cannot know."""
    sections = {title: section() for title, section in SECTIONS.items()}
    for title, section in sections.items():
        section.adjust(adjustment.get(title) or {}, raise_errors=False)
        errors_warnings[title]["errors"].update(section.errors)
    if not any(section.errors for section in sections.values()):
        terms = terms_of(sections)
        if terms.barrier == terms.spot:
            errors_warnings["Contract"]["errors"]["barrier"] = [
                f"barrier {terms.barrier:g} is today's price: the option would be void already."
            ]
    return {"errors_warnings": errors_warnings}


def run_model(meta_param_dict, adjustment):
    """Price every style on the same paths."""
    sections = {title: section() for title, section in SECTIONS.items()}
    for title, section in sections.items():
        section.adjust(adjustment.get(title) or {})
    terms = terms_of(sections)
    paths = follow(terms)
    estimates = {style: optionpricing.price(terms, style, paths) for style in optionpricing.STYLES}
    slopes = {style: optionpricing.sensitivities(terms, style) for style in optionpricing.STYLES}
    return report.outputs(terms, estimates, slopes, optionpricing.black_scholes(terms), paths)
