"""The target `tensorflow-serving` under the conformance suite."""

from __future__ import annotations

import pytest

from seatrial.deploy.conformance import TargetConformance, TargetSurvival

OPENER = "tests.conformance.serving:open_texts"


class TestTensorFlowServing(TargetConformance):
    """What it does."""

    opener = OPENER


@pytest.mark.slow
class TestTensorFlowServingSurvives(TargetSurvival):
    """What it survives: kill -9 at every boundary, and races."""

    opener = OPENER
    step = 2
