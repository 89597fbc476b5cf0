"""The small print on predictions: calibration, and what more draws would help."""

from __future__ import annotations

import numpy as np

from seatrial.commands.remarks import remark_on
from seatrial.stats.binary import BinarySample
from seatrial.stats.regression import RegressionSample
from seatrial.stats.scores import ScoreSample

RNG = np.random.default_rng(4)


def test_calibration_is_told_of_both_sides_with_its_noise() -> None:
    """A model that is as sure as it should be shows little more than noise, an overconfident one much more."""
    chance = RNG.random(20_000)
    label = (RNG.random(20_000) < chance).astype(int)
    sure = np.clip(0.5 + (chance - 0.5) * 3, 0, 1)
    (told,) = remark_on(BinarySample.of(label, chance), BinarySample.of(label, sure))
    before, after = (
        float(word.rstrip(",")) for word in told.split(") ")[1].split(" → ")[:2] for word in word.split()[:1]
    )
    assert before < 0.02
    assert after > 0.1
    assert "would be noise" in told


def test_scores_outside_of_probabilities_have_no_calibration() -> None:
    """A ranking score is no probability."""
    label = np.arange(100) % 2
    sample = BinarySample.of(label, RNG.normal(size=100))
    assert not list(remark_on(sample, sample))


def test_repeated_draws_say_what_would_help() -> None:
    """Where drawing anew makes most of the variance, more draws would help."""
    unit = np.repeat(np.arange(50), 4)
    sides = [ScoreSample.of(RNG.normal(size=200), unit=unit) for _ in range(2)]
    (told,) = remark_on(*sides)
    assert told.startswith("4 draws per unit make up")


def test_other_tasks_have_no_remark() -> None:
    """There is nothing of the kind to say of predicted numbers."""
    sample = RegressionSample.of(RNG.normal(size=30), RNG.normal(size=30))
    assert not list(remark_on(sample, sample))
