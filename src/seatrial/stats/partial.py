"""Estimates from parts: each chunk of rows is summed, the sums merge in any order, and the answer is made at the end.

`collect` a `Partial` of each chunk, `merge` them, `finish`. Metrics of ranks need a second pass over the same rows: of
what `make_tables` gives of the merged first pass, `collect_ranks` of each chunk, `merge_ranks`, and give the result to
`finish`. Answers are those of `estimates.estimate` on all rows at once: counts exactly, sums to rounding, metrics of
ranks as of scores rounded to their bins, with a bound in the caution.

A Partial's size does not depend on its rows: 64 bytes for a pair of thresholds, a few numbers for a loss, 32 bytes for
each bin of scores. For slices keep one for each, with coarser bins, and merge those of the same key (`merge_slices`).

Binary classification, regression and scores can be summed in parts; weighted rows, multi-class and rankings can not
yet. A unit with several draws must be in one chunk as a whole; a cluster may be in many, but memory grows with the
number of clusters (see `partial_clusters`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.binary import NO_PROBABILITIES, BinarySample
from seatrial.stats.cells import encode
from seatrial.stats.influence import Floats, Undefined
from seatrial.stats.names import SPECS, Measure, Task
from seatrial.stats.outline import Outline, Side, Sides, Squares, conclude
from seatrial.stats.paired import Estimate, Insufficient, explain_undefined
from seatrial.stats.partial_clusters import ClusterSide, ClusterSums, jackknife, sum_columns
from seatrial.stats.partial_counts import DecisionCounts
from seatrial.stats.partial_moments import Differentiated, Moments, differentiate
from seatrial.stats.partial_ranks import (
    PROBABILITY_EDGES,
    RankCounts,
    RankMetric,
    RankSquares,
    RankTable,
)
from seatrial.stats.regression import ALL_THE_SAME, ALL_ZERO, OVERFLOW, RegressionSample, divide_by_zeros
from seatrial.stats.sample import find_spec
from seatrial.stats.scores import TOO_LARGE, ScoreSample
from seatrial.stats.spread import Spread
from seatrial.stats.units import Grouping

Key = TypeVar("Key", bound=Hashable)
Chunk = BinarySample | RegressionSample | ScoreSample

_RANKS = ("roc_auc", "average_precision")
_LOSSES = ("log_loss", "brier")
_NO_ROWS = Undefined(reason="there are no rows")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Partial:
    """What is known of some rows: sums for each metric, by its measure.

    `same` tells of each metric whether all answers that it sees are. `refused` counts the rows (of the baseline, of the
    candidate) for which a loss has no value. `lowest` and `highest` are of the truth; `tally` is of scores, where
    all are 0 or 1.
    """

    task: Task
    n: int
    counts: Mapping[Measure, DecisionCounts]
    moments: Mapping[Measure, Moments]
    ranks: RankCounts | None
    same: Mapping[Measure, bool]
    refused: Mapping[Measure, tuple[int, int]]
    centre: float
    lowest: float
    highest: float
    tally: Tally
    clusters: ClusterSums | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Whether each side's scores are 0 or 1 alone, and if so how many are 1 on one side, or with the candidate."""

    base_is_share: bool
    head_is_share: bool
    gained: int
    lost: int
    hits: int

    def merge(self, other: Tally) -> Tally:
        """Of both."""
        return Tally(
            base_is_share=self.base_is_share and other.base_is_share,
            head_is_share=self.head_is_share and other.head_is_share,
            gained=self.gained + other.gained,
            lost=self.lost + other.lost,
            hits=self.hits + other.hits,
        )


