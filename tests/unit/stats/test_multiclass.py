"""Values and influences of every multi-class metric, held against scikit-learn's."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as oracle

from seatrial.stats.binary import BinarySample
from seatrial.stats.influence import Influence, Undefined
from seatrial.stats.multiclass import MulticlassSample
from seatrial.stats.names import SPECS, Measure, Task
from tests.unit.stats.derivatives import influences

Floats = NDArray[np.float64]
CLASSES = 4

OF_DECISIONS: dict[str, Callable[[NDArray[np.intp], NDArray[np.intp], Floats], float]] = {
    "accuracy": lambda y, d, w: oracle.accuracy_score(y, d, sample_weight=w),
    "balanced_accuracy": lambda y, d, w: oracle.balanced_accuracy_score(y, d, sample_weight=w),
    "precision_macro": lambda y, d, w: oracle.precision_score(y, d, sample_weight=w, average="macro", zero_division=0),
    "recall_macro": lambda y, d, w: oracle.recall_score(y, d, sample_weight=w, average="macro", zero_division=0),
    "f1_macro": lambda y, d, w: oracle.f1_score(y, d, sample_weight=w, average="macro"),
    "f1_micro": lambda y, d, w: oracle.f1_score(y, d, sample_weight=w, average="micro"),
    "f1_weighted": lambda y, d, w: oracle.f1_score(y, d, sample_weight=w, average="weighted"),
    "mcc": lambda y, d, w: oracle.matthews_corrcoef(y, d, sample_weight=w),
    "kappa": lambda y, d, w: oracle.cohen_kappa_score(y, d, sample_weight=w),
}
OF_PROBABILITIES: dict[str, Callable[[NDArray[np.intp], Floats, Floats], float]] = {
    "top_k@2": lambda y, p, w: oracle.top_k_accuracy_score(y, p, k=2, sample_weight=w, labels=range(CLASSES)),
    "roc_auc_macro": lambda y, p, w: oracle.roc_auc_score(y, p, sample_weight=w, multi_class="ovr", average="macro"),
    "log_loss": lambda y, p, w: oracle.log_loss(y, p, sample_weight=w, labels=range(CLASSES)),
    "brier": lambda y, p, w: oracle.brier_score_loss(y, p, sample_weight=w, labels=range(CLASSES)),
}
MEASURES = {
    str(measure): measure
    for measure in (*(Measure(name=name, k=2 if name == "top_k" else None) for name in SPECS[Task.MULTICLASS]),)
}


def refer(measure: Measure, sample: MulticlassSample, weight: Floats) -> float:
    """Scikit-learn's value for these weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if str(measure) in OF_DECISIONS:
            return OF_DECISIONS[str(measure)](sample.label, sample.prediction, weight)
        assert sample.probability is not None
        return OF_PROBABILITIES[str(measure)](sample.label, sample.probability, weight)


def hold_against_reference(measure: Measure, sample: MulticlassSample) -> Influence:
    """Value and ψ are scikit-learn's value and its numerical derivative in the weights."""
    found = sample.measure(measure)
    assert isinstance(found, Influence), found
    weight = np.ones(sample.size) if sample.weight is None else sample.weight
    assert found.value == pytest.approx(refer(measure, sample, weight), abs=1e-12)
    np.testing.assert_allclose(found.psi, influences(lambda w: refer(measure, sample, w), weight), atol=1e-6)
    assert found.psi.mean() == pytest.approx(0, abs=1e-10)
    return found


def defined(sample: MulticlassSample, measure: Measure) -> Influence:
    """The influences of a metric, which must be defined."""
    found = sample.measure(measure)
    assert isinstance(found, Influence), found
    return found


@st.composite
def samples(draw: st.DrawFn, *, complete: bool) -> MulticlassSample:
    """Probabilities in eighths, many of them tied; with all classes, or with two to four of them."""
    n = draw(st.integers(6, 14))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    present = CLASSES if complete else draw(st.integers(2, CLASSES))
    label = rng.permutation(CLASSES)[np.concatenate([np.arange(present), rng.integers(0, present, n - present)])]
    counts = rng.multinomial(8, [1 / CLASSES] * CLASSES, size=n)
    probability = (counts + 0.125) / 8.5
    probability[:2] = np.eye(CLASSES)[[0, 1]] * 0.5 + 0.125
    weight = rng.uniform(0.125, 8, n) if draw(st.booleans()) else None
    return MulticlassSample.of(label, classes=CLASSES, probability=probability, weight=weight)


