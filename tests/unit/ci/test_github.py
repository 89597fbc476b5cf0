"""What a job of GitHub Actions says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seatrial.ci import BaselineHint, CIJob, System, detect, write_outputs
from seatrial.errors import UsageError

HEAD, BASE, MERGE, OLD = "a" * 40, "b" * 40, "c" * 40, "d" * 40
REPOSITORY = {"full_name": "team/flights", "default_branch": "main"}


def pull_request(**head: Any) -> dict[str, Any]:
    """A pull_request event as GitHub writes it, as far as anybody reads it."""
    side = {"sha": HEAD, "ref": "better-model", "repo": REPOSITORY, **head}
    return {
        "number": 7,
        "pull_request": {"number": 7, "head": side, "base": {"sha": BASE, "ref": "main", "repo": REPOSITORY}},
        "repository": REPOSITORY,
    }


class Job:
    """Variables and event file of one job; `detect` reads them as the command does."""

    def __init__(self, tmp_path: Path) -> None:
        self.directory = tmp_path
        self.env = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": "https://ghe.example.com/api/v3",
            "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
            "GITHUB_OUTPUT": str(tmp_path / "outputs.txt"),
            "GITHUB_REPOSITORY": "team/flights",
            "GITHUB_RUN_ATTEMPT": "2",
            "GITHUB_RUN_ID": "1234",
            "GITHUB_SERVER_URL": "https://ghe.example.com",
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        }

    def detect(self, name: str, event: object, checked_out: str, **env: str) -> CIJob:
        """The job of this event."""
        text = event if isinstance(event, str) else json.dumps(event)
        (self.directory / "event.json").write_text(text)
        job = detect({**self.env, "GITHUB_EVENT_NAME": name, **env}, checked_out=checked_out)
        assert job is not None
        return job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job whose files lie in a directory of their own."""
    return Job(tmp_path)


def test_outside_of_ci_there_is_no_job() -> None:
    """A laptop is not a CI job, whatever else its environment holds."""
    assert detect({"GITHUB_TOKEN": "x", "CI": "true"}, checked_out=HEAD) is None


def test_a_pull_request_reports_on_its_head_and_compares_the_merge_with_its_first_parent(job: Job) -> None:
    """With checkout's default tree the baseline is its first parent, and the head is never the merge."""
    found = job.detect("pull_request", pull_request(), MERGE, GITHUB_SHA=MERGE, GITHUB_TOKEN="secret")
    assert found == CIJob(
        system=System.GITHUB,
        event="change",
        change=7,
        head=HEAD,
        head_name="better-model",
        base_name="main",
        baseline=BaselineHint(rule="first-parent", sha=MERGE, reason="first parent of the tested merge"),
        run="1234.2",
        run_url="https://ghe.example.com/team/flights/actions/runs/1234/attempts/2",
        api_url="https://ghe.example.com/api/v3",
        web_url="https://ghe.example.com",
        project="team/flights",
        token="secret",
        token_variable="GITHUB_TOKEN",
        pipeline_id=None,
        ca_file=None,
        summary_file=job.directory / "summary.md",
        output_file=job.directory / "outputs.txt",
        from_fork=False,
    )


@pytest.mark.parametrize("checked_out", [HEAD, OLD])
def test_another_tree_than_the_merge_is_compared_with_the_merge_base(job: Job, checked_out: str) -> None:
    """A checkout of the head itself lacks what main has gained, so its baseline is where it forked."""
    found = job.detect("pull_request", pull_request(), checked_out, GITHUB_SHA=MERGE)
    assert found.baseline == BaselineHint(rule="merge-base", sha=BASE, reason="merge base with main")


@pytest.mark.parametrize("repo", [None, {"full_name": "stranger/flights"}])
def test_a_fork_is_seen(job: Job, repo: object) -> None:
    """A head in another repository, or in one that is gone, is a fork's."""
    found = job.detect("pull_request", pull_request(repo=repo), MERGE, GITHUB_SHA=MERGE)
    assert found.from_fork


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("pull_request_target", pull_request()),
        ("issue_comment", {"issue": {"number": 7, "pull_request": {}}, "repository": REPOSITORY}),
    ],
)
def test_the_target_branch_is_never_judged_in_the_place_of_the_pull_request(job: Job, name: str, event: object) -> None:
    """Where a plain checkout yields the target branch, seatrial refuses instead of passing it."""
    with pytest.raises(UsageError, match="the pull request was not measured") as caught:
        job.detect(name, event, BASE, GITHUB_SHA=BASE)
    assert "on: pull_request" in caught.value.hint


