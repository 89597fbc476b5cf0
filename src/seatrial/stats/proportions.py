"""The difference of two paired proportions, from the rows on which the two models disagree."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist


def tango_interval(gained: int, lost: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Score interval of (gained − lost) / n, the difference of two proportions of the same n rows.

    `gained` rows are right with the candidate alone, `lost` ones with the baseline alone. Tango 1998,
    Statistics in Medicine 17, 891–908. Unlike ±z·SE it stays honest for few disagreements: none at all
    gives ±z²/(n + z²). Raises ValueError if the counts can't belong to n rows.
    """
    if n < 1 or min(gained, lost) < 0 or gained + lost > n:
        raise ValueError(f"{gained} gained and {lost} lost rows do not fit into {n}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    estimate = (gained - lost) / n
    low = _root(lambda delta: _score(delta, gained, lost, n) - z, -1.0, estimate)
    high = _root(lambda delta: _score(delta, gained, lost, n) + z, estimate, 1.0)
    return low, high


def _score(delta: float, gained: int, lost: int, n: int) -> float:
    """Tango's statistic for a true difference of delta; the nuisance rate is its restricted maximum likelihood."""
    linear = (2 * n - gained + lost) * delta - gained - lost
    constant = -lost * delta * (1 - delta)
    rate = (math.sqrt(max(linear * linear - 8 * n * constant, 0.0)) - linear) / (4 * n)
    variance = n * (2 * rate + delta * (1 - delta))
    distance = gained - lost - n * delta
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0 between low and high, by bisection to the last bits."""
    for _ in range(60):
        middle = (low + high) / 2
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
