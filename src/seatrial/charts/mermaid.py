"""A series of numbers as a Mermaid chart that every version in use can parse.

Mermaid's `xychart-beta` stops at scientific notation, `NaN`, empty lists and quotes within titles, so none of them is
written: numbers are fixed-point, words are letters, digits and a few harmless signs. GitLab draws no more than 2,000
characters a page, so one chart has at most `MAX_CHARACTERS`.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Sequence

MAX_CHARACTERS = 1_500
_MOST_POINTS = 40
_MOST_LABELS = 8  # more of them overlap in the width of a comment
# The default line is too pale to be seen on white; this blue is visible on white and on black.
_THEME = '%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7"}}}}%%'
_OVERLAY_THEME = _THEME.replace("#2f81f7", "#8b949e, #2f81f7")
_OVERLAID = 20
_LARGEST = 1e15
_MOST_DECIMALS = 12
# What is not among the signs, and letters that have no shape.
_UNSAFE = re.compile(r"[^\w .,:=/()+-]+|[\u115f\u1160\u3164\uffa0]+")


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


def overlay_chart(
    *,
    title: str,
    x: str,
    y: str,
    base: Sequence[tuple[float, float]],
    head: Sequence[tuple[float, float]],
) -> str | None:
    """Two lines through (x, y) over the range that both have; None if they share none, or either is too short.

    Both are read off at the same even distances, since such a chart knows no other. The baseline is grey, the
    candidate blue, and the title says so.
    """
    lines = [sorted(point for point in side if all(map(_is_drawable, point))) for side in (base, head)]
    if min(map(len, lines)) < 2:
        return None
    start, end = max(line[0][0] for line in lines), min(line[-1][0] for line in lines)
    if end - start <= 10.0 ** (1 - _MOST_DECIMALS):
        return None
    places = [start + (end - start) * at / (_OVERLAID - 1) for at in range(_OVERLAID)]
    drawn = [[_read_off(line, place) for place in places] for line in lines]
    low, high = _axis([value for line in drawn for value in line])
    if high - low <= 10.0 ** (1 - _MOST_DECIMALS):
        return None
    decimals, across = _decimals(high - low), _decimals(end - start)
    rows = [f"    line [{', '.join(_fixed(value, decimals) for value in line)}]" for line in drawn]
    source = "\n".join(
        [
            _OVERLAY_THEME,
            "xychart-beta",
            f'    title "{_safe(title, 60) or "chart"} (grey: baseline, blue: candidate)"',
            f'    x-axis "{_safe(x, 40) or "x"}" {_fixed(start, across)} --> {_fixed(end, across)}',
            f'    y-axis "{_safe(y, 40) or "value"}" {_fixed(low, decimals)} --> {_fixed(high, decimals)}',
            *rows,
        ]
    )
    return source if len(source) <= MAX_CHARACTERS else None


def _read_off(line: Sequence[tuple[float, float]], place: float) -> float:
    """The value of a line, sorted by x, at a place within it."""
    after = min(bisect_left(line, place, key=lambda point: point[0]), len(line) - 1)
    (x0, y0), (x1, y1) = line[max(0, after - 1)], line[after]
    return y1 if x1 <= x0 or place >= x1 else y0 + (y1 - y0) * (place - x0) / (x1 - x0)


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
