"""Values and influences of every metric, held against scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as oracle

from seatrial.stats.differences import OF_DECISIONS, OF_SCORES
from seatrial.stats.influence import Influence, Undefined, log_loss
from seatrial.stats.names import DECISION_METRICS, METRIC_NAMES, SCORE_METRICS

Arrays = tuple[NDArray[np.bool_], NDArray[np.float64]]
Reference = Callable[[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]], float]
THRESHOLD = 0.5
STEP = 2e-5

REFERENCES: dict[str, Reference] = {
    "accuracy": lambda y, s, w: oracle.accuracy_score(y, s >= THRESHOLD, sample_weight=w),
    "precision": lambda y, s, w: oracle.precision_score(y, s >= THRESHOLD, sample_weight=w),
    "recall": lambda y, s, w: oracle.recall_score(y, s >= THRESHOLD, sample_weight=w),
    "specificity": lambda y, s, w: oracle.recall_score(~y, s < THRESHOLD, sample_weight=w),
    "f1": lambda y, s, w: oracle.f1_score(y, s >= THRESHOLD, sample_weight=w),
    "roc_auc": lambda y, s, w: oracle.roc_auc_score(y, s, sample_weight=w),
    "average_precision": lambda y, s, w: oracle.average_precision_score(y, s, sample_weight=w),
    "log_loss": lambda y, s, w: oracle.log_loss(y, s, sample_weight=w, labels=[False, True]),
    "brier": lambda y, s, w: oracle.brier_score_loss(y, s, sample_weight=w, pos_label=True),
}


def evaluate(name: str, label: NDArray[np.bool_], score: NDArray[np.float64]) -> Influence | Undefined:
    """The metric by its name, decisions being taken at THRESHOLD."""
    if name in OF_DECISIONS:
        return OF_DECISIONS[name](label, score >= THRESHOLD)
    return OF_SCORES[name](label, score)


def influence(name: str, label: NDArray[np.bool_], score: NDArray[np.float64]) -> Influence:
    """The same, where it is defined."""
    found = evaluate(name, label, score)
    assert isinstance(found, Influence), found
    return found


@st.composite
def evaluations(draw: st.DrawFn) -> Arrays:
    """Two classes, at least one row decided positive, and scores of which many are tied."""
    n = draw(st.integers(4, 24))
    label = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    label[:2] = [True, False]
    coarse, fine = st.integers(1, 7).map(lambda eighth: eighth / 8), st.floats(0.01, 0.99)
    score = np.array(draw(st.lists(st.one_of(coarse, fine), min_size=n, max_size=n)))
    score[draw(st.integers(0, n - 1))] = 0.75
    return label, score


def derivatives(reference: Reference, label: NDArray[np.bool_], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """The influences n · ∂θ/∂wᵢ at weights of 1, by central differences."""

    def at(row: int, weight: float) -> float:
        weights = np.ones(label.size)
        weights[row] = weight
        return reference(label, score, weights)

    slopes = [(at(row, 1 + STEP) - at(row, 1 - STEP)) / (2 * STEP) for row in range(label.size)]
    return label.size * np.array(slopes)


def test_every_name_has_a_function_and_a_reference() -> None:
    """The names that a configuration may use are exactly those that can be estimated, each with an oracle here."""
    assert tuple(OF_DECISIONS) == DECISION_METRICS
    assert tuple(OF_SCORES) == SCORE_METRICS
    assert tuple(REFERENCES) == METRIC_NAMES


@pytest.mark.parametrize("name", METRIC_NAMES)
@settings(deadline=None, max_examples=20, derandomize=True)
@given(evaluation=evaluations())
def test_influence_is_the_derivative_in_the_weight_of_a_row(name: str, evaluation: Arrays) -> None:
    """Value and ψ equal scikit-learn's metric and its numerical derivative in sample_weight, ties included."""
    label, score = evaluation
    found = influence(name, label, score)
    assert found.value == pytest.approx(REFERENCES[name](label, score, np.ones(label.size)), abs=1e-12)
    np.testing.assert_allclose(found.psi, derivatives(REFERENCES[name], label, score), atol=1e-6)
    assert found.psi.mean() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_influence_agrees_with_a_thousand_resamples(name: str) -> None:
    """The standard error of one metric from its influences is that of 1,000 bootstrap resamples, within 10 %."""
    rng = np.random.default_rng(7)
    label = rng.random(1500) < 0.3
    score = 1 / (1 + np.exp(1.2 - 1.5 * label - rng.normal(size=label.size)))
    found = influence(name, label, score)
    draws = rng.integers(0, label.size, size=(1000, label.size))
    resampled = np.std([influence(name, label[rows], score[rows]).value for rows in draws])
    assert np.sqrt(found.psi @ found.psi) / label.size == pytest.approx(resampled, rel=0.1)


@pytest.mark.parametrize("name", SCORE_METRICS)
def test_constant_scores_have_a_value(name: str) -> None:
    """A model that says the same of every row is measured, not refused: AUC 0.5, average precision the prevalence."""
    label, score = np.arange(8) < 2, np.full(8, 0.25)
    found = influence(name, label, score)
    assert found.value == pytest.approx(REFERENCES[name](label, score, np.ones(8)), abs=1e-12)
    np.testing.assert_allclose(found.psi, derivatives(REFERENCES[name], label, score), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "label", "score", "reason"),
    [
        ("precision", [1, 0], [0.1, 0.2], "no row is predicted positive"),
        ("recall", [0, 0], [0.1, 0.9], "there is no positive row"),
        ("specificity", [1, 1], [0.1, 0.9], "there is no negative row"),
        ("f1", [0, 0], [0.1, 0.2], "no row is positive, or predicted positive"),
        ("roc_auc", [0, 0], [0.1, 0.9], "there is no positive row"),
        ("roc_auc", [1, 1], [0.1, 0.9], "there is no negative row"),
        ("average_precision", [0, 0], [0.1, 0.9], "there is no positive row"),
        ("log_loss", [0, 1], [0.1, 1.5], "the scores are no probabilities: some lie outside of 0 to 1"),
        ("brier", [0, 1], [-0.1, 0.5], "the scores are no probabilities: some lie outside of 0 to 1"),
        ("accuracy", [], [], "there are no rows"),
        ("log_loss", [], [], "there are no rows"),
    ],
)
def test_what_has_no_value_says_why(name: str, label: list[int], score: list[float], reason: str) -> None:
    """A metric without a value on these rows is Undefined with the reason, never 0 and never NaN."""
    found = evaluate(name, np.array(label, dtype=bool), np.array(score, dtype=float))
    assert found == Undefined(reason=reason)


def test_log_loss_is_capped_where_declared() -> None:
    """A certain and wrong prediction costs −log(floor) and not infinity."""
    found = log_loss(np.array([True, False]), np.array([0.0, 0.0]), floor=1e-3)
    assert isinstance(found, Influence)
    assert found.value == pytest.approx(-np.log(1e-3) / 2)
