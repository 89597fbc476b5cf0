"""The CI job that a run is part of, as values: what to compare with, and where results go."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any, Literal


class System(str, Enum):
    """The CI systems that seatrial knows."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    BITBUCKET = "bitbucket"

    @property
    def label(self) -> str:
        """What people call it."""
        return _LABELS[self]

    @property
    def change_word(self) -> str:
        """What its forge calls a change."""
        return "merge request" if self is System.GITLAB else "pull request"

    @property
    def change_letters(self) -> str:
        """The same in short."""
        return "MR" if self is System.GITLAB else "PR"


_LABELS = {
    System.GITHUB: "GitHub Actions",
    System.GITLAB: "GitLab CI",
    System.GITEA: "Gitea or Forgejo Actions",
    System.BITBUCKET: "Bitbucket Pipelines",
}

Rule = Literal["first-parent", "merge-base", "commit", "none"]
Event = Literal["change", "push", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineHint:
    """How the baseline of the measured tree is found, with a reason in the words that the report prints.

    `sha` depends on the rule: for `first-parent` the commit whose first parent is meant, for `merge-base`
    the other side (None: the tip of the job's `base_name`), for `commit` the baseline itself.
    """

    rule: Rule
    sha: str | None
    reason: str

    @classmethod
    def first_parent(cls, commit: str) -> BaselineHint:
        """The commit that the tested one was made on top of."""
        return cls(rule="first-parent", sha=commit, reason="first parent of the tested commit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a job is about: its change, its commits and what they are compared with.

    `head` is the commit to report on, which need not be the one that was checked out: GitHub and GitLab
    measure a passing merge of it. `project` is where to post (`owner/name`, or GitLab's id or path).
    """

    event: Event
    change: int | None
    project: str
    head: str
    head_name: str
    base_name: str | None
    baseline: BaselineHint
    from_fork: bool = False

    def list_fields(self) -> dict[str, Any]:
        """All that it says, by name, for the job that has it."""
        return {name.name: getattr(self, name.name) for name in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CIJob(Subject):
    """A job's subject with the job itself: its forge, and the files it reads results from.

    `web_url` is the server's address. `run` orders the reports of one change: `RUN.ATTEMPT`, both growing.
    `token_variable` names the variable that held `token`, or the one to set where there is none. `pipeline_sha` is the
    commit that the pipeline is of, which on GitLab may be a passing merge; `project_url` is where people see `project`,
    where the job's variables tell.
    """

    system: System
    run: str
    run_url: str
    api_url: str
    web_url: str
    token: str | None
    token_variable: str
    pipeline_id: int | None
    ca_file: str | None
    summary_file: Path | None
    output_file: Path | None
    pipeline_sha: str | None = None
    project_url: str | None = None

    @property
    def may_only_read(self) -> bool:
        """Whether a stranger's change is given no right to post: asking would only be refused.

        GitHub and Gitea give a fork's job a token that can't write; GitLab runs it in the fork, mostly with none.
        """
        given = self.system in (System.GITHUB, System.GITEA) or not self.token
        return self.from_fork and given
