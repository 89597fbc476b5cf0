"""Decisions of both models as counts of cells, which add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.binary import BinarySample
from seatrial.stats.cells import encode
from seatrial.stats.influence import Bools, Floats, Undefined
from seatrial.stats.names import Measure
from seatrial.stats.outline import Outline, Side, Sides, Squares
from seatrial.stats.partial_clusters import ClusterSide, jackknife

_LABEL = np.array([False, False, True, True])
_DECISION = np.array([0.0, 1.0, 0.0, 1.0])
# Of the cells by label and decision, those that a proportion is among, and those that are its hits.
_SHARES = {
    "accuracy": ([[1, 1], [1, 1]], [[1, 0], [0, 1]]),
    "precision": ([[0, 1], [0, 1]], [[0, 0], [0, 1]]),
    "recall": ([[0, 0], [1, 1]], [[0, 0], [0, 1]]),
    "specificity": ([[1, 1], [0, 0]], [[1, 0], [0, 0]]),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecisionCounts:
    """Rows (2, 2, 2) by label, the baseline's decision and the candidate's: 64 bytes, whatever the rows."""

    cells: NDArray[np.int64]

    @classmethod
    def of(cls, label: Bools, base: Bools, head: Bools) -> DecisionCounts:
        """Count rows (n,)."""
        return cls(cells=np.bincount(encode(label, base, head), minlength=8).astype(np.int64).reshape(2, 2, 2))

    def merge(self, other: DecisionCounts) -> DecisionCounts:
        """The counts of both, exactly."""
        return DecisionCounts(cells=self.cells + other.cells)

    def outline(self, measure: Measure, *, same: bool, by_cluster: NDArray[np.int64] | None = None) -> Outline | Sides:
        """The outline of a metric of decisions, or both sides where one of them has no value.

        `by_cluster` (clusters, 8) are the cells of each cluster, where rows are not independent.
        """
        base, head = (_find(self.cells.sum(axis=axis), measure) for axis in (2, 1))
        if isinstance(base, Undefined) or isinstance(head, Undefined):
            return _value(base), _value(head)
        if by_cluster is not None:
            return self._outline_clusters(measure, base, head, by_cluster.reshape(-1, 2, 2, 2), same=same)
        apart = head.psi[:, np.newaxis, :] - base.psi[:, :, np.newaxis]
        squares = self.cells * apart**2
        among, hits = (np.array(one) for one in _SHARES.get(measure.name, ([[1, 1]] * 2, [[0, 0]] * 2)))
        is_share = measure.name in _SHARES and self._are_among_the_same(among)
        n = int(self.cells.sum())
        if not is_share or measure.name == "accuracy":
            difference = Squares(total=float(squares.sum()), rows=n)
        else:
            inside = among[:, :, np.newaxis] * np.ones((2, 2, 2))
            rows, total = int((self.cells * inside).sum()), float((squares * inside).sum())
            rest = float(squares.sum()) - total
            difference = Squares(total=total, rows=rows, other=rest, other_rows=n - rows, has_strata=True)
        right = hits[:, np.newaxis, :] - hits[:, :, np.newaxis]
        discordant = int(self.cells[right == 1].sum()), int(self.cells[right == -1].sum())
        return Outline(
            n=n,
            base=base.side,
            head=head.side,
            difference=difference.find_spread(support=min(base.side.support, head.side.support)),
            discordant=discordant if is_share else None,
            same=same,
        )

    def _outline_clusters(
        self, measure: Measure, base: _Found, head: _Found, cells: NDArray[np.int64], *, same: bool
    ) -> Outline:
        n, beta = int(self.cells.sum()), 1.0 if measure.beta is None else measure.beta
        sides = [
            _gather(found, cells.sum(axis=axis), _mass(measure.name, beta)) for found, axis in ((base, 3), (head, 2))
        ]
        own = jackknife(sides[1], None, n=n)
        return Outline(
            n=n,
            base=Side(value=base.side.value, support=base.side.support, spread=own),
            head=Side(value=head.side.value, support=head.side.support, spread=own),
            difference=jackknife(sides[1], sides[0], n=n),
            same=same,
        )

    def _are_among_the_same(self, among: NDArray[np.int64]) -> bool:
        """Whether both sides' proportions are of the same rows: no row is among those of one side alone."""
        return not self.cells[among[:, :, np.newaxis] != among[:, np.newaxis, :]].any()


def _gather(found: _Found, tables: NDArray[np.int64], mass: Floats) -> ClusterSide:
    """One side by cluster, from tables (clusters, 2, 2)."""
    return ClusterSide(
        psi=np.asarray((tables * found.psi).sum(axis=(1, 2)), dtype=np.float64),
        mass=np.asarray((tables * mass).sum(axis=(1, 2)), dtype=np.float64),
        support=found.side.support,
    )


def _mass(name: str, beta: float) -> Floats:
    """How much a row of each cell (2, 2) counts in the denominator of the metric, if that is a ratio of sums."""
    if name in _SHARES:
        return np.array(_SHARES[name][0], dtype=np.float64)
    if name in {"f1", "f_beta"}:
        return np.array([[0.0, 1.0], [beta**2, 1 + beta**2]])
    return np.ones((2, 2))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    side: Side
    psi: Floats


def _value(found: _Found | Undefined) -> float | Undefined:
    return found if isinstance(found, Undefined) else found.side.value


def _find(table: NDArray[np.int64], measure: Measure) -> _Found | Undefined:
    """One side's value, and the influence (2, 2) of a row of each cell, from counts by label and decision.

    The cells are measured as rows whose weights are the counts: ψ = rows · weight · derivative of the cell's count.
    """
    counts = table.ravel()
    filled = counts > 0
    sample = BinarySample.of(_LABEL[filled], _DECISION[filled], weight=counts[filled])
    found = sample.measure(Measure(name=measure.name, beta=measure.beta))
    if isinstance(found, Undefined):
        return found
    psi = np.zeros(4)
    psi[filled] = found.psi / (sample.size * counts[filled]) * counts.sum()
    grid = psi.reshape(2, 2)
    support = _count_support(measure.name, table)
    hits = int((table * np.array(_SHARES[measure.name][1])).sum()) if measure.name in _SHARES else None
    spread = _square(measure.name, table, grid).find_spread(support=support)
    side = Side(value=found.value, support=support, spread=spread, hits=hits)
    return _Found(side=side, psi=grid)


def _square(name: str, table: NDArray[np.int64], psi: Floats) -> Squares:
    squares, rows = table * psi**2, int(table.sum())
    if name not in _SHARES or name == "accuracy":
        return Squares(total=float(squares.sum()), rows=rows)
    among = np.array(_SHARES[name][0]) == 1
    inside = int(table[among].sum())
    other = float(squares[~among].sum())
    total = float(squares[among].sum())
    return Squares(total=total, rows=inside, other=other, other_rows=rows - inside, has_strata=True)


def _count_support(name: str, table: NDArray[np.int64]) -> int:
    true, predicted = table.sum(axis=1).tolist(), table.sum(axis=0).tolist()
    match name:
        case "accuracy":
            return int(table.sum())
        case "precision":
            return int(predicted[1])
        case "recall" | "f1" | "f_beta":
            return int(true[1])
        case "specificity":
            return int(true[0])
        case "mcc":
            return int(min(*true, *predicted))
        case _:
            return int(min(true))
