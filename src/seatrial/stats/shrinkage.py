"""Effects of many slices, drawn towards what all have in common, so that a tiny slice does not top the list by luck.

With true effects θᵢ ~ N(c, τ²) and estimates Δᵢ ~ N(θᵢ, SEᵢ²), the expectation of θᵢ given Δᵢ is
c + (Δᵢ − c)·τ²/(τ² + SEᵢ²) (empirical Bayes; Efron & Morris 1975).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seatrial.stats.influence import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shrunken:
    """The effects (slices,) after shrinkage, the centre they were drawn to and the variance τ² between them."""

    effect: Floats
    centre: float
    between: float


def shrink(delta: ArrayLike, se: ArrayLike, *, centre: float | None = 0.0) -> Shrunken:
    """Shrink effects (slices,) with standard errors (slices,) towards `centre`; None is their common mean.

    τ² is the moment estimate of DerSimonian & Laird 1986, about the precision-weighted mean where `centre` is None
    and about `centre` itself where it is known (nothing is estimated then, and no degree of freedom is lost). A slice
    with an SE of 0 is known exactly: it keeps its effect and says nothing of the others. ValueError for numbers that
    are not finite, or an SE below 0.
    """
    effects, errors = np.asarray(delta, dtype=np.float64), np.asarray(se, dtype=np.float64)
    finite = effects.shape == errors.shape and np.isfinite(effects).all() and np.isfinite(errors).all()
    if effects.ndim != 1 or not finite or (errors < 0).any():
        raise ValueError("effects and standard errors are not finite numbers, one of each for a slice")
    known = errors == 0
    target, between = _fit(effects[~known], errors[~known] ** 2, centre)
    total = between + errors**2
    kept = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
    kept[known] = 1.0
    return Shrunken(effect=target + (effects - target) * kept, centre=target, between=between)


def _fit(effects: Floats, variances: Floats, centre: float | None) -> tuple[float, float]:
    """The centre and τ² of effects with variances above 0."""
    if effects.size == 0:
        return centre or 0.0, 0.0
    precision = 1 / variances
    total = float(precision.sum())
    if centre is not None:
        excess = float(precision @ (effects - centre) ** 2) - effects.size
        return centre, max(excess / total, 0.0)
    mean = float(precision @ effects) / total
    excess = float(precision @ (effects - mean) ** 2) - (effects.size - 1)
    room = total - float(precision @ precision) / total
    between = max(excess / room, 0.0) if effects.size > 1 else 0.0
    both = 1 / (variances + between)
    return float(both @ effects) / float(both.sum()), between
