"""Our action in a real workflow run: the example that users copy, a real repository, a stand-in GitHub."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.github import REPOSITORY, Runner, describe_event
from tests.e2e.project import ROOT, Project, Revisions
from tests.fakes.contract import github_contract
from tests.fakes.github import ACTIONS, GitHubStandIn
from tests.fakes.records import TOKEN, Change, Identity

pytestmark = pytest.mark.slow

EXAMPLE = (ROOT / "examples/github/pull-request.yml").read_text()
WORKFLOW = ".github/workflows/model-report.yml"
# Tells the test what a later step of the same job sees.
KEEP_OUTPUTS = """
      - name: Keep the outputs
        if: ${{ always() }}
        env:
          OUTPUTS: ${{ toJSON(steps.seatrial.outputs) }}
        run: printf '%s' "${OUTPUTS}" > "${ARTIFACTS_OF_TEST}/outputs.json"
"""
# A second report of the same job, by the environment that the first one made.
AGAIN = """
      - uses: seatrial/seatrial@v0.1.0
        with:
          key: again
          check: "false"
"""
TELL_TOKEN = """
import os
print("SEATRIAL_TOKEN is", "here" if "SEATRIAL_TOKEN" in os.environ else "not here")
"""
READ_ONLY = Identity(token="read-only", login="github-actions[bot]", kind="installation", may=frozenset())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The main branch, its model trained by DVC and its workflow in place."""
    directory = tmp_path_factory.mktemp("trained") / "project"
    project = Project.create(directory, {WORKFLOW: EXAMPLE + KEEP_OUTPUTS})
    project.git("remote", "add", "origin", f"https://github.com/{REPOSITORY}")
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """A clone of one's own."""
    return trained.copy(tmp_path / "project")


@pytest.fixture
def forge() -> Iterator[GitHubStandIn]:
    """A GitHub with one pull request; every request and answer has to fit GitHub's published description."""
    with GitHubStandIn(repository=REPOSITORY, identities=(ACTIONS, READ_ONLY), contract=github_contract()) as stand_in:
        yield stand_in


@pytest.fixture
def runner(product: Path, tmp_path: Path, forge: GitHubStandIn) -> Runner:
    """Runs workflows with the rights of a pull request from the same repository."""
    return Runner(product=product, work=tmp_path / "runs", forge=forge, token=TOKEN)


def open_change(forge: GitHubStandIn, branch: str, tested: Revisions) -> None:
    """Let the forge know the pull request as it stands."""
    change = Change(number=7, head_ref=branch, head_sha=tested.head, base_sha=tested.base)
    forge.records.changes[7] = change


def test_a_pull_request_has_one_comment_that_follows_it(project: Project, forge: GitHubStandIn, runner: Runner) -> None:
    """A better model is green in comment, check and outputs; a useless one turns the same comment and the job red."""
    project.branch("better")
    project.train(steps=8)
    project.commit("Train longer")
    better = project.merge("better")
    open_change(forge, "better", better)
    run = runner.run(project, describe_event("better", better))
    assert run.succeeded, run.log
    [comment] = forge.comments(7)
    assert "### ✅ Ready to merge: 2 gates passed" in comment.body
    assert (
        f"baseline: first parent of the tested merge · policy: seatrial.yaml of main {better.base[:7]}" in comment.body
    )
    assert "0.9170 | 0.9210 |" in comment.body.replace("**", "")
    [check] = forge.checks(better.head)
    assert (check.name, check.conclusion) == ("seatrial", "success")
    assert run.outputs == {
        "verdict": "passed",
        "exit-code": "0",
        "report-markdown": "seatrial-report/report.md",
        "report-html": "seatrial-report/report.html",
        "report-json": "seatrial-report/report.json",
        "report-junit": "seatrial-report/report.junit.xml",
        "comment-url": f"{forge.page_url(7)}#issuecomment-{comment.id}",
    }
    cases = ET.parse(run.artifacts / "model-report/report.junit.xml").findall(".//testcase")
    assert len(cases) == 2

    project.git("checkout", "--quiet", "better")
    project.train(steps=0)
    project.commit("Do not train at all")
    useless = project.merge("better")
    open_change(forge, "better", useless)
    run = runner.run(project, describe_event("better", useless), number=2)
    assert not run.succeeded
    [updated] = forge.comments(7)
    assert updated.id == comment.id
    assert "### ❌ Do not merge: 2 of 2 gates failed" in updated.body
    [check] = forge.checks(useless.head)
    assert check.conclusion == "failure"
    assert (run.outputs["verdict"], run.outputs["exit-code"]) == ("failed", "1")


