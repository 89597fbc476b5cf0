"""Charts of a metric over time: drawn from numbers alone, whole at any length, with no look at the outside."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.charts.timeline import Limit, Moment, describe, draw_timeline, thin
from seatrial.errors import UsageError

DAY = 86_400
VALUES = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=400)


def moments(*values: float | None) -> list[Moment]:
    return [Moment(at * DAY, value) for at, value in enumerate(values)]


def test_a_chart_is_svg_that_asks_for_nothing() -> None:
    """Well-formed, scalable, with the page's own colours, and no style, script, link or picture in it."""
    svg = draw_timeline(moments(0.7, None, 0.8, 0.75), [Limit(value=0.72, floor=True)])
    assert svg is not None
    root = ET.fromstring(svg)
    assert root.get("viewBox")
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        "svg",
        "g",
        "path",
        "line",
        "text",
        "defs",
        "clipPath",
        "rect",
    }
    assert not [element for element in root.iter() if element.get("style") or element.get("href")]
    assert "var(--link)" in svg


def test_gaps_and_limits_are_drawn() -> None:
    """A gap is a line upright, a limit one across: each is there once."""
    without = draw_timeline(moments(0.7, 0.8, 0.75))
    both = draw_timeline(moments(0.7, None, 0.75), [Limit(value=0.72, floor=True)])
    assert without
    assert both
    assert ("var(--failed)" in without, "var(--warned)" in without) == (False, False)
    assert (both.count("var(--failed)"), both.count("var(--warned)")) == (1, 1)


def test_without_a_value_there_is_no_chart() -> None:
    """Nothing is drawn where nothing was measured."""
    assert draw_timeline(moments(None, None)) is None
    assert draw_timeline([]) is None


def test_times_never_go_back() -> None:
    """A commit that claims to be older than the one below it stands beside it, not before it."""
    chart = describe([Moment(5 * DAY, 1.0), Moment(0, 2.0), Moment(6 * DAY, 3.0)], ())
    times = [row["at"] for row in chart["layer"][0]["data"]["values"]]
    assert times == sorted(times)


@given(values=VALUES)
def test_thinning_keeps_extremes_ends_and_order(values: list[float | None]) -> None:
    """However long a series is, its lowest, highest, first and last stay, and gaps do not vanish."""
    given_moments = moments(*values)
    kept = thin(given_moments, 50)
    assert len(kept) <= 60
    assert list(kept) == sorted(kept, key=lambda moment: moment.time)
    if values:
        assert (kept[0], kept[-1]) == (given_moments[0], given_moments[-1])
        assert (None in values) == any(moment.value is None for moment in kept)
        known, left = ([one for one in some if one is not None] for some in (values, [m.value for m in kept]))
        assert (min(known, default=0), max(known, default=0)) == (min(left, default=0), max(left, default=0))


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the error says which one it is."""
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(UsageError) as caught:
        draw_timeline(moments(1.0, 2.0))
    assert caught.value.hint == "pip install 'seatrial[charts]'"
