"""Metrics of decisions among K classes, and how each row moves them.

Each is a function of three masses for each class: of the rows decided rightly, of those that truly are of the class,
of those decided to be (row counts, or sums of weights). So its derivative in the weight of a row of class y that is
decided p is hits[p] if y = p, plus true[y], plus predicted[p] (the delta method), at a cost that grows with K and not
with K².
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.influence import Bools, Floats, Undefined

_NO_ROWS = "there are no rows"
_ONE_CLASS = "all rows are of one class"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confusion:
    """Masses (K,) by class: of its rows that are decided rightly, of its rows, and of those decided to be of it."""

    hits: Floats
    true: Floats
    predicted: Floats

    @classmethod
    def of(
        cls, label: NDArray[np.intp], prediction: NDArray[np.intp], *, classes: int, weight: Floats | None = None
    ) -> Confusion:
        """Count codes (n,) from 0 to classes − 1."""
        right = label == prediction

        def count(codes: NDArray[np.intp], weights: Floats | None) -> Floats:
            return np.bincount(codes, weights=weights, minlength=classes).astype(np.float64)

        return cls(
            hits=count(label[right], None if weight is None else weight[right]),
            true=count(label, weight),
            predicted=count(prediction, weight),
        )

    @property
    def total(self) -> float:
        """The mass of all rows."""
        return float(self.true.sum())

    @property
    def seen(self) -> Bools:
        """The classes (K,) that have rows or predictions."""
        found: Bools = (self.true > 0) | (self.predicted > 0)
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gradient:
    """A metric's value, and its derivatives (K,) in the masses of a Confusion."""

    value: float
    hits: Floats
    true: Floats
    predicted: Floats


Metric: TypeAlias = Callable[[Confusion], Gradient | Undefined]


def accuracy(masses: Confusion) -> Gradient | Undefined:
    """Mass of the rows that are decided rightly, over all."""
    total, zeros = masses.total, np.zeros_like(masses.true)
    if not total:
        return Undefined(reason=_NO_ROWS)
    value = float(masses.hits.sum()) / total
    return Gradient(value=value, hits=zeros + 1 / total, true=zeros - value / total, predicted=zeros)


def precision(masses: Confusion, among: Bools | None = None) -> Gradient | Undefined:
    """Mean over classes of hits / predicted; 0 for one that has rows and no predictions, as in scikit-learn.

    `among` (K,) are the classes that count, by default those that have rows or predictions.
    """
    return _mean_ratio(masses, true=0, predicted=1, among=masses.seen if among is None else among)


def recall(masses: Confusion, among: Bools | None = None) -> Gradient | Undefined:
    """Mean over classes of hits / true; 0 for one that has predictions and no rows, as in scikit-learn."""
    return _mean_ratio(masses, true=1, predicted=0, among=masses.seen if among is None else among)


def f_beta(masses: Confusion, among: Bools | None = None, *, beta: float = 1.0) -> Gradient | Undefined:
    """Mean over classes of F-beta, (1 + β²)·hits / (β²·true + predicted) (van Rijsbergen 1979)."""
    among = masses.seen if among is None else among
    return _mean_ratio(masses, true=beta * beta, predicted=1, among=among)


def balanced_accuracy(masses: Confusion) -> Gradient | Undefined:
    """Mean of the recalls of those classes that have rows."""
    among = masses.true > 0
    if masses.total and among.sum() < 2:
        return Undefined(reason=_ONE_CLASS)
    return _mean_ratio(masses, true=1, predicted=0, among=among)


def _mean_ratio(masses: Confusion, *, true: float, predicted: float, among: Bools) -> Gradient | Undefined:
    """Mean over the classes `among` of (a + b)·hits / (a·true + b·predicted), a and b being the weights given."""
    if not masses.total:
        return Undefined(reason=_NO_ROWS)
    whole = true * masses.true + predicted * masses.predicted
    inverse = np.divide(1.0, whole, out=np.zeros_like(whole), where=(whole > 0) & among)
    gain = true + predicted
    ratio = gain * masses.hits * inverse
    share = inverse / float(among.sum())
    return Gradient(
        value=float(ratio[among].mean()),
        hits=gain * share,
        true=-true * ratio * share,
        predicted=-predicted * ratio * share,
    )


def f1_weighted(masses: Confusion) -> Gradient | Undefined:
    """Mean of the classes' F1, each weighing as much as it has rows."""
    total = masses.total
    if not total:
        return Undefined(reason=_NO_ROWS)
    both = masses.true + masses.predicted
    scores = np.divide(2 * masses.hits, both, out=np.zeros_like(both), where=both > 0)
    share = np.divide(masses.true / total, both, out=np.zeros_like(both), where=both > 0)
    value = float(masses.true @ scores) / total
    return Gradient(
        value=value, hits=2 * share, true=(scores - value) / total - share * scores, predicted=-share * scores
    )


def mcc(masses: Confusion) -> Gradient | Undefined:
    """Matthews' correlation coefficient, for K classes that of Gorodkin 2004."""
    total, true, predicted = masses.total, masses.true, masses.predicted
    of_predictions = total**2 - float(predicted @ predicted)
    of_truth = total**2 - float(true @ true)
    if not total:
        return Undefined(reason=_NO_ROWS)
    if np.count_nonzero(true) < 2:
        return Undefined(reason=_ONE_CLASS)
    if np.count_nonzero(predicted) < 2:
        return Undefined(reason="all rows are predicted to be of one class")
    root = float(np.sqrt(of_predictions)) * float(np.sqrt(of_truth))
    right = float(masses.hits.sum())
    value = (right * total - float(true @ predicted)) / root
    return Gradient(
        value=value,
        hits=np.full_like(true, total / root),
        true=(right - predicted) / root - value * (total / of_predictions + (total - true) / of_truth),
        predicted=-true / root + value * predicted / of_predictions,
    )


def kappa(masses: Confusion) -> Gradient | Undefined:
    """Cohen's kappa (1960), (agreement − that of chance) / (1 − that of chance)."""
    total, true, predicted = masses.total, masses.true, masses.predicted
    if not total:
        return Undefined(reason=_NO_ROWS)
    if np.count_nonzero(true) < 2:
        return Undefined(reason=_ONE_CLASS)
    chance = float(true @ predicted)
    room = total**2 - chance
    right = float(masses.hits.sum())
    value = (right * total - chance) / room
    return Gradient(
        value=value,
        hits=np.full_like(true, total / room),
        true=(right - predicted - value * (2 * total - predicted)) / room,
        predicted=(value - 1) * true / room,
    )


def count_kinds(masses: Floats, squares: Floats) -> Floats:
    """Effective numbers of rows (K,) by kind, from the sums of weights and of squared weights (Kish 1965)."""
    return np.divide(masses**2, squares, out=np.zeros_like(masses), where=squares > 0)
