"""Plots of both sides as Vega-Lite: what DVC's own templates show, with the baseline below the candidate.

Every specification is ours. Data and labels stand in it as values alone: no address, no expression and no field's name
is made of what a file says. Colours are told apart on white, on black and by colour-blind readers, and the sides by
their dashes and shapes as well.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from seatrial.core.comparison import Side
from seatrial.core.plots import Coordinate, PlotData, Series, Shape

MOST_CLASSES = 40
_MOST_BARS = 60
# Each has a contrast of at least 3 : 1 with white (#fff) and with the dark page (#171e26).
_BASE_COLOUR, _HEAD_COLOUR = "#5b8def", "#d4690f"
_GRID = "#80808030"
_WIDE, _NARROW, _HEIGHT = 560, 330, 240
_CELL = 46
_CHANGE = "change"
_MINUS = "\N{MINUS SIGN}"
_CONFIG: Mapping[str, Any] = {
    "font": "system-ui, sans-serif",
    "background": None,
    "view": {"stroke": _GRID},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "domainColor": _GRID,
        "tickColor": _GRID,
        "gridColor": _GRID,
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 160,
        "titleLimit": 320,
    },
    "legend": {
        "orient": "top",
        "title": None,
        "labelColor": "currentColor",
        "labelFontSize": 12,
        "labelLimit": 240,
        "symbolStrokeWidth": 2,
        "symbolSize": 140,
        "columnPadding": 28,
    },
    "header": {"labelColor": "currentColor", "labelFontSize": 12, "labelLimit": 300, "title": None},
}

Spec = dict[str, Any]


def draw(data: PlotData, *, labels: Mapping[Side, str], words: str, live: bool) -> str:
    """The specification as JSON. `labels` name the sides; a `live` one answers to a pointer, others are for paper."""
    names = _name_sides(labels)
    spec = _draw_confusion(data, names, live=live) if data.shape.is_confusion else _draw_points(data, names, live=live)
    return json.dumps({"description": words, **spec, "config": _CONFIG}, ensure_ascii=False, allow_nan=False)


def count_classes(data: PlotData) -> int:
    """How many classes a confusion matrix is about."""
    return len({value for series in data.series for x, y, _ in series.points for value in (x, y)})


def _name_sides(labels: Mapping[Side, str]) -> Mapping[Side, str]:
    base, head = labels[Side.BASE], labels[Side.HEAD]
    return {Side.BASE: base, Side.HEAD: head if head != base else f"{head} (candidate)"}


# --- Points: lines, clouds and bars -----------------------------------------------------------------------------------


def _draw_points(data: PlotData, names: Mapping[Side, str], *, live: bool) -> Spec:
    swapped = _is_bar(data.shape) and _is_named(data, 0) and not _is_named(data, 1)
    rows = [row for series in data.series for row in _list_rows(series, names, swapped=swapped)]
    if _is_bar(data.shape):
        rows = _limit_bars(rows)
    unit = _choose_unit(data, names, swapped=swapped, live=live)
    params = [{"name": "base_shown", "value": True}, {"name": "head_shown", "value": True}]
    meta = {"sides": [names[Side.BASE], names[Side.HEAD]], "zoom": "zoom" in json.dumps(unit)}
    top: Spec = {"data": {"values": rows}, **({"params": params, "usermeta": meta} if live else {})}
    if len(data.names) == 1:
        return {**top, **unit, "width": _WIDE}
    facet = {"field": "n", "type": "nominal", "title": None, "sort": list(data.names)}
    return {**top, "facet": facet, "columns": 2, "spec": {**unit, "width": _NARROW}}


def _list_rows(series: Series, names: Mapping[Side, str], *, swapped: bool) -> list[Spec]:
    """`j` spreads points of the same place without chance: the golden ratio's multiples."""
    head = series.side is Side.HEAD
    return [
        {
            "x": y if swapped else x,
            "y": x if swapped else y,
            "s": names[series.side],
            "h": int(head),
            "n": series.name,
            "j": round(at * 0.618034 % 1, 3),
        }
        for at, (x, y, _) in enumerate(series.points)
    ]


def _limit_bars(rows: list[Spec]) -> list[Spec]:
    kept = set(list(dict.fromkeys(row["y"] for row in rows))[:_MOST_BARS])
    return [row for row in rows if row["y"] in kept]


def _is_bar(shape: Shape) -> bool:
    return shape in {Shape.BAR_HORIZONTAL, Shape.BAR_HORIZONTAL_SORTED}


def _is_named(data: PlotData, axis: int) -> bool:
    return any(isinstance(point[axis], str) for series in data.series for point in series.points)


