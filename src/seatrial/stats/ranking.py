"""Metrics of how the scores order the rows: ROC AUC and average precision, tied scores being one step.

Each sorts once. Names of arrays: a *group* is a set of rows with one score, groups go from the lowest score
up, and `group` (n,) maps the sorted rows to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.influence import Bools, Floats, Influence, Undefined


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Groups:
    order: NDArray[np.intp]
    group: NDArray[np.intp]
    rows: Floats
    positives: Floats

    def unsort(self, values: Floats) -> Floats:
        """Values of the sorted rows, put back to the rows' own order."""
        result = np.empty_like(values)
        result[self.order] = values
        return result


def _group(label: Bools, score: Floats) -> _Groups:
    order = np.argsort(score)
    ranked = score[order]
    first = np.empty(ranked.size, dtype=np.bool_)
    first[0] = True
    np.not_equal(ranked[1:], ranked[:-1], out=first[1:])
    group = np.cumsum(first) - 1
    last = np.append(np.flatnonzero(first[1:]), ranked.size - 1)
    positives = np.cumsum(label[order])[last]
    return _Groups(
        order=order,
        group=group,
        rows=np.diff(last + 1.0, prepend=0.0),
        positives=np.diff(positives.astype(np.float64), prepend=0.0),
    )


def roc_auc(label: Bools, score: Floats) -> Influence | Undefined:
    """Probability that a positive row scores above a negative one, a tie counting half.

    The influences are DeLong's structural components (DeLong, DeLong & Clarke-Pearson 1988), from mid-ranks
    as in Sun & Xu 2014: the share of negatives below a positive row, and of positives above a negative row.
    """
    positives = int(label.sum())
    negatives = label.size - positives
    if positives == 0 or negatives == 0:
        return Undefined(reason=f"there is no {'negative' if positives else 'positive'} row")
    groups = _group(label, score)
    in_positives, in_negatives = groups.positives, groups.rows - groups.positives
    below = (np.cumsum(in_negatives) - in_negatives / 2) / negatives
    above = 1 - (np.cumsum(in_positives) - in_positives / 2) / positives
    value = float(below @ in_positives / positives)
    ranked = label[groups.order]
    placement = np.where(ranked, below[groups.group], above[groups.group])
    scale = np.where(ranked, label.size / positives, label.size / negatives)
    psi = groups.unsort((placement - value) * scale)
    return Influence(value=value, psi=psi, support=min(positives, negatives), strata=label)


def average_precision(label: Bools, score: Floats) -> Influence | Undefined:
    """Mean over the positives of the precision at each one's score: Σ (Rₖ − Rₖ₋₁)·Pₖ, not interpolated.

    A row counts in the precision of its own group and of all below, hence the sums from the lowest group up.
    """
    positives = int(label.sum())
    if positives == 0:
        return Undefined(reason="there is no positive row")
    groups = _group(label, score)
    reached = np.cumsum(groups.rows[::-1])[::-1]
    precision = np.cumsum(groups.positives[::-1])[::-1] / reached
    value = float(precision @ groups.positives / positives)
    gained = np.cumsum(groups.positives / reached)
    lost = np.cumsum(groups.positives * precision / reached)
    truth = label[groups.order].astype(np.float64)
    at = groups.group
    psi = (truth * (precision[at] + gained[at] - value) - lost[at]) * (label.size / positives)
    negatives = label.size - positives
    return Influence(value=value, psi=groups.unsort(psi), support=min(positives, negatives))
