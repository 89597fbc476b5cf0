"""The target `local` under the conformance suite that targets of other packages are proved by."""

from __future__ import annotations

import pytest

from seatrial.deploy.conformance import TargetConformance, TargetSurvival


class TestLocal(TargetConformance):
    """What it does."""

    opener = "seatrial.deploy:open_local"


@pytest.mark.slow
class TestLocalSurvives(TargetSurvival):
    """What it survives: kill -9 at every boundary, and fifty races."""

    opener = "seatrial.deploy:open_local"
    races = 50
