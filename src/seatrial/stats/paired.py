"""The difference of one metric between two models that answered the same units, with its interval.

Because both models saw each row, the difference has the influence dᵢ = ψᵢ(candidate) − ψᵢ(baseline); what
is hard for both cancels out. SE² = Σ dᵢ² / (n(n − 1)), and the interval is Δ ± t·SE. It covers these two
artifacts on rows like these, not what training them anew would change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from seatrial.stats.influence import Influence, Undefined, is_same
from seatrial.stats.proportions import mcnemar, normal_quantile, tango_interval, wilson_interval
from seatrial.stats.spread import Clusters, Spread, find_spread

# With fewer of the rarest rows that a metric rests on, no interval is given.
MIN_SUPPORT = 10
# An SE below this share of the difference is rounding: every row differs by the same amount.
_ROUNDING = 1e-9
_NO_SPREAD = "every row differs by the same amount, so that nothing tells how sure the difference is"
_NO_DIFFERENCE = "it sees no difference in any row, which does not prove that there never is one"

Bounds: TypeAlias = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A difference `delta` = head − base in the metric's unit, its standard error and its interval low…high.

    `level` is the level of all intervals; `head_low` and `head_high` are the candidate's own value's. `p_lower` and
    `p_higher` are one-sided: small where the data speak for a candidate that is lower, or higher, than the baseline.
    `df` are the degrees of freedom of t, infinite where the method uses the normal distribution; `n` counts all
    paired rows, `support` the rarest kind that the metric rests on. `caution` is empty, or says what a reader must
    know, as that the interval may be too short.
    """

    base: float
    head: float
    delta: float
    se: float
    low: float
    high: float
    p_lower: float
    p_higher: float
    head_low: float
    head_high: float
    level: float
    df: float
    n: int
    support: int
    method: str
    caution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Insufficient:
    """No interval, and why; the metric's values on both sides where they are defined."""

    reason: str
    n: int
    base: float | None = None
    head: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What a method says of a difference; the fields are those of Estimate."""

    se: float
    low: float
    high: float
    p_lower: float
    p_higher: float
    df: float
    method: str


def paired_interval(
    base: Influence,
    head: Influence,
    *,
    level: float = 0.95,
    clusters: Clusters | None = None,
    bounds: Bounds = (None, None),
    min_support: int = MIN_SUPPORT,
) -> Estimate | Insufficient:
    """Estimate head − base from two influences on the same rows, in the same order.

    `clusters` are given where rows are not independent of each other. Without them, proportions get Tango's score
    interval and McNemar's mid-p, ROC AUC gets DeLong's variance, and all else the plain influence variance with t.
    `bounds` are those of the metric; with them, models that no row tells apart get an interval too. Fewer than
    `min_support` rows of the rarest kind are Insufficient.
    """
    support = min(base.support, head.support)
    if support < max(min_support, 2):
        return explain_insufficient(
            base, head, f"it rests on {support} rows of its rarest kind, and {min_support} are needed"
        )
    spread = find_spread(head, base, clusters)
    if isinstance(spread, Undefined):
        return explain_insufficient(base, head, spread.reason)
    if clusters is None and _is_paired_share(base, head):
        found = _compare_shares(base, head, se=spread.se, level=level)
    elif spread.se <= _ROUNDING * abs(head.value - base.value):
        if head.value != base.value or None in bounds:
            return explain_insufficient(base, head, _NO_DIFFERENCE if head.value == base.value else _NO_SPREAD)
        found = _agree(spread, bounds, level=level)
    else:
        found = _student(head.value - base.value, spread, level=level)
    own = own_interval(head, level=level, clusters=clusters, bounds=bounds, min_support=min_support)
    return join_estimate(base, head, found, own, level=level)


def identical(
    one: Influence,
    *,
    level: float = 0.95,
    clusters: Clusters | None = None,
    bounds: Bounds = (None, None),
) -> Estimate:
    """The estimate for a candidate whose every answer is the baseline's: no difference, and no doubt."""
    found = Inference(se=0.0, low=0.0, high=0.0, p_lower=1.0, p_higher=1.0, df=math.inf, method="identical")
    own = own_interval(one, level=level, clusters=clusters, bounds=bounds)
    return join_estimate(one, one, found, own, level=level)


