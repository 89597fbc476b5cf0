"""What the checks and the canary of an environment ask of a new version, and how they come by the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from msgspec import Struct

from seatrial.core.deployment import Answer, Check
from seatrial.core.environment import Canary, Checks, Doubt, Environment, TrafficLimits
from seatrial.core.release import Release
from seatrial.core.routing import Route
from seatrial.core.traffic import judge_readings
from seatrial.deploy.engine import Action, DeploymentPlan
from seatrial.deploy.trial import Phase, Trial
from seatrial.errors import SeatrialError, UsageError

_TELL_EVERY = 30.0
_POLL = 0.5
_LOADING = 30.0


def open_trial(
    environment: Environment, plan: DeploymentPlan, *, tell: Callable[[str], None], variables: Mapping[str, str]
) -> Trial | None:
    """The trial of a planned deployment; None where the environment asks for none.

    `tell` gets lines for people while it goes on, `variables` hold the token of a Prometheus. UsageError where the
    environment asks for what can't be had.
    """
    checks, canary = environment.checks, environment.canary
    if checks == Checks() and canary is None:
        return None
    where, alone = f"environment {environment.name}", plan.previous is None
    # TensorFlow's model server speaks another protocol, and tells other metrics.
    address = "" if environment.target == "tensorflow-serving" else environment.address
    if checks.shadow and not address and not alone:
        raise UsageError(f"{where}: checks.shadow needs a server to ask", hint="add `address:`, or --address URL")
    limits = checks.prometheus
    if limits and not limits.url and not address and not alone:
        hint = "add `url:` of a Prometheus, or `address:` of the server, whose own /metrics is read then"
        raise UsageError(f"{where}: checks.prometheus has nothing to read", hint=hint)
    token = variables.get(limits.token_env, "") if limits and limits.token_env else ""
    if limits and limits.token_env and not token:
        raise UsageError(f"{where}: the variable {limits.token_env} is empty", hint="it holds Prometheus's token")
    if limits and limits.url:
        _require_requests()
    return EnvironmentTrial(
        checks=checks,
        canary=canary,
        address=address,
        version=plan.release.version,
        alone=alone,
        pickles=plan.release.pickles,
        token=token,
        tell=tell,
    )


def describe_trial(environment: Environment, plan: DeploymentPlan) -> tuple[str, ...]:
    """What a version has to go through beside its golden requests, as lines for people."""
    checks, canary = environment.checks, environment.canary
    if plan.action is Action.NOTHING:
        return ()
    weights = " and ".join(f"{weight:g} %" for weight in canary.weights) if canary else ""
    shared = ["as a shadow"] if checks.shadow else []
    shared += [f"with {weights} of the requests, {canary.seconds:g} s each"] if canary else []
    notes = [f"it is tried out first: {', then '.join(shared)}"] if shared else []
    if checks.prometheus and not canary:
        notes.append(f"its metrics are judged when it has been live for {checks.prometheus.window:g} s")
    if notes and plan.previous is None:
        return ("nothing is live yet, so there are no requests to judge it by",)
    return tuple(notes)


def _require_requests() -> None:
    try:
        import requests  # noqa: F401 - said missing here, before anything is staged
    except ImportError as error:
        raise UsageError(f"{error.name} is not installed", hint="pip install 'seatrial[forges]'") from error


class EnvironmentTrial(Struct, frozen=True, kw_only=True):
    """The trial of one version. `alone`: nothing else is live, so that there are no requests to share."""

    checks: Checks
    canary: Canary | None
    address: str
    version: str
    alone: bool
    pickles: tuple[str, ...]
    token: str
    tell: Callable[[str], None]

    def list_phases(self) -> tuple[Phase, ...]:
        """The shadow first, then the growing shares."""
        if self.alone:
            return ()
        lenient = self.canary is not None and self.canary.on_inconclusive is Doubt.GO_ON
        phases = [("shadow", Route(shadow=self.version))] if self.checks.shadow else []
        weights = self.canary.weights if self.canary else ()
        phases += [(f"{weight:g} %", Route(weights={self.version: weight})) for weight in weights]
        return tuple(Phase(title=title, route=route, lenient=lenient) for title, route in phases)

    def measure(self, directory: Path) -> tuple[Check, ...]:
        """The time of golden requests in this process; where a server answers, it is asked when the version is live."""
        limits = self.checks.latency
        if limits is None or self.address:
            return ()
        from seatrial.serving.latency import measure_model

        return (self._ask("latency", partial(measure_model, directory, limits, self.pickles)),)

    def watch(self, phase: Phase, release: Release, directory: Path) -> tuple[Check, ...]:
        """Wait, then judge what the version did with its share, or as a shadow, from when a server has loaded it."""
        loaded = self._wait_for_server(release) if self.address else ()
        if not all(check.passed for check in loaded):
            return loaded
        limits = self.checks.prometheus
        if self.canary is None or limits is None or phase.route.shadow:
            self.tell(f"version {self.version} is asked behind the live one")
            return (*loaded, self._ask("shadow", partial(self._compare_shadow, release, directory)))
        seconds = self.canary.seconds
        self.tell(f"version {self.version} answers {phase.title} of the requests for {seconds:g} s")
        return (*loaded, self._ask("prometheus", partial(self._judge, phase.title, release, limits, seconds)))

    def _wait_for_server(self, release: Release) -> tuple[Check, ...]:
        """Whether the server that answers has loaded this version, with the digest that is meant."""
        from seatrial.serving.golden import wait_for_digest

        place = f"{self.address.rstrip('/')}/v2/models/{release.name}/versions/{release.version}"
        return (_answer("served", partial(wait_for_digest, place, release.digest, _LOADING)),)

    def look_back(self, release: Release, directory: Path) -> tuple[Check, ...]:
        """The time of golden requests at the server; and where there was no canary, what the metrics say."""
        checks: list[Check] = []
        latency, limits = self.checks.latency, self.checks.prometheus
        if latency and self.address:
            from seatrial.serving.latency import measure_served

            ask = partial(measure_served, self.address, release.name, directory, latency)
            checks.append(self._ask("latency", ask))
        if limits and not self.canary and not self.alone:
            self.tell(f"version {self.version} answers all requests, and is judged in {limits.window:g} s")
            checks.append(self._ask("prometheus", partial(self._judge, "live", release, limits, limits.window)))
        return tuple(checks)

    def _judge(self, title: str, release: Release, limits: TrafficLimits, seconds: float) -> Check:
        """Wait, then hold the metrics of the version against the limits."""
        if limits.url:
            from seatrial.deploy.prometheus import Prometheus

            self._wait(seconds)
            prometheus = Prometheus(url=limits.url, timeout=limits.timeout, token=self.token)
            return judge_readings(title, prometheus.read(limits, release))
        from seatrial.serving.traffic import list_readings, read_traffic

        before = read_traffic(self.address, release.name, release.version, timeout=limits.timeout)
        self._wait(seconds)
        after = read_traffic(self.address, release.name, release.version, timeout=limits.timeout)
        return judge_readings(title, list_readings(limits, after.since(before)))

    def _compare_shadow(self, release: Release, directory: Path) -> Check:
        """Wait for enough compared answers; without callers, golden requests are sent in their place."""
        from seatrial.serving.latency import replay
        from seatrial.serving.traffic import read_traffic

        limits = self.checks.shadow
        assert limits is not None
        before = read_traffic(self.address, release.name, release.version)
        found, end, replayed = before.since(before), time.monotonic() + limits.seconds, False
        while found.compared < limits.min_requests:
            if time.monotonic() >= end:
                if replayed:
                    break
                self.tell(f"nobody asks enough, so that {limits.min_requests} golden requests are sent")
                replay(self.address, release.name, directory, limits.min_requests)
                end, replayed = time.monotonic() + limits.seconds, True
            time.sleep(_POLL)
            found = read_traffic(self.address, release.name, release.version).since(before)
        told = f"{found.mismatched:g} of {found.compared:g} answers differ" + (", golden ones too" if replayed else "")
        if found.compared < limits.min_requests:
            return Check(name="shadow", answer=Answer.INCONCLUSIVE, detail=f"{told}; {limits.min_requests} are needed")
        if found.mismatched <= limits.max_mismatch * found.compared:
            return Check(name="shadow", answer=Answer.PASS, detail=told)
        return Check(name="shadow", answer=Answer.FAIL, detail=f"{told} (at most {limits.max_mismatch:.4g} of them)")

    def _wait(self, seconds: float) -> None:
        """Sleep, and say now and then how long it still is."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _TELL_EVERY))
            if (left := end - time.monotonic()) > 1:
                self.tell(f"{left:.0f} s more")

    def _ask(self, name: str, ask: Callable[[], Check]) -> Check:
        """The answer of a check, which is told."""
        check = _answer(name, ask)
        self.tell(f"{check.name}: {check.answer.value}: {check.detail}")
        return check


def _answer(name: str, ask: Callable[[], Check]) -> Check:
    """The answer of a check; that it can't be asked is inconclusive, for it says nothing of the version."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - whatever a server answers may not end the deployment half-way
        said = error.message if isinstance(error, SeatrialError) else f"{type(error).__name__}: {error}"
        return Check(name=name, answer=Answer.INCONCLUSIVE, detail=said)
