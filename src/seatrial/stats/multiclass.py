"""Classification among K classes: one class a row, or the probabilities of all, and the metrics of these.

Averages over classes are scikit-learn's: over the classes that have rows or predictions (balanced accuracy and ROC AUC:
that have rows), a class without predictions having a precision of 0. Classes without rows or predictions are told in
the caution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    Undefined,
    check_weight,
    is_same,
    mean_influence,
    share_influence,
)
from seatrial.stats.names import DEFAULT_CUTOFF, Measure, Task
from seatrial.stats.ranking import Ranking, roc_auc
from seatrial.stats.sample import Units, find_spec

if TYPE_CHECKING:
    from typing_extensions import Self

Codes = NDArray[np.intp]

_OF_PROBABILITIES = frozenset({"top_k", "roc_auc_macro", "log_loss", "brier"})
_OF_CLASSES: Mapping[str, Callable[[Confusion], Gradient | Undefined]] = {
    "balanced_accuracy": confusion.balanced_accuracy,
    "precision_macro": confusion.precision,
    "recall_macro": confusion.recall,
    "f1_macro": confusion.f_beta,
    "f1_weighted": confusion.f1_weighted,
    "mcc": confusion.mcc,
    "kappa": confusion.kappa,
}
_NO_ROWS = "there are no rows"
_NO_PROBABILITIES = "there are predicted classes, but no probabilities"
# Probabilities that were stored as 16-bit floats still sum to 1 within this.
_SUM_TOLERANCE = 1e-2
_NAMED = 5
# Comparisons made at a time, so that many classes do not fill the memory.
_BLOCK = 1 << 22


# Without slots, since what is costly is kept from the first metric that needs it to the next.
@dataclass(frozen=True, kw_only=True, eq=False)
class MulticlassSample:
    """One model's classes (n,), from 0 to `classes` − 1, with the true ones (n,) and maybe probabilities (n, classes).

    `names` (classes,) are what the classes are called in cautions.
    """

    task: ClassVar[Task] = Task.MULTICLASS

    label: Codes
    prediction: Codes
    classes: int
    names: tuple[str, ...]
    probability: Floats | None = None
    weight: Floats | None = None

    @classmethod
    def of(
        cls,
        label: ArrayLike,
        *,
        classes: int,
        prediction: ArrayLike | None = None,
        probability: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> MulticlassSample:
        """Check what comes from outside; the prediction is by default the most probable class, the first of equals.

        Raises ValueError for codes outside of 0 to classes − 1, probabilities that are not finite, weights that are
        not above 0, unequal lengths, and if neither prediction nor probability is given.
        """
        truth = _check_codes("labels", label, classes)
        likely = None if probability is None else _check_probability(probability, (truth.size, classes))
        if prediction is not None:
            decided = _check_codes("predictions", prediction, classes)
        elif likely is not None:
            decided = likely.argmax(axis=1)
        else:
            raise ValueError("there are neither predictions nor probabilities")
        called = tuple(map(str, range(classes) if names is None else names))
        if decided.size != truth.size or len(called) != classes:
            raise ValueError("there is not one prediction for each label, and one name for each class")
        return cls(
            label=truth,
            prediction=decided,
            classes=classes,
            names=called,
            probability=likely,
            weight=check_weight(weight, truth.size),
        )

    @property
    def size(self) -> int:
        """The number of rows."""
        return self.label.size

    def measure(self, measure: Measure) -> Influence | Undefined:
        """The metric's value and influences; ValueError if multi-class has no such metric or setting."""
        find_spec(self.task, measure)
        if self.size == 0:
            return Undefined(reason=_NO_ROWS)
        if measure.name in _OF_CLASSES:
            return _measure_decisions(self, measure.name)
        if measure.name in _OF_PROBABILITIES:
            return _measure_probabilities(self, measure)
        # With one class for each row, F1 of all classes' counts together is accuracy.
        return share_influence(self.label == self.prediction, weight=self.weight)

    def select(self, units: Units) -> Self:
        """The sub-sample of these rows, in this order; a slice costs no copy."""
        return replace(
            self,
            label=self.label[units],
            prediction=self.prediction[units],
            probability=None if self.probability is None else self.probability[units],
            weight=None if self.weight is None else self.weight[units],
        )

    def answers_like(self, other: Self, measure: Measure) -> bool:
        """Whether truth, classes, probabilities and weights are equal."""
        return self.classes == other.classes and all(
            is_same(getattr(self, name), getattr(other, name))
            for name in ("label", "prediction", "probability", "weight")
        )

    @cached_property
    def masses(self) -> Confusion:
        """Rows, or their weights, counted by class."""
        return Confusion.of(self.label, self.prediction, classes=self.classes, weight=self.weight)

    @cached_property
    def squares(self) -> Confusion:
        """The squares of the weights, summed by class."""
        if self.weight is None:
            return self.masses
        return Confusion.of(self.label, self.prediction, classes=self.classes, weight=self.weight**2)

    @cached_property
    def flaw(self) -> str:
        """Why the probabilities are none; empty if they are."""
        if self.probability is None:
            return _NO_PROBABILITIES
        if self.probability.min() < 0 or self.probability.max() > 1:
            return "the probabilities are none: some lie outside of 0 to 1"
        if np.abs(self.probability.sum(axis=1) - 1).max() > _SUM_TOLERANCE:
            return "the probabilities are none: those of some rows do not sum to 1"
        return ""


