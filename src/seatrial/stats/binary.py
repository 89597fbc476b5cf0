"""Binary classification: one score a row, and the metrics of its decisions and of its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seatrial.stats import confusion
from seatrial.stats.confusion import Confusion, Gradient, count_kinds
from seatrial.stats.influence import (
    LOG_LOSS_FLOOR,
    Bools,
    Floats,
    Influence,
    Numbers,
    Undefined,
    check_weight,
    count_effective,
    is_same,
    mean_influence,
)
from seatrial.stats.names import DEFAULT_THRESHOLD, Measure, Task
from seatrial.stats.ranking import Ranking, average_precision, roc_auc
from seatrial.stats.sample import Units, find_spec

if TYPE_CHECKING:
    from typing_extensions import Self

_OF_BOTH_CLASSES: Mapping[str, Callable[[Confusion], Gradient | Undefined]] = {
    "accuracy": confusion.accuracy,
    "balanced_accuracy": confusion.balanced_accuracy,
    "mcc": confusion.mcc,
    "kappa": confusion.kappa,
}
_POSITIVE = np.array([False, True])
_NONE_DECIDED = "no row is predicted positive"
_NONE_POSITIVE = "no row is positive, or predicted positive"
NO_PROBABILITIES = "the scores are no probabilities: some lie outside of 0 to 1"


# Without slots, since the sort is kept from the first metric that needs it to the next.
@dataclass(frozen=True, kw_only=True, eq=False)
class BinarySample:
    """One model's scores (n,) with the labels (n,); a row whose score reaches the threshold is decided positive."""

    task: ClassVar[Task] = Task.BINARY

    label: Bools
    score: Floats
    threshold: float = DEFAULT_THRESHOLD
    weight: Floats | None = None
    _decisions: dict[float, _Decisions] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(
        cls,
        label: ArrayLike,
        score: ArrayLike,
        *,
        threshold: float = DEFAULT_THRESHOLD,
        weight: ArrayLike | None = None,
    ) -> BinarySample:
        """Check what comes from outside.

        Raises ValueError for a label that is not 0 or 1, a score or threshold that is not finite, a weight that is
        not above 0, and unequal lengths.
        """
        truth = _check_labels(label)
        values = np.asarray(score, dtype=np.float64)
        if values.shape != truth.shape or not np.isfinite(values).all():
            raise ValueError("scores are not one finite number for each label")
        _check_threshold(threshold)
        return cls(label=truth, score=values, threshold=threshold, weight=check_weight(weight, truth.size))

    @property
    def size(self) -> int:
        """The number of rows."""
        return self.label.size

    def measure(self, measure: Measure) -> Influence | Undefined:
        """The metric's value and influences; ValueError if binary classification has no such metric or setting."""
        if find_spec(self.task, measure).is_of_decisions:
            return _measure_decisions(self, measure)
        if self.size == 0:
            return Undefined(reason="there are no rows")
        match measure.name:
            case "roc_auc":
                return roc_auc(self._ranking, self.label)
            case "average_precision":
                return average_precision(self._ranking)
            case "log_loss":
                return self._measure_loss(_log_loss)
            case _:
                return self._measure_loss(_squared_error)

    def select(self, units: Units) -> Self:
        """The sub-sample of these rows, in this order; a slice costs no copy."""
        weight = None if self.weight is None else self.weight[units]
        return replace(self, label=self.label[units], score=self.score[units], weight=weight)

    def answers_like(self, other: Self, measure: Measure) -> bool:
        """Whether truth, scores, weights and, for a metric of decisions, the threshold are equal."""
        same_cut = not find_spec(self.task, measure).is_of_decisions or self.cut(measure) == other.cut(measure)
        return same_cut and all(
            is_same(getattr(self, name), getattr(other, name)) for name in ("score", "weight", "label")
        )

    def decide(self, measure: Measure) -> _Decisions:
        """The decisions at the metric's threshold, or at the sample's own."""
        cut = self.cut(measure)
        if cut not in self._decisions:
            _check_threshold(cut)
            self._decisions[cut] = _Decisions.of(self.label, self.score >= cut, self.weight)
        return self._decisions[cut]

    def cut(self, measure: Measure) -> float:
        """The score from which on a row is decided positive: the metric's own, or the sample's."""
        return self.threshold if measure.at is None else measure.at

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking.of(self.label, self.score, self.weight)

    def _measure_loss(self, loss: Callable[[Bools, Floats], Floats]) -> Influence | Undefined:
        if self.score.min() < 0 or self.score.max() > 1:
            return Undefined(reason=NO_PROBABILITIES)
        return mean_influence(loss(self.label, self.score), weight=self.weight)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Decisions:
    """Rows (n,) decided positive; `cell` (n,) is 2·label + decision.

    `masses` counts the classes 0 and 1; `true` and `predicted` (2,) are the effective numbers of rows of these.
    """

    decided: Bools
    cell: NDArray[np.uint8]
    masses: Confusion
    true: tuple[float, float]
    predicted: tuple[float, float]

    @classmethod
    def of(cls, label: Bools, decided: Bools, weight: Floats | None) -> _Decisions:
        cell = label.view(np.uint8) * np.uint8(2) + decided.view(np.uint8)
        masses = _count_cells(cell, weight)
        squares = masses if weight is None else _count_cells(cell, weight * weight)
        true, predicted = count_kinds(masses.true, squares.true), count_kinds(masses.predicted, squares.predicted)
        return cls(
            decided=decided,
            cell=cell,
            masses=masses,
            true=(float(true[0]), float(true[1])),
            predicted=(float(predicted[0]), float(predicted[1])),
        )


