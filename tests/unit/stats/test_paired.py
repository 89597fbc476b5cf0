"""Intervals of paired differences: published numbers, laws, clusters, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from seatrial.stats.binary import BinarySample
from seatrial.stats.estimates import estimate
from seatrial.stats.influence import Influence
from seatrial.stats.names import SPECS, Measure, Task
from seatrial.stats.paired import Estimate, Insufficient, paired_interval
from seatrial.stats.spread import Clusters

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

NAMES = tuple(SPECS[Task.BINARY])

# Ten rows whose DeLong variances are short fractions.
LABEL = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1], dtype=bool)
BASE = np.array([1, 2, 3, 4, 5, 5, 3, 5, 6, 7], dtype=float)
HEAD = np.array([2, 1, 4, 3, 6, 5, 5, 7, 6, 8], dtype=float)


def simulate(n: int, seed: int, ties: int = 0) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Labels and two models' probabilities that err together; `ties` > 0 rounds the scores to that many levels."""
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.35
    shared = 1.5 * label - 0.8 + rng.normal(size=n)
    base, head = (1 / (1 + np.exp(-shared - 0.5 * rng.normal(size=n))) for _ in range(2))
    return (label, np.round(base * ties) / ties, np.round(head * ties) / ties) if ties else (label, base, head)


def measured(name: str, label: NDArray[np.generic], score: Floats, weight: Floats | None = None) -> Influence:
    """The influences of a metric, which must be defined."""
    found = BinarySample.of(label, score, weight=weight).measure(Measure(name=name))
    assert isinstance(found, Influence), found
    return found


def answer(
    label: NDArray[np.generic],
    base: Floats,
    head: Floats,
    names: Sequence[str] = NAMES,
    *,
    weight: Floats | None = None,
    groups: NDArray[np.generic] | None = None,
    level: float = 0.95,
) -> dict[str, Estimate | Insufficient]:
    """The estimates of two models, by the metrics' names."""
    before, after = (BinarySample.of(label, score, weight=weight) for score in (base, head))
    found = estimate(before, after, [Measure(name=name) for name in names], groups=groups, level=level)
    return {measure.name: one for measure, one in found.items()}


def compare(
    label: NDArray[np.generic], base: Floats, head: Floats, names: Sequence[str] = NAMES, **options: Any
) -> dict[str, Estimate]:
    """The same, where none may be refused."""
    found = answer(label, base, head, names, **options)
    assert all(isinstance(one, Estimate) for one in found.values()), found
    return {name: one for name, one in found.items() if isinstance(one, Estimate)}


def interval(base: Influence, head: Influence, **options: Any) -> Estimate:
    """The interval, which may not be refused."""
    found = paired_interval(base, head, **options)
    assert isinstance(found, Estimate), found
    return found


