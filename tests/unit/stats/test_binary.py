"""Values and influences of every binary metric, held against scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as oracle

from seatrial.stats.binary import BinarySample
from seatrial.stats.influence import LOG_LOSS_FLOOR, Influence, Undefined
from seatrial.stats.names import SPECS, Measure, Task
from tests.unit.stats.derivatives import influences

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Reference = Callable[[Bools, Floats, Floats], float]

OF_DECISIONS: dict[str, Callable[[Bools, Bools, Floats], float]] = {
    "accuracy": lambda y, d, w: oracle.accuracy_score(y, d, sample_weight=w),
    "precision": lambda y, d, w: oracle.precision_score(y, d, sample_weight=w),
    "recall": lambda y, d, w: oracle.recall_score(y, d, sample_weight=w),
    "specificity": lambda y, d, w: oracle.recall_score(~y, ~d, sample_weight=w),
    "f1": lambda y, d, w: oracle.f1_score(y, d, sample_weight=w),
    "f_beta(2)": lambda y, d, w: oracle.fbeta_score(y, d, beta=2, sample_weight=w),
    "f_beta(0.5)": lambda y, d, w: oracle.fbeta_score(y, d, beta=0.5, sample_weight=w),
    "balanced_accuracy": lambda y, d, w: oracle.balanced_accuracy_score(y, d, sample_weight=w),
    "mcc": lambda y, d, w: oracle.matthews_corrcoef(y, d, sample_weight=w),
    "kappa": lambda y, d, w: oracle.cohen_kappa_score(y, d, sample_weight=w),
}
OF_SCORES: dict[str, Reference] = {
    "roc_auc": lambda y, s, w: oracle.roc_auc_score(y, s, sample_weight=w),
    "average_precision": lambda y, s, w: oracle.average_precision_score(y, s, sample_weight=w),
    "log_loss": lambda y, s, w: oracle.log_loss(y, s, sample_weight=w, labels=[False, True]),
    "brier": lambda y, s, w: oracle.brier_score_loss(y, s, sample_weight=w, pos_label=True),
}
MEASURES = {
    str(measure): measure
    for measure in (
        *(Measure(name=name) for name in SPECS[Task.BINARY] if name != "f_beta"),
        Measure(name="f_beta", beta=2),
        Measure(name="f_beta", beta=0.5),
    )
}


def refer(measure: Measure, sample: BinarySample, weight: Floats) -> float:
    """Scikit-learn's value for these weights."""
    if str(measure) in OF_SCORES:
        return OF_SCORES[str(measure)](sample.label, sample.score, weight)
    return OF_DECISIONS[str(measure)](sample.label, sample.score >= sample.threshold, weight)


def hold_against_reference(measure: Measure, sample: BinarySample) -> None:
    """Value and ψ are scikit-learn's value and its numerical derivative in the weights."""
    found = sample.measure(measure)
    assert isinstance(found, Influence), found
    weight = np.ones(sample.size) if sample.weight is None else sample.weight
    assert found.value == pytest.approx(refer(measure, sample, weight), abs=1e-12)
    np.testing.assert_allclose(found.psi, influences(lambda w: refer(measure, sample, w), weight), atol=1e-6)
    assert found.psi.mean() == pytest.approx(0, abs=1e-10)


@st.composite
def samples(draw: st.DrawFn) -> BinarySample:
    """Two classes, decisions of both kinds, scores of which many are tied, with weights or without."""
    n = draw(st.integers(4, 14))
    label = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    label[:2] = [True, False]
    coarse, fine = st.integers(1, 7).map(lambda eighth: eighth / 8), st.floats(0.01, 0.99)
    score = np.array(draw(st.lists(st.one_of(coarse, fine), min_size=n, max_size=n)))
    one, other = draw(st.permutations(range(n)))[:2]
    score[[one, other]] = [0.75, 0.25]
    weights = st.lists(st.floats(0.125, 8), min_size=n, max_size=n).map(np.array)
    return BinarySample.of(label, score, weight=draw(st.one_of(st.none(), weights)))


