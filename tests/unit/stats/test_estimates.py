"""The entry from samples: pairs, slices, one side alone, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seatrial.stats.binary import BinarySample
from seatrial.stats.estimates import estimate, estimate_slices, measure_one
from seatrial.stats.influence import Undefined
from seatrial.stats.multiclass import MulticlassSample
from seatrial.stats.names import SPECS, Measure, Task
from seatrial.stats.paired import Estimate, Insufficient
from seatrial.stats.sample import Sample

LABEL = np.tile([0, 1], 20)
BASE = BinarySample.of(LABEL, np.tile([0.2, 0.3, 0.1, 0.6], 10))
HEAD = BinarySample.of(LABEL, np.tile([0.1, 0.45, 0.55, 0.8], 10))
RECALL, AUC, BRIER = (Measure(name=name) for name in ("recall", "roc_auc", "brier"))
OF_BINARY = [Measure(name=name) for name in SPECS[Task.BINARY]]
OF_CLASSES = [Measure(name=name) for name in SPECS[Task.MULTICLASS]]


def simulate(n: int, seed: int, *, weighted: bool = False) -> tuple[BinarySample, BinarySample]:
    """Two models' probabilities of the same rows, which err together; some are tied."""
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.4
    shared = 1.5 * label - 0.7 + rng.normal(size=n)
    weight = rng.uniform(0.5, 2, n) if weighted else None
    scores = (1 / (1 + np.exp(-np.round(shared + 0.5 * rng.normal(size=n), 1))) for _ in range(2))
    base, head = (BinarySample.of(label, score, weight=weight) for score in scores)
    return base, head


