"""A row of bars for any numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.charts.sparkline import GAP, sparkline


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█"),
        ([0.84, 0.84, 0.84], "▄▄▄"),
        ([0.0], "▄"),
        ([], ""),
        ([1.0, None, math.nan, math.inf, 2.0], "▁···█"),
        ([None, -math.inf], "··"),
        ([-1.7e308, 1.7e308], "▁█"),
        ([5e-324, 0.0], "▄▄"),
    ],
)
def test_bars(values: list[float | None], bars: str) -> None:
    """Lowest and highest are the ends of the scale, what is no number is a gap, and no numbers overflow."""
    assert sparkline(values) == bars


@given(st.lists(st.none() | st.floats()), st.integers(min_value=1, max_value=20))
def test_one_bar_a_value(values: list[float | None], width: int) -> None:
    """There are as many signs as values, at most `width`, all of them bars or gaps."""
    bars = sparkline(values, width=width)
    assert len(bars) == min(len(values), width)
    assert set(bars) <= set("▁▂▃▄▅▆▇█" + GAP)