def test_every_name_has_a_reference() -> None:
    """The names that a configuration may use are exactly those that are measured and have an oracle here."""
    assert set(MEASURES) == OF_DECISIONS.keys() | OF_SCORES.keys()


@pytest.mark.parametrize("measure", MEASURES.values(), ids=str)
@settings(deadline=None, max_examples=20, derandomize=True)
@given(sample=samples())
def test_influence_is_the_derivative_in_the_weight_of_a_row(measure: Measure, sample: BinarySample) -> None:
    """Value and ψ equal scikit-learn's metric and its numerical derivative in sample_weight, ties included."""
    hold_against_reference(measure, sample)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=str)
def test_weights_are_counts_of_rows(measure: Measure) -> None:
    """A row of weight 3 has the value, and together the influence, of three equal rows."""
    rng = np.random.default_rng(3)
    label, score, times = rng.random(80) < 0.4, rng.integers(0, 9, 80) / 8, rng.integers(1, 4, 80)
    weighted = BinarySample.of(label, score, weight=times).measure(measure)
    repeated = BinarySample.of(label.repeat(times), score.repeat(times)).measure(measure)
    assert isinstance(weighted, Influence)
    assert isinstance(repeated, Influence)
    assert weighted.value == pytest.approx(repeated.value)
    of_each_row = np.add.reduceat(repeated.psi, np.cumsum(times) - times) / repeated.psi.size
    np.testing.assert_allclose(weighted.psi / weighted.psi.size, of_each_row, atol=1e-12)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=str)
def test_influence_agrees_with_a_thousand_resamples(measure: Measure) -> None:
    """The standard error of one metric from its influences is that of 1,000 bootstrap resamples, within 10 %."""
    rng = np.random.default_rng(7)
    label = rng.random(1500) < 0.3
    score = 1 / (1 + np.exp(1.2 - 1.5 * label - rng.normal(size=label.size)))
    sample = BinarySample.of(label, score)
    found = sample.measure(measure)
    assert isinstance(found, Influence)
    draws = rng.integers(0, label.size, size=(1000, label.size))
    values = [
        resampled.value for rows in draws if isinstance(resampled := sample.select(rows).measure(measure), Influence)
    ]
    assert len(values) == 1000
    assert np.sqrt(found.psi @ found.psi) / label.size == pytest.approx(np.std(values), rel=0.1)


@pytest.mark.parametrize("weight", [None, np.arange(1.0, 9.0)])
@pytest.mark.parametrize("name", OF_SCORES)
def test_constant_scores_have_a_value(name: str, weight: Floats | None) -> None:
    """A model that says the same of every row is measured, not refused: AUC 0.5, average precision the prevalence."""
    hold_against_reference(MEASURES[name], BinarySample.of(np.arange(8) < 2, np.full(8, 0.25), weight=weight))


@pytest.mark.parametrize("measure", [MEASURES["roc_auc"], MEASURES["average_precision"]], ids=str)
def test_a_perfect_ranking_is_one(measure: Measure) -> None:
    """Where all positives score above all negatives, the value is exactly 1 and no row moves it."""
    found = BinarySample.of(np.arange(40) >= 20, np.linspace(0, 1, 40)).measure(measure)
    assert isinstance(found, Influence)
    assert found.value == 1
    np.testing.assert_allclose(found.psi, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "label", "score", "reason"),
    [
        ("precision", [1, 0], [0.1, 0.2], "no row is predicted positive"),
        ("recall", [0, 0], [0.1, 0.9], "there is no positive row"),
        ("specificity", [1, 1], [0.1, 0.9], "there is no negative row"),
        ("f1", [0, 0], [0.1, 0.2], "no row is positive, or predicted positive"),
        ("f_beta(2)", [0, 0], [0.1, 0.2], "no row is positive, or predicted positive"),
        ("balanced_accuracy", [1, 1], [0.1, 0.9], "all rows are of one class"),
        ("mcc", [0, 0], [0.1, 0.9], "all rows are of one class"),
        ("mcc", [0, 1], [0.1, 0.2], "all rows are predicted to be of one class"),
        ("kappa", [1, 1], [0.1, 0.9], "all rows are of one class"),
        ("roc_auc", [0, 0], [0.1, 0.9], "there is no positive row"),
        ("roc_auc", [1, 1], [0.1, 0.9], "there is no negative row"),
        ("average_precision", [0, 0], [0.1, 0.9], "there is no positive row"),
        ("log_loss", [0, 1], [0.1, 1.5], "the scores are no probabilities: some lie outside of 0 to 1"),
        ("brier", [0, 1], [-0.1, 0.5], "the scores are no probabilities: some lie outside of 0 to 1"),
    ],
)
def test_what_has_no_value_says_why(name: str, label: list[int], score: list[float], reason: str) -> None:
    """A metric without a value on these rows is Undefined with the reason, never 0 and never NaN."""
    for weight in (None, np.ones(len(label))):
        found = BinarySample.of(label, score, weight=weight).measure(MEASURES[name])
        assert found == Undefined(reason=reason)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=str)
