"""Drift of columns: scipy's distances, the noise of no change, and missing values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from seatrial.stats.drift import (
    Drift,
    compare_categories,
    compare_numbers,
    limit_psi,
    measure_jensen_shannon,
    measure_psi,
    measure_wasserstein,
)
from seatrial.stats.influence import Undefined

counts = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8).filter(
    lambda pairs: all(sum(side) for side in zip(*pairs, strict=True))
)
samples = st.lists(st.integers(-5, 5) | st.floats(-9, 9), min_size=1, max_size=20)


def drifted(found: Drift | Undefined) -> Drift:
    """The drift, which must have a value."""
    assert isinstance(found, Drift), found
    return found


@settings(deadline=None, derandomize=True)
@given(counts)
def test_jensen_shannon_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    """The distance is scipy's in base 2."""
    base, head = (list(side) for side in zip(*pairs, strict=True))
    assert measure_jensen_shannon(base, head) == pytest.approx(float(jensenshannon(base, head, base=2)), abs=1e-7)


@settings(deadline=None, derandomize=True)
@given(samples, samples)
def test_wasserstein_is_that_of_scipy(base: list[float], head: list[float]) -> None:
    """The distance is scipy's, of samples of unequal length and with ties."""
    assert measure_wasserstein(base, head) == pytest.approx(stats.wasserstein_distance(base, head), abs=1e-9)


def test_psi_by_hand() -> None:
    """Half a row in each bin and then Σ (h − b)·ln(h/b): symmetric, and finite for empty bins."""
    expected = (7.5 / 21 - 10.5 / 21) * math.log(7.5 / 10.5) + (13.5 / 21 - 10.5 / 21) * math.log(13.5 / 10.5)
    assert measure_psi([10, 10], [7, 13]) == pytest.approx(expected)
    assert measure_psi([7, 13], [10, 10]) == pytest.approx(expected)
    assert math.isfinite(measure_psi([10, 0], [0, 10]))


@pytest.mark.parametrize(("n", "m"), [(300, 150), (2000, 5000)])
def test_psi_of_no_change_is_below_its_limit(n: int, m: int) -> None:
    """Of 1,000 columns that did not change, about 5 % exceed the 95 % point; 0.1 alone would say nothing of that."""
    rng = np.random.default_rng(9)
    point = (1 / n + 1 / m) * stats.chi2.ppf(0.95, 9)
    psi = [measure_psi(rng.multinomial(n, [0.1] * 10), rng.multinomial(m, [0.1] * 10)) for _ in range(1000)]
    assert np.mean(np.array(psi) > point) == pytest.approx(0.05, abs=0.025)
    assert limit_psi(n, m, 10) == pytest.approx(max(0.1, point))


def test_numbers_that_did_not_change() -> None:
    """Two samples of one distribution are within the limit, and all distances are small."""
    rng = np.random.default_rng(1)
    found = drifted(compare_numbers(rng.normal(size=3000), rng.normal(size=2000)))
    assert found.psi <= found.psi_limit
    assert found.psi < 0.03
    assert found.jensen_shannon < 0.08
    assert found.wasserstein is not None
    assert found.wasserstein < 0.06
    assert sum(found.base_counts) == 3000
    assert sum(found.head_counts) == 2000
    assert max(found.base_counts) - min(found.base_counts) <= 1


def test_a_shift_is_measured_in_the_baselines_spread() -> None:
    """A shift by one interquartile range is a Wasserstein distance of 1, whatever the unit, and beyond the limit."""
    base = np.random.default_rng(2).normal(size=4000) * 1000
    scale = float(np.subtract(*np.quantile(base, [0.75, 0.25])))
    found = drifted(compare_numbers(base, base + scale))
    assert found.wasserstein == pytest.approx(1)
    assert found.scale == pytest.approx(scale)
    assert found.psi > found.psi_limit


def test_a_constant_baseline_shows_what_leaves_it() -> None:
    """Where the baseline is a constant, other values lie in bins of their own, below and above it."""
    found = drifted(compare_numbers([5.0] * 100, [5.0] * 60 + [7.0] * 30 + [1.0] * 10))
    assert (found.base_counts, found.head_counts) == ((0, 100, 0), (10, 60, 30))
    assert found.wasserstein is None
    assert found.psi > found.psi_limit


def test_a_frequent_value_is_a_bin_by_itself() -> None:
    """Where half of the baseline is 0, rows that move from 0 to below it are seen, unless by less than half a step."""
    base = np.concatenate((np.zeros(500), np.linspace(0.1, 9, 500)))
    head = np.where(np.arange(1000) < 200, -0.1, base)
    found = drifted(compare_numbers(base, head))
    assert (found.base_counts[:2], found.head_counts[:2]) == ((0, 500), (200, 300))
    assert found.psi > found.psi_limit


def test_missing_values_are_a_bin() -> None:
    """A column that goes missing drifts, though what remains of it is the same."""
    base = np.arange(1000.0)
    head = np.where(np.arange(1000) % 2, base, np.nan)
    found = drifted(compare_numbers(base, head))
    assert (found.base_missing, found.head_missing) == (0, 500)
    assert (found.base_counts[-1], found.head_counts[-1]) == (0, 500)
    assert found.psi > found.psi_limit
    assert found.wasserstein is not None
    assert found.wasserstein < 0.01


def test_infinite_values_are_binned() -> None:
    """Infinity lies in the outer bins and is left out of distances, so that none is infinite."""
    found = drifted(compare_numbers([1, 2, 3, 4, math.inf], [1, 2, 3, -math.inf, 4]))
    assert sum(found.base_counts) == sum(found.head_counts) == 5
    assert found.wasserstein == 0


def test_categories_come_from_both_sides() -> None:
    """A new category is a bin in which the baseline has no row, and its rows are counted."""
    found = drifted(compare_categories({"a": 50, "b": 50}, {"a": 40, "c": 60}, head_missing=10))
    assert found.base_counts == (50, 50, 0, 0)
    assert found.head_counts == (40, 0, 60, 10)
    assert (found.novel, found.n, found.m, found.edges) == (60, 100, 110, ())
    assert found.psi > found.psi_limit


def test_tables_without_rows_have_no_drift() -> None:
    """An empty table, or a baseline that is all missing, is Undefined with the reason."""
    assert compare_numbers([], [1.0]) == Undefined(reason="there are no rows")
    assert compare_numbers([math.nan], [1.0]) == Undefined(reason="the baseline has no value")
    assert compare_categories({}, {"a": 1}) == Undefined(reason="there are no rows")


def test_one_bin_cannot_drift() -> None:
    """A column of one category is as it was; a column without finite values has no distance, and no scale."""
    found = drifted(compare_categories({"a": 5}, {"a": 7}))
    assert (found.psi, found.psi_limit, found.jensen_shannon) == (0, 0.1, 0)
    endless = drifted(compare_numbers([math.inf] * 4, [1.0] * 4))
    assert (endless.wasserstein, endless.scale) == (None, None)
    with pytest.raises(ValueError, match="fewer than 2 bins"):
        compare_numbers([1.0], [1.0], bins=1)


def test_counts_that_are_none_are_refused() -> None:
    """Unequal bins, negative or no counts are errors."""
    for base, head in (([1], [1, 2]), ([-1, 2], [1, 2]), ([0, 0], [1, 2])):
        with pytest.raises(ValueError, match="counts are not"):
            measure_psi(base, head)
    with pytest.raises(ValueError, match="have no PSI"):
        limit_psi(0, 5, 3)
    with pytest.raises(ValueError, match="not a row of finite"):
        measure_wasserstein([], [1.0])
