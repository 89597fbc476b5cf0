"""The check of `seatrial ci`, from its start to whatever ends the run; and when there is a comment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from seatrial.cli import cli
from seatrial.cli.reports import _COMMENT_MODES
from seatrial.commands import ci
from seatrial.publish import CommentMode
from tests.fakes.github import GitHubStandIn
from tests.fakes.gitlab import GitLabStandIn
from tests.fakes.records import TOKEN, Change
from tests.fakes.server import Fault
from tests.integration.repositories import Scratch, run_seatrial
from tests.integration.test_ci import PullRequest, merge_request, open_pull_request


@pytest.fixture
def forge() -> Iterator[GitHubStandIn]:
    with GitHubStandIn(changes=(Change(number=7),)) as forge:
        yield forge


def start_slowly(pull: PullRequest, tmp_path: Path) -> subprocess.Popen[str]:
    """`seatrial ci` whose `dvc repro` does not end; it is under way when this returns."""
    tools = tmp_path / "tools"
    tools.mkdir()
    begun = tmp_path / "begun"
    dvc = tools / "dvc"
    dvc.write_text(f"#!/bin/sh\ntouch {begun}\nexec sleep 300\n")
    dvc.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-m", "seatrial", "ci", "--reproduce", "yes"],
        cwd=pull.scratch.directory,
        env={**os.environ, **pull.variables(1), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not begun.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_stopped_concludes_its_check(
    tmp_path: Path, forge: GitHubStandIn, number: signal.Signals, code: int
) -> None:
    """The check is under way before anything is measured, and cancelled when the job is."""
    pull = open_pull_request(tmp_path, forge, recall=0.9)
    process = start_slowly(pull, tmp_path)
    (check,) = forge.checks(pull.head)
    assert (check.name, check.state, check.conclusion) == ("seatrial", "in_progress", None)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    (check,) = forge.checks(pull.head)
    assert (check.state, check.conclusion) == ("completed", "cancelled")
    assert (check.title, out) == ("Not judged: the run was cancelled", "")


def test_an_error_is_told_where_reviewers_look(tmp_path: Path, forge: GitHubStandIn) -> None:
    """A policy that can't be read: the check asks for action, summary and the comment that is there tell it."""
    pull = open_pull_request(tmp_path, forge, recall=0.9)
    assert pull.run().code == 0
    pull.scratch.git("checkout", "-q", "feature")
    head = pull.scratch.commit({"seatrial.yaml": "version: 1\nmetric: {}\n"})
    pull.scratch.git("checkout", "-q", "--detach", pull.base)
    pull.scratch.git("merge", "-q", "--no-ff", "-m", "test merge", head)
    second = PullRequest(scratch=pull.scratch, head=head, base=pull.base, forge=forge, work=pull.work)
    answer = second.run(run=2)
    assert answer.code == 2
    (check,) = forge.checks(head)
    assert (check.conclusion, check.title) == ("action_required", "Not judged: the run ended with an error")
    for text in (check.summary, second.body(), (pull.work / "summary.md").read_text()):
        assert "seatrial.yaml:2" in text
    assert "Ready to merge" not in second.body()


def test_an_error_starts_no_comment(tmp_path: Path, forge: GitHubStandIn) -> None:
    """Only what stands there already is corrected."""
    pull = open_pull_request(tmp_path, forge, recall=0.9, files={"seatrial.yaml": "version: 1\nmetric: {}\n"})
    assert pull.run().code == 2
    assert forge.comments(7) == []
    assert forge.checks(pull.head)[0].conclusion == "action_required"


def test_an_error_at_a_forge_that_fails_keeps_its_exit_code(tmp_path: Path, forge: GitHubStandIn) -> None:
    """What could not be told there is told in the log, after the error itself decides how the run ends."""
    pull = open_pull_request(tmp_path, forge, recall=0.9, files={"seatrial.yaml": "version: 1\nmetric: {}\n"})
    for method in ("GET", "POST", "PATCH"):
        forge.fail(Fault(method=method, path="", status=403, times=99))
    answer = pull.run()
    assert answer.code == 2
    assert "seatrial: check: " in answer.err
    assert "error: " in answer.err
    assert TOKEN not in answer.err


