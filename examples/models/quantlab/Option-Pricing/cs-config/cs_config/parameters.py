"""The form's parameters, and what they mean to the model."""

import paramtools

from optionpricing import Terms


class MetaParameters(paramtools.Parameters):
    """None: the defaults are the same for everybody."""

    defaults = {}


class Contract(paramtools.Parameters):
    """What was agreed."""

    defaults = {
        "kind": {
            "title": "Kind",
            "description": "A call is the right to buy at the strike, a put the right to sell.",
            "type": "str",
            "value": "Call",
            "validators": {"choice": {"choices": ["Call", "Put"]}},
        },
        "strike": {
            "title": "Strike",
            "description": "Price at which the option is exercised.",
            "type": "float",
            "value": 100.0,
            "validators": {"range": {"min": 0.01, "max": 1000000.0}},
        },
        "years": {
            "title": "Time to run (years)",
            "description": "0.5 is half a year.",
            "type": "float",
            "value": 1.0,
            "validators": {"range": {"min": 0.01, "max": 30.0}},
        },
        "barrier": {
            "title": "Barrier",
            "description": "The barrier option is void once the price is at or past this, seen from today's price.",
            "type": "float",
            "value": 130.0,
            "validators": {"range": {"min": 0.01, "max": 1000000.0}},
        },
    }


class Market(paramtools.Parameters):
    """How the stock behaves."""

    defaults = {
        "spot": {
            "title": "Price today",
            "description": "Of one share, in the currency of the strike.",
            "type": "float",
            "value": 100.0,
            "validators": {"range": {"min": 0.01, "max": 1000000.0}},
        },
        "volatility": {
            "title": "Volatility (% a year)",
            "description": "Standard deviation of the yearly log return.",
            "type": "float",
            "value": 20.0,
            "validators": {"range": {"min": 1.0, "max": 200.0}},
        },
        "rate": {
            "title": "Interest (% a year)",
            "description": "Riskless, continuously compounded.",
            "type": "float",
            "value": 3.0,
            "validators": {"range": {"min": -5.0, "max": 50.0}},
        },
        "dividend": {
            "title": "Dividend yield (% a year)",
            "description": "Continuously paid.",
            "type": "float",
            "value": 1.0,
            "validators": {"range": {"min": 0.0, "max": 50.0}},
        },
    }


class Simulation(paramtools.Parameters):
    """How exactly to compute."""

    defaults = {
        "paths": {
            "title": "Paths",
            "description": "Four times as many halve the error.",
            "type": "int",
            "value": 20000,
            "validators": {"range": {"min": 1000, "max": 200000}},
        },
        "steps": {
            "title": "Observations",
            "description": "Days on which barrier, mean, best price and early exercise are looked at: 52 are weeks of one year.",
            "type": "int",
            "value": 52,
            "validators": {"range": {"min": 4, "max": 260}},
        },
        "seed": {
            "title": "Seed",
            "description": "Equal seeds give equal results.",
            "type": "int",
            "value": 1,
            "validators": {"range": {"min": 0, "max": 2147483647}},
        },
    }


SECTIONS = {"Contract": Contract, "Market": Market, "Simulation": Simulation}


def terms_of(sections):
    """Turn checked parameters into the model's terms."""
    values = {
        name: getattr(section, name)[0]["value"] for section in sections.values() for name in section.keys()
    }
    for name in ("volatility", "rate", "dividend"):
        values[name] /= 100
    return Terms(is_call=values.pop("kind") == "Call", **values)
