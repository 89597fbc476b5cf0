"""What `seatrial init` writes, run by the engines: a change of a project that had nothing of seatrial is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import github, gitlab
from tests.e2e.project import Project
from tests.fakes.contract import github_contract, gitlab_contract
from tests.fakes.github import ACTIONS, GitHubStandIn
from tests.fakes.gitlab import GitLabStandIn
from tests.fakes.records import TOKEN, Change

pytestmark = pytest.mark.slow


def start(directory: Path, remote: str) -> Project:
    """A trained project into which `seatrial init` has just brought seatrial; nothing is committed of that yet."""
    project = Project.create(directory, {})
    project.git("rm", "--quiet", "seatrial.yaml")
    project.git("commit", "--quiet", "--message", "Without gates")
    project.git("remote", "add", "origin", remote)
    command = [sys.executable, "-m", "seatrial", "init", "--yes"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return project


def spoil(project: Project) -> None:
    """A change whose model has learnt nothing."""
    project.commit("Judge by seatrial")
    project.branch("worse")
    project.train(steps=0)
    project.commit("Stop training")


def test_the_written_workflow_judges_a_pull_request(product: Path, tmp_path: Path) -> None:
    """With no further setting: a comment, and a red job by the gates that were proposed."""
    project = start(tmp_path / "project", f"https://github.com/{github.REPOSITORY}")
    spoil(project)
    tested = project.merge("worse")
    with GitHubStandIn(
        repository=github.REPOSITORY, identities=(ACTIONS,), contract=github_contract(), changes=()
    ) as forge:
        forge.records.changes[7] = Change(number=7, head_ref="worse", head_sha=tested.head, base_sha=tested.base)
        runner = github.Runner(product=product, work=tmp_path / "runs", forge=forge, token=TOKEN)
        run = runner.run(project, github.describe_event("worse", tested))
        assert not run.succeeded
        [comment] = forge.comments(7)
        assert "Do not merge: 2 of 2 gates failed" in comment.body, run.log


def test_the_written_pipeline_judges_a_merge_request(product: Path, tmp_path: Path) -> None:
    """The include and the job are all that it takes; here the template comes from this work tree."""
    project = start(tmp_path / "project", "https://gitlab.example.com/octo/flights.git")
    place = project.directory / gitlab.TEMPLATE.replace("-template", "")
    written = place.read_text()
    [remote] = [line for line in written.splitlines() if line.startswith("  - remote: ")]
    inputs = f"    inputs:\n      package: {json.dumps(f'{product}[forges,stats]')}"
    place.write_text(written.replace(f"{remote}\n    inputs:", f"  - local: seatrial.yml\n{inputs}"))
    project.write("seatrial.yml", (product / gitlab.TEMPLATE).read_text())
    spoil(project)
    tested = project.merge("worse")
    with GitLabStandIn(contract=gitlab_contract()) as forge:
        forge.records.changes[7] = Change(
            number=7, head_ref="worse", head_sha=tested.head, base_sha=tested.base, pipeline=1001
        )
        run = gitlab.Runner(forge=forge, token=TOKEN).run(project, gitlab.describe_merge_request("worse", tested))
        assert not run.succeeded
        [note] = forge.comments(7)
        assert "Do not merge: 2 of 2 gates failed" in note.body, run.log
