"""Intervals of metrics that are functions of cell counts, by drawing the counts anew.

Rows that fall into the same cell are alike, so that resampling n rows is one multinomial draw of the counts: its cost
does not depend on n. The seed is fixed: the same counts give the same interval.

A cell that is empty by chance stays empty in every plain draw, so that intervals of small counts are far too short:
simulated differences of F1, precision and recall on 30 to 200 rows were covered by nominal 95 % percentile intervals in
55 to 94 % of cases, and by BCa ones in 54 to 92 %. With a pseudo-count in each cell before drawing it is 94 to 99.6 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seatrial.stats.influence import Floats, Undefined

REPLICATES = 10_000
# Rows that are added to each cell's probability, not to the value.
SMOOTHING = 0.25
# With a larger share of draws that have no value, the interval of the rest would mislead.
_MOST_UNDEFINED = 0.01

Statistic: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellInterval:
    """A statistic's value on the counts, its standard error over the draws and its percentile interval low…high."""

    value: float
    se: float
    low: float
    high: float
    level: float
    replicates: int


def bootstrap_cells(
    counts: ArrayLike,
    statistic: Statistic,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
    smoothing: float = SMOOTHING,
) -> CellInterval | Undefined:
    """The percentile interval of `statistic` over multinomial draws of the counts (cells,).

    `statistic` maps counts (draws, cells), floats, to values (draws,), NaN where it has none. It must not depend on the
    scale of the counts by more than rounding. `smoothing` rows are added to each cell before drawing. Undefined
    where the statistic has no value on the counts, or in more than one draw of a hundred. ValueError for counts that
    are not whole and at least 0.
    """
    observed = _check(counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(observed[np.newaxis])[0])
        if not np.isfinite(value):
            return Undefined(reason="it has no value on these counts")
        drawn = statistic(draw_cells(observed, replicates=replicates, seed=seed, smoothing=smoothing))
    known = drawn[np.isfinite(drawn)]
    if known.size < (1 - _MOST_UNDEFINED) * drawn.size:
        return Undefined(reason=f"it has no value in {1 - known.size / drawn.size:.0%} of resamples")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    # A value at the edge of what can be (a recall of 1) may lie outside of all draws, never of its interval.
    ends = min(float(low), value), max(float(high), value)
    return CellInterval(
        value=value, se=float(known.std()), low=ends[0], high=ends[1], level=level, replicates=replicates
    )


def draw_cells(
    counts: ArrayLike, *, replicates: int = REPLICATES, seed: int | tuple[int, ...] = 0, smoothing: float = SMOOTHING
) -> Floats:
    """Multinomial draws (replicates, cells) of as many rows as the counts (cells,) hold.

    `seed` may be several numbers, so that each of many draws has its own stream. ValueError as in `bootstrap_cells`.
    """
    observed = _check(counts)
    if not (np.isfinite(smoothing) and smoothing >= 0):
        raise ValueError(f"the smoothing {smoothing} is not a number of 0 or above")
    rows = int(observed.sum())
    if rows == 0:
        return np.zeros((replicates, observed.size))
    share = (observed + smoothing) / (rows + smoothing * observed.size)
    return np.random.default_rng(seed).multinomial(rows, share / share.sum(), size=replicates).astype(np.float64)


def _check(counts: ArrayLike) -> Floats:
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim != 1 or not (np.isfinite(values).all() and (values >= 0).all() and (values % 1 == 0).all()):
        raise ValueError("counts are not a row of whole numbers of 0 or above")
    return values
