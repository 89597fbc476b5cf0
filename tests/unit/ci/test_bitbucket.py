"""What a step of Bitbucket Pipelines says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.ci import BaselineHint, CIJob, System, detect, write_outputs
from seatrial.errors import UsageError

HEAD, MERGED, TARGET = "a" * 40, "b" * 40, "c" * 40

STEP = {
    "CI": "true",
    "BITBUCKET_BRANCH": "main",
    "BITBUCKET_BUILD_NUMBER": "42",
    "BITBUCKET_CLONE_DIR": "/opt/atlassian/pipelines/agent/build",
    "BITBUCKET_COMMIT": HEAD,
    "BITBUCKET_GIT_HTTP_ORIGIN": "http://bitbucket.org/team/flights",
    "BITBUCKET_REPO_FULL_NAME": "team/flights",
    "BITBUCKET_REPO_SLUG": "flights",
    "BITBUCKET_STEP_UUID": "{5e6f}",
    "BITBUCKET_WORKSPACE": "team",
}
PULL_REQUEST = {
    "BITBUCKET_BRANCH": "better-model",
    "BITBUCKET_COMMIT": HEAD[:12],
    "BITBUCKET_PR_DESTINATION_BRANCH": "main",
    "BITBUCKET_PR_DESTINATION_COMMIT": TARGET[:12],
    "BITBUCKET_PR_ID": "7",
}


def read(variables: dict[str, str], checked_out: str = HEAD) -> CIJob:
    """The step of these variables on top of those that every step has."""
    job = detect({**STEP, **variables}, checked_out=checked_out)
    assert job is not None
    return job


def test_a_pull_request_is_compared_with_what_was_merged_into_it() -> None:
    """Bitbucket merges the destination in before a step begins: that commit is the baseline."""
    assert read({**PULL_REQUEST, "BITBUCKET_TOKEN": "secret"}, MERGED) == CIJob(
        system=System.BITBUCKET,
        event="change",
        change=7,
        head=HEAD[:12],
        head_name="better-model",
        base_name="main",
        baseline=BaselineHint(rule="commit", sha=TARGET[:12], reason="tip of main that the tested merge was made with"),
        run="42.1",
        run_url="https://bitbucket.org/team/flights/pipelines/results/42",
        api_url="https://api.bitbucket.org/2.0",
        web_url="https://bitbucket.org",
        project="team/flights",
        token="secret",
        token_variable="BITBUCKET_TOKEN",
        pipeline_id=None,
        ca_file=None,
        summary_file=None,
        output_file=None,
        from_fork=False,
    )


def test_a_branch_that_needed_no_merge_is_compared_with_the_merge_base() -> None:
    """Where the branch holds its destination already, git merges nothing, and the head is what is measured."""
    job = read(PULL_REQUEST, HEAD)
    assert job.baseline == BaselineHint(rule="merge-base", sha=TARGET[:12], reason="merge base with main")
    assert job.head == HEAD


def test_a_push_is_compared_with_its_first_parent() -> None:
    """Bitbucket tells neither the commit before nor the default branch."""
    job = read({})
    assert job.baseline == BaselineHint.first_parent(HEAD)
    assert (job.event, job.change, job.head_name) == ("push", None, "main")


def test_a_tag_is_named_by_itself() -> None:
    """A pipeline of a tag has no branch."""
    job = read({"BITBUCKET_BRANCH": "", "BITBUCKET_TAG": "v1"})
    assert (job.event, job.head_name, job.base_name) == ("other", "v1", None)


def test_runs_are_ordered_by_build_and_attempt() -> None:
    """A step that is run again comes after its first attempt."""
    assert read({"BITBUCKET_STEP_RUN_NUMBER": "3"}).run == "42.3"


def test_another_way_to_the_api_may_be_named() -> None:
    """A proxy of one's own stands between the step and Bitbucket."""
    assert read({"SEATRIAL_API_URL": "https://proxy.example.com/2.0"}).api_url == "https://proxy.example.com/2.0"


def test_our_own_token_comes_first() -> None:
    """SEATRIAL_TOKEN, BITBUCKET_TOKEN, then CML's REPO_TOKEN; the first is named where there is none."""
    assert read({"REPO_TOKEN": "c", "BITBUCKET_TOKEN": "b", "SEATRIAL_TOKEN": "a"}).token == "a"
    assert read({"REPO_TOKEN": "c"}).token_variable == "REPO_TOKEN"
    assert (read({}).token, read({}).token_variable) == (None, "SEATRIAL_TOKEN")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BITBUCKET_WORKSPACE", ""),
        ("BITBUCKET_REPO_SLUG", ""),
        ("BITBUCKET_PR_ID", "seven"),
        ("BITBUCKET_COMMIT", "main"),
        ("BITBUCKET_PR_DESTINATION_COMMIT", "--upload-pack=x"),
        ("BITBUCKET_PR_DESTINATION_BRANCH", ""),
    ],
)
def test_a_garbled_variable_is_named(name: str, value: str) -> None:
    """What is absent or no number or no commit is said by its variable."""
    with pytest.raises(UsageError, match=name):
        read({**PULL_REQUEST, name: value}, MERGED)


def test_outputs_become_variables_of_the_later_steps(tmp_path: Path) -> None:
    """Lines are added to the file that Bitbucket names, each value on one line."""
    path = tmp_path / "variables"
    path.write_text("EARLIER=1\n")
    job = read({"BITBUCKET_PIPELINES_VARIABLES_PATH": str(path)})
    write_outputs(job, {"verdict": "failed", "report-html": "a\nb"})
    assert path.read_text() == "EARLIER=1\nSEATRIAL_VERDICT=failed\nSEATRIAL_REPORT_HTML=a b\n"


def test_without_its_variables_there_is_no_step() -> None:
    """CI alone does not make a Bitbucket step."""
    assert detect({"CI": "true"}, checked_out=HEAD) is None
