"""`seatrial ci` in the variables of Gitea's, Forgejo's and Bitbucket's jobs, reporting to their stand-ins."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest
from bs4 import BeautifulSoup

from tests.fakes.bitbucket import BitbucketStandIn
from tests.fakes.gitea import GiteaStandIn
from tests.fakes.records import TOKEN, Change
from tests.fakes.server import Fault
from tests.fakes.standin import StandIn
from tests.fakes.swagger import bitbucket_contract, gitea_contract
from tests.integration.repositories import Answer, Scratch, run_seatrial

GATED = "version: 1\nmetrics:\n  recall: {max_decrease: 0.01}\n"
NUMBER = 7
SYSTEMS = ("gitea", "forgejo", "bitbucket")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of a pull request: a repository as the system checks it out, and where the job reports to."""

    system: str
    scratch: Scratch
    head: str
    base: str
    forge: StandIn
    work: Path

    def run(self, *arguments: str, run: int = 1, **changed: str) -> Answer:
        """`seatrial ci` in the job of a push to the pull request."""
        variables = self._bitbucket(run) if self.system == "bitbucket" else self._gitea(run)
        return run_seatrial(
            self.scratch.directory, "ci", *arguments, env={**variables, "SEATRIAL_TOKEN": TOKEN, **changed}
        )

    def comment(self) -> BeautifulSoup:
        """The one comment as the forge shows it."""
        page = BeautifulSoup(urlopen(self.forge.page_url(NUMBER)).read(), "html.parser")
        (comment,) = page.select(".item[id] .markdown")
        return BeautifulSoup(str(comment), "html.parser")

    def _gitea(self, run: int) -> Mapping[str, str]:
        repo = {"full_name": "octo/flights", "default_branch": "main"}
        sides = {
            "head": {"label": "feature", "ref": "feature", "sha": self.head, "repo_id": 1, "repo": repo},
            "base": {"label": "main", "ref": "main", "sha": self.base, "repo_id": 1, "repo": repo},
        }
        event = {"number": NUMBER, "pull_request": {"number": NUMBER, **sides}, "repository": repo}
        (self.work / "event.json").write_text(json.dumps(event))
        own = {"FORGEJO_ACTIONS": "true"} if self.system == "forgejo" else {}
        return {
            **own,
            "GITEA_ACTIONS": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(self.work / "event.json"),
            "GITHUB_REPOSITORY": "octo/flights",
            "GITHUB_SHA": self.head,
            "GITHUB_REF": f"refs/pull/{NUMBER}/head",
            "GITHUB_RUN_ID": str(270 + run),
            "GITHUB_RUN_NUMBER": str(40 + run),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_SERVER_URL": f"{self.forge.web_url}/",
            "GITHUB_API_URL": self.forge.api_url,
            "GITHUB_OUTPUT": str(self.work / "outputs"),
        }

    def _bitbucket(self, run: int) -> Mapping[str, str]:
        return {
            "CI": "true",
            "BITBUCKET_BRANCH": "feature",
            "BITBUCKET_BUILD_NUMBER": str(40 + run),
            "BITBUCKET_COMMIT": self.head[:12],
            "BITBUCKET_PIPELINES_VARIABLES_PATH": str(self.work / "outputs"),
            "BITBUCKET_PR_DESTINATION_BRANCH": "main",
            "BITBUCKET_PR_DESTINATION_COMMIT": self.base[:12],
            "BITBUCKET_PR_ID": str(NUMBER),
            "BITBUCKET_REPO_SLUG": "flights",
            "BITBUCKET_WORKSPACE": "octo",
            "SEATRIAL_API_URL": self.forge.api_url,
        }


def open_job(system: str, forge: StandIn, tmp_path: Path, *, recall: float) -> Job:
    """Main has recall 0.8, a gate, and has moved on to 0.82; the change, which left it before, has another recall."""
    scratch = Scratch.create(tmp_path / "project")
    scratch.write({"seatrial.yaml": GATED})
    left = scratch.measure(recall=0.8)
    scratch.git("checkout", "-q", "-b", "feature")
    head = scratch.measure(recall=recall)
    scratch.git("checkout", "-q", "main")
    tip = scratch.commit({"other.txt": "main has moved"}, "move main")
    scratch.git("checkout", "-q", "--detach", head)
    if system == "bitbucket":
        # As the build's setup does it: the destination is merged into the source.
        scratch.git("merge", "-q", "--no-edit", tip[:12])
    work = tmp_path / "work"
    work.mkdir()
    change = Change(number=NUMBER, head_sha=head, base_sha=tip)
    forge.records.changes[NUMBER] = change
    assert left != tip
    return Job(system=system, scratch=scratch, head=head, base=tip, forge=forge, work=work)


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> str:
    """Each CI system in turn."""
    return str(request.param)


@pytest.fixture
def forge(system: str) -> Iterator[StandIn]:
    """The stand-in that a system's jobs report to, its traffic judged by the forge's published description."""
    stand_in: StandIn
    if system == "bitbucket":
        stand_in = BitbucketStandIn(contract=bitbucket_contract())
    else:
        stand_in = GiteaStandIn(contract=gitea_contract())
    with stand_in:
        yield stand_in


