"""A job that follows another: where it is, by what right it reports, and what it is about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seatrial.ci import Follower, Measured, System, read_follower
from seatrial.errors import UsageError

SHA = "a" * 40


def event(directory: Path, content: str) -> dict[str, str]:
    """The variables of a job that this event started."""
    path = directory / "event.json"
    path.write_text(content, encoding="utf-8")
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": "https://ghe.example/api/v3",
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_OUTPUT": "out",
        "GITHUB_REPOSITORY": "octo/flights",
        "GITHUB_SERVER_URL": "https://ghe.example",
        "GITHUB_SHA": SHA,
        "GITHUB_STEP_SUMMARY": "summary",
        "GITHUB_TOKEN": "t",
    }


def test_the_run_that_started_the_job_is_told_by_its_event(tmp_path: Path) -> None:
    """With the server's own addresses, and the commit that the job's workflow stands at."""
    found = read_follower(event(tmp_path, json.dumps({"action": "completed", "workflow_run": {"id": 7, "name": "x"}})))
    assert (found.run_id, found.project, found.commit) == (7, "octo/flights", SHA)
    assert (found.api_url, found.web_url) == ("https://ghe.example/api/v3", "https://ghe.example")
    assert (found.token, found.token_variable) == ("t", "GITHUB_TOKEN")
    assert "'t'" not in repr(found)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"workflow_run": {"id": "7"}}', '{"workflow_run": null}', "\udcff"]
)
def test_an_event_of_another_kind_tells_no_run(tmp_path: Path, content: str) -> None:
    """The run is a default only, and the option names another."""
    variables = event(tmp_path, "")
    Path(variables["GITHUB_EVENT_PATH"]).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert read_follower(variables).run_id is None


def test_an_event_file_that_is_not_there_tells_no_run(tmp_path: Path) -> None:
    """As in a container that was not given it."""
    assert read_follower({"GITHUB_EVENT_PATH": str(tmp_path / "none")}).run_id is None


def test_outside_of_a_job_there_are_defaults() -> None:
    """github.com, no token, no run, and no commit to be trusted."""
    found = read_follower({"GITHUB_SHA": SHA})
    assert found == Follower(
        api_url="https://api.github.com",
        web_url="https://github.com",
        project=None,
        token=None,
        token_variable="SEATRIAL_TOKEN",
        ca_file=None,
        run_id=None,
        commit=None,
        summary_file=None,
        output_file=None,
    )


def test_a_garbled_commit_is_refused() -> None:
    """It would be trusted."""
    with pytest.raises(UsageError, match="GITHUB_SHA"):
        read_follower({"GITHUB_ACTIONS": "true", "GITHUB_SHA": "main"})


def test_it_reports_on_what_the_other_measured(tmp_path: Path) -> None:
    """The other's commit and order, its own rights and files: so it may write, though the change is a stranger's."""
    measured = Measured(
        project="octo/flights", head="b" * 40, change=3, run="7.2", run_url="https://ghe.example/runs/7"
    )
    job = read_follower(event(tmp_path, "{}")).report_on(measured)
    assert (job.system, job.change, job.head, job.run, job.run_url) == (
        System.GITHUB,
        3,
        "b" * 40,
        "7.2",
        "https://ghe.example/runs/7",
    )
    assert (job.token, job.summary_file, job.output_file) == ("t", Path("summary"), Path("out"))
    assert not job.may_only_read