def test_a_defect_fails_the_check_and_shows_no_token(
    tmp_path: Path, forge: GitHubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash does not leave the check under way, whatever its message holds."""

    def crash(*_: object, **__: object) -> None:
        raise ZeroDivisionError(f"at {TOKEN}")

    monkeypatch.setattr(ci, "measure", crash)
    pull = open_pull_request(tmp_path, forge, recall=0.9)
    result = CliRunner().invoke(cli, ["-C", str(pull.scratch.directory), "ci"], env=dict(pull.variables(1)))
    assert isinstance(result.exception, ZeroDivisionError)
    (check,) = forge.checks(pull.head)
    assert (check.conclusion, check.title) == ("failure", "Not judged: a defect of seatrial ended the run")
    assert "ZeroDivisionError: at" in check.summary
    assert TOKEN not in check.summary


def test_a_merge_queue_gets_the_check_of_the_same_name(tmp_path: Path, forge: GitHubStandIn) -> None:
    """On the queue's own commit, and with no comment, since there is no pull request."""
    pull = open_pull_request(tmp_path, forge, recall=0.9)
    queued = pull.scratch.git("rev-parse", "HEAD")
    event = tmp_path / "queue.json"
    event.write_text(
        f'{{"merge_group": {{"head_sha": "{queued}", "base_sha": "{pull.base}", "base_ref": "refs/heads/main"}}}}'
    )
    answer = pull.run(GITHUB_EVENT_NAME="merge_group", GITHUB_EVENT_PATH=str(event), GITHUB_REF="refs/heads/queue")
    assert answer.code == 0, answer.err
    (check,) = forge.checks(queued)
    assert (check.name, check.conclusion) == ("seatrial", "success")
    assert forge.comments(7) == []


def test_changed_lines_are_annotated(tmp_path: Path, forge: GitHubStandIn) -> None:
    """A changed parameter and the failed gate are told at their lines, by the check alone."""
    pull = open_pull_request(tmp_path, forge, recall=0.7, files={"params.yaml": "epochs: 3\nlr: 0.1\n"})
    answer = pull.run()
    shown = [
        (one["path"], one["start_line"], one["annotation_level"]) for one in forge.checks(pull.head)[0].annotations
    ]
    assert shown == [("seatrial.yaml", 3, "failure"), ("params.yaml", 1, "notice"), ("params.yaml", 2, "notice")]
    assert "::" not in answer.out


@pytest.mark.parametrize("options", [("--no-check",), ()], ids=["no-check", "no-permission"])
def test_without_a_check_the_log_annotates(tmp_path: Path, forge: GitHubStandIn, options: tuple[str, ...]) -> None:
    """Workflow commands need no permission; they stand alone on their lines."""
    pull = open_pull_request(tmp_path, forge, recall=0.7, files={"params.yaml": "lr: 0.1\n"})
    forge.fail(Fault(method="POST", path="/check-runs", status=403, times=9))
    answer = pull.run(*options)
    commands = [line for line in answer.out.splitlines() if line.startswith("::")]
    assert any(line.startswith("::error file=seatrial.yaml,line=3,") for line in commands)
    assert any(line.startswith("::notice file=params.yaml,line=1,") for line in commands)


@pytest.mark.parametrize(
    ("mode", "recall", "posted"),
    [
        ("update", 0.8, True),
        ("only-on-change", 0.8, False),
        ("only-on-change", 0.9, True),
        ("only-on-failure", 0.9, False),
        ("only-on-failure", 0.7, True),
        ("off", 0.7, False),
        ("true", 0.7, True),
        ("false", 0.7, False),
    ],
)
def test_the_mode_decides_whether_there_is_a_first_comment(
    tmp_path: Path, forge: GitHubStandIn, mode: str, recall: float, posted: bool
) -> None:
    """Unchanged is 0.8, better 0.9, worse 0.7; the variable says the same as the option."""
    pull = open_pull_request(tmp_path, forge, recall=recall)
    for run, answer in ((1, pull.run("--comment", mode)), (2, pull.run(run=2, SEATRIAL_COMMENT=mode))):
        assert answer.code == (1 if recall == 0.7 else 0), (run, answer.err)
        assert "error:" not in answer.err
    assert len(forge.comments(7)) == posted


def test_good_news_reach_a_comment_that_is_there(tmp_path: Path, forge: GitHubStandIn) -> None:
    """A comment that a failure started is brought up to date when the failure is gone."""
    pull = open_pull_request(tmp_path, forge, recall=0.7)
    pull.run("--comment", "only-on-failure")
    pull.scratch.git("checkout", "-q", "feature")
    head = pull.scratch.measure(recall=0.9)
    pull.scratch.git("checkout", "-q", "--detach", pull.base)
    pull.scratch.git("merge", "-q", "--no-ff", "-m", "test merge", head)
    second = PullRequest(scratch=pull.scratch, head=head, base=pull.base, forge=forge, work=pull.work)
    assert second.run("--comment", "only-on-failure", run=2).code == 0
    assert "Ready to merge" in second.body()


def test_a_mode_that_nobody_knows_is_refused(tmp_path: Path, forge: GitHubStandIn) -> None:
    """With the known ones in the error, and before anything is asked of the forge."""
    pull = open_pull_request(tmp_path, forge, recall=0.7)
    answer = pull.run("--comment", "sometimes")
    assert answer.code == 2
    assert "only-on-failure" in answer.err
    assert forge.requests == []


def test_the_command_line_offers_every_mode() -> None:
    """It lists them without importing what posts."""
    assert list(_COMMENT_MODES) == [mode.value for mode in CommentMode]


def test_gitlab_without_a_token_says_in_one_line_how_to_get_more(tmp_path: Path) -> None:
    """Gates, code quality, link, metrics and variables are there for GitLab to collect; that is no error."""
    scratch = Scratch.create(tmp_path / "project")
    base = scratch.measure(recall=0.8)
    head = scratch.measure(recall=0.9)
    dotenv = tmp_path / "outputs.env"
    answer = run_seatrial(scratch.directory, "ci", env=merge_request(base, head, SEATRIAL_DOTENV=str(dotenv)))
    assert answer.code == 0
    (line,) = [line for line in answer.err.splitlines() if "token" in line]
    assert "project access token (role Developer, scope api) in SEATRIAL_TOKEN adds the note" in line
    assert "error:" not in answer.err
    names = {path.name for path in (scratch.directory / "seatrial-report").iterdir()}
    assert {"report.junit.xml", "report.codequality.json", "report.annotations.json", "report.metrics.txt"} <= names
    assert "SEATRIAL_VERDICT=passed" in dotenv.read_text()


def test_gitlab_shows_a_running_status_that_ends(tmp_path: Path) -> None:
    """In the job's own pipeline, and ended with the error where the run has no verdict."""
    scratch = Scratch.create(tmp_path / "project")
    base = scratch.measure(recall=0.8)
    head = scratch.commit({"metrics.json": '{"recall": 0.9}', "seatrial.yaml": "version: 1\nmetric: {}\n"})
    with GitLabStandIn(changes=(Change(number=7, head_sha=head, pipeline=10),)) as forge:
        addresses = {"CI_API_V4_URL": forge.api_url, "CI_SERVER_URL": forge.web_url}
        ids = {"CI_PROJECT_ID": "7", "CI_MERGE_REQUEST_PROJECT_ID": "7", "SEATRIAL_TOKEN": TOKEN}
        answer = run_seatrial(scratch.directory, "ci", env=merge_request(base, head, **addresses, **ids))
        assert answer.code == 2
        states = [request.json()["state"] for request in forge.sent("POST", "/statuses/")]
        (status,) = forge.checks(head)
    assert states == ["running", "failed"]
    assert (status.pipeline, status.title) == (10, "Not judged: the run ended with an error")
