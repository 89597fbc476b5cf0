"""`seatrial ci` with plots that changed: the comment shows them as pictures that the forge itself hosts, or without."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from bs4 import BeautifulSoup

from tests.fakes.contract import github_contract, gitlab_contract
from tests.fakes.github import GitHubStandIn
from tests.fakes.gitlab import GitLabStandIn
from tests.fakes.records import TOKEN, Change
from tests.fakes.server import Fault
from tests.integration.repositories import Answer, Scratch, run_seatrial
from tests.unit.sources.test_pictures import make_png

NUMBER, PIPELINE = 7, 50
BRANCH = "seatrial-images"
SYSTEMS = ("github", "gitlab")
# What takes a picture of a plot: the upload, or the commit behind the look at the branch.
PLACES = {"github": "/graphql$", "gitlab": "/uploads$"}
HOSTILE = 'loss"><img src=x onerror=1> @octo/team #12 | /merge'
PLOTS = f"""metrics:
- metrics.json
plots:
- curves: {{x: step}}
- same.csv: {{x: step, y: loss}}
- scene.png
- hostile.csv: {{x: step, y: loss, title: '{HOSTILE}'}}
"""


def rows(factor: float) -> str:
    return "step,loss\n" + "".join(f"{step},{factor / step}\n" for step in range(1, 9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of a change whose plots differ from main's: four curves, a picture, one with a hostile title."""

    system: str
    scratch: Scratch
    head: str
    base: str
    forge: Any
    work: Path

    def run(self, *arguments: str, run: int = 1, fork: bool = False, **changed: str) -> Answer:
        """`seatrial ci` in the job of a push to the change."""
        variables = self._github(run, fork) if self.system == "github" else self._gitlab(run, fork)
        named = {"SEATRIAL_IMAGE_BRANCH": BRANCH, "SEATRIAL_TOKEN": TOKEN}
        return run_seatrial(self.scratch.directory, "ci", *arguments, env={**variables, **named, **changed})

    def body(self) -> str:
        """The one comment."""
        (comment,) = self.forge.comments(NUMBER)
        return str(comment.body)

    def images(self) -> list[dict[str, str]]:
        """The attributes of the images that the comment shows on its page."""
        page = BeautifulSoup(urlopen(self.forge.page_url(NUMBER)).read(), "html.parser")
        return [{name: str(value) for name, value in image.attrs.items()} for image in page.select(".markdown img")]

    def load(self, address: str) -> bytes:
        """What a reader's browser gets for an image's address."""
        whole = f"{self.forge.web_url}/-/project/7{address}" if self.system == "gitlab" else address
        content: bytes = urlopen(whole).read()
        return content

    def _github(self, run: int, fork: bool) -> Mapping[str, str]:
        repo = {"full_name": "octo/flights", "default_branch": "main"}
        theirs = {**repo, "full_name": "stranger/flights"} if fork else repo
        sides = {
            "head": {"sha": self.head, "ref": "feature", "repo": theirs},
            "base": {"sha": self.base, "ref": "main", "repo": repo},
        }
        event = {"number": NUMBER, "pull_request": {"number": NUMBER, **sides}, "repository": repo}
        (self.work / "event.json").write_text(json.dumps(event))
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(self.work / "event.json"),
            "GITHUB_REPOSITORY": "octo/flights",
            "GITHUB_SHA": self.head,
            "GITHUB_REF": f"refs/pull/{NUMBER}/head",
            "GITHUB_RUN_ID": str(1000 + run),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_SERVER_URL": self.forge.web_url,
            "GITHUB_API_URL": self.forge.api_url,
        }

    def _gitlab(self, run: int, fork: bool) -> Mapping[str, str]:
        return {
            "CI_API_V4_URL": self.forge.api_url,
            "CI_COMMIT_SHA": self.head,
            "CI_DEFAULT_BRANCH": "main",
            "CI_JOB_ID": str(100 + run),
            "CI_JOB_URL": f"{self.forge.web_url}/octo/flights/-/jobs/{100 + run}",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": self.base,
            "CI_MERGE_REQUEST_IID": str(NUMBER),
            "CI_MERGE_REQUEST_PROJECT_ID": "7",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature",
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8" if fork else "7",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_PIPELINE_ID": str(PIPELINE),
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_PROJECT_ID": "8" if fork else "7",
            "CI_SERVER_URL": self.forge.web_url,
            "GITLAB_CI": "true",
        }


def open_job(system: str, forge: Any, tmp_path: Path) -> Job:
    def write(factor: float, picture: bytes) -> dict[str, str | bytes]:
        curves = {f"curves/{name}.csv": rows(factor * number) for number, name in enumerate("abc", start=1)}
        return {**curves, "same.csv": rows(1), "scene.png": picture, "hostile.csv": rows(factor)}

    scratch = Scratch.create(tmp_path / "project")
    metrics = {"metrics.json": '{"recall": 0.8}', "dvc.yaml": PLOTS}
    base = scratch.commit({**metrics, **write(1, make_png(30, 20))})
    scratch.git("checkout", "-q", "-b", "feature")
    head = scratch.commit({"metrics.json": '{"recall": 0.9}', **write(1.2, make_png(31, 20))})
    work = tmp_path / "work"
    work.mkdir()
    forge.records.changes[NUMBER] = Change(number=NUMBER, head_sha=head, base_sha=base, pipeline=PIPELINE)
    return Job(system=system, scratch=scratch, head=head, base=base, forge=forge, work=work)


