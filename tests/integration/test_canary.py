"""A new version beside the live one: a real server, real callers, a real Prometheus, and a deployment that watches."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import pytest

from seatrial.commands.monitor import write_monitoring
from seatrial.commands.proving import open_prover
from seatrial.commands.trial import describe_trial, open_trial
from seatrial.core.deployment import Answer, Outcome, StoredVersion
from seatrial.core.environment import (
    Canary,
    Checks,
    Doubt,
    Environment,
    LatencyLimits,
    QueryLimit,
    ShadowLimits,
    TrafficLimits,
)
from seatrial.core.release import ModelFormat, Release, digest_files
from seatrial.core.routing import Route
from seatrial.deploy.engine import Action, Deployment, DeploymentPlan, apply
from seatrial.deploy.local import LocalTarget
from seatrial.deploy.packing import SourceFile, pack
from seatrial.deploy.target import Target
from seatrial.errors import UsageError
from tests.integration.ports import find_port
from tests.integration.test_monitor import QUICK, query, scraping, wait_for
from tests.integration.test_serve import ask, serving
from tests.unit.serving.stores import write_model

HUGE = 1.5e38
"""Twice this is a number of 32 bits, three times is not: a model of that factor answers 500."""
LIMITS = TrafficLimits(window=4, min_requests=10, max_errors=0.03)
CANARY = Canary(weights=(20.0, 50.0), seconds=4)


@dataclass(slots=True)
class Shop:
    """A root that is served, the address of its server, and what was told on the way."""

    directory: Path
    address: str = ""
    told: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def target(self) -> LocalTarget:
        """The target, opened anew."""
        return LocalTarget(root=self.directory / "models", name="m")

    def plan(self, factor: float, *, threshold: float | None = None) -> DeploymentPlan:
        """Plan to deploy a model of two features that multiplies the first by a factor."""
        place = self.directory / f"source-{next(self.numbers)}"
        write_model(place, times=factor, threshold=threshold)
        rows = [{"features": [float(x), 1.0], "probability": x * factor} for x in range(1, 9)]
        (place / "golden.json").write_text(json.dumps({"tolerance": 1e-4, "rows": rows}))
        seen, sources = self.target.observe(), pack_directory(place)
        files = tuple(source.file for source in sources)
        release = Release(
            name="m",
            version=seen.next_version,
            digest=digest_files(files),
            format=ModelFormat.ONNX,
            files=files,
            commit="5601846",
            lock_digest="",
            verdict="passed",
            override="",
            metrics={},
        )
        return DeploymentPlan(action=Action.STAGE, release=release, sources=sources, previous=seen.live)

    def deploy(
        self, factor: float, checks: Checks, canary: Canary | None = None, *, address: str | None = None
    ) -> Deployment:
        """Deploy it in an environment with checks."""
        there = self.address if address is None else address
        environment = Environment(name="test", to="", address=there, checks=checks, canary=canary)
        plan, self.told = self.plan(factor), []
        trial = open_trial(environment, plan, tell=self.told.append, variables={})
        return apply(plan, target=self.target, prover=open_prover(environment), trial=trial)


def pack_directory(place: Path) -> tuple[SourceFile, ...]:
    """The files of a model directory, as DVC's cache would give them."""
    return pack(
        "model",
        [
            (path.name, hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(), path)
            for path in sorted(place.iterdir())
        ],
    )


