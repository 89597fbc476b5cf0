"""How far the distribution of a column has moved: effect sizes, with their noise.

PSI is the population stability index Σ (h − b)·ln(h/b) over the shares of bins, Jeffreys' divergence. With no change
at all it is about (1/n + 1/m)·χ² of bins − 1 degrees of freedom, so that a fixed limit means nothing without n and m:
`psi_limit` is the larger of 0.1 and the 95 % point of that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seatrial.stats.influence import Floats, Undefined

# What is called a moderate shift by custom.
PSI_CUSTOM = 0.1
BINS = 10
# Rows that are added to each bin, so that an empty one has a share; it vanishes as rows grow.
_PSEUDO_COUNT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far a column moved between two tables of n and m rows.

    `psi` is in nats, `psi_limit` as in the module; `jensen_shannon` is the distance, 0 to 1 (the root of the divergence
    in bits). `wasserstein` is, for numbers, the area between the distribution functions, in units of `scale`, the
    baseline's interquartile range (its standard deviation where that is 0); None where neither is above 0, or for
    categories. `base_counts` and `head_counts` are those of the bins; for numbers these lie between
    `edges`, one bin of missing values last if there are any. `novel` rows of the head are in categories that the
    baseline does not have.
    """

    n: int
    m: int
    psi: float
    psi_limit: float
    jensen_shannon: float
    wasserstein: float | None
    scale: float | None
    base_counts: tuple[int, ...]
    head_counts: tuple[int, ...]
    edges: tuple[float, ...]
    base_missing: int
    head_missing: int
    novel: int


def measure_psi(base: ArrayLike, head: ArrayLike) -> float:
    """Population stability index of counts (bins,) and (bins,), half a row being added to each bin.

    ValueError unless both are counts of as many bins, and neither is empty.
    """
    before, after = (_share(one, _PSEUDO_COUNT) for one in _check_counts(base, head))
    return float((after - before) @ np.log(after / before))


def limit_psi(n: int, m: int, bins: int, *, level: float = 0.95) -> float:
    """The larger of 0.1 and the quantile of the PSI of n and m rows that did not change."""
    if min(n, m) < 1 or bins < 1:
        raise ValueError(f"{bins} bins of {n} and {m} rows have no PSI")
    if bins == 1:
        return PSI_CUSTOM
    # Imported here because it costs more than numpy.
    from scipy.special import chdtri

    return max(PSI_CUSTOM, (1 / n + 1 / m) * float(chdtri(bins - 1, 1 - level)))


def bound_psi(n: int, m: int, bins: int, *, level: float) -> float:
    """The quantile of the PSI of n and m rows that did not change, where there is no scipy to look it up.

    By the cube root of χ² (Wilson and Hilferty 1931): for 10 bins within 2 % up to a level of 0.99999; for 2 bins up to
    11 % above it there, and 3 % below at 0.95.
    """
    freedom = max(bins - 1, 1)
    spread = 2 / (9 * freedom)
    return (1 / n + 1 / m) * freedom * (1 - spread + NormalDist().inv_cdf(level) * math.sqrt(spread)) ** 3


def measure_jensen_shannon(base: ArrayLike, head: ArrayLike) -> float:
    """Jensen–Shannon distance of counts (bins,) and (bins,), 0 to 1: the root of the divergence in bits (Lin 1991)."""
    before, after = (_share(one, 0.0) for one in _check_counts(base, head))
    middle = (before + after) / 2
    return math.sqrt(max(_entropy(middle) - (_entropy(before) + _entropy(after)) / 2, 0.0))


def measure_wasserstein(base: ArrayLike, head: ArrayLike) -> float:
    """Wasserstein-1 distance of two samples (n,) and (m,), in the column's own unit.

    The area between the empirical distribution functions. ValueError if one is empty or not finite.
    """
    before, after = np.sort(_numbers(base)), np.sort(_numbers(head))
    both = np.concatenate((before, after))
    # Two sorted runs are merged by a stable sort in linear time. Between ties the step has no width.
    order = np.argsort(both, kind="stable")
    passed = np.cumsum(order < before.size)[:-1]
    of_base, of_head = passed / before.size, (np.arange(1, both.size) - passed) / after.size
    return float(np.abs(of_base - of_head) @ np.diff(both[order]))


def compare_numbers(base: ArrayLike, head: ArrayLike, *, bins: int = BINS) -> Drift | Undefined:
    """Drift of a numeric column (n,) and (m,); NaN is missing, and a bin of its own.

    Bins are the baseline's quantiles, fewer where these coincide; the outer ones are open. Infinite values are
    binned, and left out of the Wasserstein distance. Undefined where a table is empty or the baseline has no value.
    """
    before, after = np.asarray(base, dtype=np.float64), np.asarray(head, dtype=np.float64)
    if before.ndim != 1 or after.ndim != 1 or bins < 2:
        raise ValueError("a column is not a row of numbers, or has fewer than 2 bins")
    known = ~np.isnan(before), ~np.isnan(after)
    if before.size == 0 or after.size == 0 or not known[0].any():
        return Undefined(
            reason="there are no rows" if not (before.size and after.size) else "the baseline has no value"
        )
    edges = find_edges(before[known[0]], bins)
    missing = before.size - int(known[0].sum()), after.size - int(known[1].sum())
    counts = [
        np.append(count_numbers(one[here], edges), gone)
        for one, here, gone in zip((before, after), known, missing, strict=True)
    ]
    if not any(missing):
        counts = [one[:-1] for one in counts]
    wasserstein, scale = _scale_distance(before[np.isfinite(before)], after[np.isfinite(after)])
    return _join(counts[0], counts[1], edges=edges, missing=missing, wasserstein=wasserstein, scale=scale)


