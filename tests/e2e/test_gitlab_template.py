"""Our template in a real pipeline: the example that users copy, a real repository, a stand-in GitLab."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gitlab import TEMPLATE, Runner, describe_merge_request
from tests.e2e.project import ROOT, Project, Revisions
from tests.fakes.contract import gitlab_contract
from tests.fakes.gitlab import GitLabStandIn
from tests.fakes.records import TOKEN, Change

pytestmark = pytest.mark.slow

EXAMPLE = (ROOT / "examples/gitlab/.gitlab-ci.yml").read_text()
[REMOTE] = [line for line in EXAMPLE.splitlines() if line.startswith("  - remote: ")]


def include_local(product: Path) -> dict[str, str]:
    """The example, with template and package from this work tree in the place of their published addresses."""
    inputs = f"    inputs:\n      package: {json.dumps(f'{product}[forges,stats]')}"
    pipeline = EXAMPLE.replace(f"{REMOTE}\n    inputs:", f"  - local: seatrial.yml\n{inputs}")
    assert "local:" in pipeline
    return {".gitlab-ci.yml": pipeline, "seatrial.yml": (product / TEMPLATE).read_text()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, product: Path) -> Project:
    """The main branch, its model trained by DVC and its pipeline in place."""
    project = Project.create(tmp_path_factory.mktemp("trained") / "project", include_local(product))
    project.git("remote", "add", "origin", "https://gitlab.example.com/octo/flights.git")
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """A clone of one's own."""
    return trained.copy(tmp_path / "project")


@pytest.fixture
def forge() -> Iterator[GitLabStandIn]:
    """A GitLab with one merge request; every request and answer has to fit GitLab's published description."""
    with GitLabStandIn(contract=gitlab_contract()) as stand_in:
        yield stand_in


def open_change(forge: GitLabStandIn, branch: str, tested: Revisions, pipeline: int) -> None:
    """Let the forge know the merge request as it stands."""
    forge.records.changes[7] = Change(
        number=7,
        head_ref=branch,
        head_sha=tested.head,
        base_sha=tested.base,
        pipeline=1000 + pipeline,
        pipeline_sha=tested.merge,
    )


def test_a_merge_request_shows_gates_without_a_token_and_one_note_with_it(
    project: Project, forge: GitLabStandIn
) -> None:
    """JUnit cases and exit code need no token; with one there is a single note, and it follows the branch."""
    project.branch("better")
    project.train(steps=8)
    project.commit("Train longer")
    better = project.merge("better")
    open_change(forge, "better", better, 1)
    run = Runner(forge=forge, token="").run(project, describe_merge_request("better", better))
    assert run.succeeded, run.log
    assert forge.requests == []
    cases = ET.parse(run.artifacts / "seatrial-report/report.junit.xml").findall(".//testcase")
    assert len(cases) == 2
    assert not [case for case in cases if case.find("failure") is not None]
    assert {"report.html", "report.json", "report.md"} <= {path.name for path in run.artifacts.rglob("*")}
    report = run.artifacts / "seatrial-report"
    remarks = json.loads((report / "report.codequality.json").read_text())
    assert ("params.json", "info") in [(one["location"]["path"], one["severity"]) for one in remarks]
    [link] = json.loads((report / "report.annotations.json").read_text())["seatrial"]
    assert link["external_link"]["url"].endswith("/artifacts/file/seatrial-report/report.html")
    assert (report / "report.metrics.txt").read_text().endswith("# EOF\n")
    assert run.outputs["SEATRIAL_COMMENT_URL"] == ""

    runner = Runner(forge=forge, token=TOKEN)
    open_change(forge, "better", better, 2)
    run = runner.run(project, describe_merge_request("better", better), number=2)
    assert run.succeeded, run.log
    [note] = forge.comments(7)
    assert "### ✅ Ready to merge: 2 gates passed" in note.body
    assert "tip of main that the tested merge was made with" in note.body
    [status] = forge.checks(better.merge)
    assert (status.name, status.state, status.pipeline) == ("seatrial", "success", 1002)
    assert run.outputs["SEATRIAL_COMMENT_URL"] == f"{forge.page_url(7)}#note_{note.id}"
    assert run.outputs["SEATRIAL_VERDICT"] == "passed"

    project.git("checkout", "--quiet", "better")
    project.train(steps=0)
    project.commit("Do not train at all")
    useless = project.merge("better")
    open_change(forge, "better", useless, 3)
    run = runner.run(project, describe_merge_request("better", useless), number=3)
    assert not run.succeeded
    [updated] = forge.comments(7)
    assert updated.id == note.id
    assert "### ❌ Do not merge: 2 of 2 gates failed" in updated.body
    [status] = forge.checks(useless.merge)
    assert status.state == "failed"
    cases = ET.parse(run.artifacts / "seatrial-report/report.junit.xml").findall(".//testcase/failure")
    assert len(cases) == 2
    assert (run.outputs["SEATRIAL_VERDICT"], run.outputs["SEATRIAL_EXIT_CODE"]) == ("failed", "1")


def test_names_that_strangers_chose_do_nothing(project: Project, forge: GitLabStandIn) -> None:
    """Branch and metric names reach the note as text: no shell, variable, quick action, mark-up or ping."""
    branch = "evil\"$(touch${IFS}pwned)';touch${IFS}pwned;@octocat"
    names = ("a|b <img src=x> @octocat", "$(touch pwned)", "$SEATRIAL_TOKEN", "x\n/merge\n/approve", "</details>`")
    project.branch(branch)
    project.train(steps=8, extra=dict.fromkeys(names, 0.5))
    project.commit("Be nice")
    tested = project.merge(branch)
    open_change(forge, branch, tested, 1)
    run = Runner(forge=forge, token=TOKEN).run(project, describe_merge_request(branch, tested))
    assert run.succeeded, run.log
    assert not list(project.directory.rglob("pwned*"))
    assert forge.executed == []
    [note] = forge.comments(7)
    assert "SEATRIAL_TOKEN" in note.body
    assert TOKEN not in note.body
    assert note.body.count("<!--") == 1
    assert note.body.count("<details>") == note.body.count("</details>")
    assert "<img" not in note.body
    assert not [line for line in note.body.splitlines() if line.startswith("/")]
    assert "@octocat" not in "".join(note.body.split("`")[::2])