def collect(
    base: Chunk,
    head: Chunk,
    measures: Sequence[Measure],
    *,
    edges: Floats = PROBABILITY_EDGES,
    centre: float = 0.0,
    groups: NDArray[np.generic] | None = None,
) -> Partial:
    """Sum one chunk, both samples being of the same rows in the same order; none is fine.

    `edges` are the inner edges of the bins of scores; `centre` is taken from the truth before it is squared for R²,
    and should be near its mean (R² loses digits where it is many standard deviations away). Both must be the same for
    all chunks. `groups` (n,) names each unit's cluster, where units are not independent of each other.
    ValueError for samples that do not fit together, weights, and unknown metrics or settings.
    """
    _check_pair(base, head)
    for measure in measures:
        find_spec(base.task, measure)
    losses = {
        measure: _list_losses(base, head, measure, centre=centre)
        for measure in measures
        if not isinstance(base, BinarySample) or measure.name in _LOSSES
    }
    truth = base.truth if isinstance(base, RegressionSample) else np.empty(0)
    return Partial(
        task=base.task,
        n=base.size,
        counts=_count_decisions(base, head, measures),
        moments={measure: _sum_losses(rows) for measure, (rows, _) in losses.items()},
        ranks=_count_ranks(base, head, measures, edges),
        same={measure: _are_same(base, head, measure) for measure in measures},
        refused={measure: refused for measure, (_, refused) in losses.items()},
        centre=centre,
        lowest=float(truth.min()) if truth.size else np.inf,
        highest=float(truth.max()) if truth.size else -np.inf,
        tally=_tally(base, head),
        clusters=None if groups is None else _sum_clusters(base, head, measures, losses, groups),
    )


def merge(one: Partial, other: Partial) -> Partial:
    """The sums of both; in any order and grouping. ValueError if they are of other tasks, metrics, bins or centres."""
    if (one.clusters is None) is not (other.clusters is None):
        raise ValueError("sums with clusters and sums without can't be merged")
    if one.task is not other.task or one.same.keys() != other.same.keys() or one.centre != other.centre:
        raise ValueError("sums of other tasks, metrics or centres can't be merged")
    return Partial(
        task=one.task,
        n=one.n + other.n,
        counts={measure: counts.merge(other.counts[measure]) for measure, counts in one.counts.items()},
        moments={measure: moments.merge(other.moments[measure]) for measure, moments in one.moments.items()},
        ranks=None if one.ranks is None or other.ranks is None else one.ranks.merge(other.ranks),
        same={measure: same and other.same[measure] for measure, same in one.same.items()},
        refused={
            measure: (rows[0] + other.refused[measure][0], rows[1] + other.refused[measure][1])
            for measure, rows in one.refused.items()
        },
        centre=one.centre,
        lowest=min(one.lowest, other.lowest),
        highest=max(one.highest, other.highest),
        tally=one.tally.merge(other.tally),
        clusters=None if one.clusters is None or other.clusters is None else one.clusters.merge(other.clusters),
    )


def merge_slices(one: Mapping[Key, Partial], other: Mapping[Key, Partial]) -> dict[Key, Partial]:
    """The sums of both by the slice's key; a slice that only one has is kept as it is."""
    merged = dict(one)
    for key, partial in other.items():
        merged[key] = merge(merged[key], partial) if key in merged else partial
    return merged


