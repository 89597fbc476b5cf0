"""P-values of many tests at once, adjusted so that one threshold fits all.

Holm keeps the probability of any false alarm below the threshold, Benjamini–Hochberg the expected share of false
alarms among the alarms. An adjusted p-value is compared with the threshold itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from seatrial.stats.influence import Floats


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Adjusted p-values (tests,) by the step-up of Benjamini & Hochberg 1995, in the order given.

    The i-th smallest of m becomes the least of m·p₍ⱼ₎/j over j ≥ i. Valid for independent and positively dependent
    tests. ValueError unless each is a number from 0 to 1.
    """
    values, order = _sort(p)
    scaled = values[order] * values.size / np.arange(1, values.size + 1)
    return _put(np.minimum.accumulate(scaled[::-1])[::-1], order)


def holm(p: ArrayLike) -> Floats:
    """Adjusted p-values (tests,) by the step-down of Holm 1979, in the order given; valid however tests depend.

    The i-th smallest of m becomes the largest of (m − j + 1)·p₍ⱼ₎ over j ≤ i, at most 1. ValueError unless each is a
    number from 0 to 1.
    """
    values, order = _sort(p)
    scaled = values[order] * np.arange(values.size, 0, -1)
    return _put(np.maximum.accumulate(scaled), order)


def _sort(p: ArrayLike) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p-values are not numbers from 0 to 1")
    return values, np.argsort(values, kind="stable")


def _put(adjusted: Floats, order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
    result = np.empty_like(adjusted)
    result[order] = np.minimum(adjusted, 1.0)
    return result