def test_a_comment_on_a_pull_request_reports_there(job: Job) -> None:
    """A job that a comment started reports on the tree that it checked out."""
    event = {"issue": {"number": 7, "pull_request": {"url": "…"}}, "repository": REPOSITORY}
    found = job.detect("issue_comment", event, HEAD, GITHUB_SHA=BASE)
    assert (found.event, found.change, found.head) == ("change", 7, HEAD)
    assert found.baseline == BaselineHint(rule="merge-base", sha=None, reason="merge base with main")


def test_a_comment_on_an_issue_is_no_change(job: Job) -> None:
    """An issue that is no pull request gets no report."""
    event = {"issue": {"number": 8}, "repository": REPOSITORY}
    found = job.detect("issue_comment", event, BASE, GITHUB_SHA=BASE, GITHUB_REF="refs/heads/main")
    assert (found.event, found.change) == ("other", None)


def test_a_push_to_the_default_branch_is_compared_with_what_was_there(job: Job) -> None:
    """All commits of a push are measured together: the baseline is the tip before it."""
    push = {"before": OLD, "repository": REPOSITORY}
    found = job.detect("push", push, HEAD, GITHUB_SHA=HEAD, GITHUB_REF="refs/heads/main")
    assert (found.event, found.change, found.head, found.head_name) == ("push", None, HEAD, "main")
    assert found.baseline == BaselineHint(rule="commit", sha=OLD, reason="previous commit of main")


def test_the_first_push_of_a_branch_falls_back_to_the_first_parent(job: Job) -> None:
    """A row of zeros is no commit."""
    push = {"before": "0" * 40, "repository": REPOSITORY}
    found = job.detect("push", push, HEAD, GITHUB_SHA=HEAD, GITHUB_REF="refs/heads/main")
    assert found.baseline == BaselineHint(rule="first-parent", sha=HEAD, reason="first parent of the tested commit")


def test_a_push_to_another_branch_is_compared_with_where_it_forked(job: Job) -> None:
    """A side branch is measured as its pull request would be, the default branch being the other side."""
    push = {"before": OLD, "repository": REPOSITORY}
    found = job.detect("push", push, HEAD, GITHUB_REF="refs/heads/try", GITHUB_REF_NAME="try")
    assert (found.event, found.head_name, found.base_name) == ("push", "try", "main")
    assert found.baseline == BaselineHint(rule="merge-base", sha=None, reason="merge base with main")


def test_a_tag_is_compared_with_the_commit_before_it(job: Job) -> None:
    """A tag is no branch: nothing forked, so the first parent is the baseline."""
    push = {"before": "0" * 40, "repository": REPOSITORY}
    found = job.detect("push", push, HEAD, GITHUB_REF="refs/tags/v1", GITHUB_REF_NAME="v1")
    assert (found.event, found.head_name, found.baseline.rule) == ("other", "v1", "first-parent")


def test_a_merge_queue_is_compared_with_what_it_builds_on(job: Job) -> None:
    """A merge group has no pull request to comment on, but its own head and base."""
    group = {"head_sha": HEAD, "base_sha": BASE, "base_ref": "refs/heads/main"}
    found = job.detect("merge_group", {"merge_group": group}, HEAD, GITHUB_SHA=HEAD)
    assert (found.event, found.change, found.head, found.base_name) == ("other", None, HEAD, "main")
    assert found.head_name == "merge queue"
    assert found.baseline.sha == BASE


