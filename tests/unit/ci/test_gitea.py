"""What a job of Gitea Actions or Forgejo Actions says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seatrial.ci import BaselineHint, CIJob, System, detect, write_outputs
from seatrial.errors import UsageError

HEAD, BASE, OLD = "a" * 40, "b" * 40, "d" * 40
REPOSITORY = {"full_name": "team/flights", "default_branch": "main"}


def pull_request(repo: object = REPOSITORY) -> dict[str, Any]:
    """A pull_request event as Gitea writes it, as far as anybody reads it."""
    return {
        "action": "synchronized",
        "number": 7,
        "pull_request": {
            "number": 7,
            "base": {"label": "main", "ref": "main", "sha": BASE, "repo_id": 1, "repo": REPOSITORY},
            "head": {"label": "better-model", "ref": "better-model", "sha": HEAD, "repo_id": 1, "repo": repo},
            "merge_base": OLD,
        },
        "repository": REPOSITORY,
    }


PUSH = {"ref": "refs/heads/main", "before": OLD, "after": HEAD, "repository": REPOSITORY}
# Gitea gives the address of its server with a slash at the end.
GITEA = {
    "GITEA_ACTIONS": "true",
    "GITEA_ACTIONS_RUNNER_VERSION": "v1.2.0",
    "GITHUB_ACTIONS": "true",
    "GITHUB_API_URL": "https://git.example.com/sub/api/v1",
    "GITHUB_REF": "refs/pull/7/head",
    "GITHUB_REPOSITORY": "team/flights",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_RUN_ID": "272",
    "GITHUB_RUN_NUMBER": "43",
    "GITHUB_SERVER_URL": "https://git.example.com/sub/",
    "GITHUB_SHA": HEAD,
    "GITHUB_TOKEN": "secret",
}
FORGEJO = {**GITEA, "FORGEJO_ACTIONS": "true", "FORGEJO_ACTIONS_RUNNER_VERSION": "v12.1.0", "FORGEJO_TOKEN": "secret"}


def read(
    tmp_path: Path, variables: dict[str, str], *, event: object = None, name: str = "pull_request", at: str = HEAD
) -> CIJob:
    """The job that these variables and this event file describe."""
    path = tmp_path / "event.json"
    path.write_text(json.dumps(pull_request() if event is None else event))
    job = detect({**variables, "GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(path)}, checked_out=at)
    assert job is not None
    return job


def test_a_pull_request_is_compared_with_where_it_left_the_target(tmp_path: Path) -> None:
    """Gitea checks the head itself out, so the baseline is the merge base, and everything goes to Gitea's API."""
    assert read(tmp_path, GITEA) == CIJob(
        system=System.GITEA,
        event="change",
        change=7,
        head=HEAD,
        head_name="better-model",
        base_name="main",
        baseline=BaselineHint(rule="merge-base", sha=BASE, reason="merge base with main"),
        run="272.2",
        run_url="https://git.example.com/sub/team/flights/actions/runs/272",
        api_url="https://git.example.com/sub/api/v1",
        web_url="https://git.example.com/sub",
        project="team/flights",
        token="secret",
        token_variable="GITHUB_TOKEN",
        pipeline_id=None,
        ca_file=None,
        summary_file=None,
        output_file=None,
        from_fork=False,
    )


def test_forgejo_counts_runs_in_the_repository(tmp_path: Path) -> None:
    """The address of a run has its number on Forgejo; runs are ordered by the id that grows over the server."""
    job = read(tmp_path, FORGEJO)
    assert (job.run, job.run_url.rpartition("/")[2]) == ("272.2", "43")
    assert job.token_variable == "FORGEJO_TOKEN"


@pytest.mark.parametrize("variable", ["GITEA_ACTIONS", "FORGEJO_ACTIONS", None])
def test_gitea_is_never_taken_for_github(tmp_path: Path, variable: str | None) -> None:
    """GITHUB_ACTIONS is set there as well; a runner too old to name itself is known by its API's address."""
    names = {"GITEA_ACTIONS", "FORGEJO_ACTIONS"}
    variables = {name: value for name, value in FORGEJO.items() if name not in names or name == variable}
    assert read(tmp_path, variables).system is System.GITEA


@pytest.mark.parametrize("told", ["", "https://git.example.com/sub/api/v3"])
def test_the_api_is_found_where_a_runner_names_none_or_githubs(tmp_path: Path, told: str) -> None:
    """Runners have told GitHub's path; the server's address is enough."""
    assert read(tmp_path, {**GITEA, "GITHUB_API_URL": told}).api_url == "https://git.example.com/sub/api/v1"


def test_a_runner_that_tells_no_attempt_is_on_its_first(tmp_path: Path) -> None:
    """A variable that some runners leave out is no error."""
    variables = {name: value for name, value in GITEA.items() if name != "GITHUB_RUN_ATTEMPT"}
    assert read(tmp_path, variables).run == "272.1"


@pytest.mark.parametrize("repo", [None, {"full_name": "stranger/flights"}])
def test_a_forks_job_may_only_read(tmp_path: Path, repo: object) -> None:
    """Gitea's token of a fork's job can't write, as GitHub's can't."""
    job = read(tmp_path, GITEA, event=pull_request(repo))
    assert job.from_fork
    assert job.may_only_read


def test_a_push_to_the_default_branch_is_compared_with_what_was_there(tmp_path: Path) -> None:
    """The event tells the commit before the push."""
    job = read(tmp_path, {**GITEA, "GITHUB_REF": "refs/heads/main"}, event=PUSH, name="push")
    assert job.baseline == BaselineHint(rule="commit", sha=OLD, reason="previous commit of main")
    assert (job.event, job.change) == ("push", None)


def test_the_target_branchs_tree_is_refused(tmp_path: Path) -> None:
    """pull_request_target checks the target out, and measuring that would pass anything."""
    with pytest.raises(UsageError, match="was not measured"):
        read(tmp_path, {**GITEA, "GITHUB_SHA": BASE}, name="pull_request_target", at=BASE)


def test_a_missing_server_is_named(tmp_path: Path) -> None:
    """Without the server's address there is nowhere to report to."""
    with pytest.raises(UsageError, match="GITHUB_SERVER_URL"):
        read(tmp_path, {**GITEA, "GITHUB_SERVER_URL": ""})


def test_outputs_and_summary_go_to_the_files_that_the_runner_names(tmp_path: Path) -> None:
    """They are GitHub's files, in GitHub's form."""
    files = {"GITHUB_OUTPUT": str(tmp_path / "out"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    job = read(tmp_path, {**GITEA, **files})
    write_outputs(job, {"verdict": "passed"})
    assert "passed" in (tmp_path / "out").read_text()
    assert job.summary_file == tmp_path / "summary.md"
