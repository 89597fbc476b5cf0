"""What registries are told, and when: by the deployment log, and by it alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from seatrial.commands.registering import announce, describe_reports
from seatrial.core.deployment import DeploymentRecord, Kind, Outcome
from seatrial.core.environment import Environment
from seatrial.core.registry import Announcement, GtoSettings, Mirrored, RegistryReport, find_live
from seatrial.deploy.local import LocalTarget
from seatrial.deploy.registries import REGISTRIES
from seatrial.errors import ReleaseError

SHA = "5601846a" * 5
LINE = DeploymentRecord(
    time="2026-11-23T22:32:03+00:00",
    event=Outcome.LIVE,
    name="m",
    version="1",
    digest="sha256:0",
    previous="",
    commit=SHA,
    verdict="passed",
)
GITLAB_JOB = {
    "GITLAB_CI": "true",
    "CI_PROJECT_ID": "7",
    "CI_PROJECT_PATH": "team/flights",
    "CI_SERVER_URL": "https://gitlab.example",
    "CI_API_V4_URL": "https://gitlab.example/api/v4",
    "CI_COMMIT_SHA": SHA,
    "CI_COMMIT_BRANCH": "main",
    "CI_COMMIT_REF_NAME": "main",
    "CI_DEFAULT_BRANCH": "main",
    "CI_COMMIT_BEFORE_SHA": "0" * 40,
    "CI_PIPELINE_ID": "12",
    "CI_PIPELINE_IID": "3",
    "CI_JOB_ID": "99",
    "CI_PIPELINE_SOURCE": "push",
    "CI_PIPELINE_URL": "https://gitlab.example/team/flights/-/pipelines/12",
    "CI_JOB_URL": "https://gitlab.example/team/flights/-/jobs/99",
}


class Listener:
    """A registry that keeps what it is told; `then` happens while it is told."""

    title = "listener"

    def __init__(self, then: Callable[[Announcement], None] = lambda _: None) -> None:
        self.told: list[Announcement] = []
        self._then = then

    def mirror(self, live: Announcement) -> Mirrored:
        """Keep it."""
        self.told.append(live)
        self._then(live)
        return Mirrored(changes=(f"version {live.record.version}",), notes=("a note",))


@pytest.fixture
def target(tmp_path: Path) -> LocalTarget:
    """A target whose log holds one deployment."""
    target = LocalTarget(root=tmp_path, name="m")
    target.home.mkdir()
    target.record(LINE)
    return target


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch, target: LocalTarget, tmp_path: Path) -> Callable[..., RegistryReport]:
    """Let a registry of the test's own be told."""

    def told(listener: Listener, **variables: str) -> RegistryReport:
        monkeypatch.setitem(REGISTRIES, GtoSettings, lambda *_: listener)
        environment = Environment(name="live", to=str(tmp_path), registries=(GtoSettings(stage="live"),))
        (report,) = announce(environment, target, "m", directory=tmp_path, environ=variables)
        return report

    return told


def test_what_went_live_meanwhile_is_told_last(target: LocalTarget, tell: Callable[..., RegistryReport]) -> None:
    """Of two deployments that end together, the later one stays in the registry, whichever job is slow."""

    def deploy_once(live: Announcement) -> None:
        if live.record.version == "1":
            target.record(replace(LINE, version="2"))

    listener = Listener(deploy_once)
    assert tell(listener).changes == ("version 1", "version 2")
    assert [each.record.version for each in listener.told] == ["1", "2"]


def test_source_and_run_are_addresses(tmp_path: Path, tell: Callable[..., RegistryReport]) -> None:
    """Where the release is, and the page of the job that tells it; outside of a job there is no such page."""
    listener = Listener()
    tell(listener, **GITLAB_JOB)
    tell(listener)
    in_job, outside = listener.told
    assert in_job.source == outside.source == f"seatrial://{tmp_path}/m/versions/1"
    assert (in_job.run, outside.run) == (GITLAB_JOB["CI_JOB_URL"], "")
    assert ("run", in_job.run) in in_job.list_facts()
    assert "run" not in dict(outside.list_facts())


def test_source_in_a_bucket_is_its_address(target: LocalTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of a store is that of the release, too."""
    listener = Listener()
    monkeypatch.setitem(REGISTRIES, GtoSettings, lambda *_: listener)
    bucket = Environment(name="live", to="s3://models/live/", registries=(GtoSettings(stage="live"),))
    announce(bucket, target, "m", directory=target.root, environ={})
    assert listener.told[0].source == "s3://models/live/m/versions/1"


def test_failure_is_a_report_and_raises_nothing(tell: Callable[..., RegistryReport]) -> None:
    """The deployment is live by then; what went wrong is told in a line of its own."""

    def fail(_: Announcement) -> None:
        raise ReleaseError("the server is on fire", hint="call somebody")

    report = tell(Listener(fail))
    assert report == RegistryReport(registry="listener", model="m", problem="the server is on fire (call somebody)")
    assert list(describe_reports([report, RegistryReport(registry="other", model="m", notes=("nothing new",))])) == [
        "m in listener: failed: the server is on fire (call somebody); the next command tries again"
    ]
    assert list(describe_reports([tell(Listener())])) == ["m in listener: version 1; a note"]


@pytest.mark.parametrize(
    ("events", "version"),
    [
        ((), None),
        ((Outcome.REFUSED,), None),
        ((Outcome.LIVE, Outcome.REVERTED, Outcome.NOT_RESTORED), "0"),
        ((Outcome.LIVE, Outcome.ABANDONED, Outcome.LIVE, Outcome.INCONCLUSIVE), "2"),
    ],
)
def test_last_that_was_proved_live_counts(events: tuple[Outcome, ...], version: str | None) -> None:
    """What failed after it was undone, and is not told."""
    log = tuple(replace(LINE, event=event, version=str(number)) for number, event in enumerate(events))
    found = find_live(log)
    assert (found.version if found else None) == version


def test_facts_of_an_overruled_verdict_say_so() -> None:
    """A rollback and an override are told as such; the reason, which somebody wrote, is not."""
    line = replace(LINE, verdict="failed", override="because\nI say so", kind=Kind.ROLLBACK)
    facts = dict(Announcement(record=line, source="").list_facts())
    assert facts["verdict"] == "failed, overruled"
    assert facts["deployed"] == f"{LINE.time} (rollback)"
    assert "because" not in str(facts)