def simulate_classes(n: int, seed: int) -> tuple[MulticlassSample, MulticlassSample]:
    """Two models' probabilities of three classes."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    base, head = (
        MulticlassSample.of(label, classes=3, probability=0.8 * rng.dirichlet([1, 1, 1], n) + 0.2 * np.eye(3)[label])
        for _ in range(2)
    )
    return base, head


class TestPairs:
    """Two models on the same rows."""

    def test_the_order_of_the_metrics_is_kept(self) -> None:
        """Answers come in the order that they were asked for, each under its measure with its settings."""
        asked = [Measure(name="recall", at=0.5), Measure(name="accuracy"), RECALL, Measure(name="recall", at=0.3)]
        found = estimate(BASE, HEAD, asked)
        assert list(found) == asked
        assert found[asked[0]] == found[RECALL]
        assert [(one.base, one.head) for one in found.values()] == [(0.5, 0.5), (0.75, 0.5), (0.5, 0.5), (1.0, 1.0)]

    def test_only_the_threshold_differs(self) -> None:
        """A moved threshold changes decisions, whose metrics get an interval; those of the scores are identical."""
        lower = BinarySample.of(LABEL, HEAD.score, threshold=0.4)
        found = estimate(HEAD, lower, [RECALL, AUC])
        recall, auc = found[RECALL], found[AUC]
        assert isinstance(recall, Estimate)
        assert isinstance(auc, Estimate)
        assert (recall.delta, recall.method) == (0.5, "Tango score")
        assert (auc.delta, auc.method) == (0, "identical")

    def test_estimates_carry_both_values_and_their_difference(self) -> None:
        """The difference is head − base of the point values, and lies within the interval."""
        one = estimate(BASE, HEAD, [BRIER])[BRIER]
        assert isinstance(one, Estimate)
        assert one.base == pytest.approx(np.mean((BASE.score - LABEL) ** 2))
        assert one.head == pytest.approx(np.mean((HEAD.score - LABEL) ** 2))
        assert one.delta == one.head - one.base
        assert one.low < one.delta < one.high
        assert one.head_low < one.head < one.head_high
        assert (one.n, one.support, one.level) == (40, 40, 0.95)

    def test_undefined_on_one_side_names_the_side(self) -> None:
        """A metric that one model leaves undefined is insufficient, with the other side's value."""
        precision = Measure(name="precision", at=0.7)
        found = estimate(BASE, HEAD, [precision])[precision]
        assert found == Insufficient(reason="baseline: no row is predicted positive", n=40, base=None, head=1.0)

    @pytest.mark.parametrize("same", [True, False])
    def test_undefined_on_both_sides_is_said_once(self, same: bool) -> None:
        """Identical predictions do not turn an undefined metric into no change."""
        base, head = (BinarySample.of(np.zeros(40), side.score) for side in (BASE, BASE if same else HEAD))
        assert estimate(base, head, [AUC])[AUC] == Insufficient(reason="there is no positive row", n=40)

    def test_classes_of_either_side_are_told(self) -> None:
        """What an average over classes misses on either side is in the caution, once."""
        label = np.arange(60) % 3
        base = MulticlassSample.of(label, classes=4, prediction=np.where(label == 2, 0, label))
        head = MulticlassSample.of(label, classes=4, prediction=np.where(np.arange(60) < 20, 1, label))
        macro = Measure(name="f1_macro")
        one = estimate(base, head, [macro])[macro]
        assert isinstance(one, Estimate)
        rows = "classes without rows: 3; classes without predictions: "
        assert one.caution == f"{rows}2, 3; {rows}3"

    def test_metrics_of_classes_have_estimates(self) -> None:
        """Every multi-class metric is estimated within its bounds, top-k and accuracy as the proportions they are."""
        found = estimate(*simulate_classes(500, 3), OF_CLASSES)
        for measure, one in found.items():
            assert isinstance(one, Estimate), measure
            plain = measure.name in {"accuracy", "f1_micro"}
            assert (one.method == "Tango score") == plain or measure.name == "top_k"
            assert one.head_low <= one.head <= one.head_high

    @pytest.mark.parametrize("measure", OF_CLASSES, ids=str)
    def test_coverage_of_metrics_of_classes(self, measure: Measure) -> None:
        """Of 300 test sets of 300 rows, about 95 % have the true difference, 0, in the interval."""
        if measure.name == "top_k":
            measure = Measure(name="top_k", k=2)
        found = [estimate(*simulate_classes(300, seed), [measure])[measure] for seed in range(300)]
        assert 0.905 <= np.mean([isinstance(one, Estimate) and one.low <= 0 <= one.high for one in found]) <= 0.99

    @settings(deadline=None, max_examples=10, derandomize=True)
    @given(seed=st.integers(0, 1000))
    def test_laws_of_metrics_of_classes(self, seed: int) -> None:
        """Swapping the models mirrors; rows may come in any order; twice the rows divide the error by √2."""
        base, head = simulate_classes(300, seed)
        rows = np.random.default_rng(seed).permutation(300)
        twice, pairs = np.tile(np.arange(300), 2), np.tile(np.arange(300), 2)
        measures = [Measure(name="top_k", k=2), *(one for one in OF_CLASSES if one.name != "top_k")]
        back = estimate(head, base, measures)
        shuffled = estimate(base.select(rows), head.select(rows), measures)
        copied = estimate(base.select(twice), head.select(twice), measures)
        clustered = estimate(base.select(twice), head.select(twice), measures, groups=pairs)
        once = estimate(base, head, measures, groups=np.arange(300))
        for measure, one in estimate(base, head, measures).items():
            found = [answers[measure] for answers in (back, shuffled, copied, clustered, once)]
            assert isinstance(one, Estimate)
            assert all(isinstance(other, Estimate) for other in found)
            mirror, same, double, paired, alone = (other for other in found if isinstance(other, Estimate))
            assert (mirror.low, mirror.p_lower, mirror.se) == pytest.approx(
                (-one.high, one.p_higher, one.se), abs=1e-12
            )
            assert (same.low, same.head_low, same.p_higher) == pytest.approx(
                (one.low, one.head_low, one.p_higher), abs=1e-12
            )
            assert double.se * 2**0.5 == pytest.approx(one.se, rel=0.01)
            assert paired.se == pytest.approx(alone.se, rel=1e-9)

    @pytest.mark.parametrize("name", [one.name for one in OF_CLASSES])
    def test_identical_classes(self, name: str) -> None:
        """A model with the same probabilities is identical, with its own interval."""
        base, _ = simulate_classes(100, 8)
        measure = Measure(name=name)
        found = estimate(base, base.select(np.arange(100)), [measure])[measure]
        assert isinstance(found, Estimate)
        assert (found.delta, found.se, found.p_lower, found.p_higher, found.method) == (0, 0, 1, 1, "identical")
        assert found.head_low <= found.head <= found.head_high

    def test_rare_classes_are_too_few(self) -> None:
        """An average over classes of which one has nine rows has no interval, accuracy has."""
        label = np.repeat([0, 1, 2], [100, 50, 9])
        rng = np.random.default_rng(2)
        base, head = (
            MulticlassSample.of(
                label, classes=3, probability=0.8 * rng.dirichlet([1, 1, 1], 159) + 0.2 * np.eye(3)[label]
            )
            for _ in range(2)
        )
        macro, accuracy = Measure(name="recall_macro"), Measure(name="accuracy")
        found = estimate(base, head, [macro, accuracy])
        assert isinstance(found[accuracy], Estimate)
        rare = found[macro]
        assert isinstance(rare, Insufficient)
        assert "it rests on 9 rows of its rarest kind" in rare.reason

    def test_p_values_are_uniform_without_a_difference(self) -> None:
        """Of 600 pairs of equally good models, 5 % of either one-sided p-values are below 0.05."""
        measures = [Measure(name=name) for name in ("accuracy", "recall", "f1", "roc_auc", "brier")]
        found = [estimate(*simulate(200, seed), measures) for seed in range(600)]
        for measure in measures:
            answers = [one for by in found if isinstance(one := by[measure], Estimate)]
            for side in ("p_lower", "p_higher"):
                assert 0.02 < np.mean([getattr(one, side) < 0.05 for one in answers]) < 0.085, (measure, side)

    def test_p_values_agree_with_the_interval(self) -> None:
        """For smooth metrics the interval excludes 0 exactly if a one-sided p-value is below half of 1 − level."""
        for seed in range(40):
            for one in estimate(*simulate(120, seed), [AUC, BRIER], level=0.8).values():
                assert isinstance(one, Estimate)
                assert (one.low > 0) == (one.p_higher < 0.1)
                assert (one.high < 0) == (one.p_lower < 0.1)
                assert one.p_lower + one.p_higher == pytest.approx(1)


