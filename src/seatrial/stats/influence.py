"""A metric's value on a sample, and each unit's influence on it.

The influence ψᵢ of unit i is n · wᵢ · ∂θ/∂wᵢ, the derivative of the metric θ in the unit's weight wᵢ, which is 1
where no weights are given (Hampel 1974; the infinitesimal jackknife of Efron 1982). It has mean 0, is additive over
metrics' differences, and its spread is the metric's sampling error. Everything that `paired` says rests on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
# Booleans and small integers where they say the same as floats, at an eighth of the memory.
Numbers: TypeAlias = NDArray[Any]

# A wrong prediction that claims certainty costs at most −log(this): 36.04, as in scikit-learn for float64.
LOG_LOSS_FLOOR = float(np.finfo(np.float64).eps)
_NO_ROWS = "there are no rows"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Influence:
    """A metric on n units: its value and the influence (n,) of each unit, which has mean 0.

    `support` counts the rarest kind of unit that the metric rests on; with weights, their effective number.
    `mass` (n,) is how much each unit counts in the denominator of a metric that is a ratio Σ part / Σ mass; None is
    1 each, and the approximation for metrics that are no ratio.
    `strata` (n,) splits the units in two kinds whose numbers the metric takes as given (positives and negatives for
    ROC AUC). `hits` (n,) marks the successes when the metric is a plain proportion among the units of `strata`, or
    among all: hits / support. Neither is given with weights.
    `caution` is empty, or says what a reader must know of the value.
    """

    value: float
    psi: Floats
    support: int
    mass: Numbers | None = None
    strata: Bools | None = None
    hits: Bools | None = None
    caution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undefined:
    """The metric has no value on these units; `reason` says why, to be read after the metric's name."""

    reason: str


def mean_influence(each: Numbers, *, weight: Floats | None = None) -> Influence | Undefined:
    """The (weighted) mean of one number a unit (n,): losses, scores."""
    if each.size == 0:
        return Undefined(reason=_NO_ROWS)
    if weight is None:
        value = float(each.mean())
        return Influence(value=value, psi=each - value, support=each.size)
    total = float(weight.sum())
    value = float(weight @ each) / total
    psi = weight * (each - value) * (each.size / total)
    return Influence(value=value, psi=psi, support=count_effective(weight), mass=weight)


def ratio_influence(
    part: Numbers, mass: Numbers, *, support: int, weight: Floats | None = None
) -> Influence | Undefined:
    """Σ wᵢ·partᵢ / Σ wᵢ·massᵢ, undefined where the denominator is 0; `support` is the caller's to count."""
    counted = mass if weight is None else weight * mass
    total = float(counted.sum(dtype=np.float64))
    if total <= 0:
        return Undefined(reason="it would be divided by 0")
    sums = part if weight is None else weight * part
    value = float(sums.sum(dtype=np.float64)) / total
    return Influence(value=value, psi=(sums - value * counted) * (mass.size / total), support=support, mass=counted)


def share_influence(hits: Bools, among: Bools | None = None, *, weight: Floats | None = None) -> Influence | Undefined:
    """The plain proportion of `hits` (n,) among the units of `among` (n,), or among all; hits lie within `among`."""
    if among is None:
        found = mean_influence(hits, weight=weight)
        plain = weight is None and isinstance(found, Influence)
        return _as_share(found, hits) if plain and isinstance(found, Influence) else found
    total = int(np.count_nonzero(among))
    if total == 0:
        return Undefined(reason="there is no row of its kind")
    support = total if weight is None else count_effective(weight[among])
    found = ratio_influence(hits, among, support=support, weight=weight)
    return _as_share(found, hits, among) if weight is None and isinstance(found, Influence) else found


def _as_share(found: Influence, hits: Bools, among: Bools | None = None) -> Influence:
    return Influence(value=found.value, psi=found.psi, support=found.support, mass=found.mass, strata=among, hits=hits)


def count_effective(weight: Floats) -> int:
    """The number of equally weighted units that tell as much, (Σw)² / Σw² (Kish 1965), rounded down."""
    squares = float(weight @ weight)
    return int(float(weight.sum()) ** 2 / squares + 1e-9) if squares else 0


def check_weight(weight: ArrayLike | None, n: int) -> Floats | None:
    """Weights as floats (n,), or None; ValueError unless each is finite and above 0."""
    if weight is None:
        return None
    values = np.asarray(weight, dtype=np.float64)
    if values.shape != (n,) or not (np.isfinite(values).all() and (values > 0).all()):
        raise ValueError("weights are not one finite number above 0 for each row")
    return values


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
