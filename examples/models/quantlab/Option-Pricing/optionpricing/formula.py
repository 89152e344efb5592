"""The closed formula for European options, to check the simulation by."""

from math import erf, exp, log, sqrt


def black_scholes(terms):
    """Price a European option by the formula of Black and Scholes, with a continuous dividend yield."""
    spread = terms.volatility * sqrt(terms.years)
    forward = terms.spot * exp((terms.rate - terms.dividend) * terms.years)
    upper = log(forward / terms.strike) / spread + spread / 2
    sign = 1 if terms.is_call else -1
    value = forward * _normal(sign * upper) - terms.strike * _normal(sign * (upper - spread))
    return sign * exp(-terms.rate * terms.years) * value


def _normal(x):
    return (1 + erf(x / sqrt(2))) / 2