def test_no_rows_have_no_value(measure: Measure) -> None:
    """Without rows every metric is Undefined."""
    assert isinstance(BinarySample.of(np.array([], dtype=int), []).measure(measure), Undefined)


def test_kappa_of_constant_predictions_is_chance() -> None:
    """A model that decides alike for every row agrees no better than chance, which is a value: 0."""
    hold_against_reference(MEASURES["kappa"], BinarySample.of(np.arange(10) < 4, np.zeros(10)))


def test_certainty_that_is_wrong_has_a_price() -> None:
    """A certain and wrong prediction costs −log(ε), 36.04 nats, and not infinity."""
    found = BinarySample.of([1, 0], [0.0, 0.0]).measure(Measure(name="log_loss"))
    assert isinstance(found, Influence)
    assert found.value == pytest.approx(-np.log(LOG_LOSS_FLOOR) / 2)
    assert -np.log(LOG_LOSS_FLOOR) == pytest.approx(36.04, abs=0.01)


def test_reaching_the_threshold_is_enough() -> None:
    """A score that equals the threshold is a positive decision; the metric's own threshold goes before the sample's."""
    sample = BinarySample.of([0, 1, 0, 1], [0.1, 0.45, 0.55, 0.8], threshold=0.8)
    values = [sample.measure(Measure(name="recall", at=at)) for at in (None, 0.45, 0.81)]
    assert [one.value for one in values if isinstance(one, Influence)] == [0.5, 1, 0]


def test_support_counts_the_rarest_rows() -> None:
    """Each metric counts the rows that it rests on; with weights, as many equal ones as tell as much."""
    label, score = np.arange(40) < 12, np.where(np.arange(40) % 5 == 0, 0.9, 0.1)
    rows = {"accuracy": 40, "precision": 8, "recall": 12, "specificity": 28, "f1": 12, "mcc": 8, "kappa": 12}
    rows |= {"roc_auc": 12, "average_precision": 12, "brier": 40, "balanced_accuracy": 12}
    plain = BinarySample.of(label, score)
    uniform = BinarySample.of(label, score, weight=np.full(40, 2.5))
    uneven = BinarySample.of(label, score, weight=np.where(np.arange(40) == 0, 1000.0, 1.0))
    for name, count in rows.items():
        for sample in (plain, uniform):
            found = sample.measure(MEASURES[name])
            assert isinstance(found, Influence)
            assert found.support == count
        found = uneven.measure(MEASURES[name])
        assert isinstance(found, Influence)
        assert found.support == (28 if name == "specificity" else 1)


