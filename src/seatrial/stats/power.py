"""How small a change a test set can tell, and how large it would have to be."""

from __future__ import annotations

import math
from statistics import NormalDist


def minimum_detectable_effect(se: float, *, level: float = 0.95, power: float = 0.8) -> float:
    """The true change that an interval of this level tells from 0 with this power.

    (z₁₋α + z₁₋β)·SE with α = (1 − level)/2 and power 1 − β. By symmetry it is also the margin that an equal
    candidate is proved to stay within, with this power.
    """
    normal = NormalDist()
    return (normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)) * se


def samples_needed(se: float, n: int, margin: float, *, level: float = 0.95, power: float = 0.8) -> int | None:
    """Rows at which the minimum detectable effect is `margin`, given the standard error on n rows.

    The SE falls with √n, so this is n·(MDE/margin)², rounded up; less than n where n rows are enough already.
    None if nothing can be said: without a margin, or where no row differed so far and the SE is 0.
    """
    if margin <= 0 or se <= 0:
        return None
    return math.ceil(n * (minimum_detectable_effect(se, level=level, power=power) / margin) ** 2)
