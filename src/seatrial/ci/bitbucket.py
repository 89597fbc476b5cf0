"""Bitbucket Pipelines: its variables, its file of variables for later steps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from seatrial.ci.job import BaselineHint, CIJob, Subject, System
from seatrial.ci.variables import Env, read_ca_file, read_path, read_token, require, require_number, spell_dotenv
from seatrial.errors import UsageError

_API = "https://api.bitbucket.org/2.0"
_WEB = "https://bitbucket.org"
# In the pipelines of pull requests commits are abbreviated, to twelve digits.
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def is_present(env: Env) -> bool:
    """Whether this is a step of Bitbucket Pipelines."""
    return bool(env.get("BITBUCKET_BUILD_NUMBER") and env.get("BITBUCKET_COMMIT"))


def read_job(env: Env, checked_out: str) -> CIJob:
    """The step; raises `UsageError` where a variable is absent or garbled.

    Commits may be abbreviated, as Bitbucket tells them. SEATRIAL_API_URL names another way to the API, a proxy say.
    """
    project = f"{require(env, 'BITBUCKET_WORKSPACE')}/{require(env, 'BITBUCKET_REPO_SLUG')}"
    subject = _read_subject(env, checked_out, project)
    build = require_number(env, "BITBUCKET_BUILD_NUMBER")
    attempt = require_number(env, "BITBUCKET_STEP_RUN_NUMBER") if env.get("BITBUCKET_STEP_RUN_NUMBER") else 1
    token, token_variable = read_token(env, "SEATRIAL_TOKEN", "BITBUCKET_TOKEN", "REPO_TOKEN")
    return CIJob(
        system=System.BITBUCKET,
        **subject.list_fields(),
        run=f"{build}.{attempt}",
        run_url=f"{_WEB}/{project}/pipelines/results/{build}",
        api_url=env.get("SEATRIAL_API_URL") or _API,
        web_url=_WEB,
        token=token,
        token_variable=token_variable,
        pipeline_id=None,
        ca_file=read_ca_file(env, "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
        summary_file=None,
        output_file=read_path(env, "BITBUCKET_PIPELINES_VARIABLES_PATH"),
    )


def write_outputs(path: Path, outputs: Mapping[str, str]) -> None:
    """Append variables for the later steps; a step hands on those that its `output-variables` names."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(spell_dotenv(outputs))


def _read_subject(env: Env, checked_out: str, project: str) -> Subject:
    commit = _read_commit(env, "BITBUCKET_COMMIT")
    head = checked_out if checked_out.startswith(commit) else commit
    if env.get("BITBUCKET_PR_ID"):
        return _read_pull_request(env, checked_out, project, head)
    branch = env.get("BITBUCKET_BRANCH") or None
    return Subject(
        event="push" if branch else "other",
        change=None,
        project=project,
        head=head,
        head_name=branch or env.get("BITBUCKET_TAG") or head[:7],
        # Bitbucket does not tell which branch is the default one.
        base_name=branch,
        baseline=BaselineHint.first_parent(checked_out),
    )


def _read_pull_request(env: Env, checked_out: str, project: str, head: str) -> Subject:
    """Pull requests of forks have no pipeline here: Bitbucket runs those of the repository's own branches."""
    target = require(env, "BITBUCKET_PR_DESTINATION_BRANCH")
    return Subject(
        event="change",
        change=require_number(env, "BITBUCKET_PR_ID"),
        project=project,
        head=head,
        head_name=require(env, "BITBUCKET_BRANCH"),
        base_name=target,
        baseline=_choose_baseline(env, checked_out, head, target),
    )


def _choose_baseline(env: Env, checked_out: str, head: str, target: str) -> BaselineHint:
    """A step begins with a merge of the destination: what was merged in is what the result is measured against."""
    merged_with = _read_commit(env, "BITBUCKET_PR_DESTINATION_COMMIT")
    if checked_out == head:
        return BaselineHint(rule="merge-base", sha=merged_with, reason=f"merge base with {target}")
    return BaselineHint(rule="commit", sha=merged_with, reason=f"tip of {target} that the tested merge was made with")


def _read_commit(env: Env, name: str) -> str:
    value = require(env, name)
    if not _COMMIT.fullmatch(value):
        raise UsageError(f"the CI variable {name} is {value!r}, not a commit", hint="Is it overridden in the job?")
    return value
