"""What a job of GitLab CI says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.ci import BaselineHint, CIJob, System, detect, write_outputs
from seatrial.errors import DeliveryError, UsageError

HEAD, MERGED, TARGET, FORK_POINT, BEFORE = "a" * 40, "b" * 40, "c" * 40, "d" * 40, "e" * 40

JOB = {
    "CI_API_V4_URL": "https://gitlab.example.com/git/api/v4",
    "CI_COMMIT_SHA": HEAD,
    "CI_DEFAULT_BRANCH": "main",
    "CI_JOB_ID": "88",
    "CI_JOB_URL": "https://gitlab.example.com/git/team/flights/-/jobs/88",
    "CI_PIPELINE_ID": "1234",
    "CI_PROJECT_ID": "42",
    "CI_SERVER_URL": "https://gitlab.example.com/git",
    "GITLAB_CI": "true",
}
DETACHED = {
    "CI_MERGE_REQUEST_DIFF_BASE_SHA": FORK_POINT,
    "CI_MERGE_REQUEST_IID": "7",
    "CI_MERGE_REQUEST_PROJECT_ID": "42",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "better-model",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "42",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": "",
    "CI_PIPELINE_SOURCE": "merge_request_event",
}
MERGED_RESULT = {
    **DETACHED,
    "CI_COMMIT_SHA": MERGED,
    "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": HEAD,
    "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": TARGET,
}
MERGE_BASE = BaselineHint(rule="commit", sha=FORK_POINT, reason="merge base with main")


def read(variables: dict[str, str], checked_out: str = HEAD) -> CIJob:
    """The job of these variables on top of those that every job has."""
    job = detect({**JOB, **variables}, checked_out=checked_out)
    assert job is not None
    return job


def test_a_detached_pipeline_is_compared_with_where_its_branch_forked() -> None:
    """A detached merge-request pipeline measures the branch as it stands."""
    assert read({**DETACHED, "GITLAB_TOKEN": "secret"}) == CIJob(
        system=System.GITLAB,
        event="change",
        change=7,
        head=HEAD,
        head_name="better-model",
        base_name="main",
        baseline=MERGE_BASE,
        run="1234.88",
        run_url="https://gitlab.example.com/git/team/flights/-/jobs/88",
        api_url="https://gitlab.example.com/git/api/v4",
        web_url="https://gitlab.example.com/git",
        project="42",
        token="secret",
        token_variable="GITLAB_TOKEN",
        pipeline_id=1234,
        pipeline_sha=HEAD,
        ca_file=None,
        summary_file=None,
        output_file=None,
        from_fork=False,
    )


def test_a_merged_result_is_compared_with_the_target_it_was_merged_with() -> None:
    """Merged results and merge trains measure the branch and main together, and report on the branch."""
    job = read(MERGED_RESULT, checked_out=MERGED)
    assert (job.head, job.pipeline_sha) == (HEAD, MERGED)
    assert (job.baseline.rule, job.baseline.sha) == ("commit", TARGET)
    assert "tested merge" in job.baseline.reason


def test_a_branch_checked_out_in_a_merged_results_pipeline_is_compared_with_its_fork_point() -> None:
    """The baseline follows the tree that was measured, not the kind of pipeline."""
    assert read(MERGED_RESULT, checked_out=HEAD).baseline == MERGE_BASE


def test_without_a_fork_point_git_finds_it() -> None:
    """An old server that does not tell the fork point leaves the question to git."""
    job = read({**DETACHED, "CI_MERGE_REQUEST_DIFF_BASE_SHA": ""})
    assert job.baseline == BaselineHint(rule="merge-base", sha=None, reason="merge base with main")


def test_a_fork_reports_to_the_project_of_the_merge_request() -> None:
    """The pipeline of a fork runs in the fork, and its note belongs to the target."""
    job = read({**DETACHED, "CI_PROJECT_ID": "99", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "99"})
    assert (job.project, job.from_fork) == ("42", True)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"CI_MERGE_REQUEST_PROJECT_URL": "https://gitlab.example.com/git/team/flights"}, "team/flights"),
        ({"CI_PROJECT_URL": "https://gitlab.example.com/git/team/flights"}, "team/flights"),
        ({"CI_PROJECT_ID": "99", "CI_PROJECT_URL": "https://gitlab.example.com/git/me/flights"}, None),
    ],
)
def test_the_projects_address_is_that_of_the_projects_number(variables: dict[str, str], url: str | None) -> None:
    """A fork's own address is not where people see the merge request."""
    job = read({**DETACHED, **variables})
    assert job.project_url == (url and f"https://gitlab.example.com/git/{url}")


