"""What a CI job is told of a deployment, and the forge: the truth, whatever can't be delivered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from seatrial.commands.announcing import Announcer, announcing
from seatrial.core.deployment import Answer, Check, Outcome, StoredVersion
from seatrial.core.environment import Environment
from seatrial.core.release import ModelFormat, Release
from seatrial.deploy.engine import Action, Deployment, DeploymentPlan
from seatrial.errors import BlockedError
from tests.fakes.contract import github_contract
from tests.fakes.github import ACTIONS, GitHubStandIn
from tests.fakes.records import TOKEN

READER = "token-that-may-only-read"
PRODUCTION = Environment(name="production", to="/srv/models", address="https://models.example.com")
RELEASE = Release(
    name="flights",
    version="3",
    digest="sha256:" + "12" * 32,
    format=ModelFormat.ONNX,
    files=(),
    commit="a" * 40,
    lock_digest="",
    verdict="passed",
    override="",
    metrics={},
)
PLAN = DeploymentPlan(action=Action.STAGE, release=RELEASE, sources=(), previous=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of GitHub Actions with no repository checked out, and what it was told."""

    forge: GitHubStandIn
    folder: Path
    lines: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def env(self, **changes: str) -> dict[str, str]:
        """The variables of the job."""
        (self.folder / "event.json").write_text(json.dumps({"repository": {"full_name": self.forge.repository}}))
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.forge.api_url,
            "GITHUB_EVENT_NAME": "workflow_dispatch",
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REPOSITORY": self.forge.repository,
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_RUN_ID": "7",
            "GITHUB_SERVER_URL": self.forge.web_url,
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_TOKEN": TOKEN,
            **changes,
        }

    def announce(self, outcome: Outcome | Exception, *, record: bool = True, **env: str) -> None:
        """One deployment that ends like this."""
        with announcing(
            self.folder,
            self.env(**env),
            artifact="flights",
            record=record,
            tell=self.lines.append,
            command=self.commands.append,
        ) as told:
            self._carry_out(told, outcome)

    def _carry_out(self, told: Announcer, outcome: Outcome | Exception) -> None:
        told.begin(PRODUCTION, PLAN)
        if isinstance(outcome, Exception):
            raise outcome
        checks = (
            (Check(name="golden", answer=Answer.FAIL, detail="row 1 | <b>@octocat</b>"),) if outcome.exit_code else ()
        )
        previous = StoredVersion(version="2", digest="sha256:00")
        done = Deployment(
            outcome=outcome, action=PLAN.action, release=RELEASE, previous=previous, checks=checks, reason="golden: no"
        )
        told.end(done)

    @property
    def summary(self) -> str:
        """The job's summary page."""
        return (self.folder / "summary").read_text()

    @property
    def outputs(self) -> str:
        """What later steps get."""
        return (self.folder / "output").read_text()


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """Every request and answer has to fit GitHub's published description."""
    identities = (ACTIONS, replace(ACTIONS, token=READER, may=frozenset()))
    with GitHubStandIn(identities=identities, contract=github_contract()) as forge:
        yield Job(forge=forge, folder=tmp_path)


@pytest.mark.parametrize(
    ("outcome", "state", "code"),
    [
        (Outcome.LIVE, "success", 0),
        (Outcome.ALREADY_LIVE, "success", 0),
        (Outcome.REFUSED, "failure", 1),
        (Outcome.REVERTED, "failure", 1),
        (Outcome.INCONCLUSIVE, "failure", 5),
        (Outcome.NOT_RESTORED, "error", 3),
    ],
)
def test_every_end_is_told_as_what_it_is(job: Job, outcome: Outcome, state: str, code: int) -> None:
    """State of the record, summary and outputs agree; whatever is not live is an error on the run's page."""
    job.announce(outcome)
    [made] = job.forge.deployments()
    assert made.states == ["in_progress", state]
    assert made.statuses[-1]["environment_url"] == PRODUCTION.address
    assert f"flights 3: {outcome.value}" in job.summary
    assert RELEASE.digest in job.summary
    assert f"\n{code}\n" in job.outputs
    assert bool(job.commands) == bool(code)
    assert not [line for line in job.commands if not line.startswith("::error title=seatrial::flights 3")]
    assert "<b>" not in job.summary
    assert job.lines == []


def test_what_blocks_a_deployment_is_told_and_raised(job: Job) -> None:
    """The summary has the reason and what to do next, the record an error."""
    with pytest.raises(BlockedError):
        job.announce(BlockedError("another deployment is running", hint="run it again"))
    assert job.forge.deployments()[0].states == ["in_progress", "error"]
    assert "flights: nothing was deployed" in job.summary
    assert "run it again" in job.summary
    assert "<strong>Next:</strong> " in job.summary
    assert "\nblocked\n" in job.outputs
    assert job.commands == ["::error title=seatrial::flights: another deployment is running"]


def test_a_record_that_is_refused_changes_nothing(job: Job) -> None:
    """The token may not write it: that is said, with the permission, and the rest is told as ever."""
    job.announce(Outcome.LIVE, GITHUB_TOKEN=READER)
    assert "deployments: write" in " ".join(job.lines)
    assert "flights 3: live" in job.summary
    assert job.forge.deployments() == []


def test_nothing_is_recorded_that_nobody_wants(job: Job) -> None:
    """`--no-record` asks GitHub nothing."""
    job.announce(Outcome.LIVE, record=False)
    assert job.forge.requests == []


def test_a_job_that_cannot_be_read_hinders_no_deployment(job: Job) -> None:
    """A variable that a script garbled is said, once."""
    job.announce(Outcome.LIVE, GITHUB_RUN_ID="seven")
    assert len(job.lines) == 1
    assert "GITHUB_RUN_ID" in job.lines[0]