@contextmanager
def calling(address: str) -> Iterator[None]:
    """Callers without end, each with a key of its own, every tenth of whom sends a huge number."""
    done = threading.Event()

    def work() -> None:
        with httpx.Client(base_url=address, timeout=60) as client:
            for number in itertools.count():
                if done.wait(0.005):
                    return
                ask(client, str(number), [1.0 if number % 10 else HUGE, 1.0])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server whose live version multiplies by 2."""
    shop = Shop(directory=tmp_path_factory.mktemp("shop"))
    assert shop.deploy(2.0, Checks()).outcome is Outcome.LIVE
    with serving(shop.directory / "models") as client:
        shop.address = str(client.base_url)
        yield shop


@pytest.fixture(scope="module")
def busy_shop(shop: Shop) -> Iterator[tuple[Shop, str]]:
    """The same with callers, and the address of a Prometheus that scrapes it every second."""
    write_monitoring(shop.directory, QUICK)
    with (
        calling(shop.address),
        scraping(shop.directory, httpx.URL(shop.address).netloc.decode()) as prometheus,
    ):
        wait_for(lambda: query(prometheus, "model_info"), "the server was not scraped")
        yield shop, str(prometheus.base_url)


def expect_whole(shop: Shop, version: str) -> None:
    """A version is live, has all requests, and nothing is left open."""
    assert shop.target.pointer() == version
    assert shop.target.read_route() == Route()
    assert shop.target.read_journal() == ()


@pytest.mark.slow
def test_canary_with_errors_is_rolled_back_by_a_real_prometheus(busy_shop: tuple[Shop, str]) -> None:
    """A version that refuses a tenth of the requests fails with its first share, and the live one has all again."""
    shop, prometheus = busy_shop
    before = shop.target.pointer()
    assert before is not None
    checks = Checks(prometheus=msgspec.structs.replace(LIMITS, url=prometheus))
    failed = shop.deploy(3.0, checks, CANARY)
    assert (failed.outcome, failed.outcome.exit_code) == (Outcome.REVERTED, 1), failed
    assert "prometheus: 20 %: requests" in failed.reason
    assert "(at most 0.03)" in failed.reason
    assert any("answers 20 % of the requests for 4 s" in line for line in shop.told)
    expect_whole(shop, before)


@pytest.mark.slow
def test_good_canary_goes_live_by_a_real_prometheus(busy_shop: tuple[Shop, str]) -> None:
    """Both shares are judged by as many requests as are needed, own expressions too, and the log tells it."""
    shop, prometheus = busy_shop
    servers = 'count(model_info{model="$model",version="$version",digest="$digest"})'
    limits = msgspec.structs.replace(
        LIMITS,
        url=prometheus,
        labels={"job": "seatrial"},
        p95_ms=5000,
        queries=(QueryLimit(name="servers", query=servers, at_least=1, at_most=1),),
    )
    done = shop.deploy(1.5, Checks(prometheus=limits), CANARY)
    assert done.outcome is Outcome.LIVE, done
    assert [check.name for check in done.checks[:4]] == ["served", "prometheus"] * 2
    judged = [check for check in done.checks if check.name == "prometheus"]
    assert [check.answer for check in judged] == [Answer.PASS] * 2
    assert [check.detail.split(":")[0] for check in judged] == ["20 %", "50 %"]
    assert all("p95 in ms" in check.detail and "servers 1" in check.detail for check in judged)
    assert shop.target.read_log()[-1].checks == done.checks
    expect_whole(shop, done.release.version)


@pytest.mark.slow
def test_what_prometheus_cannot_tell_is_never_a_pass(busy_shop: tuple[Shop, str]) -> None:
    """No server, no data, NaN, too many series, no PromQL: inconclusive, exit code 5, and undone."""
    shop, prometheus = busy_shop
    before = shop.target.pointer()
    assert before is not None
    brief = Canary(weights=(20.0,), seconds=0.1)
    for expr, said in (
        ("nothing_of_this_name", "no data"),
        ("vector(0) / 0", "mine nan"),
        ("{__name__=~'model_.+'}", "series instead of one"),
        ("sum(", "the answer is 400"),
        ("model_info[5m]", "is a matrix"),
    ):
        own = TrafficLimits(url=prometheus, window=1, queries=(QueryLimit(name="mine", query=expr, at_most=1),))
        doubtful = shop.deploy(1.6, Checks(prometheus=own), brief)
        assert (doubtful.outcome, doubtful.outcome.exit_code) == (Outcome.INCONCLUSIVE, 5), doubtful
        assert said in doubtful.reason, doubtful.reason
        expect_whole(shop, before)
    gone = msgspec.structs.replace(LIMITS, url=f"http://127.0.0.1:{find_port()}", timeout=2)
    doubtful = shop.deploy(1.6, Checks(prometheus=gone), brief)
    assert doubtful.outcome.exit_code == 5
    assert "can't be asked: ConnectionError" in doubtful.reason
    expect_whole(shop, before)
    lenient = msgspec.structs.replace(brief, on_inconclusive=Doubt.GO_ON)
    assert shop.deploy(1.6, Checks(prometheus=gone), lenient).outcome is Outcome.LIVE


@pytest.mark.slow
def test_server_itself_tells_where_there_is_no_prometheus(busy_shop: tuple[Shop, str]) -> None:
    """Its own /metrics judge a canary, and a version that is live at once; too few requests are no pass."""
    shop, _ = busy_shop
    before = shop.target.pointer()
    assert before is not None
    short = Canary(weights=(50.0,), seconds=2)
    failed = shop.deploy(3.1, Checks(prometheus=LIMITS), short)
    assert (failed.outcome, failed.outcome.exit_code) == (Outcome.REVERTED, 1), failed
    expect_whole(shop, before)
    live = shop.deploy(3.2, Checks(prometheus=msgspec.structs.replace(LIMITS, window=2)))
    assert live.outcome is Outcome.REVERTED
    assert "prometheus: live: requests" in live.reason
    expect_whole(shop, before)
    few = msgspec.structs.replace(LIMITS, min_requests=1_000_000)
    doubtful = shop.deploy(1.7, Checks(prometheus=few), Canary(weights=(50.0,), seconds=0.1))
    assert doubtful.outcome.exit_code == 5
    assert "at least 1e+06" in doubtful.reason
    good = shop.deploy(1.7, Checks(prometheus=msgspec.structs.replace(LIMITS, p95_ms=5000)), short)
    assert good.outcome is Outcome.LIVE, good
    expect_whole(shop, good.release.version)


@pytest.mark.slow
def test_server_that_cannot_load_a_version_fails_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share is no share where nobody answers with it: told before the seconds of a canary begin."""
    before = shop.target.pointer()
    assert before is not None
    monkeypatch.setattr("seatrial.commands.trial._LOADING", 1.0)
    plan = shop.plan(1.8)
    environment = Environment(name="test", address=shop.address, checks=Checks(prometheus=LIMITS), canary=CANARY)
    trial = open_trial(environment, plan, tell=shop.told.append, variables={})
    failed = apply(plan, target=cast("Target", Elsewhere(shop.target)), prover=open_prover(environment), trial=trial)
    assert (failed.outcome, failed.outcome.exit_code) == (Outcome.REVERTED, 1), failed
    assert "served: " in failed.reason
    assert "is not served" in failed.reason
    expect_whole(shop, before)


