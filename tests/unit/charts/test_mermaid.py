"""Charts that every Mermaid in use can parse.

What Mermaid 10.7 and 11.17 refuse was tried with both: scientific notation, NaN, empty lists, quotes within quotes.
The grammar below is the part of `xychart-beta` that both accept.
"""

from __future__ import annotations

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from seatrial.charts.mermaid import MAX_CHARACTERS, line_chart

WORDS = r'"[\w .,:=/()+-]+"'
NUMBER = r"-?\d+(\.\d+)?"
GRAMMAR = re.compile(
    rf'%%\{{init: \{{"themeVariables": \{{"xyChart": \{{"plotColorPalette": "#[0-9a-f]{{6}}"\}}\}}\}}\}}%%\n'
    rf"xychart-beta\n"
    rf"    title {WORDS}\n"
    rf"    x-axis (\[{WORDS}(, {WORDS})+\]|{WORDS} 1 --> \d+)\n"
    rf"    y-axis {WORDS} {NUMBER} --> {NUMBER}\n"
    rf"    line \[{NUMBER}(, {NUMBER})+\]"
)
POINTS = st.lists(st.tuples(st.text(max_size=20), st.none() | st.floats()), max_size=60)


@given(title=st.text(max_size=100), unit=st.text(max_size=60), points=POINTS)
def test_a_chart_always_parses(title: str, unit: str, points: list[tuple[str, float | None]]) -> None:
    """Whatever the words and numbers are, a chart is short and within the grammar, or there is none."""
    chart = line_chart(title=title, unit=unit, points=points)
    if chart is not None:
        assert GRAMMAR.fullmatch(chart)
        assert len(chart) <= MAX_CHARACTERS


def test_numbers_are_fixed_point() -> None:
    """Small numbers keep their digits and never turn into `1e-05`."""
    chart = line_chart(title="loss", unit="loss", points=[("a", 1e-5), ("b", 3e-5)])
    assert chart is not None
    assert "line [0.00001000, 0.00003000]" in chart


def test_what_cannot_be_drawn_is_left_out() -> None:
    """A value that is missing or not finite goes with its label; one point is no line."""
    points = [("a", 1.0), ("b", math.nan), ("c", None), ("d", 2.0), ("e", math.inf)]
    chart = line_chart(title="t", unit="u", points=points)
    assert chart is not None
    assert 'x-axis ["a", "d"]' in chart
    assert line_chart(title="t", unit="u", points=points[:3]) is None
    assert line_chart(title="t", unit="u", points=[]) is None


def test_a_constant_series_has_a_range() -> None:
    """A level line has room above and below, also at zero."""
    for value in (0.0, 0.5, -3.0, 1e9):
        chart = line_chart(title="t", unit="u", points=[("a", value), ("b", value)])
        assert chart is not None
        low, high = re.findall(NUMBER.replace("(", "(?:"), chart.split("y-axis")[1].split("line")[0])[:2]
        assert float(low) < value < float(high)


def test_a_long_series_shows_its_end() -> None:
    """The latest points are the ones that are drawn."""
    chart = line_chart(title="t", unit="u", points=[(f"c{at}", float(at)) for at in range(1000)])
    assert chart is not None
    assert 'x-axis "c960 to c999" 1 --> 40' in chart
    assert "999.0" in chart


def test_a_range_too_small_to_see_is_not_drawn() -> None:
    """Fixed point has no digits for it, and a level line would be a lie."""
    assert line_chart(title="t", unit="u", points=[("a", 1e-20), ("b", 2e-20)]) is None


def test_equal_labels_do_not_fall_together() -> None:
    """Mermaid draws points of one label at one place, so labels that repeat are replaced by numbers."""
    chart = line_chart(title="t", unit="u", points=[("a", 1.0), ("a", 2.0), ("b", 3.0)])
    assert chart is not None
    assert 'x-axis ["1", "2", "3"]' in chart
