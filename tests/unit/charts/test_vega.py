"""Vega-Lite of plots: every shape is drawn, and nothing of a stranger's is more than a value in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from seatrial.charts.vega import count_classes, draw
from seatrial.core.comparison import Side
from seatrial.core.plots import PlotData, Series, Shape
from seatrial.render.vega import draw_svg

LABELS = {Side.BASE: "main 5b174c2", Side.HEAD: "this PR 5601846"}
EVIL = 'x"]; alert(1) // {{datum}} https://probe.invalid/a.png </script>'


def plot(shape: Shape, *names: str, nominal: bool = False, text: str = "loss") -> PlotData:
    """A plot of six points a series on each side."""
    series = tuple(
        Series(
            side=side,
            name=name,
            points=tuple((f"{text} {at % 3}" if nominal else at, at * at % 5 + shift, 1.0) for at in range(6)),
            total=6,
        )
        for shift, side in enumerate(Side)
        for name in names or ("",)
    )
    return PlotData(name="p", title=text, shape=shape, x_label=text, y_label=text, series=series)


def walk(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every leaf with the keys that lead to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, path)
    else:
        yield path, value


@pytest.mark.parametrize("names", [(), ("training", "validation")])
@pytest.mark.parametrize("nominal", [False, True])
@pytest.mark.parametrize("shape", Shape)
def test_every_shape_is_drawn(shape: Shape, nominal: bool, names: tuple[str, ...]) -> None:
    """With both sides named on it, by Vega itself, for screens and for paper."""
    data = plot(shape, *names, nominal=nominal)
    for live in (False, True):
        svg = draw_svg(draw(data, labels=LABELS, words="a plot", live=live), prefix="p-")
        assert "main 5b174c2" in svg
        assert "this PR 5601846" in svg
        assert all(name in svg for name in names)
        assert "NaN" not in svg


@pytest.mark.parametrize("shape", Shape)
def test_a_strangers_text_is_a_value_and_nothing_else(shape: Shape) -> None:
    """No expression, field's name or address is made of it, whatever it says."""
    spec = json.loads(draw(plot(shape, EVIL, nominal=True, text=EVIL), labels=LABELS, words="w", live=True))
    for path, value in walk(spec):
        if isinstance(value, str) and "alert" in value:
            assert path[-1] in {"x", "y", "n", "title", "sort"} or path[:2] == ("data", "values"), path
    keys = {key for path, _ in walk(spec) for key in path}
    assert not keys & {"url", "href", "expr", "calculate", "$schema"}


def test_a_change_of_counts_is_told() -> None:
    """The third matrix holds the differences, signed."""
    points = ((("cat", "cat", 7.0), ("dog", "cat", 2.0)), (("cat", "cat", 9.0), ("dog", "cat", 1.0)))
    series = tuple(Series(side=side, name="", points=some, total=2) for side, some in zip(Side, points, strict=True))
    data = PlotData(name="p", title="p", shape=Shape.CONFUSION, x_label="x", y_label="y", series=series)
    cells = json.loads(draw(data, labels=LABELS, words="", live=False))["data"]["values"]
    change = {(cell["x"], cell["y"]): cell["t"] for cell in cells if cell["s"] == "change"}
    assert change == {("cat", "cat"): "+2", ("dog", "cat"): "−1", ("cat", "dog"): "0", ("dog", "dog"): "0"}
    assert count_classes(data) == 2


def test_sides_of_one_name_are_told_apart() -> None:
    """Two names of one commit still have a colour each."""
    labels = {Side.BASE: "main", Side.HEAD: "main"}
    spec = json.loads(draw(plot(Shape.LINEAR), labels=labels, words="", live=True))
    assert spec["usermeta"]["sides"] == ["main", "main (candidate)"]
