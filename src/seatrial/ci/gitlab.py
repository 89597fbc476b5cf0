"""GitLab CI: its variables, its dotenv report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seatrial.ci.job import BaselineHint, CIJob, Event, Subject, System
from seatrial.ci.variables import (
    Env,
    read_ca_file,
    read_commit,
    read_path,
    read_token,
    require,
    require_commit,
    require_number,
    spell_dotenv,
)
from seatrial.errors import DeliveryError, UsageError

# GitLab refuses a dotenv report beyond this, and the whole job's upload with it.
DOTENV_BYTES = 5 * 1024


def is_present(env: Env) -> bool:
    """Whether this is a job of GitLab CI."""
    return env.get("GITLAB_CI") == "true"


def read_job(env: Env, checked_out: str) -> CIJob:
    """The job; raises `UsageError` where a variable is absent or garbled."""
    subject = _read_subject(env, checked_out)
    pipeline = require_number(env, "CI_PIPELINE_ID")
    token, token_variable = read_token(env, "SEATRIAL_TOKEN", "GITLAB_TOKEN", "REPO_TOKEN")
    return CIJob(
        system=System.GITLAB,
        **subject.list_fields(),
        # Ids of pipelines and jobs grow over the whole server, so forks and retries fall into place.
        run=f"{pipeline}.{require_number(env, 'CI_JOB_ID')}",
        run_url=env.get("CI_JOB_URL") or require(env, "CI_PIPELINE_URL"),
        api_url=require(env, "CI_API_V4_URL"),
        web_url=require(env, "CI_SERVER_URL"),
        token=token,
        token_variable=token_variable,
        pipeline_id=pipeline,
        ca_file=read_ca_file(env, "REQUESTS_CA_BUNDLE", "CI_SERVER_TLS_CA_FILE", "SSL_CERT_FILE"),
        summary_file=None,
        output_file=read_path(env, "SEATRIAL_DOTENV"),
        pipeline_sha=read_commit(env, "CI_COMMIT_SHA"),
        project_url=_read_project_url(env, subject.project),
    )


def write_outputs(path: Path, outputs: Mapping[str, str]) -> None:
    """Write outputs as a dotenv report: `exit-code` becomes `SEATRIAL_EXIT_CODE`, each value one line.

    Raises `DeliveryError` beyond GitLab's 5 KB, because GitLab would then refuse the job's artifacts.
    """
    text = spell_dotenv(outputs)
    size = len(text.encode())
    if size > DOTENV_BYTES:
        raise DeliveryError(
            f"the outputs are {size} bytes long, and GitLab takes {DOTENV_BYTES} in {path}",
            hint="Choose a shorter --report-dir.",
        )
    beside = path.with_name(f".{path.name}.partial")
    beside.write_text(text, encoding="utf-8", newline="\n")
    beside.replace(path)


def _read_subject(env: Env, checked_out: str) -> Subject:
    if env.get("CI_MERGE_REQUEST_IID"):
        return _read_merge_request(env, checked_out)
    branch, default = env.get("CI_COMMIT_BRANCH", ""), env.get("CI_DEFAULT_BRANCH") or None
    if branch and branch != default:
        return _read_side_branch(env, branch, default)
    return _read_default_branch(env, checked_out, default)


def _read_merge_request(env: Env, checked_out: str) -> Subject:
    project = require(env, "CI_MERGE_REQUEST_PROJECT_ID")
    return Subject(
        event="change",
        change=require_number(env, "CI_MERGE_REQUEST_IID"),
        project=project,
        head=read_commit(env, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or require_commit(env, "CI_COMMIT_SHA"),
        head_name=require(env, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"),
        base_name=require(env, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
        baseline=_choose_baseline(env, checked_out),
        from_fork=(env.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") or project) != project,
    )


def _read_project_url(env: Env, project: str) -> str | None:
    """The address of the project by whose id the job is known: a merge request's target, or the job's own."""
    for kind in ("CI_MERGE_REQUEST_PROJECT", "CI_PROJECT"):
        if env.get(f"{kind}_ID") == project and (url := env.get(f"{kind}_URL")):
            return url
    return None


def _choose_baseline(env: Env, checked_out: str) -> BaselineHint:
    """A merged result is measured against the target it was merged with, a branch against where it forked."""
    target = require(env, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME")
    merged_with = read_commit(env, "CI_MERGE_REQUEST_TARGET_BRANCH_SHA")
    if merged_with and checked_out != read_commit(env, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"):
        return BaselineHint(
            rule="commit", sha=merged_with, reason=f"tip of {target} that the tested merge was made with"
        )
    fork_point = read_commit(env, "CI_MERGE_REQUEST_DIFF_BASE_SHA")
    return BaselineHint(
        rule="commit" if fork_point else "merge-base", sha=fork_point, reason=f"merge base with {target}"
    )


def _read_side_branch(env: Env, branch: str, default: str | None) -> Subject:
    """A branch pipeline; GitLab tells which open merge requests the branch belongs to."""
    project, change = _read_open_merge_request(env)
    hint = BaselineHint(rule="merge-base", sha=None, reason=f"merge base with {default}")
    return Subject(
        event="change" if change else _pushed(env),
        change=change,
        project=project,
        head=require_commit(env, "CI_COMMIT_SHA"),
        head_name=branch,
        base_name=default,
        baseline=hint if default else BaselineHint.first_parent(require_commit(env, "CI_COMMIT_SHA")),
    )


def _read_open_merge_request(env: Env) -> tuple[str, int | None]:
    first = env.get("CI_OPEN_MERGE_REQUESTS", "").split(",")[0].strip()
    if not first:
        return require(env, "CI_PROJECT_ID"), None
    project, _, number = first.rpartition("!")
    if not project or not (number.isascii() and number.isdigit()):
        raise UsageError(
            f"the CI variable CI_OPEN_MERGE_REQUESTS is {first!r}, not like group/project!12",
            hint="Is it overridden in the job?",
        )
    return project, int(number)


def _read_default_branch(env: Env, checked_out: str, default: str | None) -> Subject:
    """A pipeline of the default branch, or of a tag."""
    branch = env.get("CI_COMMIT_BRANCH")
    before = read_commit(env, "CI_COMMIT_BEFORE_SHA") if branch else None
    reason = f"previous commit of {default}"
    return Subject(
        event=_pushed(env) if branch else "other",
        change=None,
        project=require(env, "CI_PROJECT_ID"),
        head=require_commit(env, "CI_COMMIT_SHA"),
        head_name=branch or require(env, "CI_COMMIT_REF_NAME"),
        base_name=default,
        baseline=BaselineHint(rule="commit", sha=before, reason=reason)
        if before
        else BaselineHint.first_parent(checked_out),
    )


def _pushed(env: Env) -> Event:
    return "push" if env.get("CI_PIPELINE_SOURCE") == "push" else "other"
