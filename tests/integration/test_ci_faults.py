"""Whatever a forge does to `seatrial ci`: the verdict stands, nothing is lost, and there are never two comments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3.util.retry
from click.testing import CliRunner, Result

from seatrial.cli import cli
from seatrial.commands import reporting
from seatrial.forges import ForgeAccess
from seatrial.publish import parse_marker, render_marker
from seatrial.render import RENDERERS
from tests.fakes import page
from tests.fakes.github import GitHubStandIn
from tests.fakes.gitlab import BOT, GitLabStandIn
from tests.fakes.records import Change, Identity
from tests.fakes.server import Fault
from tests.integration.repositories import Answer, Scratch, run_seatrial
from tests.integration.test_ci import GATED, PullRequest, merge_request

CANARY = "ghs_canary-that-no-log-may-hold"
KINDS = ("github", "gitlab")
PATIENCE = 3.0
TIMEOUT = 1  # the least that GitHub's client takes; what is slower than that has the effect of 30 s on one of 15 s

# What a forge may do to a request.
FAULTS: dict[str, dict[str, Any]] = {
    "401": {"status": 401},
    "403": {"status": 403},
    "404": {"status": 404},
    "409": {"status": 409},
    "422": {"status": 422},
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "429-much-later": {"status": 429, "headers": {"Retry-After": "3600"}},
    "500": {"status": 500},
    "500-but-done": {"status": 500, "carried_out": True},
    "502": {"status": 502, "body": b"<html>bad gateway</html>"},
    "slow": {"how": "stall", "seconds": TIMEOUT * 1.5},
    "slow-but-done": {"how": "stall", "seconds": TIMEOUT * 1.5, "carried_out": True},
    "reset": {"how": "reset"},
    "reset-but-done": {"how": "reset", "carried_out": True},
    "garbage": {"how": "garbage"},
    "garbage-but-done": {"how": "garbage", "carried_out": True},
}
# The requests of a first report, and of one that finds a comment: forge, method, path, how many like it come before.
CALLS = {
    "github": {
        "start-check": ("POST", "/check-runs$", 0),
        "conclude-check": ("PATCH", "/check-runs/", 0),
        "list": ("GET", "/comments$", 0),
        "create": ("POST", "/comments$", 0),
        "list-again": ("GET", "/comments$", 1),
    },
    "gitlab": {
        "start-check": ("POST", "/statuses/", 0),
        "conclude-check": ("POST", "/statuses/", 1),
        "whoami": ("GET", "/user$", 0),
        "list": ("GET", "/notes$", 0),
        "create": ("POST", "/notes$", 0),
        "list-again": ("GET", "/notes$", 1),
    },
}
UPDATES = {"github": ("PATCH", "/issues/comments/", 0), "gitlab": ("PUT", "/notes/", 0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of a change whose gate fails, at a stand-in; `waits` are the seconds that were waited for the forge."""

    kind: str
    stand_in: Any
    pull: PullRequest
    waits: list[float]

    def variables(self, run: int) -> Mapping[str, str]:
        """The variables of the run's job."""
        if self.kind == "github":
            return {**self.pull.variables(run), "SEATRIAL_TOKEN": CANARY}
        base, head, web = self.pull.base, self.pull.head, self.stand_in.web_url
        ids = dict.fromkeys(("CI_PROJECT_ID", "CI_MERGE_REQUEST_PROJECT_ID"), "7")
        addresses = {
            "CI_API_V4_URL": self.stand_in.api_url,
            "CI_SERVER_URL": web,
            "CI_JOB_URL": f"{web}/octo/flights/-/jobs/{run}",
            "CI_MERGE_REQUEST_PROJECT_URL": f"{web}/octo/flights",
        }
        return merge_request(base, head, **ids, **addresses, CI_JOB_ID=str(1000 + run), SEATRIAL_TOKEN=CANARY)

    def run(self, *options: str, run: int = 1) -> Result:
        """`seatrial ci` in the job, in this process; nothing that it prints holds the token."""
        command = ["-C", str(self.pull.scratch.directory), "ci", *options]
        result = CliRunner().invoke(cli, command, env=dict(self.variables(run)))
        assert CANARY not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result

    def ours(self) -> list[Any]:
        """Our comments."""
        return [one for one in self.stand_in.comments(7) if parse_marker(one.body) and one.author != "mallory"]

    def check(self) -> Any:
        """The check as people see it: of one name the last."""
        (check,) = page.latest(self.stand_in.checks(self.pull.head))
        return check

    def break_call(self, method: str, path: str, skip: int, fault: Mapping[str, Any], times: int = 1) -> None:
        self.stand_in.fail(Fault(method=method, path=path, skip=skip, times=times, **fault))


def open_stand_in(kind: str) -> Any:
    """A stand-in that knows the token, with one open change."""
    change = Change(number=7, pipeline=10)
    if kind == "github":
        identity = Identity(token=CANARY, login="github-actions[bot]", kind="installation")
        return GitHubStandIn(changes=(change,), identities=(identity,))
    return GitLabStandIn(changes=(change,), identities=(replace(BOT, token=CANARY),))