def test_a_branch_pipeline_reports_to_its_open_merge_request() -> None:
    """GitLab names the open merge requests of a branch, and the first gets the report."""
    job = read(
        {
            "CI_COMMIT_BRANCH": "better-model",
            "CI_OPEN_MERGE_REQUESTS": "team/flights!12,team/flights!13",
            "CI_PIPELINE_SOURCE": "push",
        }
    )
    assert (job.event, job.change, job.project) == ("change", 12, "team/flights")
    assert job.baseline == BaselineHint(rule="merge-base", sha=None, reason="merge base with main")


def test_a_branch_with_no_merge_request_is_a_push() -> None:
    """Without a merge request there is nothing to comment on."""
    job = read({"CI_COMMIT_BRANCH": "better-model", "CI_PIPELINE_SOURCE": "push"})
    assert (job.event, job.change, job.project, job.baseline.rule) == ("push", None, "42", "merge-base")


def test_a_push_to_the_default_branch_is_compared_with_what_was_there() -> None:
    """All commits of a push are measured together."""
    job = read({"CI_COMMIT_BRANCH": "main", "CI_COMMIT_BEFORE_SHA": BEFORE, "CI_PIPELINE_SOURCE": "push"})
    assert (job.event, job.head_name) == ("push", "main")
    assert job.baseline == BaselineHint(rule="commit", sha=BEFORE, reason="previous commit of main")


@pytest.mark.parametrize(
    "variables",
    [
        {"CI_COMMIT_BRANCH": "main", "CI_COMMIT_BEFORE_SHA": "0" * 40, "CI_PIPELINE_SOURCE": "schedule"},
        {"CI_COMMIT_TAG": "v1", "CI_COMMIT_REF_NAME": "v1", "CI_PIPELINE_SOURCE": "push"},
    ],
)
def test_what_no_push_made_is_compared_with_its_first_parent(variables: dict[str, str]) -> None:
    """Schedules and tags have no commit before them."""
    job = read(variables)
    assert (job.event, job.baseline.rule, job.baseline.sha) == ("other", "first-parent", HEAD)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CI_COMMIT_SHA", ""),
        ("CI_COMMIT_SHA", "0" * 40),
        ("CI_COMMIT_SHA", "--output=x"),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "main"),
        ("CI_MERGE_REQUEST_IID", "seven"),
        ("CI_MERGE_REQUEST_IID", "٧"),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", ""),
        ("CI_PIPELINE_ID", "-1"),
        ("CI_API_V4_URL", ""),
    ],
)
def test_a_garbled_variable_is_named(name: str, value: str) -> None:
    """Nothing is guessed from a variable that is not what GitLab sets."""
    with pytest.raises(UsageError, match=name) as caught:
        read({**DETACHED, name: value})
    assert caught.value.hint


def test_garbled_open_merge_requests_are_an_error() -> None:
    """A report is never sent to a guessed place."""
    with pytest.raises(UsageError, match="CI_OPEN_MERGE_REQUESTS"):
        read({"CI_COMMIT_BRANCH": "x", "CI_OPEN_MERGE_REQUESTS": "nonsense"})


def test_the_server_certificate_of_the_runner_is_used(tmp_path: Path) -> None:
    """A self-managed server with its own authority needs no further setting."""
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    assert read({**DETACHED, "CI_SERVER_TLS_CA_FILE": str(bundle)}).ca_file == str(bundle)


def test_outputs_are_a_dotenv_file_of_one_line_each(tmp_path: Path) -> None:
    """No value can add a variable of its own, and an earlier run's outputs are gone."""
    path = tmp_path / "seatrial.env"
    path.write_text("SEATRIAL_VERDICT=passed\nSTALE=1\n")
    job = read({**DETACHED, "SEATRIAL_DOTENV": str(path)})
    write_outputs(job, {"exit-code": "1", "verdict": "failed\r\nPATH=/evil\u2028LD_PRELOAD=x"})
    assert path.read_text() == "SEATRIAL_EXIT_CODE=1\nSEATRIAL_VERDICT=failed PATH=/evil LD_PRELOAD=x\n"
    assert [file.name for file in tmp_path.iterdir()] == ["seatrial.env"]


def test_outputs_beyond_what_gitlab_takes_are_refused(tmp_path: Path) -> None:
    """A dotenv report of more than 5 KB would cost the job all its artifacts."""
    path = tmp_path / "seatrial.env"
    job = read({**DETACHED, "SEATRIAL_DOTENV": str(path)})
    with pytest.raises(DeliveryError, match="5120"):
        write_outputs(job, {"report-html": "x" * 5120})
    assert not path.exists()


def test_without_a_dotenv_path_there_are_no_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that asked for no outputs finds no file that it did not make."""
    monkeypatch.chdir(tmp_path)
    write_outputs(read(DETACHED), {"verdict": "passed"})
    assert list(tmp_path.iterdir()) == []
