"""What the form shows: the parameters in ParamTools' format, written by hand so that nothing need be imported."""

import copy

CURRENCY = {"US": "USD", "Canada": "CAD", "UK": "GBP"}

# What people usually sign where they live.
USUAL = {
    "US": {"years": 30, "initial_years": 30, "initial_rate": 6.25, "later_rate": 6.25},
    "Canada": {"years": 25, "initial_years": 5, "initial_rate": 4.5, "later_rate": 5.0},
    "UK": {"years": 30, "initial_years": 5, "initial_rate": 4.4, "later_rate": 6.75},
}

META_PARAMETERS = {
    "convention": {
        "title": "Convention",
        "description": (
            "US and UK: interest compounds every month. Canada: twice a year, not in advance. "
            "Also sets the currency and the usual defaults."
        ),
        "type": "str",
        "number_dims": 0,
        "value": [{"value": "US"}],
        "validators": {"choice": {"choices": ["US", "Canada", "UK"]}},
    }
}

LOAN = {
    "amount": {
        "title": "Amount borrowed ({currency})",
        "description": "What the bank lends, after the down payment.",
        "type": "float",
        "section_1": "Contract",
        "value": [{"value": 300000.0}],
        "validators": {"range": {"min": 1000.0, "max": 100000000.0}},
    },
    "years": {
        "title": "Length (years)",
        "description": "Years until everything is paid back if nothing extra is paid.",
        "type": "int",
        "section_1": "Contract",
        "value": [{"value": 30}],
        "validators": {"range": {"min": 1, "max": 50}},
    },
    "first_payment": {
        "title": "First payment due",
        "description": "Later payments fall on the same day of each month, or on its last day.",
        "type": "date",
        "section_1": "Contract",
        "value": [{"value": "2027-01-01"}],
        "validators": {"date_range": {"min": "1950-01-01", "max": "2100-12-31"}},
    },
    "yearly_fee": {
        "title": "Account fee ({currency} a year)",
        "description": "Charged with every twelfth payment while the loan lasts.",
        "type": "float",
        "section_1": "Contract",
        "value": [{"value": 0.0}],
        "validators": {"range": {"min": 0.0, "max": 100000.0}},
    },
    "initial_rate": {
        "title": "Initial rate (% a year)",
        "description": "Nominal yearly rate of the first period.",
        "type": "float",
        "section_1": "Interest",
        "value": [{"value": 6.25}],
        "validators": {"range": {"min": 0.0, "max": 40.0}},
    },
    "initial_years": {
        "title": "Initial rate lasts (years)",
        "description": "As long as the loan itself, if the rate is fixed to the end; never longer.",
        "type": "int",
        "section_1": "Interest",
        "value": [{"value": 30}],
        "validators": {"range": {"min": 1, "max": "years"}},
    },
    "later_rate": {
        "title": "Rate afterwards (% a year)",
        "description": "What you expect to pay once the initial rate has ended.",
        "type": "float",
        "section_1": "Interest",
        "value": [{"value": 6.25}],
        "validators": {"range": {"min": 0.0, "max": 40.0}},
    },
}

EXTRA = {
    "monthly_extra": {
        "title": "Extra each month ({currency})",
        "description": "Paid on top of the instalment; it reduces the balance at once.",
        "type": "float",
        "value": [{"value": 100.0}],
        "validators": {"range": {"min": 0.0, "max": 1000000.0}},
    },
    "extra_from_year": {
        "title": "Extra payments begin in year",
        "description": "1 is the first year of the loan.",
        "type": "int",
        "value": [{"value": 1}],
        "validators": {"range": {"min": 1, "max": 50}},
    },
    "lump_sums": {
        "title": "Lump sums at the end of years 1, 2, 3 ... ({currency})",
        "description": "One entry for each year of the loan from the first; 0 for none.",
        "type": "float",
        "number_dims": 1,
        "value": [{"value": [0.0]}],
        "validators": {"range": {"min": 0.0, "max": 100000000.0}},
    },
}

# The part of a ParamTools dump that is about all parameters: here, that they may name a group.
DUMP_SCHEMA = {
    "labels": {},
    "additional_members": {"section_1": {"type": "str", "number_dims": 0}},
    "operators": {"array_first": False, "label_to_extend": None, "uses_extend_func": False},
}

SECTIONS = {"Loan": LOAN, "Extra payments": EXTRA}


def defaults(convention):
    """Fill the parameters' defaults in for a convention."""
    sections = copy.deepcopy(SECTIONS)
    for parameters in sections.values():
        for parameter in parameters.values():
            parameter.setdefault("number_dims", 0)
            parameter["title"] = parameter["title"].format(currency=CURRENCY[convention])
    for name, value in USUAL[convention].items():
        sections["Loan"][name]["value"] = [{"value": value}]
    return sections


def dumps(convention):
    """Give each section as ParamTools would dump it."""
    return {
        title: {"schema": copy.deepcopy(DUMP_SCHEMA), **parameters}
        for title, parameters in defaults(convention).items()
    }
