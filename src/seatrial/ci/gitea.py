"""Gitea Actions and Forgejo Actions: GitHub's variables and files, with a few of their own."""

from __future__ import annotations

from seatrial.ci.github import read_subject, write_outputs
from seatrial.ci.job import CIJob, System
from seatrial.ci.variables import Env, read_ca_file, read_path, read_token, require, require_number

__all__ = ["is_present", "read_job", "write_outputs"]

_API = "/api/v1"


def is_present(env: Env) -> bool:
    """Whether this is a job of Gitea or Forgejo; old runners tell it by their API's address alone."""
    named = "true" in (env.get("GITEA_ACTIONS"), env.get("FORGEJO_ACTIONS"))
    return named or (env.get("GITHUB_ACTIONS") == "true" and _read_api(env).endswith(_API))


def read_job(env: Env, checked_out: str) -> CIJob:
    """The job, its event file included.

    Raises `UsageError` where a variable or the event file is absent or garbled, or where the pull
    request's own tree was not checked out.
    """
    subject = read_subject(env, checked_out)
    server = require(env, "GITHUB_SERVER_URL").rstrip("/")
    api = _read_api(env)
    run = require_number(env, "GITHUB_RUN_ID")
    # Some runners tell no attempt.
    attempt = require_number(env, "GITHUB_RUN_ATTEMPT") if env.get("GITHUB_RUN_ATTEMPT") else 1
    token, token_variable = read_token(env, "SEATRIAL_TOKEN", "FORGEJO_TOKEN", "GITEA_TOKEN", "GITHUB_TOKEN")
    return CIJob(
        system=System.GITEA,
        **subject.list_fields(),
        run=f"{run}.{attempt}",
        run_url=f"{server}/{subject.project}/actions/runs/{_read_page(env, run)}",
        api_url=api if api.endswith(_API) else f"{server}{_API}",
        web_url=server,
        token=token,
        token_variable=token_variable,
        pipeline_id=None,
        ca_file=read_ca_file(env, "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
        summary_file=read_path(env, "GITHUB_STEP_SUMMARY"),
        output_file=read_path(env, "GITHUB_OUTPUT"),
    )


def _read_api(env: Env) -> str:
    return env.get("GITHUB_API_URL", "").rstrip("/")


def _read_page(env: Env, run: int) -> int:
    """By which number a run's page goes: Forgejo counts them in the repository, Gitea over the server (since 1.26)."""
    counted = env.get("FORGEJO_ACTIONS") == "true" and env.get("GITHUB_RUN_NUMBER")
    return require_number(env, "GITHUB_RUN_NUMBER") if counted else run
