"""A series of numbers as a row of Unicode bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
_MIDDLE = "▄"
GAP = "·"


def sparkline(values: Sequence[float | None], *, width: int | None = None) -> str:
    """One bar a value, lowest to highest; `·` where there is none (None, NaN, infinite), the last `width` values.

    A constant series is a level line: bars show relations, and there are none in it.
    """
    shown = list(values)[-width:] if width else list(values)
    finite = [value for value in shown if value is not None and math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_bar(value, low, high) for value in shown)


def _bar(value: float | None, low: float, high: float) -> str:
    if value is None or not math.isfinite(value):
        return GAP
    # Halved first, since the distance of the two largest floats is infinite.
    span = high / 2 - low / 2
    if span <= 0:
        return _MIDDLE
    share = (value / 2 - low / 2) / span
    return _BARS[min(int(share * len(_BARS)), len(_BARS) - 1)]
