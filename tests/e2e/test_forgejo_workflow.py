"""Forgejo's example in a real run: act, which the runners of Forgejo and Gitea are made from, and a stand-in Gitea."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.github import REPOSITORY, Runner, describe_event
from tests.e2e.project import ROOT, Project, Revisions
from tests.fakes.gitea import GiteaStandIn
from tests.fakes.records import TOKEN, Change
from tests.fakes.swagger import gitea_contract

pytestmark = pytest.mark.slow

EXAMPLE = "examples/forgejo/pull-request.yml"
WORKFLOW = ".github/workflows/model-report.yml"


def read_example() -> str:
    """The example as act takes it, which knows no addresses of actions, with the status that it leaves out."""
    text = (ROOT / EXAMPLE).read_text().replace("https://github.com/", "")
    return text.replace('check: "false"', 'check: "true"')


@pytest.fixture
def forge() -> Iterator[GiteaStandIn]:
    """A Gitea whose every request and answer has to fit Gitea's published description."""
    with GiteaStandIn(repository=REPOSITORY, contract=gitea_contract()) as stand_in:
        yield stand_in


def test_the_same_action_reports_to_forgejo(tmp_path: Path, product: Path, forge: GiteaStandIn) -> None:
    """The head is measured against where it left main; comment and status tell the verdict, and so does the job."""
    project = Project.create(tmp_path / "project", {WORKFLOW: read_example()})
    # act reads the repository's name from an address of GitHub's alone; on a Forgejo the server tells it.
    project.git("remote", "add", "origin", f"https://github.com/{REPOSITORY}")
    base = project.git("rev-parse", "HEAD").strip()
    work, variables = tmp_path / "runs", {"FORGEJO_ACTIONS": "true", "GITEA_ACTIONS": "true"}
    runner = Runner(product=product, work=work, forge=forge, token=TOKEN, example=EXAMPLE, variables=variables)
    project.branch("change")
    for number, (steps, passes) in enumerate(((8, True), (0, False)), start=1):
        project.train(steps=steps)
        project.commit(f"Train {steps} steps")
        head = project.git("rev-parse", "HEAD").strip()
        forge.records.changes[7] = Change(number=7, head_ref="change", head_sha=head, base_sha=base)
        run = runner.run(project, describe_event("change", Revisions(head=head, base=base, merge=head)), number=number)
        assert run.succeeded is passes, run.log
        assert len(forge.comments(7)) == 1, run.log
        [comment] = forge.comments(7)
        assert ("### ✅ Ready to merge" if passes else "### ❌ Do not merge") in comment.body
        assert "baseline: merge base with main" in comment.body
        [status] = forge.checks(head)
        assert (status.name, status.state) == ("seatrial", "success" if passes else "failure")
        assert (run.artifacts / "model-report/report.html").is_file()
