"""The Jenkinsfile that users copy: its shell steps, run by the shell, in a real repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.project import ROOT, Project

pytestmark = pytest.mark.slow

STEPS = re.findall(r"^\s*sh '(.+)'$", (ROOT / "examples/jenkins/Jenkinsfile").read_text(), re.MULTILINE)


def test_a_change_is_judged_by_the_steps_as_they_stand(tmp_path: Path) -> None:
    """A worse model makes the build red; the report and its test cases are where the next steps look for them."""
    origin = Project.create(tmp_path / "origin", {})
    origin.branch("worse")
    origin.train(steps=0)
    origin.commit("Do not train at all")
    origin.git("clone", "--quiet", "--single-branch", "--branch", "worse", str(tmp_path / "origin"), "../clone")
    python = f"{sys.executable} -m seatrial compare"
    steps = [step.replace(".venv-seatrial/bin/python -m seatrial compare", python) for step in STEPS]
    judging = [step for step in steps if "venv-seatrial" not in step]
    assert len(STEPS) - len(judging) == 3, "two install, one deploys"
    codes = [
        subprocess.run(
            ["sh", "-e", "-c", step], cwd=tmp_path / "clone", env={**os.environ, "CHANGE_TARGET": "main"}, check=False
        ).returncode
        for step in judging
    ]
    assert codes == [0, 0, 1]
    report = tmp_path / "clone/seatrial-report"
    assert "<failure" in (report / "report.junit.xml").read_text()
    assert (report / "report.html").exists()
