"""One bench for every forge: its client, opened on its stand-in, which is judged by the published API description."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from seatrial.forges import FORGES, Forge, ForgeAccess
from seatrial.publish import CommentResult, Marker, upsert_comment
from tests.fakes.contract import Contract, github_contract, gitlab_contract
from tests.fakes.github import ACTIONS, GitHubStandIn
from tests.fakes.gitlab import BOT, GitLabStandIn
from tests.fakes.records import TOKEN, Change, Identity
from tests.fakes.server import Fault

CHANGE = 3
HEAD = "a" * 40
PIPELINE = 50
ONLY_GITHUB = pytest.mark.parametrize("bench", ["github"], indirect=True)
ONLY_GITLAB = pytest.mark.parametrize("bench", ["gitlab"], indirect=True)
TOKENS = {
    "reader": "token-that-may-only-read",
    "person": "ghp_token-of-a-person",
    "app": "ghs_token-of-an-app",
    "job": "glcbt-token-of-a-job",
    "stranger": "token-that-nobody-knows",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A forge under test: the client `forge` speaks to the stand-in `stand_in`."""

    kind: str
    stand_in: Any
    forge: Forge
    access: ForgeAccess

    @property
    def us(self) -> str:
        """The login that our token writes under."""
        return ACTIONS.login if self.kind == "github" else BOT.login

    @property
    def comments_path(self) -> str:
        """What the addresses of the change's list of comments end in."""
        return "/comments$" if self.kind == "github" else "/notes$"

    @property
    def updates(self) -> str:
        """The method that changes a comment."""
        return "PATCH" if self.kind == "github" else "PUT"

    def opened(self, **changes: Any) -> Forge:
        """The client, opened with other access."""
        return FORGES[self.kind](replace(self.access, **changes))

    def post(self, body: str, *, run: str = "10.1", key: str = "default", forge: Forge | None = None) -> CommentResult:
        """Publish a report of a run."""
        return upsert_comment(forge or self.forge, CHANGE, body, Marker(key=key, head=HEAD, run=run))

    def bodies(self) -> list[str]:
        """What people read: every comment without its marker."""
        return [comment.body.split("-->")[-1].strip() for comment in self.stand_in.comments(CHANGE)]

    def break_posts(self, **fault: Any) -> None:
        """Let the next creation of a comment go wrong."""
        self.stand_in.fail(Fault(method="POST", path=self.comments_path, **fault))

    def break_lists(self, **fault: Any) -> None:
        """Let the next listing of comments go wrong."""
        self.stand_in.fail(Fault(method="GET", path=self.comments_path, **fault))


def _identities(us: Identity) -> tuple[Identity, ...]:
    return (
        us,
        replace(us, token=TOKENS["reader"], may=frozenset()),
        Identity(token=TOKENS["person"], login="hubot", kind="personal"),
        Identity(token=TOKENS["app"], login="flight-app[bot]", kind="installation"),
        Identity(token=TOKENS["job"], login="job", kind="job"),
    )


def _contract(kind: str) -> Contract:
    return github_contract() if kind == "github" else gitlab_contract()


@pytest.fixture(params=["github", "gitlab"])
def bench(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    """Both forges in turn; afterwards no traffic has broken the contract, and no token is in any log."""
    caplog.set_level(logging.DEBUG)
    kind = request.param
    stand_in_of: Any = {"github": GitHubStandIn, "gitlab": GitLabStandIn}[kind]
    change = Change(number=CHANGE, head_sha=HEAD, pipeline=PIPELINE)
    identities = _identities(ACTIONS if kind == "github" else BOT)
    with stand_in_of(changes=(change,), identities=identities, contract=_contract(kind)) as stand_in:
        access = ForgeAccess(
            api_url=stand_in.api_url,
            web_url=stand_in.web_url,
            project=stand_in.repository,
            token=TOKEN,
            pipeline_id=PIPELINE,
            timeout=1,
        )
        yield Bench(kind=kind, stand_in=stand_in, forge=FORGES[kind](access), access=access)
    for token in (TOKEN, *TOKENS.values()):
        assert token not in caplog.text