class Elsewhere:
    """A target whose shares no server sees."""

    def __init__(self, target: LocalTarget) -> None:
        self._target = target
        self._route = Route()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def route(self, route: Route) -> None:
        """Keep it here."""
        self._route = route

    def read_route(self) -> Route:
        """What was kept."""
        return self._route


@pytest.fixture(scope="module")
def quiet_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server that nobody asks."""
    shop = Shop(directory=tmp_path_factory.mktemp("quiet"))
    assert shop.deploy(2.0, Checks()).outcome is Outcome.LIVE
    with serving(shop.directory / "models") as client:
        shop.address = str(client.base_url)
        yield shop


@pytest.mark.slow
def test_shadow_is_held_against_the_live_version(quiet_shop: Shop) -> None:
    """Without callers golden requests are sent; answers that differ fail it before anybody sees one."""
    shop, limits = quiet_shop, ShadowLimits(max_mismatch=0.01, min_requests=10, seconds=0.5)
    failed = shop.deploy(2.5, Checks(shadow=limits))
    assert (failed.outcome, failed.outcome.exit_code) == (Outcome.REFUSED, 1), failed
    assert "10 golden requests are sent" in " ".join(shop.told)
    assert "answers differ, golden ones too (at most 0.01 of them)" in failed.reason
    expect_whole(shop, "1")
    assert shop.deploy(2.0 + 1e-6, Checks(shadow=limits)).outcome is Outcome.LIVE


@pytest.mark.slow
def test_latency_is_measured_in_process_and_at_the_server(quiet_shop: Shop) -> None:
    """A limit that no model can keep fails, one that every model keeps passes, too few requests tell nothing."""
    shop = quiet_shop
    before = shop.target.pointer()
    assert before is not None
    for address, outcome, where in (
        ("", Outcome.REFUSED, "in this process"),
        (shop.address, Outcome.REVERTED, f"at {shop.address}"),
    ):
        failed = shop.deploy(2.2, Checks(latency=LatencyLimits(p95_ms=1e-6, requests=20)), address=address)
        assert (failed.outcome, failed.outcome.exit_code) == (outcome, 1), failed
        assert f"20 requests {where}" in failed.reason
        few = shop.deploy(2.2, Checks(latency=LatencyLimits(p95_ms=1e6, requests=19)), address=address)
        assert few.outcome.exit_code == 5
        assert "p95 needs 20 requests" in few.reason
        expect_whole(shop, before)
    limits = LatencyLimits(p50_ms=1e6, p95_ms=1e6, p99_ms=1e6, requests=100)
    done = shop.deploy(2.2, Checks(latency=limits))
    assert [check.name for check in done.checks] == ["identity", "served", "golden", "latency"]
    assert done.outcome is Outcome.LIVE


@pytest.mark.slow
def test_canary_that_is_told_to_end_is_undone(quiet_shop: Shop) -> None:
    """SIGTERM ends the wait for the requests of a share at once."""
    shop = quiet_shop
    before = shop.target.pointer()
    assert before is not None

    over = threading.Event()

    def end() -> None:
        while not shop.target.read_route().weights:
            if over.wait(0.01):
                return
        os.kill(os.getpid(), signal.SIGTERM)

    killer = threading.Thread(target=end)
    killer.start()
    try:
        ended = shop.deploy(2.3, Checks(prometheus=LIMITS), Canary(weights=(20.0,), seconds=86_400))
    finally:
        over.set()
        killer.join()
    assert (ended.outcome, ended.outcome.exit_code) == (Outcome.REVERTED, 1)
    assert "told to end" in ended.reason
    expect_whole(shop, before)


def test_trial_that_cannot_be_had_is_a_usage_error(tmp_path: Path) -> None:
    """No server, nothing to read, no token: told before anything is changed; a first version has nothing to share."""
    first = Shop(directory=tmp_path).plan(1.0)
    second = msgspec.structs.replace(first, previous=StoredVersion(version="7", digest="sha256:00"))
    for checks, said in (
        (Checks(shadow=ShadowLimits(max_mismatch=0)), "checks.shadow needs a server"),
        (Checks(prometheus=LIMITS), "checks.prometheus has nothing to read"),
        (Checks(prometheus=TrafficLimits(url="http://a", token_env="NOWHERE")), "the variable NOWHERE is empty"),
    ):
        environment = Environment(name="live", checks=checks)
        with pytest.raises(UsageError, match=f"environment live: .*{said}"):
            open_trial(environment, second, tell=print, variables={})
    foreign = Environment(
        name="live", target="tensorflow-serving", address="http://a", checks=Checks(prometheus=LIMITS)
    )
    with pytest.raises(UsageError, match=r"checks\.prometheus has nothing to read"):
        open_trial(foreign, second, tell=print, variables={})
    shared = Environment(name="live", checks=Checks(prometheus=LIMITS), canary=CANARY)
    trial = open_trial(shared, first, tell=print, variables={})
    assert trial is not None
    assert trial.list_phases() == ()
    assert "nothing is live yet" in describe_trial(shared, first)[0]
    assert describe_trial(shared, second) == ("it is tried out first: with 20 % and 50 % of the requests, 4 s each",)
    live = Environment(name="live", checks=Checks(shadow=ShadowLimits(max_mismatch=0), prometheus=LIMITS))
    told = ("it is tried out first: as a shadow", "its metrics are judged when it has been live for 4 s")
    assert describe_trial(live, second) == told
