"""What a pair of influences comes down to, so that an estimate can be made without holding the rows.

`conclude` says of an outline what `paired.paired_interval` says of the rows themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from seatrial.stats.influence import Undefined
from seatrial.stats.paired import MIN_SUPPORT, Bounds, Estimate, Insufficient
from seatrial.stats.proportions import mcnemar, normal_quantile, tango_interval, wilson_interval
from seatrial.stats.spread import Spread

# The values of the baseline and the candidate where at least one of them has none.
Sides: TypeAlias = tuple[float | Undefined, float | Undefined]

_ROUNDING = 1e-9
_NO_SPREAD = "every row differs by the same amount, so that nothing tells how sure the difference is"
_NO_DIFFERENCE = "it sees no difference in any row, which does not prove that there never is one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Squares:
    """Sums of squared influences: over `rows`, and over `other_rows` of another stratum if there are two."""

    total: float
    rows: int
    other: float = 0.0
    other_rows: int = 0
    has_strata: bool = False

    def find_spread(self, *, support: int) -> Spread:
        """As `spread.find_spread` of the influences: each stratum has its own n − 1."""
        scatter = _unbias(self.total, self.rows) + _unbias(self.other, self.other_rows)
        se = math.sqrt(max(scatter, 0.0)) / (self.rows + self.other_rows)
        return Spread(se=se, df=support - 1, method="DeLong, t" if self.has_strata else "influence functions, t")


def _unbias(squares: float, rows: int) -> float:
    return squares * (rows / (rows - 1) if rows > 1 else 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One model's metric: its value, the rarest rows, its own spread; `hits` if it is a plain proportion."""

    value: float
    support: int
    spread: Spread | Undefined
    hits: int | None = None
    caution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """Both sides on n rows, and the spread of their difference.

    `discordant` are the rows that only the candidate, and only the baseline, has right, if both sides are proportions
    of the same rows. `same` is whether every answer is. `caution` joins those of the sides.
    """

    n: int
    base: Side
    head: Side
    difference: Spread | Undefined
    discordant: tuple[int, int] | None = None
    same: bool = False
    caution: str = ""


def conclude(outline: Outline, *, level: float = 0.95, bounds: Bounds = (None, None)) -> Estimate | Insufficient:
    """The estimate of head − base, or why there is none; `bounds` are those of the metric."""
    base, head = outline.base, outline.head
    support = min(base.support, head.support)
    delta = head.value - base.value
    if outline.same:
        return _join(outline, 0.0, (0.0, 0.0), (1.0, 1.0), math.inf, "identical", level, bounds)
    if support < MIN_SUPPORT:
        reason = f"it rests on {support} rows of its rarest kind, and {MIN_SUPPORT} are needed"
        return Insufficient(reason=reason, n=outline.n, base=base.value, head=head.value)
    spread = outline.difference
    if isinstance(spread, Undefined):
        return Insufficient(reason=spread.reason, n=outline.n, base=base.value, head=head.value)
    se, df = spread.se, spread.df
    if outline.discordant is not None:
        ends = tango_interval(*outline.discordant, support, level=level)
        test = mcnemar(*outline.discordant)
        return _join(outline, se, ends, (test.lower, test.higher), math.inf, "Tango score", level, bounds)
    if se <= _ROUNDING * abs(delta):
        if delta or None in bounds:
            reason = _NO_SPREAD if delta else _NO_DIFFERENCE
            return Insufficient(reason=reason, n=outline.n, base=base.value, head=head.value)
        reach = _reach_of_agreement(df + 1, level=level, bounds=bounds)
        tails = 0.5, 0.5
        return _join(outline, 0.0, (-reach, reach), tails, math.inf, "no disagreement, score", level, bounds)
    # Imported here because it costs more than numpy.
    from scipy.special import stdtr, stdtrit

    reach = float(stdtrit(df, (1 + level) / 2)) * se
    tails = float(stdtr(df, delta / se)), float(stdtr(df, -delta / se))
    return _join(outline, se, (delta - reach, delta + reach), tails, df, spread.method, level, bounds)


def _reach_of_agreement(n: float, *, level: float, bounds: Bounds) -> float:
    """What Tango says of no disagreement, z²/(n + z²), on the metric's own scale."""
    square = normal_quantile((1 + level) / 2) ** 2
    return ((bounds[1] or 0.0) - (bounds[0] or 0.0)) * square / (n + square)


def refuse(sides: Sides, *, n: int) -> Insufficient:
    """Why there is no estimate, a side or both having no value; in the words of `estimates.estimate`."""
    reasons = {
        name: one.reason
        for name, one in zip(("baseline", "candidate"), sides, strict=True)
        if isinstance(one, Undefined)
    }
    values = [None if isinstance(one, Undefined) else one for one in sides]
    shared = len(set(reasons.values())) == 1 and len(reasons) == 2
    text = next(iter(reasons.values())) if shared else "; ".join(f"{side}: {why}" for side, why in reasons.items())
    return Insufficient(reason=text, n=n, base=values[0], head=values[1])


def _join(
    outline: Outline,
    se: float,
    ends: tuple[float, float],
    tails: tuple[float, float],
    df: float,
    method: str,
    level: float,
    bounds: Bounds,
) -> Estimate:
    base, head = outline.base, outline.head
    own = _own_interval(head, level=level, bounds=bounds)
    return Estimate(
        base=base.value,
        head=head.value,
        delta=0.0 if outline.same else head.value - base.value,
        se=se,
        low=ends[0],
        high=ends[1],
        p_lower=tails[0],
        p_higher=tails[1],
        head_low=own[0],
        head_high=own[1],
        level=level,
        df=df,
        n=outline.n,
        support=min(base.support, head.support),
        method=method,
        caution="; ".join(dict.fromkeys(one for one in (base.caution, head.caution, outline.caution) if one)),
    )


def _own_interval(side: Side, *, level: float, bounds: Bounds) -> tuple[float, float]:
    """As `paired.own_interval`: Wilson's for a proportion, else value ± t·SE within the bounds."""
    if side.hits is not None:
        return wilson_interval(side.hits, side.support, level=level)
    low, high = (-math.inf if bounds[0] is None else bounds[0]), (math.inf if bounds[1] is None else bounds[1])
    if side.support < MIN_SUPPORT or isinstance(side.spread, Undefined):
        return low, high
    se, df = side.spread.se, side.spread.df
    if se > _ROUNDING * abs(side.value):
        from scipy.special import stdtrit

        reach = float(stdtrit(df, (1 + level) / 2)) * se
        return max(side.value - reach, low), min(side.value + reach, high)
    if math.isinf(low) or math.isinf(high):
        return low, high
    # By rounding, the value may lie a little outside of its bounds.
    share = min(max((side.value - low) / (high - low), 0.0), 1.0)
    ends = wilson_interval(share * (df + 1), df + 1, level=level)
    return low + ends[0] * (high - low), low + ends[1] * (high - low)