class TestPublishedNumbers:
    """Numbers that others have computed."""

    def test_delong_exact_fractions(self) -> None:
        """AUC 13/16 against 11/12: the variance of the difference is 191/17280, and z is 0.99080."""
        base, head = measured("roc_auc", LABEL, BASE), measured("roc_auc", LABEL, HEAD)
        found = interval(base, head, min_support=4)
        assert (found.base, found.head) == pytest.approx((13 / 16, 11 / 12))
        assert found.se**2 == pytest.approx(float(Fraction(191, 17280)), rel=1e-14)
        assert found.delta / found.se == pytest.approx(0.9907953333913908, rel=1e-12)
        assert 2 * stats.norm.sf(found.delta / found.se) == pytest.approx(0.3217855284537253, rel=1e-12)

    @pytest.mark.parametrize(("score", "variance"), [(BASE, Fraction(413, 17280)), (HEAD, Fraction(7, 960))])
    def test_delong_variance_of_one_model(self, score: NDArray[np.float64], variance: Fraction) -> None:
        """Against a constant model, whose influence is 0, what remains is DeLong's variance of the one AUC."""
        constant = measured("roc_auc", LABEL, np.zeros(10))
        found = interval(constant, measured("roc_auc", LABEL, score), min_support=4)
        assert found.se**2 == pytest.approx(float(variance), rel=1e-14)

    def test_average_precision(self) -> None:
        """AP 0.775 against 0.854…: the standard error of the difference is 0.13346."""
        base, head = measured("average_precision", LABEL, BASE), measured("average_precision", LABEL, HEAD)
        found = interval(base, head, min_support=4)
        assert (found.base, found.head) == pytest.approx((0.775, 0.8541666666666666))
        assert found.se == pytest.approx(0.1334640803775638, rel=1e-14)
        assert found.df == 3

    def test_mean_scores_are_the_paired_t_test(self) -> None:
        """For a mean (log loss, Brier) the interval is that of scipy's paired t test on the rows' losses."""
        label, base, head = simulate(60, seed=1)
        losses = [(score - label) ** 2 for score in (head, base)]
        expected = stats.ttest_rel(*losses).confidence_interval(0.9)
        found = interval(measured("brier", label, base), measured("brier", label, head), level=0.9)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))

    def test_recall_is_accuracy_among_the_positives(self) -> None:
        """Rows that a metric does not look at change neither its interval nor its standard error."""
        label, base, head = simulate(300, seed=2)
        whole = interval(measured("recall", label, base), measured("recall", label, head))
        part = np.ones(int(label.sum()), dtype=bool)
        alone = interval(measured("accuracy", part, base[label]), measured("accuracy", part, head[label]))
        assert (whole.low, whole.high, whole.se) == pytest.approx((alone.low, alone.high, alone.se))


class TestLaws:
    """What must hold for any data."""

    @settings(deadline=None, max_examples=25, derandomize=True)
    @given(seed=st.integers(0, 10_000), ties=st.sampled_from([0, 10]))
    def test_swapping_the_models_flips_the_signs(self, seed: int, ties: int) -> None:
        """Baseline against candidate is the mirror image of candidate against baseline."""
        label, base, head = simulate(120, seed, ties)
        forth = compare(label, base, head)
        back = compare(label, head, base)
        for name, one in forth.items():
            assert (one.delta, one.low, one.high, one.se) == pytest.approx(
                (-back[name].delta, -back[name].high, -back[name].low, back[name].se), abs=1e-12
            )

    @settings(deadline=None, max_examples=25, derandomize=True)
    @given(seed=st.integers(0, 10_000), ties=st.sampled_from([0, 10]))
    def test_the_order_of_rows_does_not_matter(self, seed: int, ties: int) -> None:
        """Shuffled rows give the same estimates, up to the last bits of a sum."""
        label, base, head = simulate(120, seed, ties)
        rows = np.random.default_rng(seed).permutation(120)
        before = compare(label, base, head)
        after = compare(label[rows], base[rows], head[rows])
        for name, one in before.items():
            assert (one.delta, one.low, one.high) == pytest.approx(
                (after[name].delta, after[name].low, after[name].high), abs=1e-12
            )

    @settings(deadline=None, max_examples=25, derandomize=True)
    @given(seed=st.integers(0, 10_000), ties=st.sampled_from([0, 10]))
    def test_every_row_twice_divides_the_error_by_root_two(self, seed: int, ties: int) -> None:
        """n·(n − 1) apart, doubling the rows halves the variance; taken as clusters, copies add nothing."""
        label, base, head = simulate(400, seed, ties)
        twice = np.tile(label, 2), np.tile(base, 2), np.tile(head, 2)
        pairs = np.tile(np.arange(400), 2)
        once = compare(label, base, head, groups=np.arange(400))
        copied = compare(*twice)
        clustered = compare(*twice, groups=pairs)
        for name, one in once.items():
            assert copied[name].se * math.sqrt(2) == pytest.approx(one.se, rel=0.01)
            assert clustered[name].se == pytest.approx(one.se, rel=1e-9)
            assert copied[name].delta == pytest.approx(one.delta, abs=1e-12)

    @settings(deadline=None, max_examples=25, derandomize=True)
    @given(seed=st.integers(0, 10_000), ties=st.sampled_from([0, 10]))
    def test_ranks_are_all_that_ranking_metrics_see(self, seed: int, ties: int) -> None:
        """A monotone transform of the scores leaves ROC AUC and average precision as they are."""
        label, base, head = simulate(150, seed, ties)
        metrics = ("roc_auc", "average_precision")
        plain = compare(label, base, head, metrics)
        assert compare(label, base**3 / 2, np.expm1(head), metrics) == plain

    def test_a_higher_level_is_a_wider_interval(self) -> None:
        """The 99 % interval of every metric holds the 90 % one."""
        label, base, head = simulate(300, seed=4)
        wide = compare(label, base, head, level=0.99)
        for name, narrow in compare(label, base, head, level=0.9).items():
            assert wide[name].low < narrow.low < narrow.delta < narrow.high < wide[name].high

    def test_nominal_coverage(self) -> None:
        """Of 400 test sets of 300 rows, about 95 % have the true difference, which is 0, in the interval."""
        covered = dict.fromkeys(NAMES, 0)
        for seed in range(400):
            label, base, head = simulate(300, seed)
            for name, one in compare(label, base, head).items():
                covered[name] += one.low <= 0 <= one.high
        # 0.95 ± 3.5 standard errors of 400 trials.
        assert {name: count / 400 for name, count in covered.items() if not 0.912 <= count / 400 <= 0.988} == {}


