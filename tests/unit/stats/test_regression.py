"""Metrics of predicted numbers, held against scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import ttest_rel
from sklearn import metrics as oracle

from seatrial.stats.estimates import estimate
from seatrial.stats.influence import Influence, Undefined
from seatrial.stats.names import SPECS, Measure, Task
from seatrial.stats.paired import Estimate
from seatrial.stats.regression import RegressionSample
from tests.unit.stats.derivatives import influences

Floats = NDArray[np.float64]
Reference = Callable[[Floats, Floats, Floats], float]

REFERENCES: dict[str, Reference] = {
    "mse": lambda y, p, w: oracle.mean_squared_error(y, p, sample_weight=w),
    "rmse": lambda y, p, w: oracle.root_mean_squared_error(y, p, sample_weight=w),
    "mae": lambda y, p, w: oracle.mean_absolute_error(y, p, sample_weight=w),
    "mape": lambda y, p, w: oracle.mean_absolute_percentage_error(y, p, sample_weight=w),
    "wape": lambda y, p, w: float(w @ np.abs(y - p) / (w @ np.abs(y))),
    "pinball": lambda y, p, w: oracle.mean_pinball_loss(y, p, sample_weight=w, alpha=0.5),
    "pinball(0.9)": lambda y, p, w: oracle.mean_pinball_loss(y, p, sample_weight=w, alpha=0.9),
    "r2": lambda y, p, w: oracle.r2_score(y, p, sample_weight=w),
}


def named(text: str) -> Measure:
    """The measure that is written like this."""
    return Measure(name="pinball", quantile=0.9) if text == "pinball(0.9)" else Measure(name=text)


@st.composite
def predictions(draw: st.DrawFn) -> tuple[Floats, Floats, Floats | None]:
    """Truths apart from 0 that vary, predictions of which some are right, and weights or none."""
    n = draw(st.integers(2, 15))
    numbers = st.one_of(st.integers(1, 5).map(float), st.floats(-20, -0.5), st.floats(0.5, 20))
    truth = np.array(draw(st.lists(numbers, min_size=n, max_size=n)))
    truth[:2] = [1, 4]
    prediction = np.array(draw(st.lists(numbers, min_size=n, max_size=n)))
    prediction[0] = 2.5
    weight = draw(st.none() | st.lists(st.floats(0.25, 4), min_size=n, max_size=n).map(np.array))
    return truth, prediction, weight


def test_every_metric_has_an_oracle() -> None:
    """What a configuration may name for regression is what is tested here."""
    assert set(SPECS[Task.REGRESSION]) == {named(text).name for text in REFERENCES}


@pytest.mark.parametrize("text", REFERENCES)
@settings(deadline=None, max_examples=25, derandomize=True)
@given(sample=predictions())
def test_influence_is_the_derivative_of_the_oracle(text: str, sample: tuple[Floats, Floats, Floats | None]) -> None:
    """Value and ψ equal scikit-learn's metric and its derivative in sample_weight, with and without weights."""
    truth, prediction, weight = sample
    weights = np.ones(truth.size) if weight is None else weight
    found = RegressionSample.of(truth, prediction, weight=weight).measure(named(text))
    assert isinstance(found, Influence)
    assert found.value == pytest.approx(REFERENCES[text](truth, prediction, weights), rel=1e-10)
    numerical = influences(lambda moved: REFERENCES[text](truth, prediction, moved), weights)
    np.testing.assert_allclose(found.psi, numerical, atol=1e-6, rtol=1e-6)
    assert found.psi.sum() == pytest.approx(0, abs=1e-9 * max(1.0, float(np.abs(found.psi).max())))


def test_documented_values() -> None:
    """The example values of scikit-learn's own documentation."""
    sample = RegressionSample.of([3, -0.5, 2, 7], [2.5, 0.0, 2, 8])
    values = {name: sample.measure(Measure(name=name)) for name in ("mse", "rmse", "mae", "mape", "r2")}
    found = {name: round(one.value, 3) for name, one in values.items() if isinstance(one, Influence)}
    assert found == {"mse": 0.375, "rmse": 0.612, "mae": 0.5, "mape": 0.327, "r2": 0.949}


