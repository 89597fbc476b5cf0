"""The target `local` under the part of the conformance suite for shares of the requests, and one that fails in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from seatrial.core.deployment import Outcome
from seatrial.core.routing import Route
from seatrial.deploy import open_local
from seatrial.deploy.conformance import NAME, NumberProver, plan_number
from seatrial.deploy.conformance_routing import NumberTrial, RoutingConformance
from seatrial.deploy.engine import apply
from seatrial.deploy.target import Target
from seatrial.errors import ReleaseError


class TestLocalRoutes(RoutingConformance):
    """What it does with route.json, and what that survives."""

    opener = "seatrial.deploy:open_local"


class Stuck:
    """A target that gives shares, and can't take them away."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def route(self, route: Route) -> None:
        """As the target does, unless no version is left."""
        if not route.versions:
            raise ReleaseError("the disk is gone")
        getattr(self._target, "route")(route)  # noqa: B009 - not every target has it


def test_share_that_stays_does_not_keep_the_pointer(tmp_path: Path) -> None:
    """The version before is live again, and exit code 3 says that not all is as it was."""
    target = open_local(str(tmp_path / "root"), NAME)
    apply(plan_number(target, tmp_path / "source", "1"), target=target, prover=NumberProver())
    stuck = cast("Target", Stuck(target))
    trial = NumberTrial(stuck, "2")
    failed = apply(plan_number(stuck, tmp_path / "source", "2"), target=stuck, prover=NumberProver(), trial=trial)
    assert (failed.outcome, failed.outcome.exit_code) == (Outcome.NOT_RESTORED, 3)
    assert "the disk is gone" in failed.reason
    live = target.observe().live
    assert live is not None
    assert live.version == "1"
