"""The differential equations, and how the response enters them."""

from dataclasses import dataclass, replace
from math import cos, pi

import numpy as np
from scipy.integrate import solve_ivp

YEAR = 365.25
NEVER = -1


@dataclass(frozen=True)
class Setting:
    """Everything that a course depends on. Arrays have an entry for each age group; days count from the start.

    `population`, `seeds` and `doses_per_day` are people, shares are fractions of 1. A measure or a vaccination that
    starts at `NEVER` does not happen.
    """

    days: int
    population: np.ndarray
    contacts: np.ndarray
    immune: np.ndarray
    seeds: float
    r0: float
    latent_days: float
    infectious_days: float
    seasonality: float
    peak_day: float
    hospital_share: np.ndarray
    fatality_share: np.ndarray
    hospital_days: float = 9.0
    days_to_death: float = 16.0
    measures_start: int = NEVER
    measures_end: int = NEVER
    reduction: np.ndarray = None
    vaccination_start: int = NEVER
    doses_per_day: float = 0.0
    effectiveness: float = 0.0
    uptake: float = 1.0
    order: tuple = ()

    def without_response(self):
        """The same outbreak, left to itself."""
        return replace(self, measures_start=NEVER, measures_end=NEVER, vaccination_start=NEVER)


@dataclass(frozen=True)
class Course:
    """What happened: arrays of shape (days + 1, age groups), in people, at the beginning of each day."""

    susceptible: np.ndarray
    infectious: np.ndarray
    hospital: np.ndarray
    deaths: np.ndarray
    infections: np.ndarray
    doses: np.ndarray

    @property
    def new_infections(self):
        """People infected in each day, by age: shape (days, age groups)."""
        return np.diff(self.infections, axis=0)


# Rows of the state; columns are age groups.
S, E, I, HOSPITAL, DYING, DEAD, INFECTED = range(7)


def balanced(contacts, population):
    """Make meetings mutual: as many between groups i and j as between j and i."""
    total = contacts * population[:, None]
    return (total + total.T) / 2 / population[:, None]


def transmission(r0, infectious_days, contacts, population):
    """Find the probability of transmission at a meeting that gives the reproduction number, all being susceptible."""
    mutual = balanced(contacts, population)
    # Infections in group i by one infectious person of group j, for each unit of transmission probability.
    next_generation = mutual * population[:, None] / population[None, :] * infectious_days
    return r0 / np.abs(np.linalg.eigvals(next_generation)).max()


def simulate(setting: Setting) -> Course:
    """Follow the epidemic day by day."""
    population = setting.population
    share = population / population.sum()
    state = np.zeros((7, len(population)))
    state[E] = np.minimum(setting.seeds * share, population)
    state[S] = np.maximum(population * (1 - setting.immune) - state[E], 0)
    state[INFECTED] = state[E]
    given = np.zeros_like(population)
    states, doses = [state], [given]
    slopes = _slopes(setting)
    for start, end, reduction in _stretches(setting):
        vaccinating = 0 <= setting.vaccination_start <= start and setting.doses_per_day > 0
        if vaccinating:
            state, given = _vaccinate(setting, states[-1], given)
        else:
            state = states[-1]
        days = np.arange(start, end + 1)
        solved = solve_ivp(
            slopes,
            (start, end),
            state.ravel(),
            method="RK45",
            t_eval=days,
            args=(reduction,),
            rtol=1e-6,
            atol=1e-6 * population.min(),
            max_step=5.0,
        )
        found = np.maximum(solved.y.T.reshape(len(days), *state.shape), 0)
        states.extend(found[1:])
        doses.extend([given] * (len(days) - 1))
    course = np.array(states)
    return Course(
        susceptible=course[:, S],
        infectious=course[:, I],
        hospital=course[:, HOSPITAL],
        deaths=course[:, DEAD],
        infections=course[:, INFECTED],
        doses=np.array(doses),
    )


def _stretches(setting):
    """Cut time where the right-hand side jumps: `(first day, last day, reduction of contacts)`."""
    cuts = {0, setting.days}
    if setting.measures_start != NEVER:
        cuts |= {setting.measures_start, setting.measures_end}
    if setting.vaccination_start != NEVER and setting.doses_per_day > 0:
        cuts |= set(range(max(setting.vaccination_start, 0), setting.days))
    edges = sorted(day for day in cuts if 0 <= day <= setting.days)
    none = np.zeros_like(setting.population)
    for start, end in zip(edges, edges[1:]):
        inside = setting.measures_start != NEVER and (
            setting.measures_start <= start < setting.measures_end
        )
        yield start, end, setting.reduction if inside else none


def _slopes(setting):
    shape = (7, len(setting.population))
    mutual = balanced(setting.contacts, setting.population)
    chance = transmission(
        setting.r0, setting.infectious_days, setting.contacts, setting.population
    )

    def slopes(day, flat, reduction):
        state = flat.reshape(shape)
        left = 1 - reduction
        season = 1 + setting.seasonality * cos(2 * pi * (day - setting.peak_day) / YEAR)
        meetings = mutual * left[:, None] * left[None, :]
        force = chance * season * (meetings @ (state[I] / setting.population))
        infected = force * state[S]
        onset = state[E] / setting.latent_days
        change = np.empty(shape)
        change[S] = -infected
        change[E] = infected - onset
        change[I] = onset - state[I] / setting.infectious_days
        change[HOSPITAL] = setting.hospital_share * onset - state[HOSPITAL] / setting.hospital_days
        change[DYING] = setting.fatality_share * onset - state[DYING] / setting.days_to_death
        change[DEAD] = state[DYING] / setting.days_to_death
        change[INFECTED] = infected
        return change.ravel()

    return slopes


def _vaccinate(setting, state, given):
    """Give one day's doses, in order, to people who had none, in whatever state they are."""
    state, given, left = state.copy(), given.copy(), setting.doses_per_day
    willing = np.maximum(setting.population * setting.uptake - given, 0)
    for groups in setting.order:
        groups = list(groups)
        waiting = willing[groups].sum()
        if waiting <= 0 or left <= 0:
            continue
        now = willing[groups] * min(1.0, left / waiting)
        # Susceptible people who had no dose yet: those protected by earlier doses have left the state already.
        unvaccinated = setting.population[groups] - given[groups]
        had_dose_in_vain = (1 - setting.effectiveness) * given[groups]
        part = unvaccinated / np.maximum(unvaccinated + had_dose_in_vain, 1e-9)
        reached = state[S, groups] * part * now / np.maximum(unvaccinated, 1e-9)
        state[S, groups] -= setting.effectiveness * np.minimum(reached, state[S, groups])
        given[groups] += now
        left -= now.sum()
    return state, given
