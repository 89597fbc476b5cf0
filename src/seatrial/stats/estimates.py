"""From two models' answers to estimates of all metrics, on the whole and by slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.influence import Influence, Undefined
from seatrial.stats.names import Measure
from seatrial.stats.paired import Estimate, Insufficient, explain_undefined, identical, paired_interval
from seatrial.stats.sample import Sample, find_spec
from seatrial.stats.spread import Clusters


def estimate(
    base: Sample,
    head: Sample,
    measures: Sequence[Measure],
    *,
    level: float = 0.95,
    groups: NDArray[np.generic] | None = None,
) -> dict[Measure, Estimate | Insufficient]:
    """Estimate head − base for each metric, both samples being of the same n units in the same order.

    `groups` (n,) names each unit's cluster, where units are not independent of each other. Raises ValueError for
    samples that do not fit together, and for a metric or setting that the task does not have.
    """
    _check_pair(base, head, level=level)
    return _estimate(base, head, measures, level=level, clusters=_cluster(groups, base.size))


def estimate_slices(
    base: Sample,
    head: Sample,
    measures: Sequence[Measure],
    codes: NDArray[np.integer[Any]],
    *,
    min_n: int,
    level: float = 0.95,
    groups: NDArray[np.generic] | None = None,
) -> dict[int, dict[Measure, Estimate | Insufficient]]:
    """The estimates of each slice that has `min_n` units or more, by its code, the lowest first.

    `codes` (n,) are each unit's slice; units with a negative code are in none. Errors are those of `estimate`.
    """
    _check_pair(base, head, level=level)
    clusters = _cluster(groups, base.size)
    # Sorted once, each slice is a stretch of neighbours, and selecting it copies nothing.
    order, stretches = sort_slices(codes, base.size, min_n=min_n)
    before, after = base.select(order), head.select(order)
    neighbours = None if clusters is None else Clusters(code=clusters.code[order], count=clusters.count)
    return {
        code: _estimate(
            before.select(units),
            after.select(units),
            measures,
            level=level,
            clusters=None if neighbours is None else neighbours.select(units),
        )
        for code, units in stretches
    }


def sort_slices(
    codes: NDArray[np.integer[Any]], n: int, *, min_n: int
) -> tuple[NDArray[np.intp], tuple[tuple[int, slice], ...]]:
    """The order (n,) in which units of one slice stand together, and where each slice of `min_n` units then lies.

    `codes` (n,) are each unit's slice, negative for none; ValueError unless they are one integer for each unit.
    """
    if codes.shape != (n,) or codes.dtype.kind not in "iu":
        raise ValueError("slices are not one integer code for each unit")
    order = np.argsort(_narrow(codes), kind="stable")
    found = _stretches(codes[order])
    return order, tuple((c, units) for c, units in found if c >= 0 and units.stop - units.start >= max(min_n, 1))


def measure_one(sample: Sample, measures: Sequence[Measure]) -> dict[Measure, float | Undefined]:
    """Each metric's value on one side alone; errors are those of `estimate`."""
    return {measure: _value(sample.measure(measure)) for measure in measures}


def _estimate(
    base: Sample, head: Sample, measures: Sequence[Measure], *, level: float, clusters: Clusters | None
) -> dict[Measure, Estimate | Insufficient]:
    answers: dict[Measure, Estimate | Insufficient] = {}
    for measure in measures:
        before, after = base.measure(measure), head.measure(measure)
        spec = find_spec(head.task, measure)
        bounds = (spec.low, spec.high)
        if isinstance(before, Undefined) or isinstance(after, Undefined):
            answers[measure] = explain_undefined(_value(before), _value(after), n=head.size)
        elif base.answers_like(head, measure):
            answers[measure] = identical(after, level=level, clusters=clusters, bounds=bounds)
        else:
            answers[measure] = paired_interval(before, after, level=level, clusters=clusters, bounds=bounds)
    return answers


def _value(found: Influence | Undefined) -> float | Undefined:
    return found if isinstance(found, Undefined) else found.value


def _check_pair(base: Sample, head: Sample, *, level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"the level {level} is not between 0 and 1")
    if base.task is not head.task:
        raise ValueError(f"the baseline's task is {base.task.value}, the candidate's {head.task.value}")
    if base.size != head.size:
        raise ValueError(f"the baseline has {base.size} units, the candidate {head.size}")


def _cluster(groups: NDArray[np.generic] | None, n: int) -> Clusters | None:
    if groups is None:
        return None
    if groups.shape != (n,):
        raise ValueError("groups are not one name for each unit")
    return Clusters.of(groups)


def _narrow(codes: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """The same codes in 16 bits if they fit, which numpy sorts in linear time."""
    bounds = np.iinfo(np.int16)
    fits = codes.size == 0 or (codes.min() >= bounds.min and codes.max() <= bounds.max)
    return codes.astype(np.int16) if fits else codes


def _stretches(codes: NDArray[np.integer[Any]]) -> Iterator[tuple[int, slice]]:
    """Each code of a sorted array, and where its stretch lies."""
    edges = [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist(), codes.size]
    for start, stop in pairwise(edges):
        if start < stop:
            yield int(codes[start]), slice(start, stop)
