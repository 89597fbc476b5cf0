"""The API of a forge: comments, checks, statuses. Network, never environment.

A forge is one file with a class that has the methods of `Forge`, and one line in `FORGES`. The clients that they stand
on are imported when a forge is opened, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlsplit

from seatrial.errors import DeliveryError

if TYPE_CHECKING:
    from seatrial.core.annotations import Annotation

TokenKind = Literal["installation", "personal", "job"]


class Conclusion(str, Enum):
    """How a check ends."""

    SUCCESS = "success"
    NEUTRAL = "neutral"
    FAILURE = "failure"
    ACTION_REQUIRED = "action_required"
    CANCELLED = "cancelled"


class UncertainDeliveryError(DeliveryError):
    """No answer came, or none that can be read: what was asked for may have been done all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeAccess:
    """Where a forge is and by what right we speak to it.

    `token_kind` None means that the token's own prefix tells: `installation` is GITHUB_TOKEN or a GitHub App,
    `personal` a person's, project's or group's token, `job` CI_JOB_TOKEN. `token_variable` is named in hints.
    `pipeline_sha` is the commit that the pipeline is of, where that is another than the change's head.
    `project_url` is where people see the project, where that is known without asking.
    `timeout` (seconds) is how long a silent forge is waited for, in each of at most two attempts; `patience` (seconds)
    how long all calls may take together: none begins after it.
    """

    api_url: str
    web_url: str
    project: str
    token: str = field(repr=False)
    token_variable: str = "SEATRIAL_TOKEN"  # noqa: S105 - the name of a variable
    token_kind: TokenKind | None = None
    ca_file: str | None = None
    pipeline_id: int | None = None
    pipeline_sha: str | None = None
    project_url: str | None = None
    timeout: int = 15
    patience: float = 120.0

    def __post_init__(self) -> None:
        """DeliveryError for a token or an address that no request can be made with."""
        if not (self.token.isascii() and self.token.isprintable()):
            # What is raised over such a header would show it.
            raise DeliveryError(
                f"the token in {self.token_variable} holds characters that no token has",
                hint="set it again, without line ends",
            )
        if not _is_address(self.api_url):
            raise DeliveryError(
                f"the address of the forge's API is none: {self.api_url.rpartition('@')[2]}",
                hint="look at the variable that gives it: GITHUB_API_URL, CI_API_V4_URL or SEATRIAL_API_URL",
            )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment of a pull request, or a note of a merge request.

    `handle` is the forge's second name for it, where an ability needs one (GitHub's node id, GitLab's discussion).
    `resolved` is None where it is no thread that somebody resolves.
    """

    id: int
    author: str
    body: str
    url: str
    handle: str = ""
    resolved: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedCheck:
    """A check that is under way; only the forge that started it can read it.

    `annotated` tells that its end shows annotations at lines.
    """

    id: int
    annotated: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckEnd:
    """How the check of a name ends on the commit `head`.

    `title` is a line of text, `summary` Markdown; `details_url` is where the job is seen.
    """

    name: str
    head: str
    conclusion: Conclusion
    title: str
    summary: str = ""
    details_url: str | None = None
    annotations: Sequence[Annotation] = ()


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

    def create_comment(self, change: int, body: str, *, resolvable: bool = False) -> Comment:
        """Add a comment; raises `UncertainDeliveryError` where it may be there although no answer came.

        `resolvable` opens a thread that has to be resolved; a forge without such adds a plain comment.
        """

    def update_comment(self, comment: Comment, change: int, body: str) -> Comment:
        """Replace a comment's body."""

    def delete_comment(self, comment: Comment, change: int) -> None:
        """Remove a comment; one that is gone already is as good."""

    def hide_comments(self, comments: Sequence[Comment], change: int) -> None:
        """Fold comments as outdated, hidden ones too; a forge that can't raises, and its hint says what it offers."""

    def resolve_comment(self, comment: Comment, change: int, *, resolved: bool) -> None:
        """Resolve a thread, or open it again; asked only of comments whose `resolved` is not None."""

    def host_pictures(self, pictures: Mapping[str, bytes], *, branch: str | None) -> Mapping[str, str]:
        """Where a comment finds each picture, by its file's name, which has to be made of its bytes.

        `branch` is where a forge keeps them that hosts none by itself; a picture that is there is not written again.
        A forge that can't raises, and its hint says what it offers.
        """

    def start_check(self, *, name: str, head: str, details_url: str | None) -> StartedCheck:
        """Show on the commit `head` that a check is under way."""

    def conclude_check(self, end: CheckEnd, started: StartedCheck | None = None) -> str:
        """Conclude the check, or make it concluded where none was started; returns where a person can see it.

        A forge with no place for annotations at a check's side leaves them out: the report's own files have them.
        """


def _open_github(access: ForgeAccess) -> Forge:
    from seatrial.forges.github import GitHub

    return GitHub(access)


def _open_gitlab(access: ForgeAccess) -> Forge:
    from seatrial.forges.gitlab import GitLab

    return GitLab(access)


def _open_gitea(access: ForgeAccess) -> Forge:
    from seatrial.forges.gitea import Gitea

    return Gitea(access)


def _open_bitbucket(access: ForgeAccess) -> Forge:
    from seatrial.forges.bitbucket import Bitbucket

    return Bitbucket(access)


FORGES: dict[str, Callable[[ForgeAccess], Forge]] = {
    "github": _open_github,
    "gitlab": _open_gitlab,
    "gitea": _open_gitea,
    "bitbucket": _open_bitbucket,
}
