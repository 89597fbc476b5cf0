"""The difference of one metric between two models that answered the same units, with its interval.

Because both models saw each row, the difference has the influence dᵢ = ψᵢ(candidate) − ψᵢ(baseline); what
is hard for both cancels out. SE² = Σ dᵢ² / (n(n − 1)), and the interval is Δ ± t·SE. It covers these two
artifacts on rows like these, not what training them anew would change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, TypeAlias

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


IDENTICAL = Inference(se=0.0, low=0.0, high=0.0, p_lower=1.0, p_higher=1.0, df=math.inf, method="identical")


class Measured(Protocol):
    """One side's metric, with or without the rows that it was measured on; the fields are those of `Influence`."""

    @property
    def value(self) -> float:
        """The metric."""

    @property
    def support(self) -> int:
        """How many of the rarest rows it rests on."""

    @property
    def caution(self) -> str:
        """What a reader must know of the value."""


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
    n, support = head.psi.size, min(base.support, head.support)
    if support < max(min_support, 2):
        return explain_insufficient(base, head, lack_support(support, min_support), n=n)
    spread = find_spread(head, base, clusters)
    if isinstance(spread, Undefined):
        return explain_insufficient(base, head, spread.reason, n=n)
    discordant = _count_discordant(base, head) if clusters is None else None
    found = infer(base, head, spread, discordant=discordant, level=level, bounds=bounds)
    if isinstance(found, str):
        return explain_insufficient(base, head, found, n=n)
    own = own_interval(head, level=level, clusters=clusters, bounds=bounds, min_support=min_support)
    return join_estimate(base, head, found, own, level=level, n=n)


def identical(
    one: Influence,
    *,
    level: float = 0.95,
    clusters: Clusters | None = None,
    bounds: Bounds = (None, None),
) -> Estimate:
    """The estimate for a candidate whose every answer is the baseline's: no difference, and no doubt."""
    own = own_interval(one, level=level, clusters=clusters, bounds=bounds)
    return join_estimate(one, one, IDENTICAL, own, level=level, n=one.psi.size)


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
    spread = find_spread(one, clusters=clusters)
    return limit_value(one, spread, level=level, bounds=bounds, min_support=min_support)


def limit_value(
    one: Measured, spread: Spread | Undefined, *, level: float, bounds: Bounds, min_support: int = MIN_SUPPORT
) -> tuple[float, float]:
    """What `own_interval` says of a value with this spread that is no plain proportion."""
    low, high = (-math.inf if bounds[0] is None else bounds[0]), (math.inf if bounds[1] is None else bounds[1])
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


def infer(
    base: Measured,
    head: Measured,
    spread: Spread,
    *,
    discordant: tuple[int, int] | None,
    level: float,
    bounds: Bounds,
) -> Inference | str:
    """What the method that fits says of head − base with this spread; or why nothing can be said.

    `discordant` are the rows that only the candidate, and only the baseline, has right, if both sides are plain
    proportions of the same rows.
    """
    delta = head.value - base.value
    if discordant is not None:
        return _compare_shares(discordant, min(base.support, head.support), se=spread.se, level=level)
    if spread.se > _ROUNDING * abs(delta):
        return student(delta, spread, level=level)
    if delta or None in bounds:
        return _NO_SPREAD if delta else _NO_DIFFERENCE
    return _agree(spread, bounds, level=level)


def _count_discordant(base: Influence, head: Influence) -> tuple[int, int] | None:
    """The rows that one side alone has right, if both are plain proportions of the same rows."""
    if base.hits is None or head.hits is None or not is_same(base.strata, head.strata):
        return None
    return int(np.count_nonzero(head.hits & ~base.hits)), int(np.count_nonzero(base.hits & ~head.hits))


def _compare_shares(discordant: tuple[int, int], n: int, *, se: float, level: float) -> Inference:
    low, high = tango_interval(*discordant, n, level=level)
    test = mcnemar(*discordant)
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


def student(delta: float, spread: Spread, *, level: float) -> Inference:
    """The interval delta ± t·SE, and the probabilities of t beyond 0 on either side; the SE is above 0."""
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
    base: Measured,
    head: Measured,
    found: Inference,
    own: tuple[float, float],
    *,
    level: float,
    n: int,
    caution: str = "",
) -> Estimate:
    """What a method says of a difference on n rows, with both values and the candidate's `own` interval.

    `caution` comes after those of the sides.
    """
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
        n=n,
        support=min(base.support, head.support),
        method=found.method,
        caution="; ".join(dict.fromkeys(filter(None, (base.caution, head.caution, caution)))),
    )


def explain_insufficient(base: Measured, head: Measured, reason: str, *, n: int) -> Insufficient:
    """No interval for this reason; both values are known."""
    return Insufficient(reason=reason, n=n, base=base.value, head=head.value)


def lack_support(support: int, needed: int) -> str:
    """The reason where a metric rests on too few rows."""
    return f"it rests on {support} rows of its rarest kind, and {needed} are needed"


def explain_undefined(base: float | Undefined, head: float | Undefined, *, n: int) -> Insufficient:
    """No interval since a side, or both, have no value."""
    sides = {"baseline": base, "candidate": head}
    reasons = {side: one.reason for side, one in sides.items() if isinstance(one, Undefined)}
    values = [None if isinstance(one, Undefined) else one for one in sides.values()]
    shared = len(set(reasons.values())) == 1 and len(reasons) == 2
    text = next(iter(reasons.values())) if shared else "; ".join(f"{side}: {why}" for side, why in reasons.items())
    return Insufficient(reason=text, n=n, base=values[0], head=values[1])
