"""Folds, seeds and history: published numbers, scipy's, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC

from seatrial.stats.paired import Insufficient
from seatrial.stats.repeats import RepeatedEstimate, compare_folds, compare_seeds, compare_with_history


def estimated(found: RepeatedEstimate | Insufficient) -> RepeatedEstimate:
    """The estimate, which may not be refused."""
    assert isinstance(found, RepeatedEstimate), found
    return found


def test_nadeau_bengio_of_scikit_learns_example() -> None:
    """A hundred folds of `plot_grid_search_stats`: t is 0.750 and one-sided p 0.227, where the naive p is 0.005."""
    rows, label = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    linear, radial = (
        cross_val_score(SVC(kernel=kernel, random_state=0), rows, label, scoring="roc_auc", cv=folds)
        for kernel in ("linear", "rbf")
    )
    found = estimated(compare_folds(linear, radial, test_train_ratio=1 / 9))
    assert found.delta / found.se == pytest.approx(0.750, abs=5e-4)
    assert found.p_higher == pytest.approx(0.227, abs=5e-4)
    assert (found.df, found.n, found.method) == (99, 100, "Nadeau–Bengio, t")


def test_welch_is_that_of_scipy() -> None:
    """Interval, degrees of freedom and both one-sided p-values of unequal sets of seeds."""
    base, head = [0.81, 0.84, 0.79, 0.83, 0.80], [0.86, 0.80, 0.91, 0.84, 0.88, 0.79, 0.90]
    found = estimated(compare_seeds(base, head, level=0.9))
    oracle = stats.ttest_ind(head, base, equal_var=False)
    ends = oracle.confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    assert found.df == pytest.approx(oracle.df)
    assert found.p_higher == pytest.approx(oracle.pvalue / 2)
    assert found.p_lower == pytest.approx(1 - oracle.pvalue / 2)
    assert found.delta == pytest.approx(np.mean(head) - np.mean(base))


def test_history_predicts_the_next_value() -> None:
    """A new value at the edge of x̄ ± t·s·√(1 + 1/k) has an interval that ends at 0."""
    past = np.array([0.80, 0.82, 0.81, 0.79, 0.83, 0.80])
    reach = stats.t.ppf(0.975, 5) * past.std(ddof=1) * np.sqrt(7 / 6)
    found = estimated(compare_with_history(past, past.mean() - reach))
    assert found.high == pytest.approx(0, abs=1e-12)
    assert found.low == pytest.approx(-2 * reach)
    assert found.p_lower == pytest.approx(0.025)


def test_prediction_interval_covers_the_next_value() -> None:
    """Of 2,000 values that follow six others of the same kind, about 95 % are found to be like them."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(2000, 7))
    found = [estimated(compare_with_history(row[:6], float(row[6]))) for row in values]
    assert np.mean([one.low <= 0 <= one.high for one in found]) == pytest.approx(0.95, abs=0.015)


def test_swapping_the_sides_flips_the_signs() -> None:
    """The candidate against the baseline is the mirror of the baseline against the candidate."""
    one, two = [0.1, 0.4, 0.2, 0.3], [0.2, 0.6, 0.3, 0.35]
    for there, back in (
        (compare_seeds(one, two), compare_seeds(two, one)),
        (compare_folds(one, two, test_train_ratio=0.25), compare_folds(two, one, test_train_ratio=0.25)),
    ):
        first, second = estimated(there), estimated(back)
        assert (first.delta, first.low, first.high) == pytest.approx((-second.delta, -second.high, -second.low))
        assert first.p_lower == pytest.approx(second.p_higher)


def test_too_few_repeats_are_insufficient() -> None:
    """Two folds, two seeds, four values of the past: no interval, the means, and how many are needed."""
    few = [0.1, 0.3]
    folds = compare_folds(few, [0.2, 0.4], test_train_ratio=1.0)
    assert isinstance(folds, Insufficient)
    assert folds.reason == "it has 2 folds, and 3 are needed"
    assert (folds.base, folds.head, folds.n) == pytest.approx((0.2, 0.3, 4))
    seeds = compare_seeds(few, [0.1, 0.2, 0.4])
    assert isinstance(seeds, Insufficient)
    assert seeds.reason == "it has 2 seeds, and 3 are needed"
    past = compare_with_history([0.1, 0.2, 0.3, 0.4], 0.5)
    assert isinstance(past, Insufficient)
    assert past.reason == "it has 4 values of the past, and 5 are needed"
    empty = compare_with_history([], 0.5)
    assert isinstance(empty, Insufficient)
    assert (empty.base, empty.head) == (None, 0.5)


def test_values_that_do_not_vary_are_insufficient() -> None:
    """A constant, or a constant difference, has no spread: it is said, and never taken for certainty."""
    reason = "its values do not vary, so that nothing tells how sure the difference is"
    for found in (
        compare_folds([0.1, 0.2, 0.3], [0.2, 0.3, 0.4], test_train_ratio=0.5),
        compare_seeds([0.1] * 3, [0.2] * 3),
        compare_with_history([0.1] * 5, 0.2),
    ):
        assert isinstance(found, Insufficient)
        assert found.reason == reason


def test_bad_numbers_are_refused() -> None:
    """NaN, unequal folds and ratios that are no ratio are errors."""
    with pytest.raises(ValueError, match="not a row of finite"):
        compare_seeds([0.1, float("nan"), 0.2], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="not a row of finite"):
        compare_with_history([0.1] * 5, float("inf"))
    with pytest.raises(ValueError, match="3 folds can't be paired with 4"):
        compare_folds([1, 2, 3], [1, 2, 3, 4], test_train_ratio=0.5)
    for ratio in (0.0, float("nan"), -1.0):
        with pytest.raises(ValueError, match="not above 0"):
            compare_folds([1, 2, 3], [1, 2, 4], test_train_ratio=ratio)