def make_tables(partial: Partial) -> dict[Measure, RankTable]:
    """What the second pass looks up; a metric of ranks that has no value is not among them."""
    if partial.ranks is None:
        return {}
    tables = {
        measure: partial.ranks.table(cast("RankMetric", measure.name))
        for measure in partial.same
        if measure.name in _RANKS
    }
    return {measure: table for measure, table in tables.items() if isinstance(table, RankTable)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankSums:
    """The second pass: squares by metric, and the sums of influences (clusters, 2) of both sides by cluster."""

    squares: Mapping[Measure, RankSquares]
    clusters: ClusterSums | None = None


def collect_ranks(
    base: Chunk, head: Chunk, tables: Mapping[Measure, RankTable], *, groups: NDArray[np.generic] | None = None
) -> RankSums:
    """The second pass over one chunk, with the same `groups`; ValueError for samples that do not fit together."""
    _check_pair(base, head)
    if not isinstance(base, BinarySample) or not isinstance(head, BinarySample):
        return RankSums(squares={})
    squares = {measure: table.square(base.label, base.score, head.score) for measure, table in tables.items()}
    if groups is None:
        return RankSums(squares=squares)
    grouping = _group(groups, base.size)
    sums = {
        measure: sum_columns(
            grouping.code, grouping.names.size, np.stack(table.look_up(base.label, base.score, head.score))
        )
        for measure, table in tables.items()
    }
    return RankSums(squares=squares, clusters=ClusterSums.of(grouping, sums))


def merge_ranks(one: RankSums, other: RankSums) -> RankSums:
    """The sums of both; ValueError if they are of other metrics, or only one has clusters."""
    if one.squares.keys() != other.squares.keys() or (one.clusters is None) is not (other.clusters is None):
        raise ValueError("sums of other metrics, or with and without clusters, can't be merged")
    squares = {measure: squares.merge(other.squares[measure]) for measure, squares in one.squares.items()}
    both = None if one.clusters is None or other.clusters is None else one.clusters.merge(other.clusters)
    return RankSums(squares=squares, clusters=both)


def finish(
    partial: Partial, ranks: RankSums | None = None, *, level: float = 0.95
) -> dict[Measure, Estimate | Insufficient]:
    """The estimates of all metrics, in the order in which they were asked for.

    `ranks` are the sums of the second pass. ValueError if a metric of ranks has none, or of other rows.
    """
    answers: dict[Measure, Estimate | Insufficient] = {}
    for measure in partial.same:
        spec = SPECS[partial.task][measure.name]
        found = _outline(partial, measure, RankSums(squares={}) if ranks is None else ranks)
        if isinstance(found, Outline):
            answers[measure] = conclude(found, level=level, bounds=(spec.low, spec.high))
        else:
            answers[measure] = explain_undefined(*found, n=partial.n)
    return answers


def _check_pair(base: Chunk, head: Chunk) -> None:
    if base.task is not head.task or base.size != head.size:
        raise ValueError("the baseline and the candidate are not of the same task and units")
    if base.weight is not None or head.weight is not None:
        raise ValueError("weighted rows can't be summed in parts")
    if isinstance(base, BinarySample) and isinstance(head, BinarySample):
        same = np.array_equal(base.label, head.label)
    elif isinstance(base, RegressionSample) and isinstance(head, RegressionSample):
        same = np.array_equal(base.truth, head.truth)
    else:
        same = True
    if not same:
        raise ValueError("the baseline and the candidate have other truths")


def _are_same(base: Chunk, head: Chunk, measure: Measure) -> bool:
    match base, head:
        case BinarySample(), BinarySample():
            return base.answers_like(head, measure)
        case RegressionSample(), RegressionSample():
            return base.answers_like(head, measure)
        case ScoreSample(), ScoreSample():
            return base.answers_like(head, measure)
        case _:
            return False


def _find_cuts(base: Chunk, head: Chunk, measures: Sequence[Measure]) -> dict[Measure, tuple[float, float]]:
    """The thresholds of both sides for each metric of decisions."""
    if not isinstance(base, BinarySample) or not isinstance(head, BinarySample):
        return {}
    return {
        measure: (base.cut(measure), head.cut(measure))
        for measure in measures
        if SPECS[Task.BINARY][measure.name].is_of_decisions
    }


def _count_decisions(base: Chunk, head: Chunk, measures: Sequence[Measure]) -> dict[Measure, DecisionCounts]:
    cuts = _find_cuts(base, head, measures)
    if not cuts or not isinstance(base, BinarySample) or not isinstance(head, BinarySample):
        return {}
    found = {
        cut: DecisionCounts.of(base.label, base.score >= cut[0], head.score >= cut[1]) for cut in set(cuts.values())
    }
    return {measure: found[cut] for measure, cut in cuts.items()}


def _count_ranks(base: Chunk, head: Chunk, measures: Sequence[Measure], edges: Floats) -> RankCounts | None:
    wanted = any(measure.name in _RANKS for measure in measures)
    if not wanted or not isinstance(base, BinarySample) or not isinstance(head, BinarySample):
        return None
    return RankCounts.of(base.label, base.score, head.score, edges)


def _tally(base: Chunk, head: Chunk) -> Tally:
    if not isinstance(base, ScoreSample) or not isinstance(head, ScoreSample):
        return Tally(base_is_share=False, head_is_share=False, gained=0, lost=0, hits=0)
    before, after = base.mean == 1, head.mean == 1
    return Tally(
        base_is_share=bool((before | (base.mean == 0)).all()),
        head_is_share=bool((after | (head.mean == 0)).all()),
        gained=int(np.count_nonzero(after & ~before)),
        lost=int(np.count_nonzero(before & ~after)),
        hits=int(np.count_nonzero(after)),
    )


def _sum_losses(rows: Floats) -> Moments:
    with np.errstate(over="ignore", invalid="ignore"):
        return Moments.of(rows)


def _sum_clusters(
    base: Chunk,
    head: Chunk,
    measures: Sequence[Measure],
    losses: Mapping[Measure, tuple[Floats, tuple[int, int]]],
    groups: NDArray[np.generic],
) -> ClusterSums:
    grouping = _group(groups, base.size)
    size = grouping.names.size
    sums: dict[Measure, NDArray[Any]] = {
        measure: sum_columns(grouping.code, size, rows) for measure, (rows, _) in losses.items()
    }
    of_cuts: dict[tuple[float, float], NDArray[np.int64]] = {}
    for measure, cut in _find_cuts(base, head, measures).items():
        if cut not in of_cuts and isinstance(base, BinarySample) and isinstance(head, BinarySample):
            cells = encode(base.label, base.score >= cut[0], head.score >= cut[1])
            of_cuts[cut] = np.bincount(grouping.code * 8 + cells, minlength=size * 8).reshape(size, 8).astype(np.int64)
        sums[measure] = of_cuts[cut]
    return ClusterSums.of(grouping, sums)


def _group(groups: NDArray[np.generic], n: int) -> Grouping:
    grouping = Grouping.of(groups)
    if grouping.code.size != n:
        raise ValueError("groups are not one name for each unit")
    return grouping


def _list_losses(base: Chunk, head: Chunk, measure: Measure, *, centre: float) -> tuple[Floats, tuple[int, int]]:
    """Of each row (k, n) loss, difference and what the metric needs else; and how many rows have no loss."""
    before, after = (_lose(side, measure) for side in (base, head))
    refused = _count_refused(base, before, measure), _count_refused(head, after, measure)
    # A side without losses counts as the other one, whose value is then still right.
    first = np.zeros(base.size) if before is None else before
    second = first if after is None else after
    rows = [first, second - first]
    if isinstance(base, RegressionSample) and measure.name == "wape":
        rows.append(np.abs(base.truth))
    if isinstance(base, RegressionSample) and measure.name == "r2":
        rows += [base.truth - centre, (base.truth - centre) ** 2]
    return np.stack(rows), refused


def _lose(side: Chunk, measure: Measure) -> Floats | None:
    """The loss (n,) of each row; None where there is none."""
    if side.size == 0:
        return np.empty(0)
    if isinstance(side, RegressionSample) and measure.name in {"rmse", "r2", "wape"}:
        name = "mae" if measure.name == "wape" else "mse"
        found = side.measure(Measure(name=name))
    else:
        found = side.measure(measure)
    if isinstance(found, Undefined):
        return None
    each: Floats = found.psi + found.value
    return each


def _count_refused(side: Chunk, losses: Floats | None, measure: Measure) -> int:
    if losses is not None:
        return 0
    if isinstance(side, RegressionSample) and measure.name == "mape":
        return side.size - int(np.count_nonzero(side.truth)) or side.size
    return side.size


def _outline(partial: Partial, measure: Measure, ranks: RankSums) -> Outline | Sides:
    if measure in partial.counts:
        cells = None if partial.clusters is None else partial.clusters.sums[measure]
        return partial.counts[measure].outline(measure, same=partial.same[measure], by_cluster=cells)
    if partial.ranks is not None and measure.name in _RANKS:
        return _outline_ranks(partial, partial.ranks, measure, ranks)
    return _outline_losses(partial, measure)


def _outline_ranks(partial: Partial, counts: RankCounts, measure: Measure, ranks: RankSums) -> Outline | Sides:
    name = cast("RankMetric", measure.name)
    table = counts.table(name)
    if not isinstance(table, RankTable):
        return table
    sums = ranks.squares.get(measure)
    has_clusters = (ranks.clusters is None) is (partial.clusters is None)
    if sums is None or int(sums.rows.sum()) != partial.n or not has_clusters:
        raise ValueError(f"{measure} needs the sums of a second pass over the same rows")
    support = table.head.support
    own: Spread | Undefined = sums.arrange(sums.head, name).find_spread(support=support)
    apart: Spread | Undefined = sums.arrange(sums.difference, name).find_spread(support=support)
    if ranks.clusters is not None:
        mass = ranks.clusters.rows.astype(np.float64)
        before, after = (ClusterSide(psi=psi, mass=mass, support=support) for psi in ranks.clusters.sums[measure].T)
        own, apart = jackknife(after, None, n=partial.n), jackknife(after, before, n=partial.n)
    base, head = (
        Side(value=one.value, support=support, spread=own, caution=one.caution) for one in (table.base, table.head)
    )
    return Outline(n=partial.n, base=base, head=head, difference=apart, same=partial.same[measure], caution=table.cost)


def _outline_losses(partial: Partial, measure: Measure) -> Outline | Sides:
    moments, n = partial.moments[measure], partial.n
    if n == 0:
        return _NO_ROWS, _NO_ROWS
    nothing = _find_refusal(partial, measure)
    if nothing is not None:
        return nothing, nothing
    found = differentiate(measure.name, moments.mean)
    refused = partial.refused[measure]
    if any(refused):
        reason = _explain(measure, refused[0] or refused[1])
        return (reason if refused[0] else found.base), (reason if refused[1] else found.head)
    return _outline_moments(partial, measure, found)


def _outline_moments(partial: Partial, measure: Measure, found: Differentiated) -> Outline | Sides:
    moments, tally, n = partial.moments[measure], partial.tally, partial.n
    if not (np.isfinite(moments.mean).all() and np.isfinite(moments.scatter).all()):
        reason = TOO_LARGE if measure.name == "mean" else OVERFLOW
        return reason, reason
    own: Spread | Undefined = Squares(total=moments.square(found.of_head), rows=n).find_spread(support=n)
    apart: Spread | Undefined = Squares(total=moments.square(found.of_difference), rows=n).find_spread(support=n)
    shares = partial.clusters is None and tally.base_is_share and tally.head_is_share
    if partial.clusters is not None:
        before, after = _gather(partial.clusters, measure, moments, found)
        own, apart = jackknife(after, None, n=n), jackknife(after, before, n=n)
    is_share = partial.clusters is None and tally.head_is_share
    return Outline(
        n=n,
        base=Side(value=found.base, support=n, spread=own),
        head=Side(value=found.head, support=n, spread=own, hits=tally.hits if is_share else None),
        difference=apart,
        discordant=(tally.gained, tally.lost) if shares else None,
        same=partial.same[measure],
    )


def _gather(
    clusters: ClusterSums, measure: Measure, moments: Moments, found: Differentiated
) -> tuple[ClusterSide, ClusterSide]:
    """Both sides by cluster; the mass is the denominator's for the WAPE, and the rows for all else."""
    sums: Floats = clusters.sums[measure]
    apart = sums - clusters.rows[:, np.newaxis] * moments.mean
    mass = sums[:, 2] if measure.name == "wape" else clusters.rows.astype(np.float64)
    before, after = (
        ClusterSide(psi=apart @ gradient, mass=mass, support=moments.n)
        for gradient in (found.of_head - found.of_difference, found.of_head)
    )
    return before, after


def _find_refusal(partial: Partial, measure: Measure) -> Undefined | None:
    """Why the truth itself leaves the metric without a value."""
    match measure.name:
        case "wape" if partial.lowest == partial.highest == 0:
            return ALL_ZERO
        case "r2" if partial.lowest == partial.highest:
            return ALL_THE_SAME
        case _:
            return None


def _explain(measure: Measure, rows: int) -> Undefined:
    if measure.name in _LOSSES:
        return Undefined(reason=NO_PROBABILITIES)
    if measure.name == "mape":
        return divide_by_zeros(rows)
    return TOO_LARGE if measure.name == "mean" else OVERFLOW
