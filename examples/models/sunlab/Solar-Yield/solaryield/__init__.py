"""Yield of photovoltaic systems by the clear-sky model."""

from solaryield.money import Money, balance, cost_of_energy
from solaryield.places import PLACES, Place
from solaryield.yields import MOUNTINGS, Site, System, hourly, orientations, skies

__version__ = "0.9.2"

__all__ = [
    "MOUNTINGS",
    "Money",
    "PLACES",
    "Place",
    "Site",
    "System",
    "balance",
    "cost_of_energy",
    "hourly",
    "orientations",
    "skies",
]