def _count_cells(cell: NDArray[np.uint8], weight: Floats | None) -> Confusion:
    masses = np.bincount(cell, weights=weight, minlength=4).astype(np.float64).reshape(2, 2)
    return Confusion(hits=masses.diagonal(), true=masses.sum(axis=1), predicted=masses.sum(axis=0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Basis:
    """What an Influence says beside its value and ψ, of decisions without weights."""

    support: float
    mass: Numbers | None = None
    strata: Bools | None = None
    hits: Bools | None = None


def _measure_decisions(sample: BinarySample, measure: Measure) -> Influence | Undefined:
    decisions = sample.decide(measure)
    beta = 1.0 if measure.beta is None else measure.beta
    if not 0 < beta < np.inf:
        raise ValueError(f"the beta {beta} is not a finite number above 0")
    found = _differentiate(measure.name, decisions.masses, beta)
    if isinstance(found, Undefined):
        return found
    table = (found.true[:, np.newaxis] + found.predicted).ravel()
    table[::3] += found.hits
    table *= sample.size
    psi = table[decisions.cell]
    basis = _find_basis(measure.name, sample, decisions, beta)
    support, mass = int(basis.support + 1e-9), basis.mass
    if sample.weight is None:
        strata, hits = basis.strata, basis.hits
        return Influence(value=found.value, psi=psi, support=support, mass=mass, strata=strata, hits=hits)
    psi *= sample.weight
    mass = sample.weight if mass is None else sample.weight * mass
    return Influence(value=found.value, psi=psi, support=support, mass=mass)


def _differentiate(name: str, masses: Confusion, beta: float) -> Gradient | Undefined:
    """Value and derivatives, precision and its like being those of class 1."""
    positives, decided = masses.true[1], masses.predicted[1]
    match name:
        case "precision":
            return confusion.precision(masses, _POSITIVE) if decided else Undefined(reason=_NONE_DECIDED)
        case "recall":
            return confusion.recall(masses, _POSITIVE) if positives else Undefined(reason="there is no positive row")
        case "specificity":
            negatives = masses.true[0]
            return confusion.recall(masses, ~_POSITIVE) if negatives else Undefined(reason="there is no negative row")
        case "f1" | "f_beta":
            some = positives + decided
            return confusion.f_beta(masses, _POSITIVE, beta=beta) if some else Undefined(reason=_NONE_POSITIVE)
        case _:
            return _OF_BOTH_CLASSES[name](masses)


def _find_basis(name: str, sample: BinarySample, decisions: _Decisions, beta: float) -> _Basis:
    label, decided = sample.label, decisions.decided
    true, predicted = decisions.true, decisions.predicted
    match name:
        case "accuracy":
            support = sample.size if sample.weight is None else count_effective(sample.weight)
            return _Basis(support=support, hits=label == decided)
        case "precision":
            return _Basis(support=predicted[1], mass=decided, strata=decided, hits=label & decided)
        case "recall":
            return _Basis(support=true[1], mass=label, strata=label, hits=label & decided)
        case "specificity":
            return _Basis(support=true[0], mass=~label, strata=~label, hits=~(label | decided))
        case "f1" | "f_beta":
            return _Basis(support=true[1], mass=np.array([0.0, 1.0, beta**2, 1 + beta**2])[decisions.cell])
        case "mcc":
            return _Basis(support=min(*true, *predicted))
        case _:
            return _Basis(support=min(true))


def _log_loss(label: Bools, score: Floats) -> Floats:
    losses: Floats = -np.log(np.maximum(np.where(label, score, 1 - score), LOG_LOSS_FLOOR))
    return losses


def _squared_error(label: Bools, score: Floats) -> Floats:
    return (score - label) ** 2


def _check_labels(label: ArrayLike) -> Bools:
    values = np.asarray(label)
    if values.ndim == 1 and values.dtype == np.bool_:
        return values
    if values.ndim != 1 or not ((values == 0) | (values == 1)).all():
        raise ValueError("labels are not a row of 0 and 1")
    return values.astype(np.bool_)


def _check_threshold(threshold: float) -> None:
    if not np.isfinite(threshold):
        raise ValueError(f"the threshold {threshold} is not a finite number")
