"""The largest difference of a metric between groups, on both sides, and how sure its change is.

The gap is Fairlearn's `MetricFrame.difference(method="between_groups")`: the highest value of any group less the
lowest. Of noisy groups it is too large: even where all are equal, some group is the highest by luck, and the more so
the more groups there are and the smaller they are. So the values are given as they are (they are what others compute),
`base_bias` and `head_bias` say by how much they are likely to be too large, and the intervals are made to be safe:

- The low end of a side's gap is what some pair of groups differs by for sure, all pairs being looked at together
  (max-t over the draws). It is valid whatever the bias.
- The high end is the gap plus the spread of the draws, which the bias only makes safer.
- The interval of the change is the spread of the drawn changes, and reaches further to one side by what the biases of
  the two sides differ.

In simulations of 3 to 20 groups of 400 rows a side's nominal 95 % interval held the true gap in 94 to 100 % of cases,
that of the change in 96 to 99 %, but in 87 % where all groups were truly equal on one side and far apart on the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seatrial.stats.bootstrap import REPLICATES, SMOOTHING, draw_cells
from seatrial.stats.cells import measure_tables
from seatrial.stats.influence import Floats, Undefined
from seatrial.stats.shrinkage import shrink

# All pairs of groups are looked at in each draw: with many groups, fewer draws are enough for their quantile.
_FEWEST_DRAWS = 1000
_MOST_STEPS = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The gap on both sides, its change `delta` = head − base with interval low…high, and the candidate's own interval.

    `highest` and `lowest` are the positions of the groups that make the candidate's gap. `groups` were compared,
    `left_out` have no value on one side or the other.
    """

    base: float
    head: float
    delta: float
    low: float
    high: float
    head_low: float
    head_high: float
    base_bias: float
    head_bias: float
    highest: int
    lowest: int
    groups: int
    left_out: int
    level: float
    replicates: int


def gap_of_cells(
    cells: ArrayLike,
    name: str,
    *,
    beta: float = 1.0,
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
    smoothing: float = SMOOTHING,
) -> Gap | Undefined:
    """The gap of a metric of decisions, from counts (groups, 2, 2, 2) by label, baseline's and candidate's decision.

    Each group's counts are drawn anew, both sides' together. `name` is as in `measure_tables`, `smoothing` as in
    `bootstrap_cells`. Undefined with fewer than two groups that have values; ValueError for an unknown name, another
    shape, or counts that are not whole and at least 0.
    """
    counts = np.asarray(cells, dtype=np.float64)
    if counts.ndim != 4 or counts.shape[1:] != (2, 2, 2):
        raise ValueError(f"counts of the shape {counts.shape} are not (groups, 2, 2, 2)")

    def sides(tables: NDArray[np.float64]) -> Floats:
        joint = tables.reshape(-1, 2, 2, 2)
        both = joint.sum(axis=3), joint.sum(axis=2)
        return np.stack([measure_tables(one, name, beta=beta) for one in both], axis=1)

    def draw(group: int) -> Floats:
        seeds = (seed, group)
        return sides(draw_cells(counts[group].ravel(), replicates=replicates, seed=seeds, smoothing=smoothing))

    return _find_gap(sides(counts), draw, level=level, replicates=replicates)