def test_every_name_has_a_reference() -> None:
    """The names that a configuration may use are exactly those that are measured and have an oracle here."""
    assert set(MEASURES) == OF_DECISIONS.keys() | OF_PROBABILITIES.keys()


@pytest.mark.parametrize("measure", MEASURES.values(), ids=str)
@settings(deadline=None, max_examples=12, derandomize=True)
@given(sample=samples(complete=True))
def test_influence_is_the_derivative_in_the_weight_of_a_row(measure: Measure, sample: MulticlassSample) -> None:
    """Value and ψ equal scikit-learn's metric and its numerical derivative in sample_weight, ties included."""
    hold_against_reference(measure, sample)


@pytest.mark.parametrize("measure", [MEASURES[name] for name in MEASURES if name != "roc_auc_macro"], ids=str)
@settings(deadline=None, max_examples=12, derandomize=True)
@given(sample=samples(complete=False))
def test_absent_classes_are_averaged_as_in_scikit_learn(measure: Measure, sample: MulticlassSample) -> None:
    """Where classes have no rows or no predictions, value and ψ are scikit-learn's still."""
    hold_against_reference(measure, sample)


@settings(deadline=None, max_examples=12, derandomize=True)
@given(sample=samples(complete=False))
def test_the_area_is_averaged_over_the_classes_that_have_rows(sample: MulticlassSample) -> None:
    """One-vs-rest ROC AUC leaves out classes without rows, where scikit-learn has no value, and says which."""
    assert sample.probability is not None
    present = np.unique(sample.label)
    expected = np.mean(
        [
            oracle.roc_auc_score(sample.label == k, sample.probability[:, k], sample_weight=sample.weight)
            for k in present
        ]
    )
    found = defined(sample, Measure(name="roc_auc_macro"))
    assert found.value == pytest.approx(expected)
    absent = sorted(set(range(CLASSES)) - set(present.tolist()))
    assert all(str(code) in found.caution for code in absent)
    assert ("without rows" in found.caution) == bool(absent)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=str)
def test_weights_are_counts_of_rows(measure: Measure) -> None:
    """A row of weight 3 has the value, and together the influence, of three equal rows."""
    rng = np.random.default_rng(3)
    label, probability, times = rng.integers(0, 4, 80), rng.dirichlet([1] * 4, 80), rng.integers(1, 4, 80)
    weighted = defined(MulticlassSample.of(label, classes=4, probability=probability, weight=times), measure)
    repeated = defined(
        MulticlassSample.of(label.repeat(times), classes=4, probability=probability.repeat(times, axis=0)), measure
    )
    assert weighted.value == pytest.approx(repeated.value)
    of_each_row = np.add.reduceat(repeated.psi, np.cumsum(times) - times) / repeated.psi.size
    np.testing.assert_allclose(weighted.psi / weighted.psi.size, of_each_row, atol=1e-12)


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "mcc", "kappa", "log_loss"])
def test_two_classes_are_the_binary_case(name: str) -> None:
    """With two classes, the metrics that binary classification has too are the same, influences included."""
    rng = np.random.default_rng(4)
    label, score = rng.integers(0, 2, 60), rng.random(60)
    sample = MulticlassSample.of(label, classes=2, probability=np.column_stack([1 - score, score]))
    binary = BinarySample.of(label, score).measure(Measure(name=name))
    assert isinstance(binary, Influence)
    found = defined(sample, Measure(name=name))
    assert found.value == pytest.approx(binary.value)
    np.testing.assert_allclose(found.psi, binary.psi, atol=1e-12)
    assert found.support == binary.support


def test_documented_values() -> None:
    """Values of scikit-learn's own documentation: F1, balanced accuracy, top-2 and Matthews' correlation."""
    label, prediction = [0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1]
    sample = MulticlassSample.of(label, classes=3, prediction=prediction)
    values = {name: defined(sample, Measure(name=name)).value for name in ("f1_macro", "f1_micro", "f1_weighted")}
    assert values == pytest.approx({"f1_macro": 0.2666666, "f1_micro": 0.3333333, "f1_weighted": 0.2666666})
    macro = [defined(sample, Measure(name=name)).value for name in ("precision_macro", "recall_macro")]
    assert macro == pytest.approx([0.2222222, 0.3333333])
    scores = [[0.5, 0.2, 0.2], [0.3, 0.4, 0.2], [0.2, 0.4, 0.3], [0.7, 0.2, 0.1]]
    ranked = MulticlassSample.of([0, 1, 2, 2], classes=3, probability=scores)
    assert defined(ranked, Measure(name="top_k", k=2)).value == 0.75


