"""How small a change a test set can tell."""

from __future__ import annotations

from statistics import NormalDist


def minimum_detectable_effect(se: float, *, level: float = 0.95, power: float = 0.8) -> float:
    """The true change that an interval of this level tells from 0 with this power.

    (z₁₋α + z₁₋β)·SE with α = (1 − level)/2 and power 1 − β. By symmetry it is also the margin that an equal
    candidate is proved to stay within, with this power.
    """
    normal = NormalDist()
    return (normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)) * se
