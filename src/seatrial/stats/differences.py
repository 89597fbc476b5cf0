"""From labels and scores to estimates: all metrics of an evaluation, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seatrial.stats.influence import (
    Bools,
    Floats,
    Influence,
    Undefined,
    accuracy,
    brier,
    f1,
    log_loss,
    precision,
    recall,
    specificity,
)
from seatrial.stats.names import DEFAULT_THRESHOLD, METRIC_NAMES
from seatrial.stats.paired import Estimate, Insufficient, identical, paired_interval
from seatrial.stats.ranking import average_precision, roc_auc

OF_DECISIONS: dict[str, Callable[[Bools, Bools], Influence | Undefined]] = {
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "f1": f1,
}
OF_SCORES: dict[str, Callable[[Bools, Floats], Influence | Undefined]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "log_loss": log_loss,
    "brier": brier,
}


def estimate_differences(
    label: ArrayLike,
    base_score: ArrayLike,
    head_score: ArrayLike,
    metrics: Iterable[str],
    *,
    base_threshold: float = DEFAULT_THRESHOLD,
    head_threshold: float = DEFAULT_THRESHOLD,
    level: float = 0.95,
    groups: NDArray[np.generic] | None = None,
) -> dict[str, Estimate | Insufficient]:
    """Estimate head − base for each metric, all three arrays (n,) being of the same rows in the same order.

    `metrics` are names of `METRIC_NAMES`; those of decisions take a score that reaches the side's threshold as
    positive. `groups` (n,) names each row's cluster. Raises ValueError for an unknown name, unequal lengths, a
    label that is not 0 or 1, a score or threshold that is not finite.
    """
    truth = _labels(label)
    base, head = _Side.of(base_score, base_threshold, truth), _Side.of(head_score, head_threshold, truth)
    answers: dict[str, Estimate | Insufficient] = {}
    for name in metrics:
        before, after = _influence(name, truth, base), _influence(name, truth, head)
        if isinstance(before, Undefined) or isinstance(after, Undefined):
            answers[name] = _undefined(before, after, n=truth.size)
        elif base.predicts_like(head, name):
            answers[name] = identical(before.value, truth.size, level=level)
        else:
            answers[name] = paired_interval(before, after, level=level, groups=groups)
    return answers


def measure(
    label: ArrayLike, score: ArrayLike, metrics: Iterable[str], *, threshold: float = DEFAULT_THRESHOLD
) -> dict[str, float | Undefined]:
    """Each metric's value on one side alone, to check a metrics file that was made from these predictions.

    Names and errors are those of `estimate_differences`.
    """
    truth = _labels(label)
    side = _Side.of(score, threshold, truth)
    found = {name: _influence(name, truth, side) for name in metrics}
    return {name: one if isinstance(one, Undefined) else one.value for name, one in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Side:
    score: Floats
    threshold: float

    @classmethod
    def of(cls, score: ArrayLike, threshold: float, label: Bools) -> _Side:
        values = np.asarray(score, dtype=np.float64)
        if values.shape != label.shape or not np.isfinite(values).all():
            raise ValueError("scores are not one finite number for each label")
        if not np.isfinite(threshold):
            raise ValueError(f"the threshold {threshold} is not a finite number")
        return cls(score=values, threshold=threshold)

    def predicts_like(self, other: _Side, name: str) -> bool:
        """Whether all that the metric sees is the same: every score and, if it is of decisions, the threshold."""
        same_cut = name in OF_SCORES or self.threshold == other.threshold
        return same_cut and np.array_equal(self.score, other.score)


def _undefined(before: Influence | Undefined, after: Influence | Undefined, *, n: int) -> Insufficient:
    sides = {"baseline": before, "candidate": after}
    reasons = {side: one.reason for side, one in sides.items() if isinstance(one, Undefined)}
    values = [None if isinstance(one, Undefined) else one.value for one in sides.values()]
    shared = len(set(reasons.values())) == 1 and len(reasons) == 2
    text = next(iter(reasons.values())) if shared else "; ".join(f"{side}: {why}" for side, why in reasons.items())
    return Insufficient(reason=text, n=n, base=values[0], head=values[1])


def _influence(name: str, label: Bools, side: _Side) -> Influence | Undefined:
    if name in OF_DECISIONS:
        return OF_DECISIONS[name](label, side.score >= side.threshold)
    if name in OF_SCORES:
        return OF_SCORES[name](label, side.score)
    raise ValueError(f"unknown metric {name!r}; known are {', '.join(METRIC_NAMES)}")


def _labels(label: ArrayLike) -> Bools:
    values = np.asarray(label)
    if values.ndim != 1 or not np.isin(values, (0, 1)).all():
        raise ValueError("labels are not a row of 0 and 1")
    return values.astype(np.bool_)
