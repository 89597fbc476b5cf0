"""Spelling numbers: as precise as their noise, never so short that a change looks like none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.comparison import Change, measure_delta
from seatrial.core.metrics import Interval, MetricId, State, Value
from seatrial.core.numbers import Spelling, spell_bytes, spell_change, spell_value

METRIC = MetricId(file="m.json", key=("a",))


def spell(base: Value, head: Value, interval: tuple[float, float] | None = None, **how: int) -> Spelling:
    known = (
        Interval(low=interval[0], high=interval[1], level=0.95, n=9, method="influence function") if interval else None
    )
    change = Change(
        id=METRIC, state=State.CHANGED, base=base, head=head, delta=measure_delta(base, head), interval=known
    )
    return spell_change(change, **how)


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        (0.84215, 0.81133, ("0.842", "0.811", "−0.031")),
        (0.84215, 0.84214, ("0.842150", "0.842140", "−0.000010")),
        (0.8421500001, 0.8421500003, ("0.842150", "0.842150", "+2.0e-10")),
        (1.2e-06, 4.2e-06, ("1.2e-06", "4.2e-06", "+0.000003")),
        (41, 38, ("41", "38", "−3")),
        (336776, 336776, ("336,776", "336,776", "0")),
        (12, 12.5, ("12", "12.50", "+0.50")),
        (None, 0.5, ("–", "0.500", "")),
        (True, False, ("true", "false", "")),
        (-0.5, 0.25, ("−0.500", "0.250", "+0.750")),
        (0.0, -0.0, ("0.000", "−0.000", "0")),
        (1e300, 0.5, ("1e+300", "0.500", "−1.000e+300")),
        (1.7e308, -1.7e308, ("1.7e+308", "−1.7e+308", "−3.400e+308")),
        (1e-320, 0.0, ("1e-320", "0.000000", "−1.0e-320")),
        (2**70, 2**70 + 1, ("1.181e+21", "1.181e+21", "+1")),
    ],
)
def test_digits_follow_the_difference(base: Value, head: Value, expected: tuple[str, str, str]) -> None:
    """Two significant digits of the difference decide, and at least three of the values."""
    spelled = spell(base, head)
    assert (spelled.base, spelled.head, spelled.delta) == expected


def test_digits_follow_the_interval_where_there_is_one() -> None:
    """A difference is not spelled more precisely than it is known."""
    spelled = spell(0.84215, 0.811331, (-0.04912, -0.01234))
    assert (spelled.head, spelled.delta, spelled.interval) == ("0.811", "−0.031", "−0.049…−0.012")


def test_a_fixed_precision_is_obeyed() -> None:
    """`--precision` counts decimals, as in DVC."""
    assert spell(0.84215, 0.81133, precision=1).head == "0.8"


@given(
    st.floats(min_value=-1e9, max_value=1e9),
    st.floats(min_value=-1e9, max_value=1e9),
)
def test_a_change_is_never_spelled_as_none(base: float, head: float) -> None:
    """However small, a difference has a digit that is not 0."""
    delta = measure_delta(base, head)
    assert delta is not None
    digits = set(spell(base, head).delta) & set("123456789")
    assert bool(digits) == bool(delta.absolute)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "NaN"),
        (float("-inf"), "−Infinity"),
        (10**30, "1.000e+30"),
        (0.25, "0.2500"),
        (10**400, "Infinity"),
    ],
)
def test_odd_values_have_names(value: Value, text: str) -> None:
    """What can't be measured can still be spelled."""
    assert spell_value(value) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (812, "812 B"), (1234, "1.2 kB"), (123456, "123 kB"), (5 * 10**12, "5.0 TB")]
)
def test_sizes_are_in_units_that_people_use(size: int, text: str) -> None:
    """Powers of ten, as forges show them."""
    assert spell_bytes(size) == text
