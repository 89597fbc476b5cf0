"""GitLab's jobs that deploy: the example that users copy, our template, git, DVC and ONNX."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.e2e import delivered
from tests.e2e.gitlab import TEMPLATE, Runner
from tests.e2e.project import ROOT, Project
from tests.fakes.gitlab import GitLabStandIn

pytestmark = pytest.mark.slow

EXAMPLE = (ROOT / "examples/gitlab/deploy.yml").read_text()
# Stands in for python3 where the jobs make their environment, so that they share it with one another, and with the
# action's: installing it takes 12 seconds.
SHARING = """\
#!/bin/sh
set -e
[ "$1 $2 $3" = "-I -m venv" ]
[ -d '{kept}' ] || '{python}' -I -m venv '{kept}'
rmdir "$4"
ln -s '{kept}' "$4"
"""
[REMOTE] = [line for line in EXAMPLE.splitlines() if line.startswith("  - remote: ")]


@pytest.fixture
def project(tmp_path: Path, product: Path) -> Project:
    """The main branch with its pipeline; template and package are those of this work tree."""
    sharing = tmp_path / "python3"
    kept = product.with_name("environments") / "gitlab-deploy"  # without what speaks to forges
    sharing.write_text(SHARING.format(kept=kept, python=sys.executable))
    sharing.chmod(0o755)
    inputs = f"    inputs:\n      python: {sharing}\n      deploy-package: {json.dumps(f'{product}[serving,stats]')}"
    pipeline = EXAMPLE.replace(REMOTE, f"  - local: seatrial.yml\n{inputs}")
    files = {".gitlab-ci.yml": pipeline, "seatrial.yml": (product / TEMPLATE).read_text()}
    project = delivered.create(tmp_path / "project", files)
    project.git("remote", "add", "origin", "https://gitlab.example.com/octo/flights.git")
    return project


def test_a_merge_is_delivered_and_a_person_goes_back(project: Project, tmp_path: Path) -> None:
    """The job delivers the merged commit's model with no token, hands on what it is, and the manual one undoes it."""
    current = tmp_path / "live" / delivered.NAME / "current"
    delivered.deliver(project, times=2.0)
    delivered.merge_model(project, times=3.0)
    with GitLabStandIn() as forge:
        runner = Runner(forge=forge, token="")
        run = runner.run(project, {}, job="deploy")
        assert run.succeeded, run.log
        assert current.readlink().name == "2"
        told = (run.artifacts / ".gitlab-ci-reports/dotenv/seatrial-deployment.env").read_text()
        assert "SEATRIAL_VERSION=2\n" in told
        assert "SEATRIAL_OUTCOME=live\n" in told
        run = runner.run(project, {}, job="rollback", number=2)
        assert run.succeeded, run.log
        assert current.readlink().name == "1"
        assert forge.requests == []
