"""A series of numbers as a Mermaid chart that every version in use can parse.

Mermaid's `xychart-beta` stops at scientific notation, `NaN`, empty lists and quotes within titles, so none of them is
written: numbers are fixed-point, words are letters, digits and a few harmless signs. GitLab draws no more than 2,000
characters a page, so one chart has at most `MAX_CHARACTERS`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

MAX_CHARACTERS = 1_500
_MOST_POINTS = 40
_MOST_LABELS = 8  # more of them overlap in the width of a comment
# The default line is too pale to be seen on white; this blue is visible on white and on black.
_THEME = '%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7"}}}}%%'
_LARGEST = 1e15
_MOST_DECIMALS = 12
_UNSAFE = re.compile(r"[^\w .,:=/()+-]+")


def line_chart(*, title: str, unit: str, points: Sequence[tuple[str, float | None]]) -> str | None:
    """A line through (label, value), oldest first; None if fewer than two values can be drawn.

    Values that are missing, not finite or too large for fixed point are left out with their labels; of a long series
    the latest points are drawn. A range below 10⁻¹¹ is not drawn: it would look like a level line.
    """
    drawable = [(label, value) for label, value in points if value is not None and _is_drawable(value)]
    for count in range(min(len(drawable), _MOST_POINTS), 1, -1):
        latest = drawable[-count:]
        low, high = _axis([value for _, value in latest])
        source = _write(title, unit, latest)
        if len(source) <= MAX_CHARACTERS:
            return source if high - low > 10.0 ** (1 - _MOST_DECIMALS) else None
    return None


def _is_drawable(value: float) -> bool:
    return math.isfinite(value) and abs(value) < _LARGEST


def _write(title: str, unit: str, points: Sequence[tuple[str, float]]) -> str:
    values = [value for _, value in points]
    low, high = _axis(values)
    decimals = _decimals(high - low)
    return "\n".join(
        [
            _THEME,
            "xychart-beta",
            f'    title "{_safe(title, 60) or "chart"}"',
            f"    x-axis {_name_points([label for label, _ in points])}",
            f'    y-axis "{_safe(unit, 40) or "value"}" {_fixed(low, decimals)} --> {_fixed(high, decimals)}',
            f"    line [{', '.join(_fixed(value, decimals) for value in values)}]",
        ]
    )


def _name_points(labels: Sequence[str]) -> str:
    """Each point's label, or of many points the first and the last; equal labels would fall together, so they count."""
    names = [_safe(label, 12) for label in labels]
    if len(names) > _MOST_LABELS:
        return f'"{names[0] or 1} to {names[-1] or len(names)}" 1 --> {len(names)}'
    unique = names if all(names) and len(set(names)) == len(names) else [str(at) for at in range(1, len(names) + 1)]
    return "[" + ", ".join(f'"{name}"' for name in unique) + "]"


def _axis(values: Sequence[float]) -> tuple[float, float]:
    """The range with a little air, never empty."""
    low, high = min(values), max(values)
    air = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
    return low - air, high + air


def _decimals(span: float) -> int:
    """Enough decimals to tell a thousandth of the range; tiny ranges lose detail rather than their notation."""
    return max(0, min(_MOST_DECIMALS, 3 - math.floor(math.log10(span))))


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _safe(words: str, limit: int) -> str:
    return " ".join(_UNSAFE.sub(" ", words).split())[:limit].strip()
