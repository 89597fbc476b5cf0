"""A metric's value on a sample, and each row's influence on it.

The influence ψᵢ of row i is n · ∂θ/∂wᵢ, the derivative of the metric θ in the row's weight, at weights of 1
(Hampel 1974; the infinitesimal jackknife of Efron 1982). It has mean 0, is additive over metrics'
differences, and its spread is the metric's sampling error. Everything that `paired` says rests on it.

Labels are boolean arrays (n,), scores float arrays (n,). A row is decided positive when its score reaches
the threshold (`score >= threshold`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]

# A wrong prediction that claims certainty costs at most −log(this): 36.04, as in scikit-learn for float64.
LOG_LOSS_FLOOR = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Influence:
    """A metric on n rows: its value and the influence (n,) of each row, which has mean 0.

    `support` counts the rarest kind of row that the metric rests on. `strata` (n,) splits the rows in two
    kinds whose numbers the metric takes as given (positives and negatives for ROC AUC). `hits` (n,) marks
    the successes when the metric is a plain proportion: hits / support.
    """

    value: float
    psi: Floats
    support: int
    strata: Bools | None = None
    hits: Bools | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undefined:
    """The metric has no value on these rows; `reason` says why, to be read after the metric's name."""

    reason: str


def accuracy(label: Bools, decision: Bools) -> Influence | Undefined:
    """Share of rows decided right."""
    if label.size == 0:
        return Undefined(reason="there are no rows")
    hits = label == decision
    value = float(hits.mean())
    return Influence(value=value, psi=hits - value, support=label.size, hits=hits)


def precision(label: Bools, decision: Bools) -> Influence | Undefined:
    """Share of true positives among the rows decided positive; undefined where none is."""
    decided = int(decision.sum())
    if decided == 0:
        return Undefined(reason="no row is predicted positive")
    value = float((label & decision).sum() / decided)
    return Influence(value=value, psi=decision * (label - value) * (label.size / decided), support=decided)


def recall(label: Bools, decision: Bools) -> Influence | Undefined:
    """Share of the positives that are decided positive; undefined where there is no positive."""
    if not label.any():
        return Undefined(reason="there is no positive row")
    return _share(label, label & decision)


def specificity(label: Bools, decision: Bools) -> Influence | Undefined:
    """Share of the negatives that are decided negative; undefined where there is no negative."""
    if label.all():
        return Undefined(reason="there is no negative row")
    return _share(~label, ~label & ~decision)


def _share(among: Bools, hits: Bools) -> Influence:
    total = int(among.sum())
    value = float(hits.sum() / total)
    psi = among * (hits - value) * (among.size / total)
    return Influence(value=value, psi=psi, support=total, strata=among, hits=hits)


def f1(label: Bools, decision: Bools) -> Influence | Undefined:
    """Harmonic mean of precision and recall, 2tp / (2tp + fp + fn); undefined where nothing is positive."""
    positives, decided = int(label.sum()), int(decision.sum())
    if positives + decided == 0:
        return Undefined(reason="no row is positive, or predicted positive")
    both = label & decision
    value = 2 * float(both.sum()) / (positives + decided)
    marks = label.astype(np.float64) + decision
    psi = (2 * both - value * marks) * (label.size / (positives + decided))
    return Influence(value=value, psi=psi, support=positives)


def log_loss(label: Bools, score: Floats, floor: float = LOG_LOSS_FLOOR) -> Influence | Undefined:
    """Mean of −log(probability of the true label), in nats; a probability below `floor` counts as `floor`."""
    return _mean_loss(score, lambda: -np.log(np.maximum(np.where(label, score, 1 - score), floor)))


def brier(label: Bools, score: Floats) -> Influence | Undefined:
    """Mean of (probability − label)² (Brier 1950)."""
    return _mean_loss(score, lambda: (score - label) ** 2)


def _mean_loss(score: Floats, losses: Callable[[], Floats]) -> Influence | Undefined:
    if score.size == 0:
        return Undefined(reason="there are no rows")
    if score.min() < 0 or score.max() > 1:
        return Undefined(reason="the scores are no probabilities: some lie outside of 0 to 1")
    each = losses()
    value = float(each.mean())
    return Influence(value=value, psi=each - value, support=score.size)
