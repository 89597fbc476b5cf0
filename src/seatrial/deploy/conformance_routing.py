"""The part of the conformance suite for targets that can share requests between versions (`deploy.target.Routing`).

from seatrial.deploy.conformance_routing import RoutingConformance

class TestMineRoutes(RoutingConformance):
    opener = "my_package.targets:open_mine"
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import ClassVar, cast

from seatrial.core.deployment import Answer, Check, Outcome
from seatrial.core.release import Release
from seatrial.core.routing import Route
from seatrial.deploy.conformance import Mortal, NumberProver, Suite, open_named, plan_number
from seatrial.deploy.engine import Deployment, apply, recover
from seatrial.deploy.target import Routing, Target, find_routing
from seatrial.deploy.trial import Phase
from seatrial.errors import BlockedError, ReleaseError

_SHARES = (5.0, 25.0)
_DIED = -signal.SIGKILL


class NumberTrial:
    """Shadows, then two shares; the larger one is answered as told. `seen` are the routes that were in force."""

    def __init__(self, target: Target, version: str, answer: Answer = Answer.PASS, *, lenient: bool = False) -> None:
        self._routing = expect_routing(target)
        self._version = version
        self._answer = answer
        self._lenient = lenient
        self.seen: list[Route] = []

    def list_phases(self) -> tuple[Phase, ...]:
        """The shadow has no share."""
        routes = (Route(shadow=self._version), *(Route(weights={self._version: share}) for share in _SHARES))
        return tuple(Phase(title=str(route), route=route, lenient=self._lenient) for route in routes)

    def measure(self, directory: Path) -> tuple[Check, ...]:
        """Nothing is measured before."""
        assert directory.is_dir()
        return ()

    def watch(self, phase: Phase, release: Release, directory: Path) -> tuple[Check, ...]:
        """Judged at once; the route has to be the phase's."""
        assert directory.is_dir()
        self.seen.append(self._routing.read_route())
        last = phase.route.weights.get(release.version) == _SHARES[-1]
        return (Check(name="prometheus", answer=self._answer if last else Answer.PASS, detail=phase.title),)

    def look_back(self, release: Release, directory: Path) -> tuple[Check, ...]:
        """Nor after."""
        assert release.version == self._version
        assert directory.is_dir()
        return ()


def expect_routing(target: Target) -> Routing:
    """The target, which has to be able to route."""
    routing = find_routing(target)
    assert routing is not None, "the target has no method `route`"
    return routing


