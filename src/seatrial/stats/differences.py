"""From labels and scores to estimates: all metrics of an evaluation, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    metrics: Mapping[str, float | None],
    *,
    level: float = 0.95,
    groups: NDArray[np.generic] | None = None,
) -> dict[str, Estimate | Insufficient]:
    """Estimate head − base for each metric, all three arrays (n,) being of the same rows in the same order.

    `metrics` maps a name of `METRIC_NAMES` to its threshold, None being 0.5 (and ignored by metrics of the
    scores). Raises ValueError for an unknown name, unequal lengths, a label that is not 0 or 1, a score
    that is not finite.
    """
    truth, base, head = _labels(label), _scores(base_score, label), _scores(head_score, label)
    same = bool(np.array_equal(base, head))
    answers: dict[str, Estimate | Insufficient] = {}
    for name, threshold in metrics.items():
        before = _influence(name, truth, base, threshold)
        after = before if same else _influence(name, truth, head, threshold)
        if isinstance(before, Undefined) or isinstance(after, Undefined):
            answers[name] = _undefined(before, after, n=truth.size)
        elif same:
            answers[name] = identical(before.value, truth.size, level=level)
        else:
            answers[name] = paired_interval(before, after, level=level, groups=groups)
    return answers


def measure(label: ArrayLike, score: ArrayLike, metrics: Mapping[str, float | None]) -> dict[str, float | Undefined]:
    """Each metric's value on one side alone, to check a metrics file that was made from these predictions.

    `metrics` is as in `estimate_differences`, and so are the errors.
    """
    truth, scores = _labels(label), _scores(score, label)
    found = {name: _influence(name, truth, scores, threshold) for name, threshold in metrics.items()}
    return {name: one if isinstance(one, Undefined) else one.value for name, one in found.items()}


def _undefined(before: Influence | Undefined, after: Influence | Undefined, *, n: int) -> Insufficient:
    sides = {"baseline": before, "candidate": after}
    reasons = {side: one.reason for side, one in sides.items() if isinstance(one, Undefined)}
    values = [None if isinstance(one, Undefined) else one.value for one in sides.values()]
    shared = len(set(reasons.values())) == 1 and len(reasons) == 2
    text = next(iter(reasons.values())) if shared else "; ".join(f"{side}: {why}" for side, why in reasons.items())
    return Insufficient(reason=text, n=n, base=values[0], head=values[1])


def _influence(name: str, label: Bools, score: Floats, threshold: float | None) -> Influence | Undefined:
    if name in OF_DECISIONS:
        at = DEFAULT_THRESHOLD if threshold is None else threshold
        return OF_DECISIONS[name](label, score >= at)
    if name in OF_SCORES:
        return OF_SCORES[name](label, score)
    raise ValueError(f"unknown metric {name!r}; known are {', '.join(METRIC_NAMES)}")


def _labels(label: ArrayLike) -> Bools:
    values = np.asarray(label)
    if values.ndim != 1 or not np.isin(values, (0, 1)).all():
        raise ValueError("labels are not a row of 0 and 1")
    return values.astype(np.bool_)


def _scores(score: ArrayLike, label: ArrayLike) -> Floats:
    values = np.asarray(score, dtype=np.float64)
    if values.shape != np.shape(label) or not np.isfinite(values).all():
        raise ValueError("scores are not one finite number for each label")
    return values
