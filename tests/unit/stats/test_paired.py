"""Intervals of paired differences: published numbers, laws, clusters, and what is refused."""

from __future__ import annotations

import dataclasses
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
from seatrial.stats.paired import Estimate, Insufficient, own_interval, paired_interval
from seatrial.stats.proportions import mcnemar, wilson_interval
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


def numbers(one: Estimate) -> tuple[float, ...]:
    """All that an estimate says in numbers."""
    return tuple(value for value in dataclasses.astuple(one) if not isinstance(value, str))


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
        for side, name in ((found.p_lower, "less"), (found.p_higher, "greater")):
            assert side == pytest.approx(stats.ttest_rel(*losses, alternative=name).pvalue)

    def test_proportions_have_the_p_values_of_mcnemar(self) -> None:
        """One-sided p-values of accuracy are the mid-p of the rows on which the models disagree."""
        label, base, head = simulate(300, seed=2)
        found = compare(label, base, head, ["accuracy"])["accuracy"]
        right = [(score >= 0.5) == label for score in (base, head)]
        test = mcnemar(int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum()))
        assert (found.p_lower, found.p_higher) == (test.lower, test.higher)
        assert found.p_lower + found.p_higher == pytest.approx(1)

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
            other = back[name]
            assert (one.delta, one.low, one.high, one.se, one.p_lower, one.p_higher) == pytest.approx(
                (-other.delta, -other.high, -other.low, other.se, other.p_higher, other.p_lower), abs=1e-12
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
            assert numbers(one) == pytest.approx(numbers(after[name]), abs=1e-12)

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


class TestWeights:
    """Rows that count more than others."""

    def test_equal_weights_are_none(self) -> None:
        """If all weights are the same, whatever it is, influence-based estimates are those without weights."""
        label, base, head = simulate(300, seed=13, ties=20)
        names = [name for name in NAMES if name not in {"accuracy", "precision", "recall", "specificity", "roc_auc"}]
        plain, weighted = compare(label, base, head, names), compare(label, base, head, names, weight=np.full(300, 0.7))
        for name, one in plain.items():
            assert numbers(one) == pytest.approx(numbers(weighted[name])), name

    def test_proportions_of_equal_weights_are_close(self) -> None:
        """With weights, proportions and ROC AUC get the plain influence interval, which is nearly that without."""
        label, base, head = simulate(2000, seed=14)
        names = ("accuracy", "precision", "recall", "specificity", "roc_auc")
        weighted = compare(label, base, head, names, weight=np.full(2000, 3.0))
        for name, one in compare(label, base, head, names).items():
            other = weighted[name]
            assert other.method == "influence functions, t"
            assert (other.delta, other.se) == pytest.approx((one.delta, one.se), rel=0.01)
            assert (other.low, other.high) == pytest.approx((one.low, one.high), abs=0.1 * one.se)
            assert (other.head_low, other.head_high) == pytest.approx((one.head_low, one.head_high), abs=0.1 * one.se)

    def test_few_weights_that_are_nearly_all(self) -> None:
        """Where nine rows hold nearly all of the weight, they are nine rows: too few."""
        label, base, head = simulate(500, seed=15)
        weight = np.where(np.arange(500) < 9, 1e6, 1.0)
        found = answer(label, base, head, ["brier"], weight=weight)["brier"]
        assert isinstance(found, Insufficient)
        assert "it rests on 9 rows" in found.reason

    def test_nominal_coverage(self) -> None:
        """Of 400 weighted test sets of 300 rows, about 95 % have the true difference, 0, in the interval."""
        names = ("accuracy", "recall", "f1", "roc_auc", "average_precision", "brier", "mcc")
        covered = dict.fromkeys(names, 0)
        for seed in range(400):
            label, base, head = simulate(300, seed)
            weight = np.random.default_rng(seed).uniform(0.5, 2, 300)
            for name, one in compare(label, base, head, names, weight=weight).items():
                covered[name] += one.low <= 0 <= one.high
        assert {name: count / 400 for name, count in covered.items() if not 0.912 <= count / 400 <= 0.988} == {}


class TestOwnIntervals:
    """How sure the candidate's own value is."""

    def test_plain_proportions_have_wilson_intervals(self) -> None:
        """Recall's is Wilson's among the positives, precision's among the rows that the candidate decides positive."""
        label, base, head = simulate(300, seed=16)
        found = compare(label, base, head, ["recall", "precision"])
        hits, decided = int((label & (head >= 0.5)).sum()), int((head >= 0.5).sum())
        recall, precision = found["recall"], found["precision"]
        assert (recall.head_low, recall.head_high) == wilson_interval(hits, int(label.sum()))
        assert (precision.head_low, precision.head_high) == wilson_interval(hits, decided)

    def test_other_metrics_have_their_own_spread(self) -> None:
        """A mean's is that of scipy's t interval, and ROC AUC's has DeLong's variance."""
        label, base, head = simulate(80, seed=17)
        found = compare(label, base, head, ["brier", "roc_auc"], level=0.9)
        losses = (head - label) ** 2
        expected = stats.ttest_1samp(losses, 0).confidence_interval(0.9)
        brier, auc = found["brier"], found["roc_auc"]
        assert (brier.head_low, brier.head_high) == pytest.approx((expected.low, expected.high))
        placements = [
            [np.mean((head[~label] < one) + (head[~label] == one) / 2) for one in head[label]],
            [np.mean((head[label] > one) + (head[label] == one) / 2) for one in head[~label]],
        ]
        se = math.sqrt(sum(np.var(part, ddof=1) / len(part) for part in placements))
        reach = stats.t.ppf(0.95, auc.support - 1) * se
        assert (auc.head_low, auc.head_high) == pytest.approx((auc.head - reach, auc.head + reach))

    def test_it_stays_within_the_bounds(self) -> None:
        """No interval reaches beyond what the metric can be."""
        label = np.arange(60) < 15
        head = np.where(np.arange(60) % 14 == 0, 0.5, label * 0.9 + 0.05)
        for name, one in compare(label, np.linspace(0, 1, 60), head).items():
            spec = SPECS[Task.BINARY][name]
            assert spec.low is not None
            assert spec.low <= one.head_low <= one.head <= one.head_high <= (spec.high or math.inf), name

    def test_perfection_is_no_certainty(self) -> None:
        """A faultless candidate's AUC of 1 has the lower end of a proportion with as many rows as the rarer kind."""
        label = np.arange(60) < 15
        base, head = np.linspace(1, 0, 60) ** 2 * (np.arange(60) % 7 > 0), np.linspace(1, 0, 60)
        for name in ("roc_auc", "average_precision", "f1"):
            one = compare(label, base, np.where(label, 0.9, 0.1) * head**0.01, [name])[name]
            assert one.head == 1
            assert (one.head_low, one.head_high) == pytest.approx(wilson_interval(15, 15)), name

    @pytest.mark.parametrize("name", ["roc_auc", "brier", "mcc"])
    def test_too_few_rows_leave_all_that_can_be(self, name: str) -> None:
        """With few rows, or few clusters, an identical candidate's value may be anything within the bounds."""
        label, base, _ = simulate(200, seed=18)
        low, high = (-1.0 if name == "mcc" else 0.0), 1.0
        few = compare(np.arange(12) < 5, np.linspace(1, 0, 12), np.linspace(1, 0, 12), ["roc_auc"])["roc_auc"]
        assert (few.head_low, few.head_high) == (0, 1)
        found = compare(label, base, base.copy(), [name], groups=np.arange(200) // 60)[name]
        assert (found.head_low, found.head_high) == (low, high)

    def test_clusters_widen_it(self) -> None:
        """Rows in copies of five tell of the candidate what they tell once."""
        label, base, head = simulate(200, seed=19)
        copies = np.repeat(np.arange(200), 5)
        once = compare(label, base, head, groups=np.arange(200))
        for name, one in compare(label[copies], base[copies], head[copies], groups=copies).items():
            assert (one.head_low, one.head_high) == pytest.approx((once[name].head_low, once[name].head_high), abs=0.02)

    def test_coverage_of_own_values(self) -> None:
        """Of 400 test sets of 300 rows, about 95 % of the candidate's own intervals hold its true value."""
        truth = {name: one.head for name, one in compare(*simulate(400_000, seed=999)).items()}
        covered = dict.fromkeys(NAMES, 0)
        for seed in range(400):
            for name, one in compare(*simulate(300, seed)).items():
                covered[name] += one.head_low <= truth[name] <= one.head_high
        assert {name: count / 400 for name, count in covered.items() if not 0.912 <= count / 400 <= 0.988} == {}

    def test_alone(self) -> None:
        """Without a baseline the interval is the same."""
        label, base, head = simulate(90, seed=20)
        one = compare(label, base, head, ["mcc"])["mcc"]
        alone = own_interval(measured("mcc", label, head), bounds=(-1, 1))
        assert (one.head_low, one.head_high) == alone


class TestClusters:
    """Rows that belong together."""

    @pytest.mark.parametrize("weighted", [True, False])
    @pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "specificity", "f1", "f_beta", "brier"])
    def test_leaving_out_is_exact_for_ratios(self, name: str, weighted: bool) -> None:
        """For every ratio of sums the error is that of the leave-one-cluster-out jackknife, done by hand."""
        label, base, head = simulate(200, seed=21)
        weight = np.random.default_rng(21).uniform(0.5, 2, 200) if weighted else None
        groups = np.random.default_rng(5).integers(0, 20, size=200) ** 2 // 19
        found = compare(label, base, head, [name], weight=weight, groups=groups)[name]

        def change(rows: Bools) -> float:
            part = None if weight is None else weight[rows]
            sides = (measured(name, label[rows], score[rows], part).value for score in (head, base))
            return next(sides) - next(sides)

        left_out = np.array([change(groups != one) for one in np.unique(groups)])
        factor = (left_out.size - 1) / left_out.size
        assert found.se == pytest.approx(math.sqrt(factor * np.sum((left_out - found.delta) ** 2)), rel=1e-9)

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
            assert (one.p_lower, one.p_higher) == (1, 1)

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

    @pytest.mark.parametrize("weight", [None, np.linspace(1, 2, 60)])
    @pytest.mark.parametrize("faultless", [True, False])
    def test_the_same_order_is_no_certainty(self, faultless: bool, weight: Floats | None) -> None:
        """Two models that no row tells apart have an interval that is not a point, as wide as the support allows."""
        label, base, _ = simulate(60, seed=11, ties=10)
        base = np.where(label, 0.5 + base / 2, base / 2.5) if faultless else base
        for name in ("roc_auc", "average_precision", "f1", "mcc"):
            found = compare(label, base, np.where(base >= 0.5, base, base**2), [name], weight=weight)[name]
            square = stats.norm.ppf(0.975) ** 2
            reach = (2 if name == "mcc" else 1) * square / (found.support + square)
            assert (found.delta, found.low, found.high) == pytest.approx((0, -reach, reach))
            assert (found.p_lower, found.p_higher, found.method) == (0.5, 0.5, "no disagreement, score")

    def test_no_bounds_no_interval(self) -> None:
        """Without bounds of the metric, a difference of 0 without spread stays without interval."""
        one = Influence(value=1.0, psi=np.zeros(20), support=20)
        found = paired_interval(one, one)
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
