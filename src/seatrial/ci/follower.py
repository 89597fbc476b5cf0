"""A job that follows another: it reports what a run without rights has measured (GitHub's `workflow_run`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from seatrial.ci.job import BaselineHint, CIJob, System
from seatrial.ci.variables import Env, read_ca_file, read_commit, read_path, read_token

_TOKENS = ("SEATRIAL_TOKEN", "GITHUB_TOKEN", "REPO_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the run before was of: `run` is its own `RUN.ATTEMPT`, `change` None where nobody is to be told."""

    project: str
    head: str
    change: int | None
    run: str
    run_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """Where a following job is, and by what right it reports.

    `run_id` is the run that started it, None where another event did. `commit` is the commit of the default branch that
    GitHub lets the job's own workflow stand at.
    """

    api_url: str
    web_url: str
    project: str | None
    token: str | None = field(repr=False)
    token_variable: str
    ca_file: str | None
    run_id: int | None
    commit: str | None
    summary_file: Path | None
    output_file: Path | None

    def report_on(self, measured: Measured) -> CIJob:
        """The job as one that reports on what another has measured, with its own rights and its own files."""
        reason = "chosen when it is judged again"
        return CIJob(
            system=System.GITHUB,
            event="change",
            change=measured.change,
            project=measured.project,
            head=measured.head,
            head_name=measured.head[:7],
            base_name=None,
            baseline=BaselineHint(rule="none", sha=None, reason=reason),
            run=measured.run,
            run_url=measured.run_url,
            api_url=self.api_url,
            web_url=self.web_url,
            token=self.token,
            token_variable=self.token_variable,
            pipeline_id=None,
            ca_file=self.ca_file,
            summary_file=self.summary_file,
            output_file=self.output_file,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    workflow_run: _Run | None = None


def read_follower(env: Env) -> Follower:
    """The job, or the machine that stands in for one, as its variables tell it."""
    token, token_variable = read_token(env, *_TOKENS)
    return Follower(
        api_url=env.get("GITHUB_API_URL") or "https://api.github.com",
        web_url=env.get("GITHUB_SERVER_URL") or "https://github.com",
        project=env.get("GITHUB_REPOSITORY") or None,
        token=token,
        token_variable=token_variable,
        ca_file=read_ca_file(env, "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
        run_id=_read_run_id(env),
        commit=read_commit(env, "GITHUB_SHA") if env.get("GITHUB_ACTIONS") == "true" else None,
        summary_file=read_path(env, "GITHUB_STEP_SUMMARY"),
        output_file=read_path(env, "GITHUB_OUTPUT"),
    )


def _read_run_id(env: Env) -> int | None:
    path = read_path(env, "GITHUB_EVENT_PATH")
    if path is None:
        return None
    try:
        run = msgspec.json.decode(path.read_bytes(), type=_Event).workflow_run
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None  # it is only a default, and the option says what it lacks
    return run.id if run else None
