"""A metric over time as SVG, drawn by Vega-Lite in this process: no browser, no network.

No text of anybody's is in the picture, only moments and numbers; its colours are those of the page that it stands in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from msgspec import Struct

from seatrial.errors import UsageError

_WIDTH, _HEIGHT = 880, 300
_MOST_POINTS = 800  # about one for each pixel
_MOST_DOTS = 120
_VERSION = "5.20"


class Moment(Struct, frozen=True):
    """A value at a time (seconds of Unix), None for a gap."""

    time: int
    value: float | None


class Limit(Struct, frozen=True, kw_only=True):
    """A bound that a gate sets: the least (`floor`) or the most."""

    value: float
    floor: bool


def draw_timeline(moments: Sequence[Moment], limits: Sequence[Limit] = ()) -> str | None:
    """A line through the values, broken at gaps, with the limits; None where there is no value.

    UsageError where the library that draws is not installed.
    """
    if all(moment.value is None for moment in moments):
        return None
    try:
        import vl_convert
    except ModuleNotFoundError:
        raise UsageError(
            "charts are drawn by vl-convert-python, which is not installed", hint="pip install 'seatrial[charts]'"
        ) from None
    drawn: str = vl_convert.vegalite_to_svg(describe(moments, limits), vl_version=_VERSION)
    return drawn


def describe(moments: Sequence[Moment], limits: Sequence[Limit]) -> dict[str, Any]:
    """The chart as Vega-Lite."""
    rows = [{"at": _spell(moment.time), "value": moment.value} for moment in thin(_in_order(moments), _MOST_POINTS)]
    values = [row for row in rows if row["value"] is not None]
    gaps = [row for row in rows if row["value"] is None]
    axis = {"format": _choose_format(moments), "labelOverlap": "greedy", "labelSeparation": 8, "labelFlush": False}
    time = {"field": "at", "type": "temporal", "title": None, "scale": {"type": "utc"}, "axis": axis}
    number = {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False, "nice": True}}
    both = {"x": time, "y": number}
    line = {"type": "line", "interpolate": "step-after", "color": "var(--link)", "strokeWidth": 1.8}
    dot = {"type": "point", "color": "var(--link)", "filled": True, "size": 34}
    layers: list[dict[str, Any]] = [
        {"data": {"values": _hold(rows)}, "mark": line, "encoding": both},
        {"data": {"values": gaps}, "mark": {"type": "rule", **_GAP}, "encoding": {"x": time}},
        *(
            {"data": {"values": [{"value": one.value}]}, "mark": {"type": "rule", **_LIMIT}, "encoding": {"y": number}}
            for one in limits
        ),
    ]
    # Dots of many values would hide the line; one between two gaps has no line.
    layers.append(
        {"data": {"values": values if len(values) <= _MOST_DOTS else _lonely(rows)}, "mark": dot, "encoding": both}
    )
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": _WIDTH,
        "height": _HEIGHT,
        "background": None,
        "layer": layers,
        "config": _CONFIG,
    }


def plot_series(points: Sequence[tuple[str, float | None]]) -> str:
    """Values in their order, each under its name, as Vega-Lite in JSON; a gap stays one."""
    name = {"field": "at", "type": "ordinal", "sort": None, "title": None, "axis": {"labelOverlap": "greedy"}}
    number = {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False, "nice": True}}
    return json.dumps({
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": _WIDTH,
        "height": _HEIGHT // 2,
        "background": None,
        "data": {"values": [{"at": label, "value": value} for label, value in points]},
        "mark": {"type": "line", "point": {"size": 34}, "color": "var(--link)", "strokeWidth": 1.8},
        "encoding": {"x": {**name, "scale": {"padding": 0.2}}, "y": number},
        "config": {**_CONFIG, "point": {"color": "var(--link)"}},
    })  # fmt: skip


_GAP = {"color": "var(--failed)", "strokeDash": [2, 3], "strokeWidth": 1}
_LIMIT = {"color": "var(--warned)", "strokeDash": [6, 4], "strokeWidth": 1.5}
_CONFIG = {
    "aria": False,
    "mark": {"aria": False},
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "labelFontSize": 12,
        "gridColor": "var(--line)",
        "tickColor": "var(--line)",
        "domainColor": "var(--line)",
    },
}


def thin(moments: Sequence[Moment], most: int) -> Sequence[Moment]:
    """At most about `most` of them: of every group that follow each other the first, the lowest, the highest, the last.

    Extremes stay, and a group with a gap keeps one.
    """
    if len(moments) <= most:
        return moments
    size = -(-len(moments) * 5 // most)
    kept: list[Moment] = []
    for start in range(0, len(moments), size):
        group = range(start, min(start + size, len(moments)))
        known = [at for at in group if moments[at].value is not None]
        gaps = [at for at in group if moments[at].value is None][:1]
        ends = [group[0], group[-1]]
        extremes = (
            [min(known, key=lambda at: moments[at].value or 0.0), max(known, key=lambda at: moments[at].value or 0.0)]
            if known
            else []
        )
        kept += [moments[at] for at in sorted({*ends, *extremes, *gaps})]
    return kept


def _in_order(moments: Sequence[Moment]) -> list[Moment]:
    """The same with times that never go back: anybody's clock may be wrong, and the branch has an order of its own."""
    ordered: list[Moment] = []
    for moment in moments:
        earliest = ordered[-1].time if ordered else moment.time
        ordered.append(Moment(max(moment.time, earliest), moment.value))
    return ordered


def _hold(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, with each value once more where a gap ends it: until then it stood."""
    held: list[dict[str, Any]] = []
    for row in rows:
        if row["value"] is None and held and held[-1]["value"] is not None:
            held.append({"at": row["at"], "value": held[-1]["value"]})
        held.append(row)
    return held


def _lonely(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    around = [None, *(row["value"] for row in rows), None]
    return [row for at, row in enumerate(rows) if row["value"] is not None and around[at] is around[at + 2] is None]


def _spell(time: int) -> str:
    return datetime.fromtimestamp(time, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _choose_format(moments: Sequence[Moment]) -> str:
    """As much of a date as the span needs."""
    days = (max(moment.time for moment in moments) - min(moment.time for moment in moments)) / 86_400
    return "%b %Y" if days > 400 else "%d %b" if days > 3 else "%d %b %H:%M"