@pytest.mark.parametrize(
    ("label", "score", "weight", "message"),
    [
        ([0, 2], [0.1, 0.2], None, "labels are not a row of 0 and 1"),
        ([0, float("nan")], [0.1, 0.2], None, "labels are not a row of 0 and 1"),
        ([[0, 1]], [[0.1, 0.2]], None, "labels are not a row of 0 and 1"),
        ([0, 1], [0.1], None, "one finite number for each label"),
        ([0, 1], [0.1, float("nan")], None, "one finite number for each label"),
        ([0, 1], [0.1, float("inf")], None, "one finite number for each label"),
        ([0, 1], [0.1, 0.2], [1.0, 0.0], "one finite number above 0 for each row"),
        ([0, 1], [0.1, 0.2], [1.0, float("nan")], "one finite number above 0 for each row"),
        ([0, 1], [0.1, 0.2], [1.0, 1e200], "within 1e-100 and 1e100"),
        ([0, 1], [0.1, 0.2], [1.0], "one finite number above 0 for each row"),
    ],
)
def test_what_is_no_evaluation_is_refused(
    label: list[int], score: list[float], weight: list[float] | None, message: str
) -> None:
    """Other labels, other lengths, NaN, infinity and weights of nothing are errors, never a number."""
    with pytest.raises(ValueError, match=message):
        BinarySample.of(label, score, weight=weight)


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (Measure(name="auc"), "unknown metric 'auc'; known are accuracy"),
        (Measure(name="f1", k=3), "the metric f1 takes no 'k'"),
        (Measure(name="roc_auc", at=0.5), "the metric roc_auc takes no 'at'"),
        (Measure(name="f_beta", beta=0.0), "the beta 0.0 is not a finite number above 0"),
        (Measure(name="f1", at=float("nan")), "the threshold nan is not a finite number"),
    ],
)
def test_what_is_no_metric_is_refused(measure: Measure, message: str) -> None:
    """Unknown names, and settings that the metric does not take, are errors."""
    with pytest.raises(ValueError, match=message):
        BinarySample.of([0, 1], [0.1, 0.2]).measure(measure)


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_threshold_is_a_number(threshold: float) -> None:
    """A threshold that no score can reach by comparison is an error, not a model without positives."""
    with pytest.raises(ValueError, match="is not a finite number"):
        BinarySample.of([0, 1], [0.1, 0.2], threshold=threshold)


@settings(deadline=None, max_examples=20, derandomize=True)
@given(sample=samples(), seed=st.integers(0, 100))
def test_selecting_is_building_from_the_part(sample: BinarySample, seed: int) -> None:
    """A sub-sample measures as one that was made from its rows alone, by positions and by a slice."""
    rows = np.random.default_rng(seed).permutation(sample.size)[: sample.size // 2 + 1]
    weight = None if sample.weight is None else sample.weight[rows]
    alone = BinarySample.of(sample.label[rows], sample.score[rows], weight=weight)
    shuffled = sample.select(np.concatenate([rows, rows]))
    for part in (sample.select(rows), shuffled.select(slice(0, rows.size))):
        for measure in MEASURES.values():
            one, other = part.measure(measure), alone.measure(measure)
            assert isinstance(one, Undefined) == isinstance(other, Undefined)
            if isinstance(one, Influence) and isinstance(other, Influence):
                np.testing.assert_array_equal([one.value, *one.psi], [other.value, *other.psi])


def test_all_that_a_metric_sees_decides_likeness() -> None:
    """Scores, truth and weights tell models apart for each metric, the threshold for those of decisions alone."""
    label, score = np.array([0, 1, 1, 0]), np.array([0.1, 0.6, 0.7, 0.2])
    plain = BinarySample.of(label, score)
    recall, auc = Measure(name="recall"), Measure(name="roc_auc")
    moved = BinarySample.of(label, score, threshold=0.65)
    assert plain.answers_like(BinarySample.of(label, score.copy()), recall)
    assert not plain.answers_like(moved, recall)
    assert plain.answers_like(moved, auc)
    assert plain.answers_like(moved, Measure(name="recall", at=0.3))
    for other in (
        BinarySample.of(1 - label, score),
        BinarySample.of(label, score + 0.01),
        BinarySample.of(label, score, weight=np.ones(4)),
    ):
        assert not plain.answers_like(other, recall)
        assert not plain.answers_like(other, auc)
