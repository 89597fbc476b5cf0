"""Metrics of how the scores order the rows: ROC AUC and average precision, tied scores being one step.

Both rest on one sort. Names of arrays: a *step* is a set of rows with one score, steps go from the lowest score up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.influence import Bools, Floats, Influence, Undefined, count_effective

# With fewer misplaced rows of the rarer kind than this, the interval of an AUC is too short.
_FEW_MISPLACED = 5
_NEAR_ONE = "so near to 1 that the interval may be too short"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """Rows in the order of their scores: `label` and `weight` (n,) as sorted, masses of rows (steps,) and of positives.

    `step` (n,) maps the sorted rows to their steps; None if no score is tied, so that each row is one.
    """

    order: NDArray[np.intp]
    label: Bools
    weight: Floats | None
    step: NDArray[np.intp] | None
    rows: Floats
    positives: Floats

    @classmethod
    def of(cls, label: Bools, score: Floats, weight: Floats | None = None) -> Ranking:
        """Sort rows (n,), of which there must be one."""
        # Sums of weights depend on their order by rounding; the same order of scores must give the same sums.
        order = np.argsort(score, kind=None if weight is None else "stable")
        ranked = score[order]
        last = np.empty(ranked.size, dtype=np.bool_)
        last[-1] = True
        np.not_equal(ranked[1:], ranked[:-1], out=last[:-1])
        ends = np.flatnonzero(last)
        tied = ends.size < ranked.size
        truth = label[order]
        sorted_weight = None if weight is None else weight[order]
        return cls(
            order=order,
            label=truth,
            weight=sorted_weight,
            step=np.cumsum(last) - last if tied else None,
            rows=_sum_steps(np.ones_like(truth) if sorted_weight is None else sorted_weight, ends),
            positives=_sum_steps(truth if sorted_weight is None else truth * sorted_weight, ends),
        )

    def spread(self, values: Floats) -> Floats:
        """Values of the steps, given to each of the sorted rows."""
        return values if self.step is None else values[self.step]

    def restore(self, values: Floats, *, scale: float) -> Floats:
        """Values of the sorted rows times their weights, put back to the rows' own order."""
        values *= scale if self.weight is None else scale * self.weight
        result = np.empty_like(values)
        result[self.order] = values
        return result

    def count_rarest(self) -> int:
        """Rows of the rarer kind, positives or negatives; with weights, their effective number."""
        if self.weight is None:
            positives = int(np.count_nonzero(self.label))
            return min(positives, self.label.size - positives)
        return min(count_effective(self.weight[self.label]), count_effective(self.weight[~self.label]))


def _sum_steps(values: NDArray[np.bool_] | Floats, ends: NDArray[np.intp]) -> Floats:
    """Sums (steps,) of the values (n,) of sorted rows, `ends` being the last row of each step."""
    if ends.size == values.size:
        return values.astype(np.float64)
    if values.dtype == np.bool_:
        return np.diff(np.cumsum(values)[ends].astype(np.float64), prepend=0.0)
    return np.add.reduceat(values, np.concatenate(([0], ends[:-1] + 1)))


def roc_auc(ranking: Ranking, label: Bools) -> Influence | Undefined:
    """Probability that a positive row scores above a negative one, a tie counting half.

    The influences are DeLong's structural components (DeLong, DeLong & Clarke-Pearson 1988), from mid-ranks as in Sun &
    Xu 2014: the share of negatives below a positive row, and of positives above a negative row. `label` (n,) are the
    labels in the rows' own order.
    """
    in_positives, in_negatives = ranking.positives, ranking.rows - ranking.positives
    positives, negatives = float(in_positives.sum()), float(in_negatives.sum())
    support = ranking.count_rarest()
    if support == 0:
        return Undefined(reason=f"there is no {'negative' if positives else 'positive'} row")
    below = (np.cumsum(in_negatives) - in_negatives / 2) / negatives
    above = 1 - (np.cumsum(in_positives) - in_positives / 2) / positives
    value = float(below @ in_positives) / positives
    below -= value
    above -= value
    below *= 1 / positives
    above *= 1 / negatives
    placement = np.where(ranking.label, ranking.spread(below), ranking.spread(above))
    return Influence(
        value=value,
        psi=ranking.restore(placement, scale=label.size),
        support=support,
        mass=None if ranking.weight is None else ranking.restore(np.ones(label.size), scale=1.0),
        strata=label if ranking.weight is None else None,
        caution=doubt_near_one(value, support),
    )


def doubt_near_one(value: float, support: int) -> str:
    """The caution about an AUC that so few rows of the rarer kind keep from 1; empty where they are not few."""
    return _NEAR_ONE if (1 - value) * support < _FEW_MISPLACED else ""


def average_precision(ranking: Ranking) -> Influence | Undefined:
    """Mean over the positives of the precision at each one's score: Σ (Rₖ − Rₖ₋₁)·Pₖ, not interpolated.

    A row counts in the precision of its own step and of all below, hence the sums from the lowest step up.
    """
    positives = float(ranking.positives.sum())
    if positives == 0:
        return Undefined(reason="there is no positive row")
    reached = np.cumsum(ranking.rows[::-1])[::-1]
    precision = np.cumsum(ranking.positives[::-1])[::-1] / reached
    value = float(precision @ ranking.positives) / positives
    each = ranking.positives / reached
    lost = np.cumsum(each * precision)
    gained = precision + np.cumsum(each)
    gained -= value
    gained -= lost
    psi = np.where(ranking.label, ranking.spread(gained), ranking.spread(-lost))
    n = ranking.label.size
    return Influence(
        value=value,
        psi=ranking.restore(psi, scale=n / positives),
        support=ranking.count_rarest(),
        mass=None if ranking.weight is None else ranking.restore(np.ones(n), scale=1.0),
    )
