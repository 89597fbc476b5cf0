"""Intervals of two models that answered different units: published numbers, scipy's Welch, laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from seatrial.stats.binary import BinarySample
from seatrial.stats.estimates import estimate, estimate_slices
from seatrial.stats.names import SPECS, Measure, Task
from seatrial.stats.paired import Estimate, Insufficient
from seatrial.stats.regression import RegressionSample
from seatrial.stats.scores import ScoreSample
from seatrial.stats.unpaired import Side, estimate_slices_unpaired, estimate_unpaired, newcombe_interval

Floats = NDArray[np.float64]
MEAN = Measure(name="mean")
ACCURACY = Measure(name="accuracy")


def scores(values: Floats, groups: NDArray[np.generic] | None = None) -> Side:
    """A column of scores as one side."""
    return Side.of(ScoreSample.of(values), groups)


def binary(n: int, seed: int, noise: float = 1.0) -> BinarySample:
    """A model's answers, worse the more noise there is."""
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.35
    return BinarySample.of(label, 1 / (1 + np.exp(0.8 - 1.5 * label - noise * rng.normal(size=n))))


def one(base: Side, head: Side, measure: Measure, level: float = 0.95) -> Estimate:
    """The estimate, which must be there."""
    found = estimate_unpaired(base, head, [measure], level=level)[measure]
    assert isinstance(found, Estimate), found
    return found


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0000)),
        ((10, 10), (0, 10), (0.6075, 1.0000)),
    ],
)
def test_published_intervals(after: tuple[int, int], before: tuple[int, int], expected: tuple[float, float]) -> None:
    """Table II of Newcombe 1998, method 10."""
    assert newcombe_interval(before, after) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("n_base", "n_head"), [(12, 400), (300, 20), (50, 50)])
def test_means_are_compared_by_welch(n_base: int, n_head: int) -> None:
    """Interval, degrees of freedom and p-values are scipy's for unequal variances."""
    rng = np.random.default_rng(n_base)
    base, head = rng.normal(3, 2, n_base), rng.normal(3.4, 0.5, n_head)
    found, oracle = one(scores(base), scores(head), MEAN, 0.9), stats.ttest_ind(head, base, equal_var=False)
    interval = oracle.confidence_interval(0.9)
    assert (found.low, found.high, found.df) == pytest.approx((interval.low, interval.high, oracle.df), rel=1e-12)
    assert 2 * min(found.p_lower, found.p_higher) == pytest.approx(oracle.pvalue, rel=1e-9)
    assert found.method == "unpaired, Welch t"


def test_shares_are_compared_by_the_score_test() -> None:
    """P-values are those of Pearson's χ² without a correction; the interval is Newcombe's."""
    base, head = np.repeat([1.0, 0.0], [48, 32]), np.repeat([1.0, 0.0], [56, 14])
    found = one(scores(base), scores(head), MEAN)
    pearson = stats.chi2_contingency([[48, 32], [56, 14]], correction=False)
    assert 2 * found.p_higher == pytest.approx(pearson.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_nothing_but_hits_is_no_certainty() -> None:
    """Two sides that are right everywhere still leave room for a difference, the more the fewer units there are."""
    reach = [one(scores(np.ones(n)), scores(np.ones(n)), MEAN) for n in (20, 2000)]
    assert [found.low for found in reach] == pytest.approx(
        [-stats.chi2.ppf(0.95, 1) / (n + stats.chi2.ppf(0.95, 1)) for n in (20, 2000)]
    )
    assert reach[0].p_lower == 0.5


@pytest.mark.parametrize("name", list(SPECS[Task.BINARY]))
def test_every_metric_has_an_unpaired_interval(name: str) -> None:
    """Swapping the sides flips signs; ten times the units take √10 from the standard error."""
    measure = Measure(name=name)
    base, head = Side.of(binary(3000, 1)), Side.of(binary(1000, 2, 2.0))
    found = one(base, head, measure)
    swapped = one(head, base, measure)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))
    assert swapped.p_lower == pytest.approx(found.p_higher)
    assert found.low < found.delta < found.high
    larger = one(Side.of(binary(30000, 1)), Side.of(binary(10000, 2, 2.0)), measure)
    assert larger.se == pytest.approx(found.se / math.sqrt(10), rel=0.15)


def test_a_pair_that_errs_together_is_known_better_when_it_is_paired() -> None:
    """What pairing is good for: the same answers but for little, on the same units."""
    rng = np.random.default_rng(5)
    truth = rng.normal(size=500)
    guess = truth + rng.normal(size=500)
    base, head = RegressionSample.of(truth, guess), RegressionSample.of(truth, guess + 0.05 * rng.normal(size=500))
    measure = Measure(name="mae")
    paired = estimate(base, head, [measure])[measure]
    assert isinstance(paired, Estimate)
    assert one(Side.of(base), Side.of(head), measure).se > 5 * paired.se


