"""Minimum detectable effects and sample sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seatrial.stats.power import minimum_detectable_effect, samples_needed


def test_minimum_detectable_effect() -> None:
    """At 95 % and 80 % power it is (1.95996 + 0.84162)·SE."""
    assert minimum_detectable_effect(0.01) == pytest.approx(0.01 * (1.959963984540054 + 0.8416212335729143))
    assert minimum_detectable_effect(0.0) == 0


def test_the_power_is_what_it_says() -> None:
    """An effect of that size puts 80 % of the intervals above 0."""
    rng = np.random.default_rng(0)
    effect = minimum_detectable_effect(1.0)
    low = effect + rng.normal(size=200_000) - stats.norm.ppf(0.975)
    assert np.mean(low > 0) == pytest.approx(0.8, abs=0.005)


@given(se=st.floats(1e-4, 0.1), n=st.integers(10, 10**6), margin=st.floats(1e-4, 0.1))
def test_samples_needed_bring_the_effect_down_to_the_margin(se: float, n: int, margin: float) -> None:
    """At the answer the minimum detectable effect is within the margin, and at one row fewer it is not."""
    needed = samples_needed(se, n, margin)
    assert needed is not None

    def effect(rows: int) -> float:
        return minimum_detectable_effect(se * (n / rows) ** 0.5)

    assert effect(needed) <= margin * (1 + 1e-9)
    assert needed == 1 or effect(needed - 1) > margin * (1 - 1e-9)


@pytest.mark.parametrize(("se", "margin"), [(0.01, 0.0), (0.01, -0.01), (0.0, 0.01)])
def test_where_nothing_can_be_planned(se: float, margin: float) -> None:
    """No number of samples proves equality, and nothing follows from models that differed on no row."""
    assert samples_needed(se, 1000, margin) is None


def test_example_of_the_documentation() -> None:
    """A standard error of 0.0055 on 4,812 rows needs about 11,400 for a margin of 0.01."""
    assert samples_needed(0.0055, 4812, 0.01) == 11426