class TestSlices:
    """The same, part by part."""

    @settings(deadline=None, max_examples=15, derandomize=True)
    @given(seed=st.integers(0, 1000), weighted=st.booleans(), clustered=st.booleans())
    def test_a_slice_is_the_estimate_on_its_rows(self, seed: int, weighted: bool, clustered: bool) -> None:
        """Each slice gets what `estimate` says of its rows alone; small ones and code −1 are left out."""
        base, head = simulate(400, seed, weighted=weighted)
        rng = np.random.default_rng(seed)
        codes = rng.choice([-1, 0, 3, 4000, 100_000], p=[0.1, 0.4, 0.3, 0.17, 0.03], size=400)
        groups = np.array([f"user {user}" for user in rng.integers(0, 60, 400)]) if clustered else None
        found = estimate_slices(base, head, OF_BINARY, codes, min_n=30, groups=groups)
        assert list(found) == [code for code in (0, 3, 4000, 100_000) if np.sum(codes == code) >= 30]
        for code, answers in found.items():
            rows = np.flatnonzero(codes == code)
            part = groups[rows] if groups is not None else None
            alone = estimate(base.select(rows), head.select(rows), OF_BINARY, groups=part)
            assert answers == alone

    @pytest.mark.parametrize("pair", [simulate(200, 1), simulate(200, 1, weighted=True), simulate_classes(200, 1)])
    def test_one_slice_of_all_rows_is_the_whole(self, pair: tuple[Sample, Sample]) -> None:
        """If all rows are in one slice, in whatever order, its estimates are those of the whole."""
        measures = [Measure(name=name) for name in SPECS[pair[0].task]]
        found = estimate_slices(*pair, measures, np.full(200, 7), min_n=1)
        assert found == {7: estimate(*pair, measures)}

    @pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64])
    def test_codes_of_any_width(self, dtype: type[np.integer[np._typing.NBitBase]]) -> None:
        """Codes may be of any integer type."""
        codes = (np.arange(40) % 3).astype(dtype)
        found = estimate_slices(BASE, HEAD, [RECALL], codes, min_n=0)
        assert list(found) == [0, 1, 2]
        assert all(type(code) is int for code in found)

    @pytest.mark.parametrize("codes", [np.full(40, -1), np.arange(40)])
    def test_no_slice_is_large_enough(self, codes: NDArray[np.int64]) -> None:
        """Where all rows are in no slice, or in tiny ones, there is nothing to say."""
        assert estimate_slices(BASE, HEAD, [RECALL], codes, min_n=2) == {}

    def test_no_rows_at_all(self) -> None:
        """An empty evaluation set has no slices."""
        empty = BASE.select(slice(0, 0))
        assert estimate_slices(empty, empty, [RECALL], np.array([], dtype=int), min_n=0) == {}
        assert estimate(empty, empty, [AUC])[AUC] == Insufficient(reason="there are no rows", n=0)

    def test_ten_thousand_slices(self) -> None:
        """Many slices are told one by one, each with its own rows."""
        base, head = simulate(30_000, 5)
        found = estimate_slices(base, head, [BRIER], np.arange(30_000) % 10_000, min_n=3)
        assert len(found) == 10_000
        assert {one[BRIER].n for one in found.values()} == {3}

    @pytest.mark.parametrize("codes", [np.zeros(39, dtype=int), np.zeros(40), np.zeros((40, 1), dtype=int)])
    def test_codes_are_one_integer_for_each_row(self, codes: NDArray[np.int64]) -> None:
        """Codes of another length, or that are no integers, are an error."""
        with pytest.raises(ValueError, match="slices are not one integer code for each unit"):
            estimate_slices(BASE, HEAD, [RECALL], codes, min_n=1)


