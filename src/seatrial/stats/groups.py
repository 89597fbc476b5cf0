"""From samples to gaps: a metric in each group of a column, with how sure both sides' values are together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.cells import encode
from seatrial.stats.estimates import sort_slices
from seatrial.stats.gaps import Gap, gap_of_cells, gap_of_estimates
from seatrial.stats.influence import Floats, Influence, Undefined
from seatrial.stats.names import SPECS, Measure, Task
from seatrial.stats.sample import Sample
from seatrial.stats.spread import Clusters
from seatrial.stats.unpaired import Side

_FEW = 2


def compare_groups(
    base: Sample,
    head: Sample,
    measure: Measure,
    codes: NDArray[np.integer[Any]],
    *,
    count: int,
    min_n: int,
    clusters: NDArray[np.integer[Any]] | None = None,
) -> Gap | Undefined:
    """The largest difference of a metric between `count` groups, on both sides.

    `codes` (n,) are the units' groups, negative for none; those with fewer than `min_n` units have no value. Decisions
    of independent rows are drawn as counts, everything else from the covariance of the two sides' influences, summed
    by `clusters` (n,) first.
    """
    sizes = np.bincount(codes[codes >= 0], minlength=count)
    large = [code for code in range(count) if sizes[code] >= max(min_n, _FEW)]
    units = {code: np.flatnonzero(codes == code) for code in large}
    if clusters is None and _is_of_plain_decisions(head, measure):
        return gap_of_cells(_count_cells(base, head, measure, units, count), measure.name, beta=measure.beta or 1.0)
    values = np.full((count, 2), np.nan)
    covariance = np.zeros((count, 2, 2))
    for code, chosen in units.items():
        found = [side.select(chosen).measure(measure) for side in (base, head)]
        if isinstance(found[0], Undefined) or isinstance(found[1], Undefined):
            continue
        values[code] = [found[0].value, found[1].value]
        covariance[code] = _covary(found[0], found[1], None if clusters is None else clusters[chosen])
    return gap_of_estimates(values, covariance)


def compare_groups_unpaired(
    base: Side,
    head: Side,
    measure: Measure,
    codes: tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]],
    *,
    count: int,
    min_n: int,
) -> Gap | Undefined:
    """The largest difference of a metric between `count` groups, each side having units of its own.

    `codes` are the units' groups, (units of base,) and (units of head,), numbered alike and negative for none; a group
    counts that has `min_n` units on both sides.
    """
    values = np.full((count, 2), np.nan)
    covariance = np.zeros((count, 2, 2))
    for position, (side, numbers) in enumerate(zip((base, head), codes, strict=True)):
        order, stretches = sort_slices(numbers, side.sample.size, min_n=max(min_n, _FEW))
        ordered = side.select(order)
        for code, units in stretches:
            one = ordered.select(units)
            found = one.sample.measure(measure)
            if not isinstance(found, Undefined):
                values[code, position] = found.value
                groups = None if one.clusters is None else one.clusters.code
                covariance[code, position, position] = _covary(found, found, groups)[0, 0]
    values[np.isnan(values).any(axis=1)] = np.nan
    return gap_of_estimates(values, covariance)


def _is_of_plain_decisions(sample: Sample, measure: Measure) -> bool:
    of_decisions = SPECS[sample.task][measure.name].is_of_decisions
    return sample.task is Task.BINARY and of_decisions and getattr(sample, "weight", None) is None


def _count_cells(
    base: Any, head: Any, measure: Measure, units: dict[int, NDArray[np.intp]], count: int
) -> NDArray[np.float64]:
    """Counts (groups, 2, 2, 2) by label and both sides' decisions; samples are binary ones."""
    cells = np.zeros((count, 2, 2, 2))
    before, after = (side.score >= side.cut(measure) for side in (base, head))
    joint = encode(head.label, before, after)
    for code, chosen in units.items():
        cells[code] = np.bincount(joint[chosen], minlength=8).reshape(2, 2, 2)
    return cells


def _covary(base: Influence, head: Influence, clusters: NDArray[np.integer[Any]] | None) -> Floats:
    """The covariance (2, 2) of two metrics of the same units: Σ ψψᵀ / (n(n − 1)), of clusters' sums where given."""
    psi = np.stack([base.psi, head.psi])
    n = psi.shape[1]
    if clusters is not None:
        summed = Clusters.of(clusters)
        psi = np.stack([summed.sum(row) for row in psi])
    parts = psi.shape[1]
    covariance: Floats = psi @ psi.T / n**2 * (parts / max(parts - 1, 1))
    return covariance
