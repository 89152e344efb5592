"""Countries and pathogens to start from. Users may change every number."""

from dataclasses import dataclass

AGES = ("0-19", "20-64", "65+")


@dataclass(frozen=True)
class Country:
    """People by age in thousands, people met a day (row: who meets, column: whom), beds for each 100,000 people."""

    population: tuple
    contacts: tuple
    beds: float


@dataclass(frozen=True)
class Pathogen:
    """How it spreads (days) and how severe it is (percent of the infected, by age)."""

    r0: float
    latent_days: float
    infectious_days: float
    seasonality: float
    hospital_share: tuple
    fatality_share: tuple


COUNTRIES = {
    "Germany": Country(
        (15_700.0, 48_900.0, 18_700.0), ((7.6, 4.9, 0.5), (1.6, 6.8, 0.9), (0.4, 2.4, 1.7)), 600.0
    ),
    "Japan": Country(
        (20_200.0, 66_800.0, 37_000.0), ((6.8, 4.2, 0.9), (1.3, 7.0, 1.5), (0.5, 2.7, 2.4)), 780.0
    ),
    "Kenya": Country(
        (27_300.0, 25_200.0, 1_600.0), ((10.5, 5.2, 0.3), (5.6, 6.4, 0.4), (5.1, 6.3, 0.7)), 140.0
    ),
    "United States": Country(
        (83_000.0, 196_600.0, 58_600.0), ((8.2, 5.3, 0.6), (2.2, 7.2, 1.0), (0.9, 3.4, 1.8)), 280.0
    ),
}

PATHOGENS = {
    "COVID-19-like": Pathogen(3.0, 3.0, 6.0, 0.1, (0.3, 2.0, 12.0), (0.005, 0.15, 4.0)),
    "Influenza-like": Pathogen(1.5, 1.5, 3.0, 0.15, (0.4, 0.7, 4.5), (0.005, 0.03, 0.6)),
    "Measles-like": Pathogen(14.0, 9.0, 8.0, 0.1, (8.0, 12.0, 15.0), (0.1, 0.2, 0.4)),
}
