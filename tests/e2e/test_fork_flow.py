"""Both halves of the set-up for forks in real workflow runs: one may only read, the other believes only numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.github import REPOSITORY, Run, Runner, describe_event
from tests.e2e.project import ROOT, Project, Revisions
from tests.fakes.contract import github_contract
from tests.fakes.github import ACTIONS, GitHubStandIn
from tests.fakes.github_runs import Fork, pack_directory
from tests.fakes.github_runs import Run as WorkflowRun
from tests.fakes.records import TOKEN, Change, Identity

pytestmark = pytest.mark.slow

MEASURE, REPORT = ".github/workflows/fork-measure.yml", ".github/workflows/fork-report.yml"
READ_ONLY = Identity(token="read-only", login="github-actions[bot]", kind="installation", may=frozenset())
RUN = 1001  # what the runner calls its first run
NAME = "seatrial-report"


def read_halves() -> dict[str, str]:
    """The examples as users copy them, but that seatrial is the one under test, which is on the PATH already."""
    measure, report = ((ROOT / "examples/github" / Path(name).name).read_text() for name in (MEASURE, REPORT))
    [install] = [line for line in report.splitlines() if "pip install" in line]
    return {MEASURE: measure, REPORT: report.replace(install.strip(), "run: seatrial --version")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A fork's pull request 7, and both halves of what happens on a push to it."""

    project: Project
    forge: GitHubStandIn
    runner: Runner
    reader: Runner

    def measure(self, branch: str, tested: Revisions) -> Run:
        """The first half, with the test merge checked out and a token that may only read."""
        change = Change(number=7, head_ref=branch, head_sha=tested.head, base_sha=tested.base)
        self.forge.records.changes[7] = change
        event = describe_event(branch, tested, fork=True)
        run = self.reader.run(self.project, event, workflow=MEASURE)
        self.forge.runs[RUN] = WorkflowRun(id=RUN, head_sha=tested.head, head_branch=branch, path=MEASURE)
        return run

    def report(self, branch: str) -> Run:
        """The second half, with main checked out as it is there."""
        self.project.git("checkout", "--quiet", "--force", "main")
        event: dict[str, Any] = {
            "action": "completed",
            "workflow_run": {
                "id": RUN,
                "event": "pull_request",
                "conclusion": "failure",
                "head_branch": branch,
                "head_repository": {"id": 2},
            },
            "repository": {"full_name": REPOSITORY, "default_branch": "main"},
        }
        return self.runner.run(self.project, event, number=2, workflow=REPORT, event_name="workflow_run")


@pytest.fixture
def flow(product: Path, tmp_path: Path) -> Iterator[Flow]:
    """A trained main with both workflows, and a forge on which every request fits GitHub's description."""
    project = Project.create(tmp_path / "project", read_halves())
    project.git("remote", "add", "origin", f"https://github.com/{REPOSITORY}")
    with GitHubStandIn(repository=REPOSITORY, identities=(ACTIONS, READ_ONLY), contract=github_contract()) as forge:
        forge.forks[7] = Fork()
        forge.compare_in(project.directory)
        runner = Runner(product=product, work=tmp_path / "runs", forge=forge, token=TOKEN)
        reader = Runner(product=product, work=tmp_path / "reading", forge=forge, token=READ_ONLY.token)
        yield Flow(project=project, forge=forge, runner=runner, reader=reader)


def train(project: Project, steps: int) -> Revisions:
    """A branch of the fork, and GitHub's test merge of it."""
    project.branch("better")
    project.train(steps=steps)
    project.commit("Train otherwise")
    return project.merge("better")


@pytest.mark.parametrize(
    ("steps", "said", "conclusion"),
    [
        (8, "### ✅ Ready to merge: 2 gates passed", "success"),
        (0, "### ❌ Do not merge: 2 of 2 gates failed", "failure"),
    ],
)
def test_a_forks_pull_request_gets_comment_and_check(flow: Flow, steps: int, said: str, conclusion: str) -> None:
    """From the push to the comment: the first half can post nothing, the second judges again and does."""
    tested = train(flow.project, steps)
    first = flow.measure("better", tested)
    assert first.succeeded == (conclusion == "success"), first.log
    assert (flow.forge.comments(7), flow.forge.checks(tested.head)) == ([], [])
    flow.forge.leave(RUN, NAME, pack_directory(first.artifacts / NAME))
    second = flow.report("better")
    assert second.succeeded == (conclusion == "success"), second.log
    [comment] = flow.forge.comments(7)
    assert said in comment.body
    assert "Measured by the pull request's own CI" in comment.body
    [check] = flow.forge.checks(tested.head)
    assert (check.name, check.conclusion) == ("seatrial", conclusion)


def flip(facts: dict[str, Any]) -> None:
    facts.update(verdict="passed", headline="Ready to merge", findings=[])


def lower_main(facts: dict[str, Any]) -> None:
    for metric in facts["metrics"]:
        metric["base"] = 0.1


@pytest.mark.parametrize(
    ("forgery", "conclusion", "comments"), [(flip, "failure", 1), (lower_main, "action_required", 0)]
)
def test_a_forged_report_fools_nobody(
    flow: Flow, forgery: Callable[[dict[str, Any]], None], conclusion: str, comments: int
) -> None:
    """A verdict in the artifact has no effect, and a baseline in it is held against git's."""
    tested = train(flow.project, 0)
    first = flow.measure("better", tested)
    report = first.artifacts / NAME / "report.json"
    facts = json.loads(report.read_text())
    forgery(facts)
    report.write_text(json.dumps(facts))
    flow.forge.leave(RUN, NAME, pack_directory(report.parent))
    second = flow.report("better")
    assert not second.succeeded, second.log
    assert len(flow.forge.comments(7)) == comments
    [check] = flow.forge.checks(tested.head)
    assert check.conclusion == conclusion


def test_the_halves_name_each_other() -> None:
    """Workflow, file and artifact are spelled alike; else the second half never starts, or finds nothing."""
    halves = {name: yaml.load(text, Loader=yaml.BaseLoader) for name, text in read_halves().items()}
    measure, report = (halves[name]["jobs"][job]["steps"] for name, job in ((MEASURE, "measure"), (REPORT, "report")))
    assert halves[REPORT]["on"]["workflow_run"]["workflows"] == [halves[MEASURE]["name"]]
    [upload] = [step["with"] for step in measure if "upload-artifact" in step.get("uses", "")]
    [publish] = [step["run"] for step in report if "publish" in step.get("run", "")]
    assert publish == f"seatrial publish --workflow {MEASURE} --artifact {upload['name']}"
    assert not [step for step in report if "ref" in step.get("with", {})]
