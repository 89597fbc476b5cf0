"""The pipeline as a page draws it: what leads to what from left to right, what changed, and a page that shows it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.charts.flow import plot_pipeline
from seatrial.charts.timeline import plot_series
from seatrial.core.document import Diagram
from seatrial.render.html import view_block
from seatrial.render.vega import draw_svg
from tests.unit.charts.test_pipeline import stage

DIAMOND = (
    stage("load", outs=("raw",)),
    stage("clean", deps=("raw",), outs=("table",)),
    stage("describe", deps=("raw",), outs=("summary",)),
    stage("train", deps=("table", "summary", "raw"), outs=("model",)),
)


def boxes(drawing: str) -> dict[str, Any]:
    """The boxes of a drawing by their names."""
    return {box["name"]: box for box in json.loads(drawing)["layer"][-1]["data"]["values"]}


def test_a_stage_stands_behind_all_that_it_reads_from() -> None:
    """The longest way decides the column, and stages side by side have rows of their own."""
    drawing = plot_pipeline(DIAMOND, {"train"})
    assert drawing is not None
    found = boxes(drawing)
    assert {name: box["at"] for name, box in found.items()} == {"load": 0, "clean": 1, "describe": 1, "train": 2}
    assert found["clean"]["row"] != found["describe"]["row"]
    assert [name for name, box in found.items() if box["changed"]] == ["train"]


def test_a_circle_has_an_end() -> None:
    """DVC refuses stages that wait for each other; drawing them ends all the same."""
    circle = (stage("a", deps=("y",), outs=("x",)), stage("b", deps=("x",), outs=("y",)))
    drawing = plot_pipeline(circle, ())
    assert drawing is not None
    assert set(boxes(drawing)) == {"a", "b"}


def test_what_nobody_could_read_is_not_drawn() -> None:
    """Stages without a connection, and too many of them."""
    assert plot_pipeline([stage("only", outs=("x",))], ()) is None
    chain = [stage(f"s{at}", deps=(f"f{at - 1}",), outs=(f"f{at}",)) for at in range(61)]
    assert plot_pipeline(chain, ()) is None


@settings(deadline=None, max_examples=30)
@given(names=st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=6, unique=True))
def test_no_name_keeps_it_from_being_drawn(names: list[str]) -> None:
    """Whatever stages are called, the page has a drawing of shapes and words."""
    chain = [stage(name, deps=(f"f{at - 1}",), outs=(f"f{at}",)) for at, name in enumerate(names)]
    drawing = plot_pipeline(chain, set(names[:1]))
    if drawing is not None:
        assert draw_svg(drawing, prefix="d-").startswith("<svg")


def test_a_page_draws_and_says_in_words_what_it_shows() -> None:
    """The drawing takes the place of the source; without one the source is shown."""
    drawn = view_block(Diagram(title="The pipeline", source="flowchart LR", still=plot_pipeline(DIAMOND, ())))
    assert (drawn.kind, drawn.words, drawn.source) == ("drawing", "The pipeline", "")
    assert "describe" in drawn.content
    assert view_block(Diagram(title="The pipeline", source="flowchart LR")).kind == "diagram"


def test_a_series_is_drawn_with_its_gaps() -> None:
    """Each value stands under its commit; what was no number is left out of the line."""
    svg = draw_svg(plot_series([("5b174c2", 0.81), ("9e0f4a6", None), ("this change", 0.84)]), prefix="t-")
    assert "5b174c2" in svg
    assert "this change" in svg