def gap_of_estimates(
    values: ArrayLike,
    covariance: ArrayLike,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> Gap | Undefined:
    """The gap of any metric, from values (groups, 2) of both sides and their covariances (groups, 2, 2).

    Groups are independent, and each one's pair of values is drawn from a normal distribution: they must be large
    enough for that. NaN values are left out. Undefined with fewer than two groups that have values; ValueError for
    other shapes, and for covariances that are not finite or can't be (a negative variance, a correlation beyond ±1).
    """
    pairs, spread = np.asarray(values, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or spread.shape != (pairs.shape[0], 2, 2):
        raise ValueError("values and covariances are not (groups, 2) and (groups, 2, 2)")
    roots = {group: _root(spread[group]) for group in np.flatnonzero(np.isfinite(pairs).all(axis=1)).tolist()}

    def draw(group: int) -> Floats:
        normal = np.random.default_rng((seed, group)).standard_normal((replicates, 2))
        drawn: Floats = pairs[group] + normal @ roots[group].T
        return drawn

    return _find_gap(pairs, draw, level=level, replicates=replicates)


def _root(covariance: Floats) -> Floats:
    """A matrix whose product with its transpose is the covariance, which may be singular."""
    if not np.isfinite(covariance).all() or covariance[0, 1] != covariance[1, 0]:
        raise ValueError("a covariance is not finite and symmetric")
    eigenvalues, vectors = np.linalg.eigh(covariance)
    if eigenvalues.min() < -1e-9 * max(float(eigenvalues.max()), 0.0):
        raise ValueError("a covariance has a negative variance, or a correlation beyond 1")
    root: Floats = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    return root


def _find_gap(values: Floats, draw: Callable[[int], Floats], *, level: float, replicates: int) -> Gap | Undefined:
    """The gap of values (groups, 2), `draw` giving (replicates, 2) of a group."""
    counted = np.flatnonzero(np.isfinite(values).all(axis=1))
    if counted.size < 2:
        return Undefined(reason=f"{counted.size} of {values.shape[0]} groups have a value, and 2 are needed")
    pairs = values[counted]
    noise = _draw_noise(draw, counted.tolist(), replicates)
    base, head = (_measure_side(pairs[:, side], noise[:, :, side]) for side in (0, 1))
    low, high = _ends(head.drawn - base.drawn, level)
    apart = head.bias - base.bias
    return Gap(
        base=base.gap,
        head=head.gap,
        delta=head.gap - base.gap,
        low=head.gap - base.gap + low - max(apart, 0.0),
        high=head.gap - base.gap + high - min(apart, 0.0),
        head_low=_proven_difference(pairs[:, 1], noise[:, :, 1], (1 + level) / 2),
        head_high=head.gap + _ends(head.drawn, level)[1],
        base_bias=base.bias,
        head_bias=head.bias,
        highest=int(counted[np.argmax(pairs[:, 1])]),
        lowest=int(counted[np.argmin(pairs[:, 1])]),
        groups=int(counted.size),
        left_out=int(values.shape[0] - counted.size),
        level=level,
        replicates=replicates,
    )


def _draw_noise(draw: Callable[[int], Floats], groups: Sequence[int], replicates: int) -> Floats:
    """What the draws of each group (groups, replicates, 2) differ from their mean, 0 where a draw has no value."""
    noise = np.empty((len(groups), replicates, 2))
    for at, group in enumerate(groups):
        drawn = draw(group)
        noise[at] = np.nan_to_num(drawn - np.nanmean(drawn, axis=0))
    return noise


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Side:
    gap: float
    bias: float
    drawn: Floats


def _measure_side(values: Floats, noise: Floats) -> _Side:
    """One side's gap from values (groups,) and noise (groups, replicates)."""
    drawn = np.ptp(values[:, np.newaxis] + noise, axis=0)
    centres = _centre(values, noise.std(axis=1))
    bias = float(np.ptp(centres[:, np.newaxis] + noise, axis=0).mean() - np.ptp(centres))
    return _Side(gap=float(np.ptp(values)), bias=bias, drawn=drawn)


def _ends(drawn: Floats, level: float) -> tuple[float, float]:
    """The quantiles of the draws about their mean."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low - drawn.mean()), float(high - drawn.mean())


def _centre(values: Floats, se: Floats) -> Floats:
    """Values drawn towards their mean until they vary as much as the true ones are estimated to.

    The factor is √(τ²/(τ² + SE²)), the root of the usual shrinkage, which would make them vary less than that
    (Louis 1984, JASA). The bias of a gap depends on how far apart groups truly are: noise added to the observed values,
    which lie too far apart, would show too little of it.
    """
    fit = shrink(values, se, centre=None)
    total = fit.between + se**2
    kept = np.sqrt(np.divide(fit.between, total, out=np.ones_like(total), where=total > 0))
    centres: Floats = fit.centre + (values - fit.centre) * kept
    return centres


def _proven_difference(values: Floats, noise: Floats, level: float) -> float:
    """The largest one-sided lower bound of any two groups' difference, valid for all pairs at once; at least 0."""
    groups, se = values.size, noise.std(axis=1)
    draws = noise[:, : max(_FEWEST_DRAWS, _MOST_STEPS // groups**2)]
    apart = np.sqrt(se[:, np.newaxis] ** 2 + se**2)
    scale = np.where(apart > 0, apart, np.inf)
    highest = np.zeros(draws.shape[1])
    for group in range(groups):
        np.maximum(highest, ((draws[group] - draws) / scale[group][:, np.newaxis]).max(axis=0), out=highest)
    reach = float(np.quantile(highest, level))
    return max(float((values[:, np.newaxis] - values - reach * apart).max()), 0.0)