def _measure_decisions(sample: MulticlassSample, name: str) -> Influence | Undefined:
    found = _OF_CLASSES[name](sample.masses)
    if isinstance(found, Undefined):
        return found
    right = sample.label == sample.prediction
    psi = found.true[sample.label]
    psi += found.predicted[sample.prediction]
    psi += right * found.hits[sample.label]
    psi *= sample.size if sample.weight is None else sample.size * sample.weight
    return Influence(
        value=found.value,
        psi=psi,
        support=_count_support(sample, name),
        mass=sample.weight,
        caution=_describe_absent(sample, name),
    )


def _count_support(sample: MulticlassSample, name: str) -> int:
    masses, squares = sample.masses, sample.squares
    match name:
        case "mcc" | "kappa":
            # As with two classes, those rows count that are not of the commonest one.
            rest, of_squares = (
                np.delete(one.true, masses.true.argmax()).sum(keepdims=True) for one in (masses, squares)
            )
            kinds = count_kinds(rest, of_squares)
        case "f1_weighted":
            kinds = count_kinds(masses.true.sum(keepdims=True), squares.true.sum(keepdims=True))
        case "precision_macro":
            kinds = count_kinds(masses.predicted, squares.predicted)
        case _:
            kinds = count_kinds(masses.true, squares.true)
    return int(kinds[kinds > 0].min(initial=sample.size) + 1e-9)


def _describe_absent(sample: MulticlassSample, name: str) -> str:
    """Which classes an average over classes misses, or counts as 0."""
    if name in {"f1_weighted", "mcc", "kappa"}:
        return ""
    parts = [_list_classes(sample, "rows", sample.masses.true == 0)]
    if name in {"precision_macro", "f1_macro"}:
        parts.append(_list_classes(sample, "predictions", sample.masses.predicted == 0))
    return "; ".join(filter(None, parts))


def _list_classes(sample: MulticlassSample, what: str, which: Bools) -> str:
    codes = np.flatnonzero(which).tolist()
    if not codes:
        return ""
    more = f" and {len(codes) - _NAMED} more" if len(codes) > _NAMED else ""
    return f"classes without {what}: {', '.join(sample.names[code] for code in codes[:_NAMED])}{more}"


def _measure_probabilities(sample: MulticlassSample, measure: Measure) -> Influence | Undefined:
    if sample.probability is None:
        return Undefined(reason=_NO_PROBABILITIES)
    match measure.name:
        case "top_k":
            cutoff = DEFAULT_CUTOFF if measure.k is None else measure.k
            if cutoff < 1:
                raise ValueError(f"the cut-off {cutoff} is below 1")
            hits = _rank_truth(sample.label, sample.probability) < cutoff
            return share_influence(hits, weight=sample.weight)
        case "roc_auc_macro":
            return _roc_auc_macro(sample, sample.probability)
        case _ if sample.flaw:
            return Undefined(reason=sample.flaw)
        case "log_loss":
            of_truth = sample.probability[np.arange(sample.size), sample.label]
            return mean_influence(-np.log(np.maximum(of_truth, LOG_LOSS_FLOOR)), weight=sample.weight)
        case _:
            return mean_influence(_squared_errors(sample.label, sample.probability), weight=sample.weight)


def _squared_errors(label: Codes, probability: Floats) -> Floats:
    """Σₖ (pₖ − 1[y = k])² of each row (Brier 1950), 0 to 2."""
    of_truth = probability[np.arange(label.size), label]
    errors: Floats = np.einsum("ij,ij->i", probability, probability) - 2 * of_truth + 1
    return errors


def _rank_truth(label: Codes, probability: Floats) -> Codes:
    """How many classes (n,) go before the true one; of equals the last goes first, as in scikit-learn."""
    ranks = np.empty(label.size, dtype=np.intp)
    classes = np.arange(probability.shape[1])
    for rows in _blocks(*probability.shape):
        part, truth = probability[rows], label[rows, np.newaxis]
        own = np.take_along_axis(part, truth, axis=1)
        ranks[rows] = np.count_nonzero((part > own) | ((part == own) & (classes > truth)), axis=1)
    return ranks


def _blocks(n: int, width: int) -> Iterator[slice]:
    rows = max(_BLOCK // max(width, 1), 1)
    return (slice(start, start + rows) for start in range(0, n, rows))


def _roc_auc_macro(sample: MulticlassSample, probability: Floats) -> Influence | Undefined:
    """Mean over the classes that have rows of the ROC AUC of each class's probability against all others' rows."""
    psi = np.zeros(sample.size)
    values, supports, cautions = [], [], [_describe_absent(sample, "roc_auc_macro")]
    for code in np.flatnonzero(sample.masses.true).tolist():
        of_class = sample.label == code
        one = roc_auc(Ranking.of(of_class, probability[:, code], sample.weight), of_class)
        if isinstance(one, Undefined):
            return Undefined(reason="all rows are of one class")
        psi += one.psi
        values.append(one.value)
        supports.append(one.support)
        cautions.append(one.caution)
    return Influence(
        value=sum(values) / len(values),
        psi=psi / len(values),
        support=min(supports),
        mass=sample.weight,
        caution="; ".join(dict.fromkeys(filter(None, cautions))),
    )


def _check_codes(what: str, codes: ArrayLike, classes: int) -> Codes:
    values = np.asarray(codes)
    whole = values.ndim == 1 and (values.size == 0 or values.dtype.kind in "iu")
    if not whole or (values.size and (values.min() < 0 or values.max() >= classes)):
        raise ValueError(f"{what} are not a row of codes from 0 to {classes - 1}")
    return values.astype(np.intp, copy=False)


def _check_probability(probability: ArrayLike, shape: tuple[int, int]) -> Floats:
    values = np.asarray(probability, dtype=np.float64)
    if values.shape != shape or not np.isfinite(values).all():
        raise ValueError(f"probabilities are not {shape[1]} finite numbers for each of {shape[0]} labels")
    return values