@pytest.fixture(params=SYSTEMS)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Job]:
    """The same change on each forge that hosts pictures, its traffic judged by the published description."""
    system = request.param
    opened: Any = (
        GitHubStandIn(contract=github_contract()) if system == "github" else GitLabStandIn(contract=gitlab_contract())
    )
    with opened as forge:
        if system == "github":
            forge.open_branch(BRANCH)
        yield open_job(system, forge, tmp_path)


def test_plots_that_changed_are_pictures_in_the_comment(job: Job) -> None:
    """Four of them, folded, each with an alternative text and a width, and loaded from the forge itself."""
    answer = job.run()
    assert answer.code == 0, answer.err
    assert "4 pictures of plots" in answer.err
    images = job.images()
    assert len(images) == 4
    for image in images:
        assert re.search(r"/[0-9a-f]{64}\.png(\?raw=true)?$", image["src"])
        assert image["alt"]
        assert 0 < int(image["width"]) <= 800
        assert job.load(image["src"]).startswith(b"\x89PNG\r\n\x1a\n")
    before, _, after = job.body().partition("<summary>Plots: ")
    assert after.count("<img ") == 4
    assert "<img " not in before
    assert "same.csv" in after


def test_the_number_of_requests_is_bounded(job: Job) -> None:
    """On GitHub two more than without pictures, on GitLab one for each; none again for those that are there."""
    job.run("--no-images")
    without = len(job.forge.requests)
    job.run(run=2)
    more = len(job.forge.requests) - 2 * without
    assert more <= (2 if job.system == "github" else 4)
    job.run(run=3)
    again = len(job.forge.sent("POST", PLACES[job.system]))
    assert again == (3 if job.system == "github" else 4)


def test_an_equal_report_stays_unchanged(job: Job) -> None:
    """The same run again finds the same addresses, so the comment is not written again."""
    job.run()
    before = job.body()
    answer = job.run()
    assert "comment: unchanged" in answer.err
    assert job.body() == before
    assert len(job.forge.records.files) == 4


def test_a_hostile_title_stays_text(job: Job) -> None:
    """Neither the alternative text nor the drawing lets a title out of its place."""
    job.scratch.git("checkout", "-q", "feature")
    head = job.scratch.commit({"dvc.yaml": PLOTS.replace("- curves: {x: step}\n", "").replace("- scene.png\n", "")})
    job.forge.records.changes[NUMBER].head_sha = head
    answer = Job(system=job.system, scratch=job.scratch, head=head, base=job.base, forge=job.forge, work=job.work).run()
    assert answer.code == 0, answer.err
    (image,) = [one for one in job.images() if "onerror" in one["alt"]]
    assert set(image) == {"src", "width", "alt"}
    assert "onerror=1>" not in job.body()
    assert getattr(job.forge, "executed", []) == []


@pytest.mark.parametrize("status", [403, 413, 500])
def test_a_refusal_costs_the_pictures_alone(job: Job, status: int) -> None:
    """The comment points to the report instead, the verdict stands, and what was refused is said once."""
    job.forge.fail(Fault(method="POST", path=PLACES[job.system], status=status, times=99))
    answer = job.run("--require-delivery")
    assert answer.code == 0, answer.err
    assert answer.err.count("no pictures of plots: ") == 1
    assert str(status) in answer.err.partition("no pictures of plots: ")[2]
    assert TOKEN not in answer.err
    assert job.images() == []
    assert "```mermaid" in job.body()
    assert "full report" in job.body()


@pytest.mark.parametrize("how", ["garbage", "reset"])
def test_a_lost_answer_costs_the_pictures_at_most(job: Job, how: Any) -> None:
    """Whatever comes in the place of an answer, the comment is there."""
    job.forge.fail(Fault(method="POST", path=PLACES[job.system], how=how, times=99))
    answer = job.run()
    assert answer.code == 0
    assert "no pictures of plots: " in answer.err
    assert "### " in job.body()


def test_a_forks_change_leaves_no_picture(job: Job) -> None:
    """What a stranger plots is not kept in the project, whatever the token may do."""
    job.run(fork=True)
    assert job.forge.records.files == {}
    assert job.forge.sent("POST", PLACES[job.system]) == ()


def test_pictures_can_be_switched_off(job: Job) -> None:
    """With --no-images the comment is what it is where nothing hosts them."""
    job.run("--no-images")
    assert job.forge.records.files == {}
    assert job.images() == []
    assert "```mermaid" in job.body()


@pytest.mark.parametrize("branch", ["", "feature", "main"])
def test_on_github_only_a_branch_of_its_own_takes_pictures(branch: str, tmp_path: Path) -> None:
    """With none named there are none, and a branch of the change itself never gets commits from us."""
    with GitHubStandIn(contract=github_contract()) as forge:
        for name in ("feature", "main", BRANCH):
            forge.open_branch(name)
        job = open_job("github", forge, tmp_path)
        answer = job.run(SEATRIAL_IMAGE_BRANCH=branch)
        assert answer.code == 0
        assert forge.records.files == {}
        assert ("is a branch of the change itself" in answer.err) is bool(branch)
