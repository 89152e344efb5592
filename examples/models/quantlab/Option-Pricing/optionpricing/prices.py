"""Prices and sensitivities, from the compiled payments."""

from dataclasses import dataclass, replace
from math import exp, sqrt

import numpy as np

from optionpricing import kernels

STYLES = ("European", "Asian", "Barrier", "Lookback", "American")


@dataclass(frozen=True)
class Terms:
    """The contract and the market; rates are fractions of 1 a year, `years` the time to run."""

    is_call: bool = True
    spot: float = 100.0
    strike: float = 100.0
    years: float = 1.0
    rate: float = 0.03
    dividend: float = 0.01
    volatility: float = 0.2
    barrier: float = 130.0
    steps: int = 52
    paths: int = 20_000
    seed: int = 1


@dataclass(frozen=True)
class Estimate:
    """A price, and the standard error of the simulation."""

    price: float
    error: float


def follow(terms):
    """Simulate the price of the stock: a row for each path."""
    step = terms.years / terms.steps
    drift = (terms.rate - terms.dividend - terms.volatility**2 / 2) * step
    spread = terms.volatility * sqrt(step)
    return kernels.make_paths(terms.seed, max(terms.paths // 2, 2), terms.steps, terms.spot, drift, spread)


def price(terms, style, paths=None):
    """Price one style of option."""
    paths = follow(terms) if paths is None else paths
    sign = 1.0 if terms.is_call else -1.0
    discount = exp(-terms.rate * terms.years)
    if style == "American":
        values = kernels.american(paths, terms.strike, sign, exp(-terms.rate * terms.years / terms.steps))
    elif style == "Barrier":
        values = kernels.barrier(paths, terms.strike, sign, terms.barrier) * discount
    else:
        pays = {"European": kernels.european, "Asian": kernels.asian, "Lookback": kernels.lookback}[style]
        values = pays(paths, terms.strike, sign) * discount
    pairs = values.reshape(-1, 2).mean(axis=1)
    estimate = pairs.mean()
    if style == "American":
        # Whoever holds it may exercise today.
        estimate = max(estimate, sign * (terms.spot - terms.strike))
    return Estimate(float(estimate), float(pairs.std(ddof=1) / np.sqrt(len(pairs))))


def sensitivities(terms, style):
    """Move spot, volatility and rate a little, with the same random numbers: delta, vega, rho.

    Vega and rho are for one percentage point.
    """

    def slope(name, move):
        up, down = (price(replace(terms, **{name: getattr(terms, name) + by}), style).price for by in (move, -move))
        return (up - down) / (2 * move)

    return {
        "delta": slope("spot", 0.01 * terms.spot),
        "vega": slope("volatility", min(0.01, terms.volatility / 2)) / 100,
        "rho": slope("rate", 0.005) / 100,
    }
