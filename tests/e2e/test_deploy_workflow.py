"""The workflow that users copy, from the merge to the live model: real actions, git, DVC, ONNX; a stand-in GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import delivered
from tests.e2e.github import REPOSITORY, Runner
from tests.e2e.project import ROOT, Project
from tests.fakes.contract import github_contract
from tests.fakes.github import GitHubStandIn
from tests.fakes.records import TOKEN

pytestmark = pytest.mark.slow

EXAMPLE = "examples/github/deploy.yml"
# act knows no `deployment:` yet; GitHub and its published schema do.
WORKFLOW = (ROOT / EXAMPLE).read_text().replace("      deployment: false\n", "")
KEEP_OUTPUTS = """
      - name: Keep the outputs
        if: ${{ always() }}
        env:
          OUTPUTS: ${{ toJSON(steps.seatrial.outputs) }}
        run: printf '%s' "${OUTPUTS}" > "${ARTIFACTS_OF_TEST}/outputs.json"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The main branch with its workflow, and no model yet."""
    deploying, rolling = WORKFLOW.split("\n  rollback:\n")
    text = f"{deploying}{KEEP_OUTPUTS}\n  rollback:\n{rolling}{KEEP_OUTPUTS}"
    project = delivered.create(tmp_path / "project", {".github/workflows/model-deploy.yml": text})
    project.git("remote", "add", "origin", f"https://github.com/{REPOSITORY}")
    return project


@pytest.fixture
def forge() -> Iterator[GitHubStandIn]:
    """Every request and answer has to fit GitHub's published description."""
    with GitHubStandIn(repository=REPOSITORY, contract=github_contract()) as stand_in:
        yield stand_in


def push(project: Project, before: str) -> dict[str, Any]:
    """The event of a push to the main branch."""
    repository = {"full_name": REPOSITORY, "default_branch": "main"}
    return {"ref": "refs/heads/main", "before": before, "repository": repository}


def test_a_merge_is_delivered_a_bad_one_is_red_and_a_person_goes_back(
    project: Project, forge: GitHubStandIn, product: Path, tmp_path: Path
) -> None:
    """What is live, what the job says and what the forge records are one and the same, whichever way it ends."""
    runner = Runner(product=product, work=tmp_path / "runs", forge=forge, token=TOKEN, example=EXAMPLE)
    current = tmp_path / "live" / delivered.NAME / "current"

    def merge(number: int, **model: float) -> Any:
        before = project.git("rev-parse", "HEAD")
        delivered.merge_model(project, **model)
        return runner.run(project, push(project, before), number=number, event_name="push")

    first = delivered.deliver(project, times=2.0)
    run = merge(2, times=3.0)
    assert run.succeeded, run.log
    assert (run.outputs["version"], run.outputs["outcome"], run.outputs["exit-code"]) == ("2", "live", "0")
    assert "✅ flights-delay 2: live" in run.log, "the job's summary tells it"
    assert len(forge.deployments()) == 1, run.log
    [second] = forge.deployments()
    assert second.states == ["in_progress", "success"]
    assert (second.sha, second.environment) == (project.git("rev-parse", "HEAD"), "production")
    assert second.sent["payload"]["digest"] == run.outputs["digest"]
    assert second.statuses[-1]["log_url"].endswith("/actions/runs/1002/attempts/1")

    run = merge(3, times=4.0, answers=5.0)
    assert not run.succeeded
    assert current.readlink().name == "2"
    assert (run.outputs["outcome"], run.outputs["exit-code"]) == ("refused", "1")
    assert "flights-delay 3 (sha256:" in run.log
    assert "❗" in run.log, "the runner read the error line"
    second, failed = forge.deployments()
    assert (second.states[-1], failed.states) == ("success", ["in_progress", "failure"])

    by_hand = {"inputs": {"version": "", "reason": "incident 42"}, "repository": push(project, "")["repository"]}
    run = runner.run(project, by_hand, number=4, event_name="workflow_dispatch")
    assert run.succeeded, run.log
    assert current.readlink().name == "1"
    back = forge.deployments()[-1]
    assert (back.sha, back.states, back.sent["payload"]["kind"]) == (first, ["in_progress", "success"], "rollback")
    assert forge.deployments()[0].states[-1] == "inactive"
