"""GitHub Actions: its variables, its event file, its outputs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from seatrial.ci.job import BaselineHint, CIJob, Event, Subject, System
from seatrial.ci.variables import Env, read_ca_file, read_path, read_token, require, require_number
from seatrial.errors import UsageError

Sha = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{40}([0-9a-f]{24})?\\Z")]
Number = Annotated[int, msgspec.Meta(gt=0)]
Payload = TypeVar("Payload")

_BRANCH = "refs/heads/"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repository:
    full_name: str
    default_branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    sha: Sha
    ref: str
    repo: _Repository | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _PullRequest:
    number: Number
    head: _Side
    base: _Side


@dataclass(frozen=True, slots=True, kw_only=True)
class _PullRequestEvent:
    pull_request: _PullRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class _PushEvent:
    before: Sha
    repository: _Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class _MergeGroup:
    head_sha: Sha
    base_sha: Sha
    base_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _MergeGroupEvent:
    merge_group: _MergeGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issue:
    number: Number
    pull_request: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _CommentEvent:
    issue: _Issue
    repository: _Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class _AnyEvent:
    repository: _Repository | None = None


def is_present(env: Env) -> bool:
    """Whether this is a job of GitHub Actions."""
    return env.get("GITHUB_ACTIONS") == "true"


def read_job(env: Env, checked_out: str) -> CIJob:
    """The job, its event file included.

    Raises `UsageError` where a variable or the event file is absent or garbled, or where the pull
    request's own tree was not checked out.
    """
    subject = read_subject(env, checked_out)
    server = env.get("GITHUB_SERVER_URL") or "https://github.com"
    run, attempt = require_number(env, "GITHUB_RUN_ID"), require_number(env, "GITHUB_RUN_ATTEMPT")
    token, token_variable = read_token(env, "SEATRIAL_TOKEN", "GITHUB_TOKEN", "REPO_TOKEN")
    return CIJob(
        system=System.GITHUB,
        **subject.list_fields(),
        run=f"{run}.{attempt}",
        run_url=f"{server}/{subject.project}/actions/runs/{run}/attempts/{attempt}",
        api_url=env.get("GITHUB_API_URL") or "https://api.github.com",
        web_url=server,
        token=token,
        token_variable=token_variable,
        pipeline_id=None,
        ca_file=read_ca_file(env, "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
        summary_file=read_path(env, "GITHUB_STEP_SUMMARY"),
        output_file=read_path(env, "GITHUB_OUTPUT"),
    )


def write_outputs(path: Path, outputs: Mapping[str, str]) -> None:
    """Append step outputs; the delimiter is drawn by lot, so that no value can end its own block."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        for name, value in outputs.items():
            delimiter = f"seatrial_{secrets.token_hex(16)}"
            file.write(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")


def read_subject(env: Env, checked_out: str) -> Subject:
    """What the job is about, as the event file of GitHub Actions, and of what runs its workflows, tells."""
    match require(env, "GITHUB_EVENT_NAME"):
        case "pull_request" | "pull_request_target" | "pull_request_review" | "pull_request_review_comment":
            return _read_pull_request(env, checked_out)
        case "push":
            return _read_push(env, checked_out)
        case "merge_group":
            return _read_merge_group(env)
        case "issue_comment":
            return _read_comment(env, checked_out)
        case _:
            return _read_other(env, checked_out)


def _read_pull_request(env: Env, checked_out: str) -> Subject:
    pull = _load(env, _PullRequestEvent).pull_request
    _refuse_target_tree(env, checked_out, pull.head.sha)
    base_repo = pull.base.repo.full_name if pull.base.repo else require(env, "GITHUB_REPOSITORY")
    return Subject(
        event="change",
        change=pull.number,
        project=require(env, "GITHUB_REPOSITORY"),
        head=pull.head.sha,
        head_name=pull.head.ref,
        base_name=pull.base.ref,
        baseline=_choose_baseline(env, checked_out, pull),
        from_fork=pull.head.repo is None or pull.head.repo.full_name != base_repo,
    )


def _choose_baseline(env: Env, checked_out: str, pull: _PullRequest) -> BaselineHint:
    """The merge that GitHub made has the base as its first parent; any other tree left the base behind."""
    if checked_out == env.get("GITHUB_SHA") and checked_out != pull.head.sha:
        return BaselineHint(rule="first-parent", sha=checked_out, reason="first parent of the tested merge")
    return BaselineHint(rule="merge-base", sha=pull.base.sha, reason=f"merge base with {pull.base.ref}")


def _refuse_target_tree(env: Env, checked_out: str, head: str | None) -> None:
    """Under these events a plain checkout yields the target branch, and measuring it would pass anything."""
    runs_on_target = env.get("GITHUB_EVENT_NAME") in ("pull_request_target", "issue_comment")
    if runs_on_target and checked_out == env.get("GITHUB_SHA") and checked_out != head:
        raise UsageError(
            f"{env['GITHUB_EVENT_NAME']} checked out the target branch: the pull request was not measured",
            hint="Run the workflow `on: pull_request`: that tests the pull request, and is safe for forks.",
        )


def _read_push(env: Env, checked_out: str) -> Subject:
    push = _load(env, _PushEvent)
    ref, default = require(env, "GITHUB_REF"), push.repository.default_branch
    if ref != f"{_BRANCH}{default}":
        return _describe_branch(env, checked_out, default, event="push")
    if int(push.before, 16):
        baseline = BaselineHint(rule="commit", sha=push.before, reason=f"previous commit of {default}")
    else:
        baseline = BaselineHint.first_parent(checked_out)
    return Subject(
        event="push",
        change=None,
        project=require(env, "GITHUB_REPOSITORY"),
        head=checked_out,
        head_name=str(default),
        base_name=default,
        baseline=baseline,
    )


def _read_merge_group(env: Env) -> Subject:
    group = _load(env, _MergeGroupEvent).merge_group
    return Subject(
        event="other",
        change=None,
        project=require(env, "GITHUB_REPOSITORY"),
        head=group.head_sha,
        head_name="merge queue",
        base_name=group.base_ref.removeprefix(_BRANCH),
        baseline=BaselineHint(rule="commit", sha=group.base_sha, reason="the commit that the merge queue builds on"),
    )


def _read_comment(env: Env, checked_out: str) -> Subject:
    event = _load(env, _CommentEvent)
    if event.issue.pull_request is None:
        return _read_other(env, checked_out)
    _refuse_target_tree(env, checked_out, None)
    default = event.repository.default_branch
    return Subject(
        event="change",
        change=event.issue.number,
        project=require(env, "GITHUB_REPOSITORY"),
        head=checked_out,
        head_name=f"#{event.issue.number}",
        base_name=default,
        baseline=_merge_base(checked_out, default),
    )


def _read_other(env: Env, checked_out: str) -> Subject:
    repository = _load(env, _AnyEvent).repository
    return _describe_branch(env, checked_out, repository.default_branch if repository else None, event="other")


def _describe_branch(env: Env, checked_out: str, default: str | None, *, event: Event) -> Subject:
    ref = env.get("GITHUB_REF", "")
    on_side_branch = ref.startswith(_BRANCH) and ref != f"{_BRANCH}{default}"
    return Subject(
        event=event if ref.startswith(_BRANCH) else "other",
        change=None,
        project=require(env, "GITHUB_REPOSITORY"),
        head=checked_out,
        head_name=env.get("GITHUB_REF_NAME") or checked_out[:7],
        base_name=default,
        baseline=_merge_base(checked_out, default) if on_side_branch else BaselineHint.first_parent(checked_out),
    )


def _merge_base(checked_out: str, default: str | None) -> BaselineHint:
    if default is None:
        return BaselineHint.first_parent(checked_out)
    return BaselineHint(rule="merge-base", sha=None, reason=f"merge base with {default}")


def _load(env: Env, payload: type[Payload]) -> Payload:
    path = Path(require(env, "GITHUB_EVENT_PATH"))
    try:
        return msgspec.json.decode(path.read_bytes(), type=payload)
    except OSError as error:
        raise UsageError(
            f"the event file {path} can't be read: {error.strerror}",
            hint="In a container, mount the directory of GITHUB_EVENT_PATH.",
        ) from error
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"the event file {path} does not describe a {env.get('GITHUB_EVENT_NAME')} event: {error}",
            hint="GitHub writes this file; if a script sets GITHUB_EVENT_PATH, let it be.",
        ) from error
