"""Metrics of how scores order the rows, from counts in bins of the score: two passes, and an error bound.

The first pass counts the rows of each bin by label, on both sides. From these come the values, as if all scores of a
bin were tied, and what the influence of a row of each bin is. The second pass adds up the squares of these, row by row.
So the answer is exactly that of the scores rounded to their bins. Its distance from that of the scores themselves is
bounded:

- ROC AUC: only pairs within a bin may be ordered wrongly, each counted as ½, hence at most Σ pos·neg / (2PN).
- Average precision: the precision at a positive row of a bin with p positives and q negatives, tp and fp being those
  above it, is between (tp + 1)/(tp + fp + q + 1) and (tp + p)/(tp + fp + p), whatever the order within the bin, and is
  counted as (tp + p)/(tp + fp + p + q).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.binary import BinarySample
from seatrial.stats.influence import Bools, Floats, Undefined
from seatrial.stats.names import Measure
from seatrial.stats.outline import Sides, Squares
from seatrial.stats.ranking import doubt_near_one

RankMetric: TypeAlias = Literal["roc_auc", "average_precision"]
# Inner edges of bins for probabilities: exact 0 and 1, which many models give, and 4,096 between; 128 KiB of counts.
PROBABILITY_EDGES: Floats = np.concatenate(([np.nextafter(0.0, 1.0)], np.arange(1, 4096) / 4096, [1.0]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankCounts:
    """Rows (sides, bins, labels) of both models, the bins lying between ascending `edges` (bins − 1,)."""

    edges: Floats
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, label: Bools, base: Floats, head: Floats, edges: Floats) -> RankCounts:
        """Count rows (n,); an edge belongs to the bin above it."""
        size = edges.size + 1
        sides = [
            np.bincount(2 * np.searchsorted(edges, score, side="right") + label, minlength=2 * size)
            for score in (base, head)
        ]
        return cls(edges=edges, rows=np.stack(sides).reshape(2, size, 2).astype(np.int64))

    def merge(self, other: RankCounts) -> RankCounts:
        """The counts of both, exactly; ValueError if they are of other bins."""
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("ranks that were counted in different bins can't be merged")
        return RankCounts(edges=self.edges, rows=self.rows + other.rows)

    def table(self, name: RankMetric) -> RankTable | Sides:
        """What the second pass looks up, or both sides where one of them has no value."""
        base, head = (_bin(side, name) for side in self.rows)
        if isinstance(base, Undefined) or isinstance(head, Undefined):
            return _value(base), _value(head)
        return RankTable(edges=self.edges, name=name, base=base, head=head)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Binned:
    """A value, by how much the bins may falsify it, and the influence (bins, labels) of a row of each bin."""

    value: float
    bound: float
    support: int
    caution: str
    psi: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankTable:
    """Influences of all rows by bin and label, of both sides."""

    edges: Floats
    name: RankMetric
    base: Binned
    head: Binned

    @property
    def cost(self) -> str:
        """What the bins may have done to the values; empty if nothing."""
        bound = max(self.base.bound, self.head.bound)
        return f"scores were counted in bins: the value may be {bound:.1g} off" if bound else ""

    def look_up(self, label: Bools, base: Floats, head: Floats) -> tuple[Floats, Floats]:
        """Influences (n,) of rows (n,), of the baseline and of the candidate."""
        truth = label.astype(np.intp)
        before = self.base.psi[np.searchsorted(self.edges, base, side="right"), truth]
        after = self.head.psi[np.searchsorted(self.edges, head, side="right"), truth]
        return before, after

    def square(self, label: Bools, base: Floats, head: Floats) -> RankSquares:
        """The second pass over rows (n,)."""
        before, after = self.look_up(label, base, head)
        apart, positives = after - before, int(np.count_nonzero(label))
        return RankSquares(
            difference=_by_label(apart, label),
            head=_by_label(after, label),
            rows=np.array([label.size - positives, positives], dtype=np.int64),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankSquares:
    """Sums of squares by label (2,), of the differences and of the candidate's own influences, and rows by label."""

    difference: Floats
    head: Floats
    rows: NDArray[np.int64]

    def merge(self, other: RankSquares) -> RankSquares:
        """The sums of both."""
        return RankSquares(
            difference=self.difference + other.difference, head=self.head + other.head, rows=self.rows + other.rows
        )

    def arrange(self, sums: Floats, name: RankMetric) -> Squares:
        """By stratum for ROC AUC, in all for average precision."""
        if name == "average_precision":
            return Squares(total=float(sums.sum()), rows=int(self.rows.sum()))
        negatives, positives = self.rows.tolist()
        return Squares(
            total=float(sums[1]), rows=positives, other=float(sums[0]), other_rows=negatives, has_strata=True
        )


def _value(found: Binned | Undefined) -> float | Undefined:
    return found if isinstance(found, Undefined) else found.value


def _by_label(values: Floats, label: Bools) -> Floats:
    total, of_positives = float(values @ values), float(values[label] @ values[label])
    return np.array([max(total - of_positives, 0.0), of_positives])


def _bin(counts: NDArray[np.int64], name: RankMetric) -> Binned | Undefined:
    """Measure the cells of counts (bins, labels) as rows, whose weights are the counts and whose scores the bins."""
    if not counts.any():
        return Undefined(reason="there are no rows")
    place, label = np.nonzero(counts)
    weight = counts[place, label]
    found = BinarySample.of(label, place, weight=weight).measure(Measure(name=name))
    if isinstance(found, Undefined):
        return found
    psi = np.zeros(counts.shape)
    psi[place, label] = found.psi / (place.size * weight) * counts.sum()
    negatives, positives = counts.sum(axis=0).tolist()
    support = min(positives, negatives)
    caution = doubt_near_one(found.value, support) if name == "roc_auc" else ""
    bound = _bound_auc(counts) if name == "roc_auc" else _bound_precision(counts)
    return Binned(value=found.value, bound=bound, support=support, caution=caution, psi=psi)


def _bound_auc(counts: NDArray[np.int64]) -> float:
    negatives, positives = counts.sum(axis=0).astype(np.float64)
    return float(counts[:, 0].astype(np.float64) @ counts[:, 1] / (2 * positives * negatives))


def _bound_precision(counts: NDArray[np.int64]) -> float:
    filled = counts[::-1].astype(np.float64)
    q, p = filled[:, 0], filled[:, 1]
    fp, tp = np.cumsum(q) - q, np.cumsum(p) - p
    mixed = (p > 0) & (q > 0)
    p, q, tp, fp = p[mixed], q[mixed], tp[mixed], fp[mixed]
    told = (tp + p) / (tp + fp + p + q)
    off = np.maximum((tp + p) / (tp + fp + p) - told, told - (tp + 1) / (tp + fp + q + 1))
    return float(p @ off / counts[:, 1].sum())
