"""Metrics of ranked documents, each the mean over queries of one value a query.

What all of them share:

- A document is relevant when its relevance is above 0. Only NDCG looks at how relevant it is, with linear gain and
  the discount 1 / log₂(1 + rank), as scikit-learn's `ndcg_score` does.
- Documents of one query with equal scores have no order. Each value is its expectation over all orders of them, in
  closed form (McSherry & Najork 2008, ECIR), so that neither luck nor the order of the rows can improve a model.
- A query without a relevant document says nothing about the order: it is left out of every mean, as trec_eval
  does, and has no influence. (`ndcg_score` counts it as 0.)
- A query of fewer than k documents still divides its precision@k by k.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seatrial.stats.influence import Floats, Influence, Undefined, count_effective, is_same, ratio_influence
from seatrial.stats.names import DEFAULT_CUTOFF, Measure, Task
from seatrial.stats.sample import Units, find_spec
from seatrial.stats.units import Grouping, Ints, rows_of, spread

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankingSample:
    """One model's scores of the documents of queries; the queries are the units, see `Sample`.

    `queries` (queries,) are their names, ascending: by these a caller maps columns to units. The documents stand by
    query and then by score, the highest first: those of query i are `start[i]` to `start[i + 1]` (queries + 1,).
    `document` is each one's row in what the sample was made of. `weight` (queries,) is each query's.
    """

    task: ClassVar[Task] = Task.RANKING

    queries: NDArray[np.generic]
    start: Ints
    document: Ints
    relevance: Floats
    score: Floats
    weight: Floats | None = None

    @classmethod
    def of(cls, query: ArrayLike, relevance: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Self:
        """Group and sort the rows, one a document; `weight` (rows,) is the query's, the same in all of its rows.

        Queries as integers are the fastest. ValueError for unequal lengths, numbers that are not finite, a negative
        relevance, or weights that differ within a query or are not above 0.
        """
        grouping = Grouping.of(query)
        rows = grouping.code.size
        relevances = _numbers("relevances", relevance, rows)
        scores = _numbers("scores", score, rows)
        if relevances.size and relevances.min() < 0:
            raise ValueError("relevances are not all 0 or above")
        order = np.lexsort((-scores, grouping.code))
        sizes = np.bincount(grouping.code, minlength=grouping.names.size)
        return cls(
            queries=grouping.names,
            start=np.concatenate(([0], np.cumsum(sizes))).astype(np.intp),
            document=order,
            relevance=relevances[order],
            score=scores[order],
            weight=grouping.take_common(weight),
        )

    @property
    def size(self) -> int:
        """The number of queries."""
        return self.queries.size

    def measure(self, measure: Measure) -> Influence | Undefined:
        """The metric of `SPECS[Task.RANKING]`; ValueError for another name or setting, or a k below 1."""
        find_spec(self.task, measure)
        cutoff = DEFAULT_CUTOFF if measure.k is None else measure.k
        if cutoff < 1:
            raise ValueError(f"the cutoff {cutoff} is below 1")
        if self.size == 0:
            return Undefined(reason="there are no queries")
        counted = np.add.reduceat(self.relevance > 0, self.start[:-1], dtype=np.intp) > 0
        if not counted.any():
            return Undefined(reason="no query has a relevant document")
        each = np.where(counted, _METRICS[measure.name](self, _Steps.of(self), cutoff), 0.0)
        support = int(counted.sum()) if self.weight is None else count_effective(self.weight[counted])
        return ratio_influence(each, counted, support=support, weight=self.weight)

    def select(self, units: Units) -> Self:
        """The queries `units`, in this order, with their documents."""
        rows, start = _find_rows(self.start, units)
        return type(self)(
            queries=self.queries[units],
            start=start,
            document=self.document[rows],
            relevance=self.relevance[rows],
            score=self.score[rows],
            weight=None if self.weight is None else self.weight[units],
        )

    def answers_like(self, other: Self, measure: Measure) -> bool:
        """Whether each query has the same documents with the same scores and relevances, and all weights are equal."""
        find_spec(self.task, measure)
        names = ("start", "document", "relevance", "score", "weight")
        return all(is_same(getattr(self, name), getattr(other, name)) for name in names)


def _find_rows(start: Ints, units: Units) -> tuple[Units, Ints]:
    """The rows of these queries, and where each then starts; queries that stand together are rows that do."""
    chosen = np.arange(start.size - 1, dtype=np.intp)[units]
    if isinstance(units, slice) and chosen.size and units.step in {None, 1}:
        first, last = int(chosen[0]), int(chosen[-1])
        return slice(int(start[first]), int(start[last + 1])), start[first : last + 2] - start[first]
    return rows_of(start, chosen)


def _numbers(name: str, values: ArrayLike, rows: int) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (rows,) or not np.isfinite(numbers).all():
        raise ValueError(f"{name} are not one finite number for each document")
    return numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Steps:
    """The rankings as steps, one for each run of equal scores in a query, the highest first.

    All arrays are (steps,) but `start` (queries,), the first step of each query. `first` is its first row, `above` the
    number of documents ranked above it in its query, `size` that of its own, `relevant` how many of these are relevant,
    `relevant_above` how many of those above.
    """

    start: Ints
    query: Ints
    first: Ints
    above: Ints
    size: Ints
    relevant: Ints
    relevant_above: Ints

    @classmethod
    def of(cls, sample: RankingSample) -> _Steps:
        new = np.ones(sample.score.size, dtype=np.bool_)
        np.not_equal(sample.score[1:], sample.score[:-1], out=new[1:])
        new[sample.start[:-1]] = True
        first = np.flatnonzero(new)
        query = spread(sample.start)[first]
        start = np.searchsorted(first, sample.start[:-1])
        relevant = np.add.reduceat(sample.relevance > 0, first, dtype=np.intp)
        before = np.cumsum(relevant) - relevant
        return cls(
            start=start,
            query=query,
            first=first,
            above=first - sample.start[query],
            size=np.diff(first, append=new.size),
            relevant=relevant,
            relevant_above=before - before[start][query],
        )

    def sum(self, each: Floats) -> Floats:
        """The sum (queries,) of a number a step."""
        return np.add.reduceat(each, self.start)

    def within(self, cutoff: int) -> Ints:
        """How many documents of each step are among the first `cutoff` of its query, in any order."""
        return np.clip(cutoff - self.above, 0, self.size)


def _precision(_: RankingSample, steps: _Steps, cutoff: int) -> Floats:
    return steps.sum(steps.relevant / steps.size * steps.within(cutoff)) / cutoff


def _recall(_: RankingSample, steps: _Steps, cutoff: int) -> Floats:
    found = steps.sum(steps.relevant / steps.size * steps.within(cutoff))
    return found / np.maximum(np.add.reduceat(steps.relevant, steps.start), 1)


def _ndcg(sample: RankingSample, steps: _Steps, cutoff: int) -> Floats:
    """DCG@k over that of the best order; a step's documents share its discounts evenly."""
    longest = int(np.diff(sample.start).max())
    discount = 1 / np.log2(np.arange(2, longest + 2))
    discount[cutoff:] = 0
    upto = np.concatenate(([0.0], np.cumsum(discount)))
    gain = np.add.reduceat(sample.relevance, steps.first) / steps.size
    reached = steps.sum(gain * (upto[steps.above + steps.size] - upto[steps.above]))
    rank = np.arange(sample.score.size) - sample.start[spread(sample.start)]
    best = np.add.reduceat(_sort_within(sample) * discount[rank], sample.start[:-1])
    return np.divide(reached, best, out=np.zeros_like(best), where=best > 0)


