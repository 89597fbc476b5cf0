"""Deployments as GitHub describes them: one record for each, whose states are ours to write."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from seatrial.errors import DeliveryError
from seatrial.forges import ForgeAccess, UncertainDeliveryError
from seatrial.forges.deployments import DEPLOYMENTS, Deployments, DeploymentState, ForgeDeployment
from tests.fakes.contract import github_contract
from tests.fakes.github import ACTIONS, GitHubStandIn
from tests.fakes.records import TOKEN
from tests.fakes.server import Fault

READER = "token-that-may-only-read"
THIS = ForgeDeployment(
    environment="production",
    commit="a" * 40,
    description="flights 3",
    payload={"digest": "sha256:12"},
    log_url="https://github.example.com/octo/flights/actions/runs/7",
    environment_url="https://models.example.com",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The client speaks to the stand-in."""

    forge: GitHubStandIn
    client: Deployments
    access: ForgeAccess

    def deploy(self, state: DeploymentState, *, environment: str = "production") -> None:
        """Record a whole deployment."""
        deployment = ForgeDeployment(
            environment=environment, commit="b" * 40, description="flights", payload={}, log_url=THIS.log_url
        )
        self.client.conclude(self.client.start(deployment), deployment, state, "ended")

    @property
    def states(self) -> list[str]:
        """The state that each deployment is in, the oldest first."""
        return [made.states[-1] for made in self.forge.deployments()]


@pytest.fixture
def bench(caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    """Afterwards no traffic has broken the contract, and no token is in any log."""
    caplog.set_level(logging.DEBUG)
    identities = (ACTIONS, replace(ACTIONS, token=READER, may=frozenset()))
    with GitHubStandIn(identities=identities, contract=github_contract()) as forge:
        access = ForgeAccess(
            api_url=forge.api_url, web_url=forge.web_url, project=forge.repository, token=TOKEN, timeout=1
        )
        yield Bench(forge=forge, client=DEPLOYMENTS["github"](access), access=access)
    assert TOKEN not in caplog.text


def test_a_deployment_is_under_way_and_then_ended(bench: Bench) -> None:
    """Commit, environment, digest and addresses are there; GitHub neither merges nor waits for other checks."""
    number = bench.client.start(THIS)
    [made] = bench.forge.deployments()
    assert (made.id, made.sha, made.environment, made.states) == (number, THIS.commit, "production", ["in_progress"])
    assert made.sent["payload"] == {"digest": "sha256:12"}
    assert (made.sent["auto_merge"], made.sent["required_contexts"]) == (False, [])
    bench.client.conclude(number, THIS, DeploymentState.FAILURE, "x" * 500)
    last = made.statuses[-1]
    assert (last["state"], last["log_url"], last["environment_url"]) == ("failure", THIS.log_url, THIS.environment_url)


def test_what_was_live_before_is_inactive_after_a_success_alone(bench: Bench) -> None:
    """Production too, which GitHub's own way leaves out; a failure takes nobody's place, nor does another place."""
    bench.deploy(DeploymentState.SUCCESS, environment="trial")
    bench.deploy(DeploymentState.SUCCESS)
    bench.deploy(DeploymentState.FAILURE)
    assert bench.states == ["success", "success", "failure"]
    bench.deploy(DeploymentState.SUCCESS)
    assert bench.states == ["success", "inactive", "failure", "success"]
    bench.deploy(DeploymentState.SUCCESS)
    assert bench.states == ["success", "inactive", "failure", "inactive", "success"]


def test_a_token_that_may_not_says_which_permission_is_missing(bench: Bench) -> None:
    """The hint is what to paste."""
    client = DEPLOYMENTS["github"](replace(bench.access, token=READER))
    with pytest.raises(DeliveryError, match="could not record a deployment") as refused:
        client.start(THIS)
    assert "  deployments: write" in refused.value.hint
    assert bench.forge.deployments() == []


def test_a_record_that_no_answer_came_to_is_not_made_twice(bench: Bench) -> None:
    """Doing it again might leave two."""
    bench.forge.fail(Fault(method="POST", path="/deployments$", status=502))
    with pytest.raises(UncertainDeliveryError):
        bench.client.start(THIS)


def test_a_commit_that_github_does_not_know_is_refused(bench: Bench) -> None:
    """As after a rollback to a release of another repository."""
    with pytest.raises(DeliveryError, match="No ref found"):
        bench.client.start(ForgeDeployment(environment="x", commit="5601846", description="", payload={}, log_url=""))
