"""The numerical derivative of a metric in each unit's weight, which every influence must equal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

STEP = 1e-3


def influences(reference: Callable[[NDArray[np.float64]], float], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """The influences n · wᵢ · ∂θ/∂wᵢ at `weight` (n,), by five-point differences of relative step STEP.

    `reference` gives θ for weights (n,). The error is of the order of STEP⁴.
    """

    def at(unit: int, factor: float) -> float:
        moved = weight.copy()
        moved[unit] *= factor
        return reference(moved)

    def slope(unit: int) -> float:
        near = at(unit, 1 + STEP) - at(unit, 1 - STEP)
        far = at(unit, 1 + 2 * STEP) - at(unit, 1 - 2 * STEP)
        return (8 * near - far) / (12 * STEP)

    return weight.size * np.array([slope(unit) for unit in range(weight.size)])