def test_a_failed_gate_is_reported_where_people_look(tmp_path: Path, system: str, forge: StandIn) -> None:
    """Comment, status on the change's head, outputs and exit code tell the same."""
    job = open_job(system, forge, tmp_path, recall=0.7)
    answer = job.run()
    assert answer.code == 1, answer.err
    page = job.comment()
    assert "Do not merge: 1 of 1 gate failed" in page.select("h3")[0].get_text()
    assert "seatrial {" not in page.get_text()
    (check,) = forge.checks(job.head)
    assert (check.name, check.state) == ("seatrial", "FAILED" if system == "bitbucket" else "failure")
    assert "Do not merge" in check.title
    assert "failed" in (job.work / "outputs").read_text()


def test_bitbucket_shows_the_gate_at_its_line(tmp_path: Path) -> None:
    """What failed stands beside the policy's line in the diff, as a Code Insights report."""
    with BitbucketStandIn(contract=bitbucket_contract()) as forge:
        job = open_job("bitbucket", forge, tmp_path, recall=0.7)
        assert job.run().code == 1
        (report,) = forge.reports.values()
        assert report["result"] == "FAILED"
        (remarks,) = forge.annotations.values()
        assert [(one["path"], one["line"], one["severity"]) for one in remarks.values()] == [
            ("seatrial.yaml", 3, "HIGH")
        ]


def test_the_baseline_is_that_of_the_tree_that_was_measured(tmp_path: Path, system: str, forge: StandIn) -> None:
    """Bitbucket measures a merge, so what was merged in is the baseline; Gitea the head, so it is where it forked."""
    job = open_job(system, forge, tmp_path, recall=0.9)
    assert job.run().code == 0
    facts = json.loads((job.scratch.directory / "seatrial-report/report.json").read_text())
    merge_base = job.scratch.git("merge-base", job.head, job.base)
    if system == "bitbucket":
        assert facts["baseline_reason"] == "tip of main that the tested merge was made with"
        assert facts["base"]["sha"] == job.base
    else:
        assert facts["baseline_reason"] == "merge base with main"
        assert facts["base"]["sha"] == merge_base
    assert facts["head"]["sha"] == job.head


def test_a_second_run_updates_the_comment(tmp_path: Path, system: str, forge: StandIn) -> None:
    """One comment, whatever the number of runs, with the newest run's address."""
    job = open_job(system, forge, tmp_path, recall=0.7)
    for run in (1, 2):
        assert job.run(run=run).code == 1
    links = [str(link["href"]) for link in job.comment().select("a[href]")]
    wanted = {
        "gitea": "/octo/flights/actions/runs/272",
        "forgejo": "/octo/flights/actions/runs/42",
        "bitbucket": "/octo/flights/pipelines/results/42",
    }[system]
    assert [link for link in links if link.endswith(wanted)]


@pytest.mark.parametrize(("recall", "code"), [(0.9, 0), (0.7, 1)])
@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_refused_delivery_does_not_change_the_verdict(
    tmp_path: Path, system: str, forge: StandIn, recall: float, code: int, status: int
) -> None:
    """Whatever the forge says, the exit code is the verdict's, and the trouble is told."""
    job = open_job(system, forge, tmp_path, recall=recall)
    for method in ("GET", "POST"):
        forge.fail(Fault(method=method, path=".", status=status, times=99))
    answer = job.run()
    assert answer.code == code
    assert str(status) in answer.err
    assert TOKEN not in answer.err + answer.out


def test_without_a_token_the_verdict_still_counts(tmp_path: Path, system: str, forge: StandIn) -> None:
    """No token is a normal way to run: files and exit code are there, and what is missing is said."""
    job = open_job(system, forge, tmp_path, recall=0.7)
    answer = job.run(SEATRIAL_TOKEN="")
    assert answer.code == 1
    assert "SEATRIAL_TOKEN" in answer.err
    assert (job.scratch.directory / "seatrial-report/report.html").is_file()
    assert forge.requests == []


@pytest.mark.parametrize("recall", [0.9, 0.7])
def test_a_forks_job_asks_for_nothing(tmp_path: Path, recall: float) -> None:
    """Gitea's token of a fork's job can't write: nothing is tried, and no delivery has failed."""
    with GiteaStandIn(contract=gitea_contract()) as forge:
        job = open_job("gitea", forge, tmp_path, recall=recall)
        variables = {**job._gitea(1), "SEATRIAL_TOKEN": TOKEN}
        event = json.loads((job.work / "event.json").read_text())
        event["pull_request"]["head"]["repo"] = {"full_name": "stranger/flights", "default_branch": "main"}
        (job.work / "event.json").write_text(json.dumps(event))
        answer = run_seatrial(job.scratch.directory, "ci", "--require-delivery", env=variables)
        assert answer.code == (0 if recall > 0.8 else 1), answer.err
        assert "a pull request from a fork has a read-only token; the job's artifacts hold the report" in answer.err
        assert forge.requests == []


def test_the_doctor_knows_the_job(tmp_path: Path, system: str, forge: StandIn) -> None:
    """It names the system and the change, and asks the forge what the token may do."""
    job = open_job(system, forge, tmp_path, recall=0.9)
    variables = job._bitbucket(1) if system == "bitbucket" else job._gitea(1)
    answer = run_seatrial(job.scratch.directory, "doctor", env={**variables, "SEATRIAL_TOKEN": TOKEN})
    name = "Bitbucket Pipelines" if system == "bitbucket" else "Gitea or Forgejo Actions"
    assert f"{name}, pull request {NUMBER}" in answer.out
    assert "SEATRIAL_TOKEN is accepted" in answer.out
    assert {request.method for request in forge.requests} == {"GET"}
