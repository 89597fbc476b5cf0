"""What a pair of influences comes down to, so that an estimate can be made without holding the rows.

`conclude` says of an outline what `paired.paired_interval` says of the rows themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from seatrial.stats.influence import Undefined
from seatrial.stats.paired import (
    IDENTICAL,
    MIN_SUPPORT,
    Bounds,
    Estimate,
    Inference,
    Insufficient,
    explain_insufficient,
    infer,
    join_estimate,
    lack_support,
    limit_value,
)
from seatrial.stats.proportions import wilson_interval
from seatrial.stats.spread import Spread, unbias

# The values of the baseline and the candidate where at least one of them has none.
Sides: TypeAlias = tuple[float | Undefined, float | Undefined]


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
        scatter = unbias(self.total, self.rows) + unbias(self.other, self.other_rows)
        se = math.sqrt(max(scatter, 0.0)) / (self.rows + self.other_rows)
        return Spread(se=se, df=support - 1, method="DeLong, t" if self.has_strata else "influence functions, t")


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
    found = _infer(outline, level=level, bounds=bounds)
    base, head = outline.base, outline.head
    if isinstance(found, str):
        return explain_insufficient(base, head, found, n=outline.n)
    if head.hits is not None:
        own = wilson_interval(head.hits, head.support, level=level)
    else:
        own = limit_value(head, head.spread, level=level, bounds=bounds)
    return join_estimate(base, head, found, own, level=level, n=outline.n, caution=outline.caution)


def _infer(outline: Outline, *, level: float, bounds: Bounds) -> Inference | str:
    support = min(outline.base.support, outline.head.support)
    if outline.same:
        return IDENTICAL
    if support < MIN_SUPPORT:
        return lack_support(support, MIN_SUPPORT)
    spread, discordant = outline.difference, outline.discordant
    if isinstance(spread, Undefined):
        return spread.reason
    return infer(outline.base, outline.head, spread, discordant=discordant, level=level, bounds=bounds)
