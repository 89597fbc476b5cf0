"""Minimum detectable effects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from seatrial.stats.power import minimum_detectable_effect


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
