"""The difference of one metric between two models that scored the same rows, with its interval.

Because both models saw each row, the difference has the influence dᵢ = ψᵢ(candidate) − ψᵢ(baseline); what
is hard for both cancels out. SE² = Σ dᵢ² / (n(n − 1)), and the interval is Δ ± t·SE. It covers these two
artifacts on rows like these, not what training them anew would change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.influence import Bools, Floats, Influence
from seatrial.stats.proportions import tango_interval

# With fewer of the rarest rows that a metric rests on, no interval is given.
MIN_SUPPORT = 10
# With fewer clusters, counted by their effective number, likewise.
MIN_CLUSTERS = 5
# An SE below this share of the difference is rounding: every row differs by the same amount.
_ROUNDING = 1e-9
_NO_SPREAD = "every row differs by the same amount, so that nothing tells how sure the difference is"
_NO_DIFFERENCE = "it sees no difference in any row, which does not prove that there never is one"
# ROC AUC so close to 1 that fewer rows of the rarer kind than this are misplaced: the interval is too short.
_FEW_MISPLACED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A difference `delta` = head − base in the metric's unit, its standard error and its interval low…high.

    `level` is the interval's. `df` are the degrees of freedom of t, infinite where the method uses the
    normal distribution; `n` counts all paired rows. `caution` is empty, or says why the interval may be too
    short.
    """

    base: float
    head: float
    delta: float
    se: float
    low: float
    high: float
    level: float
    df: float
    n: int
    method: str
    caution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Insufficient:
    """No interval, and why; the metric's values on both sides where they are defined."""

    reason: str
    n: int
    base: float | None = None
    head: float | None = None


def paired_interval(
    base: Influence,
    head: Influence,
    *,
    level: float = 0.95,
    groups: NDArray[np.generic] | None = None,
    min_support: int = MIN_SUPPORT,
) -> Estimate | Insufficient:
    """Estimate head − base from two influences on the same rows, in the same order.

    `groups` (n,) names each row's cluster, where rows are not independent of each other. Without it,
    proportions get Tango's score interval, ROC AUC gets DeLong's variance, and all else the plain influence
    variance with t. Fewer than `min_support` rows of the rarest kind are Insufficient.
    """
    support = min(base.support, head.support)
    if support < max(min_support, 2):
        return _insufficient(base, head, f"it rests on {support} rows of its rarest kind, and {min_support} are needed")
    if groups is not None:
        return _clustered(base, head, groups, level=level)
    se = _standard_error(head.psi - base.psi, base.strata)
    if base.hits is not None and head.hits is not None:
        gained = int((head.hits & ~base.hits).sum())
        lost = int((base.hits & ~head.hits).sum())
        ends = tango_interval(gained, lost, support, level=level)
        return _estimate(base, head, se=se, ends=ends, df=math.inf, level=level, method="Tango score")
    method = "influence functions, t" if base.strata is None else "DeLong, t"
    return _student(base, head, se=se, df=support - 1, level=level, method=method)


def identical(value: float, n: int, *, level: float = 0.95) -> Estimate:
    """The estimate for a candidate whose every prediction is the baseline's: no difference, and no doubt."""
    return Estimate(
        base=value,
        head=value,
        delta=0.0,
        se=0.0,
        low=0.0,
        high=0.0,
        level=level,
        df=math.inf,
        n=n,
        method="identical",
    )


def _standard_error(difference: Floats, strata: Bools | None) -> float:
    """Root of the variance; with strata, that of each kind with its own n − 1, as DeLong does."""
    kinds = (difference,) if strata is None else (difference[strata], difference[~strata])
    return math.sqrt(sum(_scatter(kind) for kind in kinds)) / difference.size


def _scatter(difference: Floats) -> float:
    n = difference.size
    return float(difference @ difference) * (n / (n - 1) if n > 1 else 1.0)


def _clustered(
    base: Influence, head: Influence, groups: NDArray[np.generic], *, level: float
) -> Estimate | Insufficient:
    """Leave-one-cluster-out jackknife of the linearised difference (CR3), exact for proportions and means.

    Leaving cluster g out moves Δ by −D_g/n · M/(M − M_g), D_g being its sum of d and M_g its number of
    counted rows.
    """
    difference = head.psi - base.psi
    _, cluster = np.unique(groups, return_inverse=True)
    counted = base.strata if base.hits is not None and base.strata is not None else np.ones(difference.size, np.bool_)
    sizes = np.bincount(cluster, weights=counted)
    total = float(sizes.sum())
    effective = total**2 / float(sizes @ sizes)
    if effective < MIN_CLUSTERS:
        reason = f"its rows fall into {effective:.1f} clusters of effective size, and {MIN_CLUSTERS} are needed"
        return _insufficient(base, head, reason)
    shift = np.bincount(cluster, weights=difference) / difference.size * total / (total - sizes)
    clusters = int((sizes > 0).sum())
    se = math.sqrt((clusters - 1) / clusters * float(shift @ shift))
    df = min(effective, base.support, head.support) - 1
    return _student(base, head, se=se, df=df, level=level, method="cluster jackknife, t")


def _student(
    base: Influence, head: Influence, *, se: float, df: float, level: float, method: str
) -> Estimate | Insufficient:
    delta = head.value - base.value
    if se <= _ROUNDING * abs(delta):
        return _insufficient(base, head, _NO_SPREAD if delta else _NO_DIFFERENCE)
    reach = _t_quantile(df, (1 + level) / 2) * se
    return _estimate(base, head, se=se, ends=(delta - reach, delta + reach), df=df, level=level, method=method)


def _t_quantile(df: float, probability: float) -> float:
    # Imported here because it costs as much as numpy, and proportions do without it.
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def _estimate(
    base: Influence,
    head: Influence,
    *,
    se: float,
    ends: tuple[float, float],
    df: float,
    level: float,
    method: str,
) -> Estimate:
    return Estimate(
        base=base.value,
        head=head.value,
        delta=head.value - base.value,
        se=se,
        low=ends[0],
        high=ends[1],
        level=level,
        df=df,
        n=base.psi.size,
        method=method,
        caution=_caution(base, head),
    )


def _caution(base: Influence, head: Influence) -> str:
    is_auc = base.strata is not None and base.hits is None
    misplaced = (1 - max(base.value, head.value)) * min(base.support, head.support)
    if is_auc and misplaced < _FEW_MISPLACED:
        return "so near to 1 that the interval may be too short"
    return ""


def _insufficient(base: Influence, head: Influence, reason: str) -> Insufficient:
    return Insufficient(reason=reason, n=base.psi.size, base=base.value, head=head.value)
