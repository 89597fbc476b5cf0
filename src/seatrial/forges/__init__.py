"""The API of a forge: comments, checks, statuses. Network, never environment.

A forge is one file with a class that has the methods of `Forge`, and one line in `FORGES`. The clients that they stand
on are imported when a forge is opened, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol

from seatrial.errors import DeliveryError

TokenKind = Literal["installation", "personal", "job"]


class Conclusion(str, Enum):
    """How a check ends."""

    SUCCESS = "success"
    NEUTRAL = "neutral"
    FAILURE = "failure"
    ACTION_REQUIRED = "action_required"


class UncertainDeliveryError(DeliveryError):
    """No answer came, or none that can be read: what was asked for may have been done all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeAccess:
    """Where a forge is and by what right we speak to it.

    `token_kind` None means that the token's own prefix tells: `installation` is GITHUB_TOKEN or a GitHub App,
    `personal` a person's, project's or group's token, `job` CI_JOB_TOKEN. `token_variable` is named in hints.
    `timeout` (seconds) is how long a silent forge is waited for, in each of at most two attempts.
    """

    api_url: str
    web_url: str
    project: str
    token: str = field(repr=False)
    token_variable: str = "SEATRIAL_TOKEN"  # noqa: S105 - the name of a variable
    token_kind: TokenKind | None = None
    ca_file: str | None = None
    pipeline_id: int | None = None
    timeout: int = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment of a pull request, or a note of a merge request."""

    id: int
    author: str
    body: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedCheck:
    """A check that is under way; only the forge that started it can read it."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRights:
    """What a token may do, as far as the forge tells: True, False, or None where only the attempt would tell.

    `detail` names the token's kind, and what decides where the forge does not tell.
    """

    comments: bool | None
    checks: bool | None
    detail: str


class Forge(Protocol):
    """What seatrial needs of a forge. Every method raises `DeliveryError`, with a hint, where the forge says no."""

    @property
    def name(self) -> str:
        """The key of the forge in `FORGES`."""

    @property
    def comment_budget(self) -> int:
        """How many UTF-8 bytes a comment may have."""

    def whoami(self) -> str | None:
        """Login of the token's owner, under which it comments; None where the token speaks for nobody."""

    def read_rights(self) -> TokenRights:
        """What the token may do, asked without changing anything; `DeliveryError` where it is not accepted at all."""

    def list_comments(self, change: int) -> Iterator[Comment]:
        """The comments of a change from all pages, oldest first."""

    def create_comment(self, change: int, body: str) -> Comment:
        """Add a comment; raises `UncertainDeliveryError` where it may be there although no answer came."""

    def update_comment(self, comment: Comment, change: int, body: str) -> Comment:
        """Replace a comment's body."""

    def delete_comment(self, comment: Comment, change: int) -> None:
        """Remove a comment; one that is gone already is as good."""

    def start_check(self, *, name: str, head: str, details_url: str | None) -> StartedCheck:
        """Show on the commit `head` that a check is under way."""

    def conclude_check(
        self,
        *,
        name: str,
        head: str,
        conclusion: Conclusion,
        title: str,
        summary: str,
        details_url: str | None,
        started: StartedCheck | None = None,
    ) -> str:
        """Conclude the check, or make it concluded where none was started; returns where a person can see it."""


def _open_github(access: ForgeAccess) -> Forge:
    from seatrial.forges.github import GitHub

    return GitHub(access)


def _open_gitlab(access: ForgeAccess) -> Forge:
    from seatrial.forges.gitlab import GitLab

    return GitLab(access)


FORGES: dict[str, Callable[[ForgeAccess], Forge]] = {
    "github": _open_github,
    "gitlab": _open_gitlab,
}
