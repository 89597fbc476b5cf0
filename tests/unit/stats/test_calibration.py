"""Calibration: scikit-learn's curve, the known bias of the plain error, and what takes it away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from seatrial.stats.calibration import Binning, Calibration, measure_calibration
from seatrial.stats.influence import Undefined


def measured(found: Calibration | Undefined) -> Calibration:
    """The calibration, which must have a value."""
    assert isinstance(found, Calibration), found
    return found


def test_bins_are_those_of_scikit_learn() -> None:
    """Frequencies and confidences of bins of equal width are those of `calibration_curve`."""
    rng = np.random.default_rng(2)
    score = rng.random(500)
    label = rng.random(500) < score**2
    found = measured(measure_calibration(label, score, bins=8, binning="equal_width"))
    frequency, confidence = calibration_curve(label, score, n_bins=8)
    np.testing.assert_allclose([one.frequency for one in found.bins], frequency)
    np.testing.assert_allclose([one.confidence for one in found.bins], confidence)
    assert all(one.lower <= one.confidence <= one.upper for one in found.bins)
    assert all(one.low <= one.frequency <= one.high for one in found.bins)


def test_error_by_hand() -> None:
    """Two bins: (3·|2/3 − 0.2| + 1·|1 − 0.9|) / 4."""
    found = measured(measure_calibration([0, 1, 1, 1], [0.1, 0.2, 0.3, 0.9], bins=2, binning="equal_width"))
    assert found.error == pytest.approx((3 * (2 / 3 - 0.2) + 0.1) / 4)
    assert [one.rows for one in found.bins] == [3, 1]
    assert found.square == pytest.approx(0.75 * ((2 / 3 - 0.2) ** 2 - (2 / 9) / 2))


@pytest.mark.parametrize("binning", ["equal_width", "equal_mass"])
def test_a_calibrated_model_is_found_to_be(binning: Binning) -> None:
    """With 200 rows the plain error is 0.07 of nothing, which the noise tells; the square has no bias at all."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(300):
        score = rng.random(200)
        found.append(measured(measure_calibration(rng.random(200) < score, score, binning=binning)))
    assert np.mean([one.error for one in found]) == pytest.approx(0.078, abs=0.01)
    assert np.mean([one.noise for one in found]) == pytest.approx(np.mean([one.error for one in found]), rel=0.03)
    assert np.mean([one.debiased_error for one in found]) < 0.7 * np.mean([one.error for one in found])
    assert np.mean([one.square for one in found]) == pytest.approx(0, abs=0.001)


def test_a_miscalibrated_model_keeps_its_error() -> None:
    """Where the frequency is 0.15 above the confidence everywhere, both errors say so, and so does the square."""
    rng = np.random.default_rng(6)
    score = 0.2 + 0.6 * rng.random(20_000)
    found = measured(measure_calibration(rng.random(20_000) < score + 0.15, score))
    assert found.error == pytest.approx(0.15, abs=0.01)
    assert found.debiased_error == pytest.approx(0.15, abs=0.01)
    assert found.square == pytest.approx(0.15**2, abs=0.003)


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]) | st.floats(0, 1)), min_size=1),
    st.integers(1, 20),
    st.sampled_from(["equal_width", "equal_mass"]),
)
def test_every_row_is_in_one_bin(rows: list[tuple[bool, float]], bins: int, binning: Binning) -> None:
    """No row is lost, no bin is empty, debiasing never raises the error, and bins keep to their edges."""
    label, score = (np.array(side) for side in zip(*rows, strict=True))
    found = measured(measure_calibration(label, score, bins=bins, binning=binning))
    assert sum(one.rows for one in found.bins) == found.n == len(rows)
    assert len(found.bins) <= bins
    assert all(one.rows > 0 for one in found.bins)
    assert 0 <= found.debiased_error <= found.error + 1e-12
    assert all(one.lower - 1e-12 <= one.confidence <= one.upper + 1e-12 for one in found.bins)


def test_equal_mass_has_equal_rows() -> None:
    """Distinct scores fall into bins whose numbers of rows differ by one at most; equal scores stay together."""
    found = measured(measure_calibration(np.zeros(103), np.random.default_rng(1).random(103), bins=10))
    assert {one.rows for one in found.bins} == {10, 11}
    constant = measured(measure_calibration([0, 1, 1], [0.4] * 3))
    assert [one.rows for one in constant.bins] == [3]


def test_what_has_no_value_says_why() -> None:
    """No rows, and scores that are no probabilities or missing, are Undefined; other labels are an error."""
    assert measure_calibration([], []) == Undefined(reason="there are no rows")
    for wild in (1.5, float("nan")):
        found = measure_calibration([0, 1], [0.5, wild])
        assert found == Undefined(reason="the scores are no probabilities: some lie outside of 0 to 1")
    with pytest.raises(ValueError, match="labels"):
        measure_calibration([0, 2], [0.5, 0.5])
    with pytest.raises(ValueError, match="0 bins"):
        measure_calibration([0], [0.5], bins=0)