class RoutingConformance(Suite):
    """What a target that shares requests does, and survives: subclass it, and name the `opener`.

    Where each boundary is dear, a `step` leaves some of them out.
    """

    step: ClassVar[int] = 1

    def test_share_is_told_keeps_its_version_and_goes(self, tmp_path: Path) -> None:
        """What is routed is read again by who opens the target anew, and a version with a share is not taken away."""
        for number in "12":
            self._deploy(tmp_path, number)
        target, routing = self._open(tmp_path), expect_routing(self._open(tmp_path))
        assert routing.read_route() == Route()
        with target.lock():
            routing.route(Route(weights={"1": 5.0}))
            assert expect_routing(self._open(tmp_path)).read_route() == Route(weights={"1": 5.0})
            try:
                target.retire("1")
            except ReleaseError:
                routing.route(Route())
            assert routing.read_route() == Route(), "a version with a share was taken away"
            target.retire("1")
        self._expect(tmp_path, "2", versions=1)

    def test_version_that_passes_every_share_is_live_and_has_none_any_more(self, tmp_path: Path) -> None:
        """Each route was in force when it was judged, and the log tells what was found."""
        self._deploy(tmp_path, "1")
        done, trial = self._try(tmp_path)
        assert (done.outcome, self._live_number(tmp_path)) == (Outcome.LIVE, "2")
        assert trial.seen == [phase.route for phase in trial.list_phases()]
        assert [check.name for check in done.checks] == ["prometheus"] * 3 + ["identity", "ready", "golden"]
        assert expect_routing(self._open(tmp_path)).read_route() == Route()
        self._expect(tmp_path, "2", versions=2)

    def test_version_that_fails_with_a_share_has_none_and_is_gone(self, tmp_path: Path) -> None:
        """It answered some requests, so it is undone: exit code 1."""
        self._deploy(tmp_path, "1")
        done, _ = self._try(tmp_path, Answer.FAIL)
        assert (done.outcome, done.outcome.exit_code) == (Outcome.REVERTED, 1)
        assert expect_routing(self._open(tmp_path)).read_route() == Route()
        self._expect(tmp_path, "1", versions=1)

    def test_share_that_cannot_be_judged_is_undone_unless_doubt_is_let_pass(self, tmp_path: Path) -> None:
        """Exit code 5, or live."""
        self._deploy(tmp_path, "1")
        done, _ = self._try(tmp_path, Answer.INCONCLUSIVE)
        assert (done.outcome, done.outcome.exit_code) == (Outcome.INCONCLUSIVE, 5)
        self._expect(tmp_path, "1", versions=1)
        done, _ = self._try(tmp_path, Answer.INCONCLUSIVE, lenient=True)
        assert done.outcome is Outcome.LIVE
        self._expect(tmp_path, "2", versions=2)

    def test_share_that_nobody_here_gave_blocks(self, tmp_path: Path) -> None:
        """It is somebody's, and stays."""
        for number in "01":
            self._deploy(tmp_path, number)
        theirs = Route(weights={"1": 10.0})
        expect_routing(self._open(tmp_path)).route(theirs)
        blocked = False
        try:
            self._try(tmp_path)
        except BlockedError:
            blocked = True
        assert blocked, "a route of somebody else's was replaced"
        assert expect_routing(self._open(tmp_path)).read_route() == theirs

    def test_killed_with_a_share_is_picked_up(self, tmp_path: Path) -> None:
        """Killed at any boundary on the way to live, the next command ends with one version live and no share."""
        self._kill_everywhere(tmp_path, Answer.PASS)

    def test_killed_while_a_share_is_taken_back_is_picked_up(self, tmp_path: Path) -> None:
        """Killed at any boundary of undoing, the old version is live and has all requests."""
        self._kill_everywhere(tmp_path, Answer.FAIL)

    def _kill_everywhere(self, place: Path, answer: Answer) -> None:
        for boundary in range(0, 1000, self.step):
            at = place / str(boundary)
            self._deploy(at, "1")
            if self._run_child(at, answer, boundary) != _DIED:
                assert boundary > 8, "no route was changed, so nothing was tested"
                return
            target = self._open(at)
            with target.lock():
                recover(target, NumberProver())
            number = self._live_number(at)
            assert number == "1" or answer is Answer.PASS, f"boundary {boundary}: {number} is live"
            assert expect_routing(target).read_route() == Route(), f"boundary {boundary}: a share is left"
            self._expect(at, number, versions=int(number))

    def _run_child(self, place: Path, answer: Answer, boundary: int) -> int:
        """Let a fork of this process deploy until it dies at a boundary; its exit code, negative for a signal."""
        child = os.fork()
        if child == 0:
            try:
                self._try(place, answer, boundary=boundary)
            finally:
                os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _try(
        self, place: Path, answer: Answer = Answer.PASS, *, lenient: bool = False, boundary: int = -1
    ) -> tuple[Deployment, NumberTrial]:
        """Deploy the number 2 with a trial."""
        target = cast("Target", Mortal(open_named(self.opener, place / "root"), boundary))
        plan = plan_number(target, place / "source", "2")
        trial = NumberTrial(target, plan.release.version, answer, lenient=lenient)
        return apply(plan, target=target, prover=NumberProver(), trial=trial), trial
