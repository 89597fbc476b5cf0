"""Two lines in one Mermaid chart: always in the notation that every version parses."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from seatrial.charts.mermaid import MAX_CHARACTERS, overlay_chart

LINE = re.compile(r"    line \[(-?\d+(\.\d+)?)(, -?\d+(\.\d+)?){19}\]")
POINTS = st.lists(st.tuples(st.floats(), st.floats()), max_size=30)


@given(base=POINTS, head=POINTS, title=st.text(max_size=80))
def test_a_chart_is_in_fixed_point_or_there_is_none(
    base: list[tuple[float, float]], head: list[tuple[float, float]], title: str
) -> None:
    """No scientific notation, no NaN, no quote within a title, whatever the points are."""
    source = overlay_chart(title=title, x='a "b"', y="", base=base, head=head)
    if source is None:
        return
    theme, kind, named, across, up, *lines = source.splitlines()
    assert theme.startswith("%%{init")
    assert kind == "xychart-beta"
    assert [named.count('"'), across.count('"'), up.count('"')] == [2, 2, 2]
    assert re.search(r'" -?\d+(\.\d+)? --> -?\d+(\.\d+)?$', across)
    assert len(lines) == 2
    assert all(LINE.fullmatch(line) for line in lines)
    assert len(source) <= MAX_CHARACTERS


def test_both_lines_are_read_off_at_the_same_places() -> None:
    """Sides with other x are interpolated over the range that both have."""
    source = overlay_chart(title="t", x="x", y="y", base=[(0, 0), (10, 10)], head=[(5, 5), (15, 15)])
    assert source is not None
    assert source.splitlines()[3].endswith("5.000 --> 10.000")
    first, second = source.splitlines()[-2:]
    assert first == second


def test_lines_that_share_no_range_are_no_chart() -> None:
    """There is nothing to lay over one another."""
    assert overlay_chart(title="t", x="x", y="y", base=[(0, 1), (1, 2)], head=[(2, 1), (3, 2)]) is None
