"""Tango's interval, against published tables and its own definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seatrial.stats.proportions import tango_interval


@pytest.mark.parametrize(
    ("table", "level", "low", "high", "digits"),
    [
        ((4, 9, 3, 16), 0.95, -0.027, 0.390, 3),
        ((53, 16, 8, 9), 0.95, -0.020, 0.207, 3),
        ((43, 0, 1, 0), 0.90, -0.096, 0.037, 3),
        ((1, 1, 7, 12), 0.95, -0.517, -0.026, 3),
    ],
)
def test_published_tables(table: tuple[int, int, int, int], level: float, low: float, high: float, digits: int) -> None:
    """Published tables (both right, gained, lost, both wrong) give their published intervals, to all digits."""
    found = tango_interval(table[1], table[2], sum(table), level=level)
    assert tuple(round(end, digits) for end in found) == (low, high)


@pytest.mark.parametrize("n", [1, 10, 1000])
def test_no_disagreement_is_no_certainty(n: int) -> None:
    """Without a row on which the models disagree, the interval is ±z²/(n + z²)."""
    z = stats.norm.ppf(0.975)
    reach = z**2 / (n + z**2)
    assert tango_interval(0, 0, n) == pytest.approx((-reach, reach))


@given(gained=st.integers(0, 60), lost=st.integers(0, 60), alike=st.integers(0, 300))
def test_it_holds_the_estimate_and_mirrors(gained: int, lost: int, alike: int) -> None:
    """The interval lies in −1…1, holds (gained − lost)/n, and swapping the models mirrors it."""
    n = gained + lost + alike + 1
    low, high = tango_interval(gained, lost, n)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert tango_interval(lost, gained, n) == pytest.approx((-high, -low), abs=1e-12)


def test_with_many_rows_it_is_the_normal_interval() -> None:
    """For a million rows the interval is Δ ± z·SE to four digits."""
    gained, lost, n = 30_000, 29_000, 1_000_000
    delta = (gained - lost) / n
    reach = stats.norm.ppf(0.975) * ((gained + lost) / n - delta**2) ** 0.5 / n**0.5
    assert tango_interval(gained, lost, n) == pytest.approx((delta - reach, delta + reach), rel=2e-4)


@pytest.mark.parametrize(("gained", "lost", "n"), [(0, 0, 0), (-1, 0, 5), (3, 3, 5)])
def test_impossible_counts(gained: int, lost: int, n: int) -> None:
    """Counts that can't belong to n rows are refused."""
    with pytest.raises(ValueError, match=f"{gained} gained and {lost} lost"):
        tango_interval(gained, lost, n)