class TestClusters:
    """Rows that belong together."""

    def test_leaving_clusters_out_one_by_one(self) -> None:
        """For a mean the standard error is exactly that of the leave-one-cluster-out jackknife, done by hand."""
        label, base, head = simulate(200, seed=5)
        groups = np.random.default_rng(5).integers(0, 20, size=200) ** 2 // 19
        found = interval(
            measured("log_loss", label, base), measured("log_loss", label, head), clusters=Clusters.of(groups)
        )

        def change(rows: NDArray[np.bool_]) -> float:
            sides = (measured("log_loss", label[rows], score[rows]).value for score in (head, base))
            return next(sides) - next(sides)

        names = np.unique(groups)
        left_out = np.array([change(groups != name) for name in names])
        expected = math.sqrt((names.size - 1) / names.size * np.sum((left_out - found.delta) ** 2))
        assert found.se == pytest.approx(expected, rel=1e-12)
        sizes = np.bincount(groups)
        assert found.df == pytest.approx(200**2 / np.sum(sizes**2) - 1)

    def test_recall_leaves_out_only_positives(self) -> None:
        """Clusters without a positive row say nothing of recall, and are not counted."""
        label, base, head = simulate(200, seed=6)
        groups = np.arange(200) // 10
        whole = interval(measured("recall", label, base), measured("recall", label, head), clusters=Clusters.of(groups))
        ones = np.ones(int(label.sum()), dtype=bool)
        part = [measured("accuracy", ones, score[label]) for score in (base, head)]
        assert whole.se == pytest.approx(interval(*part, clusters=Clusters.of(groups[label])).se, rel=1e-12)

    def test_singletons_are_no_clusters(self) -> None:
        """With one row in each cluster, the standard error is the plain one."""
        label, base, head = simulate(200, seed=7)
        sides = measured("brier", label, base), measured("brier", label, head)
        alone = interval(*sides, clusters=Clusters.of(np.arange(200)))
        assert alone.se == pytest.approx(interval(*sides).se, rel=1e-12)
        assert alone.df == pytest.approx(199)

    def test_coverage_where_rows_are_not_independent(self) -> None:
        """With 30 clusters that err together, cluster intervals cover about 95 %, and naive ones far less."""
        naive = clustered = 0
        for seed in range(400):
            rng = np.random.default_rng(seed)
            groups = np.repeat(np.arange(30), rng.integers(4, 16, size=30))
            label = rng.random(groups.size) < 0.5
            base, head = (
                1 / (1 + np.exp(1 - 2 * label + rng.normal(size=30)[groups] + 0.5 * rng.normal(size=groups.size)))
                for _ in range(2)
            )
            sides = measured("brier", label, base), measured("brier", label, head)
            plain, found = interval(*sides), interval(*sides, clusters=Clusters.of(groups))
            naive += plain.low <= 0 <= plain.high
            clustered += found.low <= 0 <= found.high
        assert 0.912 <= clustered / 400 <= 0.988
        assert naive / 400 < 0.85

    def test_too_few_clusters(self) -> None:
        """One cluster that holds nearly all rows leaves fewer than 5 effective ones: no interval."""
        label, base, head = simulate(200, seed=8)
        groups = np.maximum(np.arange(200) - 180, 0)
        found = answer(label, base, head, ["brier"], groups=groups)["brier"]
        assert isinstance(found, Insufficient)
        assert "1.2 clusters of effective size, and 5 are needed" in found.reason