def _sort_within(sample: RankingSample) -> Floats:
    """The relevances of each query, highest first: one sort of integers, several times faster than by two keys."""
    levels, level = np.unique(sample.relevance, return_inverse=True)
    key = spread(sample.start) * levels.size + (levels.size - 1 - level.reshape(-1))
    key.sort()
    best: Floats = levels[levels.size - 1 - key % levels.size]
    return best


def _map(_: RankingSample, steps: _Steps, cutoff: int) -> Floats:
    """Mean over a query's relevant documents of the precision at their ranks, expected over the orders of ties.

    At place j of a step of m documents, r of them relevant, below t documents with R relevant, one is relevant with
    r/m, and then R + 1 + (j − 1)·c are up to it, c = (r − 1)/(m − 1). Over the rank t + j that is
    c + (R + 1 − c·(t + 1)) / (t + j), whose sum over j needs harmonic numbers only.
    """
    del cutoff
    others = (steps.relevant - 1) / np.maximum(steps.size - 1, 1)
    harmonic = np.concatenate(([0.0], np.cumsum(1 / np.arange(1.0, steps.above.max() + steps.size.max() + 1))))
    ranks = harmonic[steps.above + steps.size] - harmonic[steps.above]
    upto = others * steps.size + (steps.relevant_above + 1 - others * (steps.above + 1)) * ranks
    total = np.maximum(np.add.reduceat(steps.relevant, steps.start), 1)
    return steps.sum(steps.relevant / steps.size * upto) / total


def _mrr(sample: RankingSample, steps: _Steps, cutoff: int) -> Floats:
    """1 / (rank of the first relevant document), expected over the orders of ties.

    It is in the first step with a relevant document, at place j with probability C(m − j, r − 1) / C(m, r): by
    P(not before j) = Π (m − r − i)/(m − i) over 0 ≤ i < j − 1, and then r/(m − j + 1).
    """
    del cutoff
    here = np.flatnonzero((steps.relevant > 0) & (steps.relevant_above == 0))
    rows, start = rows_of(np.append(steps.first, sample.score.size), here)
    step = here[spread(start)]
    before = rows - steps.first[step]
    left, wanted = steps.size[step] - before, steps.relevant[step]
    not_yet = _products(np.maximum(left - wanted, 1) / left, start) * (left >= wanted)
    value = np.add.reduceat(not_yet * wanted / left / (steps.above[step] + before + 1), start[:-1])
    result = np.zeros(sample.size)
    result[steps.query[here]] = value
    return result


def _products(factor: Floats, start: Ints) -> Floats:
    """For each row the product of the factors before it in its segment."""
    logs = np.log(factor)
    upto = np.cumsum(logs) - logs
    products: Floats = np.exp(upto - upto[start[:-1]][spread(start)])
    return products


_METRICS: dict[str, Callable[[RankingSample, _Steps, int], Floats]] = {
    "ndcg": _ndcg,
    "recall": _recall,
    "precision": _precision,
    "map": _map,
    "mrr": _mrr,
}
