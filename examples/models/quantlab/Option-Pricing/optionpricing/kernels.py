"""The compiled part: paths of the stock, and what each style of option pays on them.

Nothing is cached on disk, so the first call in a process compiles.
"""

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@njit
def _next(state):
    state = state + _GOLDEN
    mixed = (state ^ (state >> _S30)) * _MIX_1
    mixed = (mixed ^ (mixed >> _S27)) * _MIX_2
    return state, mixed ^ (mixed >> _S31)


@njit
def _uniform(state):
    state, bits = _next(state)
    return state, (bits >> _S11) * (1.0 / 9007199254740992.0)


@njit
def _normal_pair(state):
    while True:
        state, u = _uniform(state)
        state, v = _uniform(state)
        x, y = 2.0 * u - 1.0, 2.0 * v - 1.0
        square = x * x + y * y
        if 0.0 < square < 1.0:
            scale = np.sqrt(-2.0 * np.log(square) / square)
            return state, x * scale, y * scale


@njit
def make_paths(seed, pairs, steps, spot, drift, spread):
    """Follow `2 * pairs` paths of the price; path 2k + 1 mirrors path 2k."""
    paths = np.empty((2 * pairs, steps + 1))
    for pair in range(pairs):
        _, state = _next(np.uint64(seed) * _MIX_1 + np.uint64(pair))
        up, down = np.log(spot), np.log(spot)
        paths[2 * pair, 0], paths[2 * pair + 1, 0] = spot, spot
        spare, has_spare = 0.0, False
        for step in range(1, steps + 1):
            if has_spare:
                shock, has_spare = spare, False
            else:
                state, shock, spare = _normal_pair(state)
                has_spare = True
            up += drift + spread * shock
            down += drift - spread * shock
            paths[2 * pair, step] = np.exp(up)
            paths[2 * pair + 1, step] = np.exp(down)
    return paths


@njit
def _gain(price, strike, sign):
    return max(sign * (price - strike), 0.0)


@njit
def european(paths, strike, sign):
    """Pay the gain at the end."""
    return np.array([_gain(path[-1], strike, sign) for path in paths])


@njit
def asian(paths, strike, sign):
    """Pay the gain of the mean price after today."""
    return np.array([_gain(path[1:].mean(), strike, sign) for path in paths])


@njit
def lookback(paths, strike, sign):
    """Pay the gain of the best price of the path."""
    pays = np.empty(len(paths))
    for index in range(len(paths)):
        best = paths[index].max() if sign > 0 else paths[index].min()
        pays[index] = _gain(best, strike, sign)
    return pays


@njit
def barrier(paths, strike, sign, level):
    """Pay the gain at the end, unless the price was ever at or past the level, seen from today's price."""
    pays = np.empty(len(paths))
    for index in range(len(paths)):
        path = paths[index]
        touched = path.max() >= level if level > path[0] else path.min() <= level
        pays[index] = 0.0 if touched else _gain(path[-1], strike, sign)
    return pays


@njit
def _powers(price, strike):
    # Around the strike, where exercise is decided: well conditioned.
    x = price / strike - 1.0
    return (1.0, x, x * x, x * x * x)


@njit
def _fit(basis, target):
    """Solve the normal equations by elimination with pivoting; plain loops, with no thread and no BLAS."""
    count, size = basis.shape
    system = np.zeros((size, size + 1))
    for row in range(count):
        for left in range(size):
            for right in range(size):
                system[left, right] += basis[row, left] * basis[row, right]
            system[left, size] += basis[row, left] * target[row]
    for column in range(size):
        best = column
        for row in range(column + 1, size):
            if abs(system[row, column]) > abs(system[best, column]):
                best = row
        for cell in range(size + 1):
            kept = system[column, cell]
            system[column, cell] = system[best, cell]
            system[best, cell] = kept
        pivot = system[column, column]
        if abs(pivot) < 1e-12:
            # Too alike to tell apart: leave this power out.
            system[column, :] = 0.0
            continue
        system[column, :] /= pivot
        for row in range(size):
            if row != column:
                system[row, :] -= system[row, column] * system[column, :]
    return system[:, size].copy()


@njit
def american(paths, strike, sign, step_discount):
    """Value at the first step of exercising by the rule of Longstaff and Schwartz, fitted on the same paths."""
    count, steps = paths.shape[0], paths.shape[1] - 1
    value = np.array([_gain(path[-1], strike, sign) for path in paths])
    for step in range(steps - 1, 0, -1):
        value *= step_discount
        now = np.array([_gain(paths[index, step], strike, sign) for index in range(count)])
        worth_it = np.flatnonzero(now > 0.0)
        if len(worth_it) < 20:
            continue
        basis = np.empty((len(worth_it), 4))
        for row in range(len(worth_it)):
            powers = _powers(paths[worth_it[row], step], strike)
            for power in range(4):
                basis[row, power] = powers[power]
        weights = _fit(basis, value[worth_it])
        for row in range(len(worth_it)):
            held = 0.0
            for power in range(4):
                held += weights[power] * basis[row, power]
            index = worth_it[row]
            if now[index] > held:
                value[index] = now[index]
    return value * step_discount