class TestEnds:
    """Where there is nothing to tell, or too little to tell it."""

    def test_the_same_predictions_are_identical(self) -> None:
        """Equal predictions give a difference of 0 without doubt, for each metric and however few rows."""
        label, base, _ = simulate(12, seed=9)
        label[:2] = [True, False]
        base[0] = 0.9
        for one in compare(label, base, base.copy()).values():
            assert (one.method, one.delta, one.se, one.low, one.high) == ("identical", 0, 0, 0, 0)
            assert one.base == one.head

    @pytest.mark.parametrize("name", ["roc_auc", "average_precision", "recall", "f1"])
    def test_fewer_than_ten_positives(self, name: str) -> None:
        """Nine positives among a thousand rows are too few for an interval; the values are told nevertheless."""
        rng = np.random.default_rng(10)
        label = np.arange(1000) < 9
        base, head = rng.random(1000), rng.random(1000)
        found = answer(label, base, head, [name])[name]
        assert isinstance(found, Insufficient)
        assert "9 rows of its rarest kind, and 10 are needed" in found.reason
        assert found.base is not None
        assert found.head is not None

    def test_one_row(self) -> None:
        """A single row has values, but no interval."""
        found = answer(np.array([1]), np.array([0.4]), np.array([0.6]), ["accuracy", "log_loss"])
        assert all(isinstance(one, Insufficient) and one.n == 1 for one in found.values())
        assert (found["accuracy"].base, found["accuracy"].head) == (0, 1)

    def test_the_same_decisions_are_no_certainty(self) -> None:
        """Two models that decide alike but score differently get an interval of accuracy that is not a point."""
        label, base, _ = simulate(50, seed=11)
        head = np.where(base >= 0.5, 0.9, 0.1)
        found = compare(label, base, head, ["accuracy"])["accuracy"]
        z = stats.norm.ppf(0.975)
        reach = z**2 / (50 + z**2)
        assert (found.delta, found.low, found.high) == pytest.approx((0, -reach, reach))

    def test_perfect_ranking_twice_is_refused(self) -> None:
        """Two models that both rank without a fault differ by 0 without spread: that is not certainty either."""
        label = np.arange(40) >= 20
        base, head = np.linspace(0, 1, 40), np.linspace(0, 1, 40) ** 2
        found = answer(label, base, head, ["roc_auc"])["roc_auc"]
        assert isinstance(found, Insufficient)
        assert found.reason == "it sees no difference in any row, which does not prove that there never is one"

    def test_a_constant_shift_is_refused(self) -> None:
        """A difference that is the same on every row, but for rounding, has no spread to go by."""
        label = np.ones(30, dtype=bool)
        found = answer(label, np.full(30, 0.3), np.full(30, 0.4), ["log_loss"])["log_loss"]
        assert isinstance(found, Insufficient)
        assert found.reason.startswith("every row differs by the same amount")

    def test_auc_near_one_is_flagged(self) -> None:
        """An AUC at which hardly a row is misplaced comes with a word of caution, an ordinary one without."""
        label, base, head = simulate(300, seed=12)
        plain = compare(label, base, head)
        assert {one.caution for one in plain.values()} == {""}
        better = np.clip(0.4 + 0.5 * label + 0.12 * np.random.default_rng(12).normal(size=300), 0, 1)
        near = compare(label, base, better, ["roc_auc"])["roc_auc"]
        assert near.head > 0.99
        assert "too short" in near.caution