def test_the_cut_off_counts_classes() -> None:
    """Among all classes the true one always is, among one it is as often as accuracy says; the default is 10."""
    rng = np.random.default_rng(5)
    label, probability = rng.integers(0, 12, 90), rng.dirichlet([1] * 12, 90)
    sample = MulticlassSample.of(label, classes=12, probability=probability)
    top = [defined(sample, Measure(name="top_k", k=k)).value for k in (1, 10, 12, 99)]
    assert top[0] == defined(sample, Measure(name="accuracy")).value
    assert defined(sample, Measure(name="top_k")).value == top[1]
    assert top[2:] == [1, 1]
    with pytest.raises(ValueError, match="the cut-off 0 is below 1"):
        sample.measure(Measure(name="top_k", k=0))


@pytest.mark.parametrize("name", ["balanced_accuracy", "mcc", "kappa", "roc_auc_macro"])
def test_one_class_only_says_so(name: str) -> None:
    """What compares classes has no value where all rows are of one."""
    sample = MulticlassSample.of([1, 1, 1], classes=3, probability=np.full((3, 3), 1 / 3))
    assert sample.measure(MEASURES[name]) == Undefined(reason="all rows are of one class")


def test_constant_predictions() -> None:
    """Predicting one class for all rows leaves Matthews' correlation without a value; kappa is 0, areas are ½."""
    sample = MulticlassSample.of(np.arange(30) % 3, classes=3, probability=np.tile([0.5, 0.25, 0.25], (30, 1)))
    assert sample.measure(MEASURES["mcc"]) == Undefined(reason="all rows are predicted to be of one class")
    assert defined(sample, MEASURES["kappa"]).value == 0
    assert hold_against_reference(MEASURES["roc_auc_macro"], sample).value == 0.5


@pytest.mark.parametrize("measure", MEASURES.values(), ids=str)
def test_no_rows_have_no_value(measure: Measure) -> None:
    """Without rows every metric is Undefined."""
    empty = MulticlassSample.of(np.array([], dtype=int), classes=3, probability=np.empty((0, 3)))
    assert empty.measure(measure) == Undefined(reason="there are no rows")


@pytest.mark.parametrize("name", OF_PROBABILITIES)
def test_without_probabilities(name: str) -> None:
    """What rests on probabilities says that there are none, where the model gave classes alone."""
    found = MulticlassSample.of([0, 1], classes=2, prediction=[0, 1]).measure(MEASURES[name])
    assert found == Undefined(reason="there are predicted classes, but no probabilities")


@pytest.mark.parametrize("name", ["log_loss", "brier"])
@pytest.mark.parametrize(
    ("row", "reason"), [([0.5, 0.3, 0.3], "do not sum to 1"), ([1.5, -0.25, -0.25], "lie outside of 0 to 1")]
)
def test_what_is_no_probability(name: str, row: list[float], reason: str) -> None:
    """Losses of probabilities refuse what is none; ranking metrics take any scores."""
    sample = MulticlassSample.of([0, 1], classes=3, probability=[[0.2, 0.4, 0.4], row])
    found = sample.measure(MEASURES[name])
    assert isinstance(found, Undefined)
    assert reason in found.reason
    assert defined(sample, MEASURES["top_k@2"]).value >= 0


def test_absent_classes_are_told_by_name() -> None:
    """Classes without rows or predictions are named where an average misses them or counts them as 0."""
    names = [f"class {letter}" for letter in "ABCDEFGH"]
    sample = MulticlassSample.of([0, 0, 1, 2], classes=8, prediction=[0, 3, 0, 2], names=names)
    cautions = {name: defined(sample, Measure(name=name)).caution for name in OF_DECISIONS}
    rows = "classes without rows: class D, class E, class F, class G, class H"
    assert cautions["recall_macro"] == cautions["balanced_accuracy"] == rows
    predictions = "classes without predictions: class B, class E, class F, class G, class H"
    assert cautions["precision_macro"] == cautions["f1_macro"] == f"{rows}; {predictions}"
    assert {cautions[name] for name in ("accuracy", "f1_micro", "f1_weighted", "mcc", "kappa")} == {""}
    many = MulticlassSample.of([0, 0], classes=8, prediction=[0, 0])
    assert defined(many, Measure(name="recall_macro")).caution == "classes without rows: 1, 2, 3, 4, 5 and 2 more"


