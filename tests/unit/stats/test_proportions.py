"""Proportions, alone and paired, against published numbers, scipy and their own definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seatrial.stats.proportions import mcnemar, tango_interval, wilson_interval


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


@pytest.mark.parametrize(("successes", "n", "ends"), [(81, 263, (0.2553, 0.3662)), (0, 20, (0.0, 0.1611))])
def test_published_wilson_intervals(successes: int, n: int, ends: tuple[float, float]) -> None:
    """Published examples (Newcombe 1998) to all digits."""
    assert tuple(round(end, 4) for end in wilson_interval(successes, n)) == ends


@given(successes=st.integers(0, 500), failures=st.integers(0, 500), level=st.sampled_from([0.8, 0.95, 0.999]))
def test_wilson_is_scipys(successes: int, failures: int, level: float) -> None:
    """The interval is scipy's, holds the share, lies in 0…1, and mirrors for the failures."""
    n = successes + failures or 1
    low, high = wilson_interval(successes, n, level=level)
    expected = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= successes / n <= high <= 1
    assert wilson_interval(n - successes, n, level=level) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_successes(successes: int, n: int) -> None:
    """Successes that can't belong to n rows are refused."""
    with pytest.raises(ValueError, match=f"{successes} successes do not fit into {n} rows"):
        wilson_interval(successes, n)


def test_published_mcnemar() -> None:
    """150 rows gained and 86 lost: the exact p-value is 3.7159e-05, the mid-p near that of the score, z² = 17.3559."""
    assert mcnemar(150, 86).exact == pytest.approx(3.7159e-05, rel=1e-4)
    assert mcnemar(150, 86).mid == pytest.approx(stats.chi2.sf(17.3559, 1), rel=0.1)


@given(gained=st.integers(0, 300), lost=st.integers(0, 300))
def test_mcnemar_is_the_binomial_test(gained: int, lost: int) -> None:
    """The exact p is scipy's; each mid-p lacks half of the probability of what was seen; swapping swaps the sides."""
    found = mcnemar(gained, lost)
    coin = stats.binom(gained + lost, 0.5)
    if gained + lost:
        assert found.exact == pytest.approx(stats.binomtest(gained, gained + lost).pvalue, rel=1e-9)
    assert found.lower == pytest.approx(coin.cdf(gained) - coin.pmf(gained) / 2, rel=1e-9)
    assert found.higher == pytest.approx(coin.sf(gained - 1) - coin.pmf(gained) / 2, rel=1e-9)
    assert found.mid == pytest.approx(min(1.0, found.exact - (gained != lost) * coin.pmf(gained)), rel=1e-6)
    other = mcnemar(lost, gained)
    assert (other.lower, other.higher, other.exact, other.mid) == (found.higher, found.lower, found.exact, found.mid)


def test_mcnemar_without_disagreement() -> None:
    """Where the models never disagree nothing speaks for either."""
    found = mcnemar(0, 0)
    assert (found.exact, found.mid, found.lower, found.higher) == (1, 1, 0.5, 0.5)


def test_mcnemar_of_very_many_rows() -> None:
    """Millions of disagreements give the normal approximation, and nothing overflows."""
    gained, lost = 2_002_000, 1_998_000
    z = (gained - lost) / (gained + lost) ** 0.5
    assert mcnemar(gained, lost).higher == pytest.approx(stats.norm.sf(z), rel=1e-3)
    assert mcnemar(0, 10_000_000).lower == 0


def test_mid_p_keeps_its_size() -> None:
    """Over all outcomes of 20 to 60 disagreements, one-sided mid-p values below 0.05 have a probability near 0.05."""
    for total in range(20, 61, 10):
        outcomes = np.arange(total + 1)
        rejected = [mcnemar(int(gained), int(total - gained)).higher < 0.05 for gained in outcomes]
        assert 0.02 < stats.binom(total, 0.5).pmf(outcomes) @ rejected < 0.065


@pytest.mark.parametrize(("gained", "lost"), [(-1, 3), (3, -1)])
def test_counts_are_not_negative(gained: int, lost: int) -> None:
    """Negative counts are refused."""
    with pytest.raises(ValueError, match=f"{gained} gained and {lost} lost rows are no counts"):
        mcnemar(gained, lost)


def test_newcombe_is_near() -> None:
    """On a published table of 50 rows Tango's interval is that of Newcombe's method 10 within 0.02."""
    assert tango_interval(12, 2, 50) == pytest.approx((0.0562, 0.3292), abs=0.02)