def compare_categories(
    base: Mapping[str, int], head: Mapping[str, int], *, base_missing: int = 0, head_missing: int = 0
) -> Drift | Undefined:
    """Drift of a column of categories from the number of rows in each; missing values are a category of their own.

    The bins are the categories of both, ascending. Undefined where a table is empty; ValueError for negative counts.
    """
    names = sorted({*base, *head})
    counts = [np.array([side.get(name, 0) for name in names], dtype=np.int64) for side in (base, head)]
    if base_missing or head_missing:
        counts = [np.append(one, gone) for one, gone in zip(counts, (base_missing, head_missing), strict=True)]
    if not (counts[0].sum() and counts[1].sum()):
        return Undefined(reason="there are no rows")
    novel = sum(rows for name, rows in head.items() if not base.get(name))
    return _join(counts[0], counts[1], missing=(base_missing, head_missing), novel=novel)


def _join(
    base: NDArray[np.int64],
    head: NDArray[np.int64],
    *,
    missing: tuple[int, int],
    edges: Floats | None = None,
    wasserstein: float | None = None,
    scale: float | None = None,
    novel: int = 0,
) -> Drift:
    n, m = int(base.sum()), int(head.sum())
    return Drift(
        n=n,
        m=m,
        psi=measure_psi(base, head),
        psi_limit=limit_psi(n, m, base.size),
        jensen_shannon=measure_jensen_shannon(base, head),
        wasserstein=wasserstein,
        scale=scale,
        base_counts=tuple(base.tolist()),
        head_counts=tuple(head.tolist()),
        edges=() if edges is None else tuple(edges.tolist()),
        base_missing=missing[0],
        head_missing=missing[1],
        novel=novel,
    )


def _check_counts(base: ArrayLike, head: ArrayLike) -> tuple[Floats, Floats]:
    before, after = np.asarray(base, dtype=np.float64), np.asarray(head, dtype=np.float64)
    if before.ndim != 1 or before.shape != after.shape:
        raise ValueError("counts are not of the same bins")
    for one in (before, after):
        if not (np.isfinite(one).all() and (one >= 0).all() and one.sum() > 0):
            raise ValueError("counts are not numbers of 0 or above, or are all 0")
    return before, after


def _share(counts: Floats, extra: float) -> Floats:
    share: Floats = (counts + extra) / (counts.sum() + extra * counts.size)
    return share


def _entropy(share: Floats) -> float:
    """In bits."""
    filled = share[share > 0]
    return -float(filled @ np.log2(filled))


def _numbers(values: ArrayLike) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size == 0 or not np.isfinite(numbers).all():
        raise ValueError("a sample is not a row of finite numbers")
    return numbers


def count_numbers(values: Floats, edges: Floats) -> NDArray[np.int64]:
    """How many of the values (n,) are in each bin (edges + 1,); none is NaN."""
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=edges.size + 1)


def find_edges(values: Floats, bins: int = BINS) -> Floats:
    """Inner edges at the quantiles, halfway to the next value that the baseline has; a value on one is below it.

    Up to 2·(bins − 1), of values (n,) that are not NaN.

    Were they the values themselves, a column of few values that is only scaled anew would leave all of its bins. A
    value so frequent that quantiles coincide is a bin by itself, so that what was constant is seen to move down too.
    """
    known = np.sort(values)
    edges, times = np.unique(known[(np.arange(1, bins) * known.size - 1) // bins], return_counts=True)
    below = known[np.maximum(np.searchsorted(known, edges, side="left") - 1, 0)]
    above = known[np.minimum(np.searchsorted(known, edges, side="right"), known.size - 1)]
    # The smallest and the largest have a neighbour on one side alone: as much room is left on the other.
    with np.errstate(invalid="ignore"):
        upper = edges / 2 + np.where(above > edges, above, edges + (edges - below)) / 2
        lower = edges / 2 + np.where(below < edges, below, edges - (above - edges)) / 2
    # Between infinite values, and beside a constant, there is no room.
    upper = np.where(np.isfinite(upper) & (upper >= edges), upper, edges)
    lower = np.where(np.isfinite(lower) & (lower < edges), lower, np.nextafter(edges, -np.inf))
    return np.union1d(upper, lower[times > 1])


def _scale_distance(base: Floats, head: Floats) -> tuple[float | None, float | None]:
    if base.size == 0 or head.size == 0:
        return None, None
    quartiles = np.quantile(base, [0.25, 0.75])
    scale = float(quartiles[1] - quartiles[0]) or float(base.std())
    if not (math.isfinite(scale) and scale > 0):
        return None, None
    return measure_wasserstein(base, head) / scale, scale
