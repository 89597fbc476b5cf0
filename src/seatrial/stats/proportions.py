"""One proportion, and the difference of two paired ones from the rows on which the two models disagree."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

# So near to 0 in the unit of z, an end of an interval is found.
_CLOSE = 1e-12
# Where rounding keeps it from coming so near, this many steps are enough.
_STEPS = 60


def wilson_interval(successes: float, n: float, *, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion of n rows (Wilson 1927).

    It stays within 0 to 1 and is no point where all rows, or none, are successes. Raises ValueError if the successes
    can't belong to n rows.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes do not fit into {n} rows")
    z = normal_quantile((1 + level) / 2)
    share, extra = successes / n, z * z / n
    middle = (share + extra / 2) / (1 + extra)
    reach = z * math.sqrt(share * (1 - share) / n + extra / (4 * n)) / (1 + extra)
    low = 0.0 if successes == 0 else middle - reach
    high = 1.0 if successes == n else middle + reach
    return max(low, 0.0), min(high, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """P-values of two paired proportions being equal: two-sided exact and mid-p, and the two one-sided mid-p.

    `lower` is small where the candidate is lower than the baseline, `higher` where it is higher.
    """

    exact: float
    mid: float
    lower: float
    higher: float


def mcnemar(gained: int, lost: int) -> McNemar:
    """Test of McNemar 1947: if the models are equally good, each disagreement goes either way with probability 1/2.

    The mid-p counts half of the probability of what was observed, which makes the test neither shy nor too eager
    (Fagerland, Lydersen & Laake 2013). Raises ValueError for negative counts.
    """
    if min(gained, lost) < 0:
        raise ValueError(f"{gained} gained and {lost} lost rows are no counts")
    most = gained + lost
    lower = (_at_most(gained, most) + _at_most(gained - 1, most)) / 2
    higher = (_at_most(lost, most) + _at_most(lost - 1, most)) / 2
    exact = min(1.0, 2 * _at_most(min(gained, lost), most))
    return McNemar(exact=exact, mid=min(1.0, 2 * min(lower, higher)), lower=lower, higher=higher)


def _at_most(count: int, trials: int) -> float:
    """Probability of `count` successes or fewer when each trial succeeds with probability 1/2."""
    if count < 0 or count >= trials:
        return float(count >= 0)
    # Imported here because it costs more than numpy.
    from scipy.special import betainc

    return float(betainc(trials - count, count + 1, 0.5))


@lru_cache(maxsize=16)
def normal_quantile(probability: float) -> float:
    """The point that a standard normal variable stays below with this probability."""
    return NormalDist().inv_cdf(probability)


def tango_interval(gained: int, lost: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Score interval of (gained − lost) / n, the difference of two proportions of the same n rows.

    `gained` rows are right with the candidate alone, `lost` ones with the baseline alone. Tango 1998,
    Statistics in Medicine 17, 891–908. Unlike ±z·SE it stays honest for few disagreements: none at all
    gives ±z²/(n + z²). Raises ValueError if the counts can't belong to n rows.
    """
    if n < 1 or min(gained, lost) < 0 or gained + lost > n:
        raise ValueError(f"{gained} gained and {lost} lost rows do not fit into {n}")
    z = normal_quantile((1 + level) / 2)
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
    """Where a falling function of the unit of z crosses 0 between low and high; the end where it doesn't.

    By false position, where an end that stays counts half (Illinois), and by bisection while the function is infinite.
    """
    at_low, at_high = falling(low), falling(high)
    if at_low <= 0 or at_high >= 0:
        return low if at_low <= 0 else high
    moved_low: bool | None = None
    for _ in range(_STEPS):
        finite = math.isfinite(at_low - at_high)
        middle = (low * at_high - high * at_low) / (at_high - at_low) if finite else (low + high) / 2
        value = falling(middle)
        if abs(value) < _CLOSE:
            break
        if value > 0:
            low, at_low, at_high = middle, value, at_high / 2 if moved_low is True else at_high
        else:
            high, at_high, at_low = middle, value, at_low / 2 if moved_low is False else at_low
        moved_low = value > 0
    return middle