class TestOneSide:
    """A model alone."""

    def test_measure_gives_one_side_alone(self) -> None:
        """Point values of one side equal those of the pair, and an undefined one says why."""
        recall, precision = Measure(name="recall", at=0.9), Measure(name="precision", at=0.9)
        values = measure_one(HEAD, [recall, precision, AUC])
        assert values[recall] == 0
        assert values[precision] == Undefined(reason="no row is predicted positive")
        assert values[AUC] == estimate(BASE, HEAD, [AUC])[AUC].head


class TestRefusals:
    """What can't be compared."""

    def test_other_sizes(self) -> None:
        """Samples of different lengths are an error."""
        with pytest.raises(ValueError, match="the baseline has 40 units, the candidate 20"):
            estimate(BASE, HEAD.select(slice(0, 20)), [RECALL])

    def test_other_tasks(self) -> None:
        """Samples of different tasks are an error."""
        classes = MulticlassSample.of(LABEL, classes=2, prediction=LABEL)
        with pytest.raises(ValueError, match="the baseline's task is binary, the candidate's multiclass"):
            estimate(BASE, classes, [Measure(name="accuracy")])

    @pytest.mark.parametrize("level", [0.0, 1.0, 95, float("nan")])
    def test_levels_that_are_none(self, level: float) -> None:
        """A level is a share, not a percentage."""
        with pytest.raises(ValueError, match="is not between 0 and 1"):
            estimate(BASE, HEAD, [RECALL], level=level)

    def test_groups_of_another_length(self) -> None:
        """Groups are one for each row."""
        with pytest.raises(ValueError, match="groups are not one name for each unit"):
            estimate(BASE, HEAD, [RECALL], groups=np.arange(39))

    def test_unknown_metrics(self) -> None:
        """A name that the task does not have is an error, and the known ones are listed."""
        with pytest.raises(ValueError, match="unknown metric 'rmse'; known are accuracy, "):
            estimate(BASE, HEAD, [Measure(name="rmse")])