def test_support_counts_the_rarest_rows() -> None:
    """Averages over classes rest on the rarest class, agreement on the rows outside of the commonest, means on all."""
    label = np.repeat([0, 1, 2], [30, 20, 10])
    prediction = np.where(np.arange(60) < 54, label, 0)
    sample = MulticlassSample.of(label, classes=4, prediction=prediction)
    rows = {"accuracy": 60, "f1_weighted": 60, "mcc": 30, "kappa": 30, "recall_macro": 10, "f1_macro": 10}
    rows |= {"precision_macro": 4, "balanced_accuracy": 10}
    uniform = MulticlassSample.of(label, classes=4, prediction=prediction, weight=np.full(60, 0.3))
    for one in (sample, uniform):
        assert {name: defined(one, Measure(name=name)).support for name in rows} == rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": [0, 3], "prediction": [0, 1]}, "labels are not a row of codes from 0 to 2"),
        ({"label": [0, -1], "prediction": [0, 1]}, "labels are not a row of codes"),
        ({"label": [0.0, 1.0], "prediction": [0, 1]}, "labels are not a row of codes"),
        ({"label": [0, 1], "prediction": [0, 3]}, "predictions are not a row of codes"),
        ({"label": [0, 1], "prediction": [0]}, "not one prediction for each label"),
        ({"label": [0, 1], "prediction": [0, 1], "names": ["a"]}, "one name for each class"),
        ({"label": [0, 1]}, "neither predictions nor probabilities"),
        ({"label": [0, 1], "probability": [[0.5, 0.5], [0.5, 0.5]]}, "not 3 finite numbers for each of 2 labels"),
        ({"label": [0], "probability": [[0.5, 0.5, float("nan")]]}, "not 3 finite numbers"),
        ({"label": [0], "prediction": [0], "weight": [0.0]}, "weights are not one finite number above 0"),
    ],
)
def test_what_is_no_evaluation_is_refused(arguments: dict[str, list[int]], message: str) -> None:
    """Codes outside of the classes, NaN and other lengths are errors, never a number."""
    with pytest.raises(ValueError, match=message):
        MulticlassSample.of(**arguments, classes=3)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=12, derandomize=True)
@given(sample=samples(complete=False), seed=st.integers(0, 100))
def test_selecting_is_building_from_the_part(sample: MulticlassSample, seed: int) -> None:
    """A sub-sample measures as one that was made from its rows alone, by positions and by a slice."""
    assert sample.probability is not None
    rows = np.random.default_rng(seed).permutation(sample.size)[: sample.size // 2 + 1]
    weight = None if sample.weight is None else sample.weight[rows]
    alone = MulticlassSample.of(
        sample.label[rows], classes=CLASSES, probability=sample.probability[rows], weight=weight
    )
    for part in (sample.select(rows), sample.select(np.concatenate([rows, rows])).select(slice(0, rows.size))):
        for measure in MEASURES.values():
            one, other = part.measure(measure), alone.measure(measure)
            assert isinstance(one, Undefined) == isinstance(other, Undefined)
            if isinstance(one, Influence) and isinstance(other, Influence):
                np.testing.assert_allclose([one.value, *one.psi], [other.value, *other.psi], atol=1e-12)


def test_all_that_a_metric_sees_decides_likeness() -> None:
    """Models with the same classes but other probabilities are not alike, nor are those with other weights."""
    accuracy = Measure(name="accuracy")
    plain = MulticlassSample.of([0, 1], classes=2, probability=[[0.7, 0.3], [0.2, 0.8]])
    assert plain.answers_like(MulticlassSample.of([0, 1], classes=2, probability=[[0.7, 0.3], [0.2, 0.8]]), accuracy)
    for other in (
        MulticlassSample.of([0, 1], classes=2, probability=[[0.6, 0.4], [0.2, 0.8]]),
        MulticlassSample.of([0, 1], classes=2, prediction=[0, 1]),
        MulticlassSample.of([0, 1], classes=2, probability=[[0.7, 0.3], [0.2, 0.8]], weight=[1, 2]),
    ):
        assert not plain.answers_like(other, accuracy)
