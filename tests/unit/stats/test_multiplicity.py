"""Adjusted p-values: published numbers, scipy's, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from seatrial.stats.multiplicity import benjamini_hochberg, holm

# The example of Benjamini & Hochberg 1995.
P = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1]
BH = [
    *(0.0015, 0.003, 0.0095, 0.035625, 0.0603, 0.063857, 0.063857, 0.0645, 0.0765, 0.486, 0.581182),
    *(0.714875, 0.753231, 0.813214, 1),
]
HOLM = [0.0015, 0.0056, 0.0247, 0.114, 0.2211, 0.278, 0.278, 0.278, 0.3213, 1, 1, 1, 1, 1, 1]

probabilities = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.5, 1.0]), max_size=20)


def test_published_numbers() -> None:
    """The fifteen p-values of 1995 become those that are published, in whatever order they come."""
    mix = np.random.default_rng(2).permutation(15)
    np.testing.assert_allclose(benjamini_hochberg(np.array(P)[mix]), np.array(BH)[mix], atol=5e-7)
    np.testing.assert_allclose(holm(np.array(P)[mix]), np.array(HOLM)[mix], atol=5e-7)


@settings(deadline=None, derandomize=True)
@given(probabilities.filter(bool))
def test_benjamini_hochberg_is_that_of_scipy(p: list[float]) -> None:
    """The adjusted values equal scipy's."""
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p), rtol=1e-12)


@settings(deadline=None, derandomize=True)
@given(probabilities)
def test_holm_is_its_definition(p: list[float]) -> None:
    """A test is rejected at any level exactly if it and all with smaller p pass their own thresholds."""
    adjusted = holm(p)
    ranked = sorted(range(len(p)), key=lambda at: p[at])
    for level in (0.01, 0.05, 0.3):
        passed = 0
        while passed < len(p) and p[ranked[passed]] * (len(p) - passed) <= level:
            passed += 1
        assert [bool(adjusted[at] <= level) for at in ranked] == [rank < passed for rank in range(len(p))]


@settings(deadline=None, derandomize=True)
@given(probabilities)
def test_laws(p: list[float]) -> None:
    """Adjusting never lowers a p-value, keeps the order, and Holm is never below Benjamini–Hochberg."""
    step_up, step_down = benjamini_hochberg(p), holm(p)
    assert (step_up >= np.array(p) * (1 - 1e-12)).all()
    assert (step_down >= step_up * (1 - 1e-12)).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(step_up[order]) >= 0).all()
    assert (np.diff(step_down[order]) >= 0).all()


@pytest.mark.parametrize("p", [[0.5, float("nan")], [-0.1], [1.1], [[0.5]]])
def test_what_is_no_probability_is_refused(p: list[float]) -> None:
    """NaN would sort last and pass as harmless: it is an error."""
    for adjust in (benjamini_hochberg, holm):
        with pytest.raises(ValueError, match="not numbers from 0 to 1"):
            adjust(p)