@pytest.mark.parametrize("name", ["roc_auc", "recall", "f1", "log_loss"])
def test_coverage(name: str) -> None:
    """Of nominal 95 % intervals of models that are equally good, 93–97.5 % hold 0."""
    measure = Measure(name=name)
    held = sum(
        found.low <= 0 <= found.high
        for seed in range(1000)
        for found in [one(Side.of(binary(150, seed)), Side.of(binary(300, 10_000 + seed)), measure)]
    )
    assert 930 <= held <= 975


def test_rows_that_stand_in_clusters_count_as_clusters() -> None:
    """Each row ten times over tells as much as it does once; without its group it would seem to tell more."""
    rng = np.random.default_rng(7)
    base, head = rng.normal(size=80), rng.normal(size=60)
    before, after = np.repeat(base, 10), np.repeat(head, 10)
    plain = one(scores(base), scores(head), MEAN)
    clustered = one(scores(before, np.arange(800) // 10), scores(after, np.arange(600) // 10), MEAN)
    assert clustered.se == pytest.approx(plain.se, rel=0.02)
    assert one(scores(before), scores(after), MEAN).se < 0.4 * plain.se


@pytest.mark.parametrize(
    ("base", "head", "reason"),
    [
        (np.ones(3), np.arange(50.0), "it rests on 3 rows of its rarest kind, and 10 are needed"),
        (np.full(50, 2.5), np.full(60, 3.5), "it does not vary on either side"),
    ],
)
def test_what_can_t_be_told_is_insufficient(base: Floats, head: Floats, reason: str) -> None:
    """The values are there, without an interval."""
    found = estimate_unpaired(scores(base), scores(head), [MEAN])[MEAN]
    assert isinstance(found, Insufficient)
    assert reason in found.reason
    assert (found.base, found.head) == (base.mean(), head.mean())


def test_a_side_without_a_value_is_named() -> None:
    """One class only on the baseline's side: ROC AUC has no value there."""
    base = Side.of(BinarySample.of(np.ones(50), np.linspace(0, 1, 50)))
    measure = Measure(name="roc_auc")
    found = estimate_unpaired(base, Side.of(binary(300, 3)), [measure])[measure]
    assert isinstance(found, Insufficient)
    assert found.reason.startswith("baseline: ")
    assert found.base is None
    assert found.head is not None


def test_too_few_clusters_are_named() -> None:
    """Four users are not enough, however many rows they have."""
    rng = np.random.default_rng(1)
    base, head = (scores(rng.normal(size=400), np.arange(400) % count) for count in (40, 4))
    found = estimate_unpaired(base, head, [MEAN])[MEAN]
    assert isinstance(found, Insufficient)
    assert found.reason.startswith("candidate: its rows fall into 4.0 clusters")


def test_each_slice_is_the_comparison_of_its_units() -> None:
    """Slices by code, those with too few units on either side left out, and negative codes in none."""
    base, head = binary(900, 1), binary(700, 2)
    codes = (np.arange(900) % 4 - 1, np.arange(700) % 4 - 1)
    codes[0][codes[0] == 2] = -1
    found = estimate_slices_unpaired(Side.of(base), Side.of(head), [ACCURACY], codes, min_n=50)
    assert list(found) == [0, 1]
    for code, answers in found.items():
        before, after = (
            side.select(np.flatnonzero(numbers == code)) for side, numbers in zip((base, head), codes, strict=True)
        )
        assert answers == estimate_unpaired(Side.of(before), Side.of(after), [ACCURACY])
    assert not estimate_slices_unpaired(Side.of(base), Side.of(head), [ACCURACY], codes, min_n=500)


def test_slices_of_paired_units_are_as_they_were() -> None:
    """The sorting that both kinds of slices share."""
    base, head = binary(900, 1), binary(900, 1, 2.0)
    codes = np.arange(900) % 3
    found = estimate_slices(base, head, [ACCURACY], codes, min_n=50)
    for code, answers in found.items():
        units = np.flatnonzero(codes == code)
        assert answers == estimate(base.select(units), head.select(units), [ACCURACY])


def test_two_tasks_are_refused() -> None:
    """Nothing of one can be held against the other."""
    with pytest.raises(ValueError, match="task"):
        estimate_unpaired(scores(np.ones(20)), Side.of(binary(50, 1)), [MEAN])
