"""Age-structured epidemic with contact measures and vaccination."""

from epidemic.model import Course, Setting, balanced, simulate, transmission
from epidemic.profiles import AGES, COUNTRIES, PATHOGENS, Country, Pathogen

__version__ = "2.1.0"

__all__ = [
    "AGES",
    "COUNTRIES",
    "Country",
    "Course",
    "PATHOGENS",
    "Pathogen",
    "Setting",
    "balanced",
    "simulate",
    "transmission",
]
