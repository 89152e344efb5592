"""The four functions that Compute Studio calls."""

import copy
from decimal import Decimal

import mortgage
from cs_config import report, schema, values


def get_version():
    """Name the version of the model."""
    return mortgage.__version__


def get_inputs(meta_param_dict):
    """Describe the parameters, with the defaults that are usual under the chosen convention."""
    convention = values.convention_of(meta_param_dict)
    meta = copy.deepcopy(schema.META_PARAMETERS)
    meta["convention"]["value"] = [{"value": convention}]
    return {"meta_parameters": meta, "model_parameters": schema.dumps(convention)}


def validate_inputs(meta_param_dict, adjustment, errors_warnings):
    """Check types and ranges, and warn of what is allowed but looks like a slip."""
    sections = schema.defaults(values.convention_of(meta_param_dict))
    chosen = values.chosen(sections, adjustment)
    for title, parameters in sections.items():
        errors = values.errors_in(parameters, adjustment.get(title) or {}, chosen[title])
        errors_warnings[title]["errors"].update(errors)
    if not any(part["errors"] for part in errors_warnings.values()):
        _warn_of_slips(sections, chosen, errors_warnings)
    return {"errors_warnings": errors_warnings}


def run_model(meta_param_dict, adjustment):
    """Write the schedule as agreed and with extra payments, and compare the two."""
    convention = values.convention_of(meta_param_dict)
    sections = schema.defaults(convention)
    chosen = values.chosen(sections, adjustment)
    contract, more = (
        {name: values.read(sections[title][name], value) for name, value in chosen[title].items()}
        for title in ("Loan", "Extra payments")
    )
    loan = mortgage.Loan(
        amount=_decimal(contract["amount"]),
        years=contract["years"],
        first_payment=contract["first_payment"],
        initial_rate=_decimal(contract["initial_rate"]),
        initial_years=min(contract["initial_years"], contract["years"]),
        later_rate=_decimal(contract["later_rate"]),
        yearly_fee=_decimal(contract["yearly_fee"]),
        compounding=mortgage.CONVENTIONS[convention],
    )
    extra = mortgage.Extra(
        monthly=_decimal(more["monthly_extra"]),
        from_year=more["extra_from_year"],
        lump_sums=tuple(_decimal(item) for item in more["lump_sums"]),
    )
    agreed, paid = mortgage.schedule(loan), mortgage.schedule(loan, extra)
    return report.outputs(schema.CURRENCY[convention], agreed, paid)


def _warn_of_slips(sections, chosen, errors_warnings):
    loan, extra = (
        {name: values.read(sections[title][name], value) for name, value in chosen[title].items()}
        for title in ("Loan", "Extra payments")
    )
    if len(extra["lump_sums"]) > loan["years"]:
        errors_warnings["Extra payments"]["warnings"]["lump_sums"] = [
            f"{len(extra['lump_sums'])} lump sums for a loan of {loan['years']} years: "
            "the last ones are never paid."
        ]
    for name in ("initial_rate", "later_rate"):
        if 0 < loan[name] < 0.2:
            errors_warnings["Loan"]["warnings"][name] = [
                f"{name} {loan[name]} is in percent a year: 5 means 5 %, not 0.05."
            ]


def _decimal(number):
    # By way of its text, so that 4.19 is 4.19 and not the binary fraction nearest to it.
    return Decimal(str(number))
