"""The difference of one metric between two models that answered different units.

Each side's metric varies on its own: SE² = SE_base² + SE_head², with t on the degrees of freedom of Welch (1947) and
Satterthwaite (1946). Nothing cancels out that is hard for both models, so that these intervals are several times as
long as those of a paired comparison. Where the two sides share some units, they are too long rather than too short.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.estimates import sort_slices
from seatrial.stats.influence import Influence, Undefined
from seatrial.stats.names import Measure
from seatrial.stats.paired import (
    MIN_SUPPORT,
    Bounds,
    Estimate,
    Inference,
    Insufficient,
    explain_insufficient,
    join_estimate,
    lack_support,
    own_interval,
    student,
)
from seatrial.stats.proportions import normal_quantile, wilson_interval
from seatrial.stats.sample import Sample, find_spec
from seatrial.stats.spread import Clusters, Spread, find_spread

_NO_SPREAD = "it does not vary on either side, so that nothing tells how sure the difference is"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """One model's answers on its own units; `clusters` where these are not independent of each other."""

    sample: Sample
    clusters: Clusters | None = None

    @classmethod
    def of(cls, sample: Sample, groups: NDArray[np.generic] | None = None) -> Side:
        """Number the clusters by the names (n,) of each unit's group."""
        return cls(sample=sample, clusters=None if groups is None else Clusters.of(groups))

    def select(self, units: NDArray[np.intp] | slice) -> Side:
        """Some of the units."""
        clusters = None if self.clusters is None else self.clusters.select(units)
        return Side(sample=self.sample.select(units), clusters=clusters)


def estimate_unpaired(
    base: Side, head: Side, measures: Sequence[Measure], *, level: float = 0.95
) -> dict[Measure, Estimate | Insufficient]:
    """Estimate head − base for each metric; ValueError for two tasks, or a metric that the task does not have."""
    if base.sample.task is not head.sample.task:
        raise ValueError(f"the baseline's task is {base.sample.task.value}, the candidate's {head.sample.task.value}")
    return {measure: _estimate(base, head, measure, level=level) for measure in measures}


def estimate_slices_unpaired(
    base: Side,
    head: Side,
    measures: Sequence[Measure],
    codes: tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]],
    *,
    min_n: int,
    level: float = 0.95,
) -> dict[int, dict[Measure, Estimate | Insufficient]]:
    """The estimates of each slice that has `min_n` units or more on both sides, by its code, the lowest first.

    `codes` are each unit's slice, (units of base,) and (units of head,), numbered alike; a negative one is none.
    Errors are those of `estimate_unpaired`, and ValueError for codes that are not one integer for each unit.
    """
    parts: list[dict[int, Side]] = []
    for side, numbers in zip((base, head), codes, strict=True):
        order, stretches = sort_slices(numbers, side.sample.size, min_n=min_n)
        ordered = side.select(order)
        parts.append({code: ordered.select(units) for code, units in stretches})
    before, after = parts
    return {
        code: estimate_unpaired(before[code], side, measures, level=level)
        for code, side in after.items()
        if code in before
    }


def unpaired_interval(
    base: Influence,
    head: Influence,
    *,
    level: float = 0.95,
    clusters: tuple[Clusters | None, Clusters | None] = (None, None),
    bounds: Bounds = (None, None),
    min_support: int = MIN_SUPPORT,
) -> Estimate | Insufficient:
    """Estimate head − base from two influences on units that have nothing to do with each other.

    `clusters` are each side's. Plain proportions without clusters get Newcombe's hybrid score interval and the score
    test, which stay honest where all units, or none, are hits. `bounds` are those of the metric.
    """
    n, support = head.psi.size, min(base.support, head.support)
    if support < max(min_support, 2):
        return explain_insufficient(base, head, lack_support(support, min_support), n=n)
    spreads = [find_spread(one, clusters=each) for one, each in zip((base, head), clusters, strict=True)]
    for side, spread in zip(("baseline", "candidate"), spreads, strict=True):
        if isinstance(spread, Undefined):
            return explain_insufficient(base, head, f"{side}: {spread.reason}", n=n)
    known = [spread for spread in spreads if isinstance(spread, Spread)]
    shares = [_count(one) for one in (base, head) if one.hits is not None and clusters == (None, None)]
    if len(shares) == 2:
        found = _compare_shares(shares[0], shares[1], level=level)
    elif any(spread.se for spread in known):
        found = _welch(head.value - base.value, known, level=level)
    else:
        return explain_insufficient(base, head, _NO_SPREAD, n=n)
    own = own_interval(head, level=level, clusters=clusters[1], bounds=bounds, min_support=min_support)
    return join_estimate(base, head, found, own, level=level, n=n)