@pytest.fixture(params=KINDS)
def job(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    """Both forges in turn; their clients have little patience, and waits are noted instead of waited."""
    opened = reporting.open_access
    waits: list[float] = []

    def open_access(*given: Any) -> ForgeAccess:
        return replace(opened(*given), timeout=TIMEOUT, patience=PATIENCE)

    monkeypatch.setattr(reporting, "open_access", open_access)
    monkeypatch.setattr(urllib3.util.retry, "time", SimpleNamespace(sleep=waits.append, time=time.time))
    with open_stand_in(request.param) as stand_in:
        scratch = Scratch.create(tmp_path / "project")
        scratch.write({"seatrial.yaml": GATED})
        base = scratch.measure(recall=0.8)
        scratch.git("checkout", "-q", "-b", "feature")
        head = scratch.measure(recall=0.7)
        if request.param == "github":
            scratch.git("checkout", "-q", "--detach", base)
            scratch.git("merge", "-q", "--no-ff", "-m", "test merge", head)
        work = tmp_path / "work"
        work.mkdir()
        stand_in.records.changes[7].head_sha, stand_in.records.changes[7].base_sha = head, base
        pull = PullRequest(scratch=scratch, head=head, base=base, forge=stand_in, work=work)
        yield Job(kind=request.param, stand_in=stand_in, pull=pull, waits=waits)


def judge(job: Job, result: Result, run: int) -> None:
    """The verdict stands; each failure is told once, and what is not told as one has happened."""
    assert result.exit_code == 1
    assert "Do not merge: 1 of 1 gate failed" in result.output
    assert (job.pull.scratch.directory / "seatrial-report" / "report.html").exists()
    assert job.kind == "gitlab" or "Do not merge" in (job.pull.work / "summary.md").read_text()
    failed = {step: result.output.count(f"error: {step}:") for step in ("summary", "check", "comment", "files")}
    assert (failed["summary"], failed["files"]) == (0, 0)
    assert max(failed.values()) <= 1
    assert result.output.count("next:") == sum(failed.values())
    assert "a defect of seatrial" not in result.output
    assert len(job.ours()) <= 1
    if not failed["comment"]:
        (comment,) = job.ours()
        marker = parse_marker(comment.body)
        assert marker is not None
        assert marker.run.endswith(f"{1000 + run}.1" if job.kind == "github" else f".{1000 + run}")
    if not failed["check"]:
        assert (job.check().conclusion or job.check().state) in {"failure", "failed"}


def recover(job: Job) -> None:
    """When the forge is well again, the next run leaves one comment and a concluded check, as if nothing had been."""
    result = job.run(run=2)
    judge(job, result, run=2)
    assert "error:" not in result.output


@pytest.mark.parametrize("fault", FAULTS)
def test_a_forge_that_fails_throughout(job: Job, fault: str) -> None:
    """Every call goes wrong, for the whole run."""
    for method in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        job.break_call(method, "/api/", 0, FAULTS[fault], times=99)
    judge(job, job.run(), run=1)
    job.stand_in.recover()
    recover(job)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", [*CALLS["gitlab"]])
def test_a_call_that_fails_once(job: Job, call: str, fault: str) -> None:
    """One call of a first report goes wrong, each in turn."""
    if call not in CALLS[job.kind]:
        call = "list"
    job.break_call(*CALLS[job.kind][call], FAULTS[fault])
    judge(job, job.run(), run=1)
    recover(job)


@pytest.mark.parametrize("fault", FAULTS)
def test_an_update_that_fails_once(job: Job, fault: str) -> None:
    """The comment is there, and changing it goes wrong."""
    job.run()
    job.break_call(*UPDATES[job.kind], FAULTS[fault])
    result = job.run(run=2)
    assert result.exit_code == 1
    assert len(job.ours()) == 1
    judge(job, job.run(run=3), run=3)


@pytest.mark.parametrize("call", ["start-check", "list", "create"])
@pytest.mark.parametrize("fault", ["500", "502", "reset", "slow", "500-but-done", "reset-but-done", "429"])
def test_what_passes_is_survived(job: Job, call: str, fault: str) -> None:
    """One lost answer keeps nothing from its place, and nobody hears of it."""
    job.break_call(*CALLS[job.kind][call], FAULTS[fault])
    assert "error:" not in job.run().output
    assert len(job.ours()) == 1


def test_the_named_wait_is_kept(job: Job) -> None:
    """Retry-After is obeyed within the deadline, and beyond it nobody waits."""
    job.break_call(*CALLS[job.kind]["create"], FAULTS["429"])
    job.run()
    assert 1 in job.waits
    job.waits.clear()
    job.break_call(*UPDATES[job.kind], FAULTS["429-much-later"])
    assert "run the job again in 3600 seconds" in job.run(run=2).output
    assert job.waits == []


def test_a_silent_forge_costs_no_more_than_the_deadline(job: Job) -> None:
    """Once the patience is used up, nothing more is asked: what is left out says so."""
    for method in ("GET", "POST", "PATCH", "PUT"):
        job.break_call(method, "/api/", 0, {"how": "stall", "seconds": TIMEOUT * 1.5}, times=99)
    result = job.run()
    assert "took more than 3 s altogether" in result.output
    assert len(job.stand_in.requests) <= 1 + PATIENCE / TIMEOUT


REQUESTS = {"github": {"first": 5, "update": 4, "same": 3}, "gitlab": {"first": 6, "update": 5, "same": 4}}


def test_a_report_takes_six_requests_at_most(job: Job) -> None:
    """A first report, one that changes the comment, one that finds it as it is to be; each with its check."""
    sent = {}
    for name, run in (("first", 1), ("update", 2), ("same", 2)):
        job.stand_in.requests.clear()
        job.run(run=run)
        sent[name] = len(job.stand_in.requests)
    assert sent == REQUESTS[job.kind]


def test_a_long_thread_costs_a_request_for_each_hundred(job: Job) -> None:
    """Of 250 comments, with a stranger's copy of the marker among them, ours is found, and it stays the only one."""
    forged = render_marker("default", job.pull.head, "999999.9") + "\nmerge it, all is well"
    for number in range(125):
        job.stand_in.comment(7, f"remark {number}")
    job.stand_in.comment(7, forged, author="mallory")
    judge(job, job.run(), run=1)
    for number in range(125):
        job.stand_in.comment(7, f"another remark {number}")
    job.stand_in.requests.clear()
    judge(job, job.run(run=2), run=2)
    assert len(job.stand_in.requests) == REQUESTS[job.kind]["update"] + 2
    assert len(job.stand_in.comments(7)) == 252
    assert forged in [comment.body for comment in job.stand_in.comments(7)]


def test_an_old_run_that_ends_last_changes_nothing(job: Job) -> None:
    """Its own verdict stands; the newer report stays too."""
    job.run(run=5)
    result = job.run(run=4)
    assert result.exit_code == 1
    assert "comment: skipped-newer" in result.output
    (comment,) = job.ours()
    assert "1005" in comment.body.partition("\n")[0]


@pytest.mark.parametrize(("number", "mode"), [(10, "update"), (3, "recreate")])
def test_racing_jobs_leave_one_comment(job: Job, number: int, mode: str) -> None:
    """Jobs that end together, each a process, keep their verdicts, and one comment of one of them is left."""

    def run(each: int) -> Answer:
        options = ("--comment", mode, "--report-dir", f"report-{each}")
        return run_seatrial(job.pull.scratch.directory, "ci", *options, env=variables[each])

    shared = {"GITHUB_STEP_SUMMARY": "", "GITHUB_OUTPUT": ""}
    variables = [{**job.variables(each), **shared} for each in range(number)]
    with ThreadPoolExecutor(number) as pool:
        answers = list(pool.map(run, range(number)))
    assert [answer.code for answer in answers] == [1] * number
    assert [answer.err for answer in answers if "error: comment" in answer.err] == []
    assert len(job.ours()) == 1
    judge(job, job.run("--comment", mode, run=number), run=number)


def test_a_defect_in_what_the_check_shows_does_not_leave_it_under_way(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is concluded with the headline alone, and the defect is told once."""

    def fail(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setitem(RENDERERS, "markdown", fail)  # type: ignore[arg-type]
    result = job.run("--comment", "off")
    assert result.exit_code == 1
    assert "check: a defect of seatrial: ZeroDivisionError" in result.output
    assert (job.check().conclusion or job.check().state) in {"failure", "failed"}


def test_the_token_is_in_no_file(job: Job, tmp_path: Path) -> None:
    """Neither the reports nor what the job hands on holds it, after a run in which everything goes wrong."""
    for method in ("GET", "POST"):
        job.break_call(method, "/api/", 0, FAULTS["422"], times=99)
    job.run()
    found = [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert found == []
    assert (
        json.loads((job.pull.scratch.directory / "seatrial-report" / "report.json").read_text())["verdict"] == "failed"
    )


@pytest.mark.parametrize("inside", ["\r\nX-Injected: 1", "\x7f", "\N{EURO SIGN}", "\t"])
def test_a_token_that_is_none_is_not_shown(job: Job, inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries print a header that they refuse; nobody gets to see this one, and no request is made with it."""
    monkeypatch.setattr("tests.integration.test_ci_faults.CANARY", f"{CANARY}{inside}more")
    output = job.run().output
    assert "holds characters that no token has" in output
    assert "canary" not in output
    assert job.stand_in.requests == []


def test_a_defect_shows_no_token(job: Job) -> None:
    """The traceback that a person is asked to send holds none, whatever raised it."""
    program = (
        "import os, seatrial.commands.ci as ci\n"
        "def measure(*_, **__): raise ValueError('header: ' + os.environ['SEATRIAL_TOKEN'])\n"
        "ci.measure = measure\n"
        "from seatrial.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "-C", str(job.pull.scratch.directory), "ci"]
    done = subprocess.run(command, env={**os.environ, **job.variables(1)}, capture_output=True, text=True, check=False)
    assert done.returncode == 70
    assert "ValueError: header: ***" in done.stderr
    assert CANARY not in done.stderr + done.stdout
    assert job.check().title == "Not judged: a defect of seatrial ended the run"
    assert CANARY not in job.check().summary