def test_names_that_strangers_chose_do_nothing(project: Project, forge: GitHubStandIn, runner: Runner) -> None:
    """Branch, metric and parameter names reach the report as text: no shell, workflow command, mark-up or ping."""
    branch = "evil\"$(touch${IFS}$ARTIFACTS_OF_TEST/pwned)';touch${IFS}$ARTIFACTS_OF_TEST/pwned;@octocat"
    names = (
        "a|b <img src=x> @octocat",
        "$(touch $ARTIFACTS_OF_TEST/pwned)",
        "${{ github.token }}",
        "x\n::error::pwned\n/merge",
        '<!-- seatrial {"v":1,"key":"default"} -->',
        "</details>`",
    )
    project.branch(branch)
    project.train(steps=8, extra=dict.fromkeys(names, 0.5))
    project.commit("Be nice")
    tested = project.merge(branch)
    open_change(forge, branch, tested)
    run = runner.run(project, describe_event(branch, tested))
    assert run.succeeded, run.log
    assert not list(run.artifacts.rglob("pwned*"))
    assert "❗" not in run.log, "a metric's name was taken for a workflow command"
    [comment] = forge.comments(7)
    assert "github.token" in comment.body
    assert comment.body.count("<!--") == 1
    assert comment.body.count("<details>") == comment.body.count("</details>")
    assert "<img" not in comment.body
    assert not [line for line in comment.body.splitlines() if line.startswith(("/", "::"))]
    assert "@octocat" not in "".join(comment.body.split("`")[::2])


def test_a_fork_is_judged_though_nothing_can_be_posted(project: Project, forge: GitHubStandIn, runner: Runner) -> None:
    """A read-only token costs the comment, not the verdict: the job summary holds the report."""
    project.branch("better")
    project.train(steps=8)
    project.commit("Train longer")
    tested = project.merge("better")
    open_change(forge, "better", tested)
    reader = Runner(product=runner.product, work=runner.work, forge=forge, token=READ_ONLY.token)
    run = reader.run(project, describe_event("better", tested, fork=True))
    assert run.succeeded, run.log
    assert forge.comments(7) == []
    assert forge.checks(tested.head) == []
    assert "Summary - ### ✅ Ready to merge" in run.log
    assert (run.outputs["verdict"], run.outputs["comment-url"]) == ("passed", "")


def test_verify_finds_committed_metrics_that_do_not_come_out(
    project: Project, forge: GitHubStandIn, runner: Runner
) -> None:
    """Metrics that somebody improved by hand fail the job, whatever their gates say."""
    project.branch("better")
    project.train(steps=8)
    project.write("metrics.json", '{"accuracy": 0.999, "loss": 0.001}')
    project.write(WORKFLOW, (EXAMPLE + KEEP_OUTPUTS).replace('reproduce: "no"', 'reproduce: "verify"'))
    project.commit("Train very much longer")
    tested = project.merge("better")
    open_change(forge, "better", tested)
    run = runner.run(project, describe_event("better", tested))
    assert not run.succeeded
    [comment] = forge.comments(7)
    assert "committed 0.999" in comment.body
    assert run.outputs["verdict"] == "failed"


def test_what_comes_out_is_judged_where_nobody_reproduced(
    project: Project, forge: GitHubStandIn, runner: Runner
) -> None:
    """With `reproduce: yes` a changed parameter is enough; stages see no token; a second report has its place."""
    project.branch("better")
    project.write("params.json", '{"seed": 7, "steps": 8, "rate": 0.05, "extra": {}}')
    project.write("train.py", (project.directory / "train.py").read_text() + TELL_TOKEN)
    project.write(WORKFLOW, (EXAMPLE + AGAIN).replace('reproduce: "no"', 'reproduce: "yes"'))
    project.commit("Train longer")
    tested = project.merge("better")
    open_change(forge, "better", tested)
    run = runner.run(project, describe_event("better", tested))
    assert run.succeeded, run.log
    [comment, again] = forge.comments(7)
    assert "0.9170 | 0.9210 |" in comment.body.replace("**", "")
    assert "SEATRIAL_TOKEN is not here" in run.log
    assert '"key":"again"' in again.body
    assert len(forge.checks(tested.head)) == 1