def test_a_schedule_without_a_repository_still_is_a_job(job: Job) -> None:
    """The payload of a schedule may name no repository."""
    found = job.detect("schedule", {"schedule": "0 0 * * *"}, HEAD, GITHUB_REF="refs/heads/main")
    assert (found.event, found.base_name, found.baseline.rule) == ("other", None, "first-parent")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("{", "truncated"),
        ("\xff", "malformed"),
        ("[]", "object"),
        ({"issue": {}}, "pull_request"),
        (pull_request(sha="--upload-pack=evil"), "pull_request.head.sha"),
        (pull_request(sha=HEAD + "\n"), "pull_request.head.sha"),
        (pull_request(ref=None), "pull_request.head.ref"),
        ({"pull_request": {**pull_request()["pull_request"], "number": "7"}}, "pull_request.number"),
        ({"pull_request": {**pull_request()["pull_request"], "number": -7}}, "pull_request.number"),
    ],
)
def test_a_garbled_event_file_is_an_error_that_names_it(job: Job, event: object, words: str) -> None:
    """Nothing is guessed from an event that is not what GitHub writes, and no text of it reaches git."""
    with pytest.raises(UsageError, match=r"event\.json") as caught:
        job.detect("pull_request", event, MERGE, GITHUB_SHA=MERGE)
    assert words in caught.value.message
    assert caught.value.hint


def test_an_absent_event_file_is_an_error_with_a_way_out(job: Job) -> None:
    """A container without GitHub's directory is told which one to mount."""
    with pytest.raises(UsageError, match="No such file") as caught:
        detect({**job.env, "GITHUB_EVENT_NAME": "pull_request"}, checked_out=HEAD)
    assert "GITHUB_EVENT_PATH" in caught.value.hint


@pytest.mark.parametrize("name", ["GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"])
def test_an_absent_variable_is_named(job: Job, name: str) -> None:
    """A job that lost a variable on its way into a container says which."""
    with pytest.raises(UsageError, match=name):
        job.detect("pull_request", pull_request(), MERGE, **{name: ""})


@pytest.mark.parametrize(
    ("variables", "token", "variable"),
    [
        ({"SEATRIAL_TOKEN": "a", "GITHUB_TOKEN": "b", "REPO_TOKEN": "c"}, "a", "SEATRIAL_TOKEN"),
        ({"GITHUB_TOKEN": "b\n", "REPO_TOKEN": "c"}, "b", "GITHUB_TOKEN"),
        ({"SEATRIAL_TOKEN": " ", "REPO_TOKEN": "c"}, "c", "REPO_TOKEN"),
        ({}, None, "SEATRIAL_TOKEN"),
    ],
)
def test_the_most_special_token_wins(job: Job, variables: dict[str, str], token: str | None, variable: str) -> None:
    """An empty variable is an unset one, and without any the one to set is named."""
    found = job.detect("pull_request", pull_request(), MERGE, **variables)
    assert (found.token, found.token_variable) == (token, variable)


def test_a_certificate_bundle_counts_only_where_it_exists(job: Job) -> None:
    """A variable that names nothing must not break every request."""
    bundle = job.directory / "ca.pem"
    bundle.touch()
    found = job.detect(
        "pull_request", pull_request(), MERGE, REQUESTS_CA_BUNDLE="/nowhere.pem", SSL_CERT_FILE=str(bundle)
    )
    assert found.ca_file == str(bundle)


def test_outputs_are_appended_and_no_value_can_forge_another(job: Job) -> None:
    """GitHub reads back exactly the names and values that were written, whatever the values hold."""
    hostile = "a\nverdict=passed\nghadelimiter_0\nverdict<<x\npassed\nx"
    path = job.directory / "outputs.txt"
    path.write_text("earlier=1\n")
    found = job.detect("pull_request", pull_request(), MERGE)
    write_outputs(found, {"verdict": "failed", "report-html": hostile})
    assert read_outputs(path) == {"earlier": "1", "verdict": "failed", "report-html": hostile}


def read_outputs(path: Path) -> dict[str, str]:
    """The outputs in a file, read as the runner reads them: NAME=VALUE, or NAME<<END up to a line END."""
    outputs: dict[str, str] = {}
    lines = iter(path.read_text().splitlines())
    for line in lines:
        name, heredoc, end = line.partition("<<")
        if not heredoc:
            name, _, outputs[name] = line.partition("=")
            continue
        block: list[str] = []
        for inner in lines:
            if inner == end:
                break
            block.append(inner)
        outputs[name] = "\n".join(block)
    return outputs
