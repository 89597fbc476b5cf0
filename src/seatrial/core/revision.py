"""Which two commits are compared, and why these."""

from __future__ import annotations

from msgspec import Struct

WORK_TREE = "work tree"


class Revision(Struct, frozen=True, kw_only=True):
    """A commit, or the work tree where `sha` is None; `name` is what people call it (`main`, `v1.2`).

    `shown` is the commit that people know it by where that is another one: a CI job measures a passing
    merge, and the change's own head is what its reviewers see.
    """

    name: str
    sha: str | None
    shown: str | None = None

    @property
    def commit(self) -> str | None:
        """The commit to name: what is shown, else what was read; None for a plain work tree."""
        return self.shown or self.sha

    @property
    def short(self) -> str:
        """The first seven digits of the commit to name, or empty for a plain work tree."""
        return (self.commit or "")[:7]

    def __str__(self) -> str:
        return f"{self.name} {self.short}".strip()


class RevisionRange(Struct, frozen=True, kw_only=True):
    """The two sides of a comparison.

    `base` is None where there is nothing to compare with: the first measurement of all.
    `reason` says in words how the base was chosen; `moved` counts the commits that the base branch has
    gained since (None where that is unknown or meaningless); `older` counts how many commits were walked
    back from the chosen base to one that holds metrics. An `exact` base is the one that somebody named: it is not
    walked back from.
    """

    base: Revision | None
    head: Revision
    reason: str
    exact: bool = False
    moved: int | None = None
    older: int = 0