def _choose_unit(data: PlotData, names: Mapping[Side, str], *, swapped: bool, live: bool) -> Spec:
    named = (_is_named(data, int(swapped)), _is_named(data, int(not swapped)))
    titles = (data.y_label, data.x_label) if swapped else (data.x_label, data.y_label)
    axes = {
        "x": _axis("x", titles[0], named=named[0], zero=_is_bar(data.shape)),
        "y": _axis("y", titles[1], named=named[1], zero=False),
    }
    colour = _by_side("color", names, [_BASE_COLOUR, _HEAD_COLOUR])
    encoding: Spec = {**axes, **colour, **(_shown() if live else {})}
    if _is_bar(data.shape):
        return _draw_bars(encoding, names, data, live=live)
    layers = _draw_lines(data, encoding, names) if data.shape.is_line else [_draw_cloud(data, encoding, names, named)]
    if live:
        layers += [_answer(data)] if data.shape.is_line else []
        layers[-1]["encoding"]["tooltip"] = _tooltip(data)
        if not any(named):
            layers[0]["params"] = [_zoom()]
    return {"height": _HEIGHT, "encoding": axes, "layer": layers}


def _axis(field: str, title: str, *, named: bool, zero: bool) -> Spec:
    kind = {"type": "nominal", "sort": None} if named else {"type": "quantitative", "scale": {"zero": zero}}
    return {"field": field, "title": title or None, **kind}


def _by_side(channel: str, names: Mapping[Side, str], values: list[Any]) -> Spec:
    scale = {"domain": [names[Side.BASE], names[Side.HEAD]], "range": values}
    return {channel: {"field": "s", "type": "nominal", "scale": scale, "legend": {"title": None}}}


def _shown() -> Spec:
    """What a reader has hidden can't be seen."""
    return {"opacity": {"condition": {"test": "datum.h ? head_shown : base_shown", "value": 1}, "value": 0}}


def _draw_lines(data: PlotData, encoding: Spec, names: Mapping[Side, str]) -> list[Spec]:
    dashes = _by_side("strokeDash", names, [[5, 4], [1, 0]])
    line: Spec = {"mark": {"type": "line", "strokeWidth": 2, "clip": True}, "encoding": {**encoding, **dashes}}
    if data.shape is not Shape.SMOOTH or min(len(series.points) for series in data.series) < 4:
        return [line]
    raw = {"mark": {"type": "line", "strokeWidth": 1, "strokeOpacity": 0.3, "clip": True}, "encoding": dict(encoding)}
    groups = {"groupby": ["s", "h", "n"], "bandwidth": 0.3}
    return [raw, {"transform": [{"loess": "y", "on": "x", **groups}], **line}]


def _draw_cloud(data: PlotData, encoding: Spec, names: Mapping[Side, str], named: tuple[bool, bool]) -> Spec:
    shapes = _by_side("shape", names, ["circle", "triangle-up"])
    jitter = data.shape is Shape.SCATTER_JITTER
    offsets = {
        f"{axis}Offset": {"field": "j", "type": "quantitative"}
        for axis, is_named in zip("xy", named, strict=True)
        if jitter and is_named
    }
    mark = {"type": "point", "size": 36, "strokeWidth": 1.4, "strokeOpacity": 0.75, "clip": True}
    return {"mark": mark, "encoding": {**encoding, **shapes, **offsets}}


def _draw_bars(encoding: Spec, names: Mapping[Side, str], data: PlotData, *, live: bool) -> Spec:
    order = "-x" if data.shape is Shape.BAR_HORIZONTAL_SORTED else None
    domain = [names[Side.BASE], names[Side.HEAD]]
    offset = {"field": "s", "type": "nominal", "sort": domain, "scale": {"domain": domain}}
    channels = {**encoding, "y": {**encoding["y"], "type": "nominal", "sort": order}, "yOffset": offset}
    if live:
        channels["tooltip"] = _tooltip(data)
    return {"mark": {"type": "bar"}, "encoding": channels, "height": {"step": 12}}


def _answer(data: PlotData) -> Spec:
    """Points that nobody sees, which answer to a pointer."""
    return {"mark": {"type": "point", "opacity": 0, "size": 90, "clip": True}, "encoding": {}}


def _tooltip(data: PlotData) -> list[Spec]:
    fields = [("s", "side"), ("x", data.x_label or "x"), ("y", data.y_label or "y")]
    fields += [("n", "series")] if len(data.names) > 1 else []
    return [{"field": field, "title": title} for field, title in fields]


def _zoom() -> Spec:
    """Dragging moves a chart and a wheel with Shift zooms it, so that the page can be scrolled over it."""
    return {"name": "zoom", "select": {"type": "interval", "zoom": "wheel![event.shiftKey]"}, "bind": "scales"}