def newcombe_interval(before: tuple[int, int], after: tuple[int, int], *, level: float = 0.95) -> tuple[float, float]:
    """Interval of the difference of two independent proportions, each (hits, units), from their Wilson intervals.

    Method 10 of Newcombe 1998, Statistics in Medicine 17, 873–890. Raises ValueError for counts that don't fit.
    """
    (low_0, high_0), (low_1, high_1) = wilson_interval(*before, level=level), wilson_interval(*after, level=level)
    share_0, share_1 = before[0] / before[1], after[0] / after[1]
    delta = share_1 - share_0
    low = delta - math.hypot(share_1 - low_1, high_0 - share_0)
    return low, delta + math.hypot(high_1 - share_1, share_0 - low_0)


def _estimate(base: Side, head: Side, measure: Measure, *, level: float) -> Estimate | Insufficient:
    before, after = base.sample.measure(measure), head.sample.measure(measure)
    spec = find_spec(head.sample.task, measure)
    if not isinstance(before, Undefined) and not isinstance(after, Undefined):
        clusters = (base.clusters, head.clusters)
        return unpaired_interval(before, after, level=level, clusters=clusters, bounds=(spec.low, spec.high))
    sides = {"baseline": before, "candidate": after}
    reasons = [f"{side}: {one.reason}" for side, one in sides.items() if isinstance(one, Undefined)]
    values = [None if isinstance(one, Undefined) else one.value for one in sides.values()]
    return Insufficient(reason="; ".join(reasons), n=head.sample.size, base=values[0], head=values[1])


def _welch(delta: float, spreads: Sequence[Spread], *, level: float) -> Inference:
    squares = [spread.se**2 for spread in spreads]
    se = math.sqrt(sum(squares))
    # In shares of the whole variance, so that very small ones do not vanish as they are squared.
    df = 1 / sum((square / se**2) ** 2 / spread.df for square, spread in zip(squares, spreads, strict=True))
    return student(delta, Spread(se=se, df=df, method="unpaired, Welch t"), level=level)


def _compare_shares(before: tuple[int, int], after: tuple[int, int], *, level: float) -> Inference:
    """Newcombe's interval, and the score test with the pooled share (Pearson's χ² of the 2 × 2 table)."""
    # Imported here because it costs more than numpy.
    from scipy.special import ndtr

    low, high = newcombe_interval(before, after, level=level)
    pooled = (before[0] + after[0]) / (before[1] + after[1])
    spread = math.sqrt(pooled * (1 - pooled) * (1 / before[1] + 1 / after[1]))
    z = (after[0] / after[1] - before[0] / before[1]) / spread if spread else 0.0
    return Inference(
        # What a reader plans by: that of a normal distribution with this interval, which is never 0.
        se=(high - low) / 2 / normal_quantile((1 + level) / 2),
        low=low,
        high=high,
        p_lower=float(ndtr(z)),
        p_higher=float(ndtr(-z)),
        df=math.inf,
        method="unpaired, Newcombe score",
    )


def _count(share: Influence) -> tuple[int, int]:
    """The hits of a plain proportion, and the units that it is among."""
    return int(np.count_nonzero(share.hits if share.hits is not None else ())), share.support
