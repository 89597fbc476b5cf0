"""The CI job that a run is part of, as values: what to compare with, and where results go."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal


class System(str, Enum):
    """The CI systems that seatrial knows."""

    GITHUB = "github"
    GITLAB = "gitlab"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CIJob:
    """What a job says of itself: its change, its commits, its forge, and the files it reads results from.

    `head` is the commit to report on, which need not be the one that was checked out: GitHub and GitLab
    measure a passing merge of it. `project` is where to post (`owner/name`, or GitLab's id or path),
    `web_url` the server's address. `run` orders the reports of one change: `RUN.ATTEMPT`, both growing.
    `token_variable` names the variable that held `token`, or the one to set where there is none.
    """

    system: System
    event: Event
    change: int | None
    head: str
    head_name: str
    base_name: str | None
    baseline: BaselineHint
    run: str
    run_url: str
    api_url: str
    web_url: str
    project: str
    token: str | None
    token_variable: str
    pipeline_id: int | None
    ca_file: str | None
    summary_file: Path | None
    output_file: Path | None
    from_fork: bool
