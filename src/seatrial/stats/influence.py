"""A metric's value on a sample, and each unit's influence on it.

The influence ψᵢ of unit i is n · wᵢ · ∂θ/∂wᵢ, the derivative of the metric θ in the unit's weight wᵢ, which is 1
where no weights are given (Hampel 1974; the infinitesimal jackknife of Efron 1982). It has mean 0, is additive over
metrics' differences, and its spread is the metric's sampling error. Everything that `paired` says rests on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
# Booleans and small integers where they say the same as floats, at an eighth of the memory.
Numbers: TypeAlias = NDArray[Any]

# A wrong prediction that claims certainty costs at most −log(this): 36.04, as in scikit-learn for float64.
LOG_LOSS_FLOOR = float(np.finfo(np.float64).eps)
_LEAST_WEIGHT = 1e-100
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


def share_influence(hits: Bools, *, weight: Floats | None = None) -> Influence | Undefined:
    """The plain proportion of `hits` (n,) among all units."""
    found = mean_influence(hits, weight=weight)
    return replace(found, hits=hits) if isinstance(found, Influence) and weight is None else found


def is_same(one: Numbers | None, other: Numbers | None) -> bool:
    """Whether two arrays hold the same, or both are absent."""
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


def count_effective(weight: Floats) -> int:
    """The number of equally weighted units that tell as much, (Σw)² / Σw² (Kish 1965), rounded down."""
    squares = float(weight @ weight)
    return int(float(weight.sum()) ** 2 / squares + 1e-9) if squares else 0


def check_weight(weight: ArrayLike | None, n: int) -> Floats | None:
    """Weights as floats (n,), or None; ValueError unless each is finite, above 0, and safe to be squared."""
    if weight is None:
        return None
    values = np.asarray(weight, dtype=np.float64)
    if values.shape != (n,) or not ((values >= _LEAST_WEIGHT) & (values <= 1 / _LEAST_WEIGHT)).all():
        raise ValueError("weights are not one finite number above 0 for each row, within 1e-100 and 1e100")
    return values
