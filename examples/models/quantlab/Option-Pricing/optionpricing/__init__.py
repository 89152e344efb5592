"""Monte-Carlo prices of stock options."""

from optionpricing.formula import black_scholes
from optionpricing.prices import STYLES, Estimate, Terms, sensitivities, price

__version__ = "1.0.0"

__all__ = ["Estimate", "STYLES", "Terms", "black_scholes", "price", "sensitivities"]
