"""The stages of a DVC project as Vega-Lite, for a page that draws by itself: boxes from left to right, and arrows.

A stage stands one column behind the last of those that it reads from, and in its column near to them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from seatrial.charts.pipeline import connect, group_stages, label_group
from seatrial.core.metrics import StageRecord

# Beyond this nobody finds a stage any more.
_MOST_STAGES = 60
_COLUMN, _ROW = 150, 56  # pixels
_HALF_WIDTH, _HALF_HEIGHT = 0.4, 0.3  # of a column, of a row
_CHANGED, _EDGE = "#d29922", "#8b96a3"

Place = tuple[int, float]


def plot_pipeline(stages: Iterable[StageRecord], changed: Collection[str]) -> str | None:
    """The drawing as JSON; None where there are no two stages to connect, or too many to be seen.

    `changed` are the addresses of the stages to mark.
    """
    groups = group_stages(stages)
    edges = connect(groups)
    if not edges or len(groups) > _MOST_STAGES:
        return None
    places = _place(list(groups), edges)
    boxes = [
        {
            **_spread(places[group]),
            "name": label_group(group, members),
            "changed": any(stage.address in changed for stage in members),
        }
        for group, members in groups.items()
    ]
    arrows = [_join(places[start], places[end]) for start, end in edges]
    return json.dumps(_describe(boxes, arrows, places.values()), ensure_ascii=False)


def _place(groups: Sequence[str], edges: Sequence[tuple[str, str]]) -> Mapping[str, Place]:
    """Column and row of every group; columns are centred on the highest of them."""
    columns = _choose_columns(groups, edges)
    members = [[group for group in groups if columns[group] == column] for column in range(max(columns.values()) + 1)]
    highest = max(map(len, members))
    places: dict[str, Place] = {}
    for column, inside in enumerate(members):
        before = {
            group: [places[start][1] for start, end in edges if end == group and start in places] for group in inside
        }
        inside.sort(key=lambda group: sum(before[group]) / len(before[group]) if before[group] else 0.0)
        for row, group in enumerate(inside):
            places[group] = (column, row + (highest - len(inside)) / 2)
    return places


def _choose_columns(groups: Sequence[str], edges: Sequence[tuple[str, str]]) -> Mapping[str, int]:
    """One column behind the last that leads to it; a circle, which DVC refuses, ends at the number of groups."""
    columns = dict.fromkeys(groups, 0)
    for _ in groups:
        late = [
            (start, end) for start, end in edges if columns[end] <= columns[start] and columns[start] + 1 < len(groups)
        ]
        if not late:
            break
        for start, end in late:
            columns[end] = max(columns[end], columns[start] + 1)
    return columns


def _spread(place: Place) -> dict[str, float]:
    column, row = place
    return {
        "x": column - _HALF_WIDTH,
        "x2": column + _HALF_WIDTH,
        "y": row - _HALF_HEIGHT,
        "y2": row + _HALF_HEIGHT,
        "at": column,
        "row": row,
    }


def _join(start: Place, end: Place) -> dict[str, float]:
    return {"x": start[0] + _HALF_WIDTH, "y": start[1], "x2": end[0] - _HALF_WIDTH, "y2": end[1]}


def _describe(
    boxes: Sequence[Mapping[str, Any]], arrows: Sequence[Mapping[str, float]], places: Collection[Place]
) -> dict[str, Any]:
    columns, rows = max(column for column, _ in places) + 1, max(row for _, row in places) + 1
    x = {"type": "quantitative", "axis": None, "scale": {"domain": [-0.5, columns - 0.5], "nice": False}}
    y = {
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [-0.5, rows - 0.5], "nice": False, "reverse": True},
    }
    ends = {"x": {"field": "x", **x}, "x2": {"field": "x2"}, "y": {"field": "y", **y}, "y2": {"field": "y2"}}
    tip = {"x": {"field": "x2", **x}, "y": {"field": "y2", **y}}
    middle = {"x": {"field": "at", **x}, "y": {"field": "row", **y}}
    marked = {"condition": {"test": "datum.changed", "value": _CHANGED}, "value": _EDGE}
    wide = {"condition": {"test": "datum.changed", "value": 3}, "value": 1}
    arrow = {"type": "point", "shape": "triangle-right", "filled": True, "size": 60, "color": _EDGE, "xOffset": -3}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": columns * _COLUMN,
        "height": max(round(rows * _ROW), _ROW),
        "background": None,
        "layer": [
            {"data": {"values": arrows}, "mark": {"type": "rule", "color": _EDGE}, "encoding": ends},
            {"data": {"values": arrows}, "mark": arrow, "encoding": tip},
            {
                "data": {"values": boxes},
                "mark": {"type": "rect", "cornerRadius": 6, "fill": "var(--card)"},
                "encoding": {**ends, "stroke": marked, "strokeWidth": wide},
            },
            {
                "data": {"values": boxes},
                "mark": {"type": "text", "fontSize": 12, "color": "currentColor", "limit": _COLUMN * 0.72},
                "encoding": {**middle, "text": {"field": "name"}},
            },
        ],
        "config": {"font": "system-ui, sans-serif", "view": {"stroke": None}},
    }