# --- Counted pairs of classes -----------------------------------------------------------------------------------------


def _draw_confusion(data: PlotData, names: Mapping[Side, str], *, live: bool) -> Spec:
    kept = _keep_classes(data)
    sides = [side for side in (Side.BASE, Side.HEAD) if any(series.side is side for series in data.series)]
    columns = [names[side] for side in sides] + ([_CHANGE] if len(sides) > 1 else [])
    rows = [cell for name in data.names for cell in _list_cells(data, name, names, kept)]
    step = {"step": _CELL if len(kept) <= 12 else 22}
    level: Spec = {"axis": {"labelAngle": 0, "labelLimit": _CELL * 3 // 2}} if len(kept) <= 4 else {}
    axes = {
        "x": {"field": "x", "type": "nominal", "title": data.x_label or None, "sort": kept, **level},
        "y": {"field": "y", "type": "nominal", "title": data.y_label or None, "sort": kept},
    }
    fill: Spec = {"mark": {"type": "rect", "color": _BASE_COLOUR}, "encoding": {"fillOpacity": _OPACITY}}
    if live:
        shown = [("s", "side"), ("x", data.x_label or "x"), ("y", data.y_label or "y"), ("t", "value")]
        fill["encoding"]["tooltip"] = [{"field": field, "title": title} for field, title in shown]
    text = {"mark": {"type": "text", "color": "currentColor", "fontSize": 11}, "encoding": {"text": {"field": "t"}}}
    layers = [fill, text] if len(kept) <= 12 else [fill]
    facet: Spec = {"column": {"field": "s", "type": "nominal", "title": None, "sort": columns}}
    if len(data.names) > 1:
        facet["row"] = {"field": "n", "type": "nominal", "title": None, "sort": list(data.names)}
    wide = {"width": {"step": _CELL * 3 // 2}} if len(kept) <= 4 else {"width": step}
    return {
        "data": {"values": rows},
        "facet": facet,
        "spec": {"height": step, **wide, "encoding": axes, "layer": layers},
    }


_OPACITY: Spec = {"field": "a", "type": "quantitative", "scale": None, "legend": None}


def _keep_classes(data: PlotData) -> list[Coordinate]:
    """The classes in ascending order; of very many, those that are met most often."""
    met: Counter[Coordinate] = Counter()
    for series in data.series:
        for x, y, weight in series.points:
            met[x] += int(weight)
            met[y] += int(weight)
    common = [value for value, _ in met.most_common(MOST_CLASSES)]
    return sorted(common, key=lambda value: (isinstance(value, str), value))


def _list_cells(data: PlotData, name: str, names: Mapping[Side, str], kept: list[Coordinate]) -> list[Spec]:
    counts = {series.side: _count_pairs(series) for series in data.series if series.name == name}
    share = data.shape is Shape.CONFUSION_NORMALIZED
    values = {side: _share_rows(pairs) if share else dict(pairs) for side, pairs in counts.items()}
    largest = 1.0 if share else max((value for pairs in values.values() for value in pairs.values()), default=1) or 1.0
    cells: list[Spec] = []
    for y in kept:
        for x in kept:
            found = {side: pairs.get((x, y), 0.0) for side, pairs in values.items()}
            for side, value in found.items():
                text = f"{value:.2f}" if share else f"{value:,.0f}"
                alpha = round(0.06 + 0.64 * value / largest, 3)
                cells.append({"x": x, "y": y, "s": names[side], "n": name, "t": text, "a": alpha})
            if len(found) == 2:
                text = _spell_change(found[Side.HEAD] - found[Side.BASE], share=share)
                cells.append({"x": x, "y": y, "s": _CHANGE, "n": name, "t": text, "a": 0.0})
    return cells


def _count_pairs(series: Series) -> Counter[tuple[Coordinate, Coordinate]]:
    pairs: Counter[tuple[Coordinate, Coordinate]] = Counter()
    for x, y, weight in series.points:
        pairs[x, y] += int(weight)
    return pairs


def _share_rows(pairs: Mapping[tuple[Coordinate, Coordinate], int]) -> dict[tuple[Coordinate, Coordinate], float]:
    """Counts as shares of all that have the same y."""
    totals: Counter[Coordinate] = Counter()
    for (_, y), number in pairs.items():
        totals[y] += number
    return {(x, y): number / totals[y] if totals[y] else 0.0 for (x, y), number in pairs.items()}


def _spell_change(difference: float, *, share: bool) -> str:
    text = f"{abs(difference):.2f}" if share else f"{abs(difference):,.0f}"
    if not float(text.replace(",", "")):
        return "0"
    return f"{'+' if difference > 0 else _MINUS}{text}"