def test_predicted_numbers_are_estimated_like_rows() -> None:
    """The engine takes regressions as samples: the interval of the MAE is the paired t of the absolute errors."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=50)
    base, head = (truth + rng.normal(size=50) for _ in range(2))
    mae = Measure(name="mae")
    found = estimate(RegressionSample.of(truth, base), RegressionSample.of(truth, head), [mae])[mae]
    assert isinstance(found, Estimate)
    expected = ttest_rel(np.abs(head - truth), np.abs(base - truth)).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_perfect_predictions_have_no_influence() -> None:
    """Where nothing errs the RMSE is 0 whatever the weights, so each ψ is 0 and not NaN."""
    found = RegressionSample.of([1, 2, 3], [1, 2, 3]).measure(Measure(name="rmse"))
    assert isinstance(found, Influence)
    assert (found.value, found.psi.tolist()) == (0.0, [0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("name", "truth", "prediction", "reason"),
    [
        ("mse", [], [], "there are no rows"),
        ("r2", [], [], "there are no rows"),
        ("mape", [0, 1], [1, 1], "1 true value is 0, by which it would divide; wape sums before it divides"),
        ("mape", [0, 0], [1, 1], "2 true values are 0, by which it would divide; wape sums before it divides"),
        ("wape", [0, 0], [1, 1], "every true value is 0"),
        ("r2", [0.1] * 7, [0.2] * 7, "the true values are all the same"),
        ("r2", [1], [2], "the true values are all the same"),
        ("r2", [0, 5e-324], [1, 2], "the true values are all but the same"),
        ("mse", [1e200, 0], [-1e200, 0], "its errors are too large to be squared or summed"),
        ("mse", [1e100, 0], [-1e100, 0], "its errors are too large to be squared or summed"),
        ("rmse", [1e200, 0], [-1e200, 0], "its errors are too large to be squared or summed"),
        ("mae", [1.7e308, 0], [-1.7e308, 0], "its errors are too large to be squared or summed"),
    ],
)
def test_what_has_no_value_says_why(name: str, truth: list[float], prediction: list[float], reason: str) -> None:
    """A metric without a value is Undefined with the reason, never NaN or infinite."""
    assert RegressionSample.of(truth, prediction).measure(Measure(name=name)) == Undefined(reason=reason)


def test_weights_count_as_rows_do() -> None:
    """A weight of 2 gives the value of the row being there twice, and the effective number of rows as support."""
    twice = RegressionSample.of([1, 1, 2, 5], [1.5, 1.5, 2, 3]).measure(Measure(name="rmse"))
    weighted = RegressionSample.of([1, 2, 5], [1.5, 2, 3], weight=[2, 1, 1]).measure(Measure(name="rmse"))
    assert isinstance(twice, Influence)
    assert isinstance(weighted, Influence)
    assert weighted.value == pytest.approx(twice.value)
    assert weighted.support == 2  # 4² / 6 is 2.67


def test_select_takes_rows_and_their_weights() -> None:
    """A sub-sample measures as if only its rows had ever been there, by a slice or by positions."""
    sample = RegressionSample.of([1, 2, 5, 9], [1.5, 2, 3, 1], weight=[2, 1, 3, 1])
    direct = RegressionSample.of([2, 5], [2, 3], weight=[1, 3])
    for units in (slice(1, 3), np.array([1, 2])):
        chosen = sample.select(units)
        assert chosen.answers_like(direct, Measure(name="mae"))
        assert chosen.size == 2


def test_answers_are_alike_only_if_all_is() -> None:
    """Another prediction, truth or weight is another answer."""
    one = RegressionSample.of([1, 2], [3, 4])
    mae = Measure(name="mae")
    assert one.answers_like(RegressionSample.of([1, 2], [3, 4]), mae)
    assert not one.answers_like(RegressionSample.of([1, 2], [3, 5]), mae)
    assert not one.answers_like(RegressionSample.of([0, 2], [3, 4]), mae)
    assert not one.answers_like(RegressionSample.of([1, 2], [3, 4], weight=[1, 2]), mae)


@pytest.mark.parametrize(
    ("truth", "prediction", "weight"),
    [([1, 2], [1], None), ([1, np.nan], [1, 2], None), ([1, 2], [1, np.inf], None), ([1, 2], [1, 2], [1, 0])],
)
def test_bad_arrays_are_refused(truth: list[float], prediction: list[float], weight: list[float] | None) -> None:
    """NaN, infinity, lengths that differ and weights of 0 are errors, not values."""
    with pytest.raises(ValueError, match="not one finite number"):
        RegressionSample.of(truth, prediction, weight=weight)


@pytest.mark.parametrize(
    "measure", [Measure(name="roc_auc"), Measure(name="mse", quantile=0.5), Measure(name="pinball", quantile=1.0)]
)
def test_unknown_names_and_settings_are_refused(measure: Measure) -> None:
    """A metric of another task, a setting that it does not take, or a quantile of 1 is a ValueError."""
    with pytest.raises(ValueError, match=r"unknown metric|takes no|not between"):
        RegressionSample.of([1.0], [1.0]).measure(measure)
