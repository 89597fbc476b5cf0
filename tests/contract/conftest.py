"""One bench for every forge: its client, opened on its stand-in, which is judged by the published API description."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from seatrial.forges import FORGES, Forge, ForgeAccess
from seatrial.publish import CommentResult, Marker, upsert_comment
from tests.fakes import bitbucket, gitea, github, gitlab
from tests.fakes.contract import Contract, github_contract, gitlab_contract
from tests.fakes.records import TOKEN, Change, Identity
from tests.fakes.server import Fault
from tests.fakes.swagger import bitbucket_contract, gitea_contract

CHANGE = 3
HEAD = "a" * 40
PIPELINE = 50
KINDS = ("github", "gitlab", "gitea", "bitbucket")
# The stand-in of each forge, whom our token speaks for there, and who judges the traffic.
STAND_INS: dict[str, Any] = {
    "github": github.GitHubStandIn,
    "gitlab": gitlab.GitLabStandIn,
    "gitea": gitea.GiteaStandIn,
    "bitbucket": bitbucket.BitbucketStandIn,
}
US: dict[str, Identity] = {
    "github": github.ACTIONS,
    "gitlab": gitlab.BOT,
    "gitea": gitea.ACTIONS,
    "bitbucket": bitbucket.BOT,
}
CONTRACTS: dict[str, Callable[[], Contract]] = {
    "github": github_contract,
    "gitlab": gitlab_contract,
    "gitea": gitea_contract,
    "bitbucket": bitbucket_contract,
}
# The line that tells our comments, as an HTML comment and in the form that Bitbucket does not show.
MARKER = re.compile(r"\A(?:<!--.*-->|\[//\]: # '.*')\n")
ONLY_GITHUB = pytest.mark.parametrize("bench", ["github"], indirect=True)
ONLY_GITLAB = pytest.mark.parametrize("bench", ["gitlab"], indirect=True)
ONLY_GITEA = pytest.mark.parametrize("bench", ["gitea"], indirect=True)
ONLY_BITBUCKET = pytest.mark.parametrize("bench", ["bitbucket"], indirect=True)
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
        return US[self.kind].login

    @property
    def comments_path(self) -> str:
        """What the addresses of the change's list of comments end in."""
        return "/notes$" if self.kind == "gitlab" else "/comments$"

    @property
    def updates(self) -> str:
        """The method that changes a comment."""
        return "PATCH" if self.kind in ("github", "gitea") else "PUT"

    def opened(self, **changes: Any) -> Forge:
        """The client, opened with other access."""
        return FORGES[self.kind](replace(self.access, **changes))

    def post(
        self, body: str, *, run: str = "10.1", key: str = "default", forge: Forge | None = None, **options: Any
    ) -> CommentResult:
        """Publish a report of a run."""
        return upsert_comment(forge or self.forge, CHANGE, body, Marker(key=key, head=HEAD, run=run), **options)

    def bodies(self, *, shown: bool = False) -> list[str]:
        """What people read: every comment without its marker; `shown` leaves out those that are folded."""
        comments = [one for one in self.stand_in.comments(CHANGE) if not (shown and one.minimized)]
        return [MARKER.sub("", comment.body).strip() for comment in comments]

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


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    """Every forge in turn; afterwards no traffic has broken the contract, and no token is in any log."""
    caplog.set_level(logging.DEBUG)
    kind = request.param
    change = Change(number=CHANGE, head_sha=HEAD, pipeline=PIPELINE)
    identities = _identities(US[kind])
    with STAND_INS[kind](changes=(change,), identities=identities, contract=CONTRACTS[kind]()) as stand_in:
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
