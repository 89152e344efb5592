"""Whether it pays."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Money:
    """Sums in one currency; shares are fractions of 1 a year."""

    investment: float
    upkeep: float
    price: float
    feed_in: float
    own_use: float
    discount: float
    degradation: float
    life: int


def balance(money, first_year_kwh):
    """Discounted balance after each year, from the day of purchase on: `life + 1` values."""
    years = np.arange(1, money.life + 1)
    kwh = first_year_kwh * (1 - money.degradation) ** (years - 1)
    worth = money.own_use * money.price + (1 - money.own_use) * money.feed_in
    flows = (kwh * worth - money.upkeep) / (1 + money.discount) ** years
    return np.concatenate([[-money.investment], -money.investment + np.cumsum(flows)])


def cost_of_energy(money, first_year_kwh):
    """Levelised cost: discounted cost over discounted energy, for each kilowatt hour."""
    years = np.arange(1, money.life + 1)
    discount = (1 + money.discount) ** -years
    kwh = first_year_kwh * (1 - money.degradation) ** (years - 1)
    energy = (kwh * discount).sum()
    return (money.investment + (money.upkeep * discount).sum()) / energy if energy > 0 else float("inf")