def own_interval(
    one: Influence,
    *,
    level: float = 0.95,
    clusters: Clusters | None = None,
    bounds: Bounds = (None, None),
    min_support: int = MIN_SUPPORT,
) -> tuple[float, float]:
    """The interval of one model's value: Wilson's for a plain proportion, else value ± t·SE within the bounds.

    Where the rows are too few to tell, or vary too little to tell how sure the value is, it is all that the bounds
    leave, or Wilson's interval of the value's place between them.
    """
    if clusters is None and one.hits is not None:
        return wilson_interval(int(np.count_nonzero(one.hits)), one.support, level=level)
    low, high = (-math.inf if bounds[0] is None else bounds[0]), (math.inf if bounds[1] is None else bounds[1])
    spread = find_spread(one, clusters=clusters)
    if isinstance(spread, Undefined) or one.support < max(min_support, 2):
        return low, high
    if spread.se > _ROUNDING * abs(one.value):
        reach = _t_quantile(spread.df, (1 + level) / 2) * spread.se
        return max(one.value - reach, low), min(one.value + reach, high)
    if math.isinf(low) or math.isinf(high):
        return low, high
    # By rounding, the value may lie a little outside of its bounds.
    n, share = spread.df + 1, min(max((one.value - low) / (high - low), 0.0), 1.0)
    ends = wilson_interval(share * n, n, level=level)
    return low + ends[0] * (high - low), low + ends[1] * (high - low)


def _is_paired_share(base: Influence, head: Influence) -> bool:
    """Whether both are plain proportions of the same rows."""
    return base.hits is not None and head.hits is not None and is_same(base.strata, head.strata)


def _compare_shares(base: Influence, head: Influence, *, se: float, level: float) -> Inference:
    if base.hits is None or head.hits is None:
        raise ValueError("the metric is no plain proportion")
    gained = int(np.count_nonzero(head.hits & ~base.hits))
    lost = int(np.count_nonzero(base.hits & ~head.hits))
    low, high = tango_interval(gained, lost, head.support, level=level)
    test = mcnemar(gained, lost)
    return Inference(
        se=se, low=low, high=high, p_lower=test.lower, p_higher=test.higher, df=math.inf, method="Tango score"
    )


def _agree(spread: Spread, bounds: Bounds, *, level: float) -> Inference:
    """For models that no row tells apart: what Tango and McNemar say of no disagreement, on the metric's own scale."""
    square = normal_quantile((1 + level) / 2) ** 2
    reach = ((bounds[1] or 0.0) - (bounds[0] or 0.0)) * square / (spread.df + 1 + square)
    return Inference(
        se=0.0, low=-reach, high=reach, p_lower=0.5, p_higher=0.5, df=math.inf, method="no disagreement, score"
    )


def _student(delta: float, spread: Spread, *, level: float) -> Inference:
    # Imported here because it costs more than numpy.
    from scipy.special import stdtr

    reach = _t_quantile(spread.df, (1 + level) / 2) * spread.se
    return Inference(
        se=spread.se,
        low=delta - reach,
        high=delta + reach,
        p_lower=float(stdtr(spread.df, delta / spread.se)),
        p_higher=float(stdtr(spread.df, -delta / spread.se)),
        df=spread.df,
        method=spread.method,
    )


def _t_quantile(df: float, probability: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def join_estimate(
    base: Influence, head: Influence, found: Inference, own: tuple[float, float], *, level: float
) -> Estimate:
    """What a method says of a difference, with both values and the candidate's `own` interval."""
    return Estimate(
        base=base.value,
        head=head.value,
        delta=head.value - base.value,
        se=found.se,
        low=found.low,
        high=found.high,
        p_lower=found.p_lower,
        p_higher=found.p_higher,
        head_low=own[0],
        head_high=own[1],
        level=level,
        df=found.df,
        n=head.psi.size,
        support=min(base.support, head.support),
        method=found.method,
        caution="; ".join(dict.fromkeys(side.caution for side in (base, head) if side.caution)),
    )


def explain_insufficient(base: Influence, head: Influence, reason: str) -> Insufficient:
    """No interval for this reason; both values are known."""
    return Insufficient(reason=reason, n=head.psi.size, base=base.value, head=head.value)
