"""Bitbucket's example as its step runs it: the script line by line in Bash, in a merged clone, a stand-in Bitbucket."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from seatrial import __version__
from tests.e2e.project import ROOT, Project
from tests.fakes.bitbucket import BitbucketStandIn
from tests.fakes.records import TOKEN, Change
from tests.fakes.swagger import bitbucket_contract

pytestmark = pytest.mark.slow

PIPELINES = yaml.safe_load((ROOT / "examples/bitbucket/bitbucket-pipelines.yml").read_text())["pipelines"]


def read_script(product: Path) -> str:
    """The step's lines, the package taken from this product instead of from its release on GitHub."""
    (step,) = PIPELINES["pull-requests"]["**"]
    script = "\n".join(step["step"]["script"])
    package = f"seatrial[charts,forges,stats] @ git+https://github.com/seatrial/seatrial@v{__version__}"
    assert package in script
    return script.replace(package, f"{product}[charts,forges,stats]")


@pytest.fixture
def forge() -> Iterator[BitbucketStandIn]:
    """A Bitbucket whose every request and answer has to fit Bitbucket's published description."""
    with BitbucketStandIn(contract=bitbucket_contract()) as stand_in:
        yield stand_in


def test_the_step_reports_what_it_measured(tmp_path: Path, product: Path, forge: BitbucketStandIn) -> None:
    """A useless model turns the step red, and comment, build status and test cases say why."""
    project = Project.create(tmp_path / "project", {})
    project.branch("change")
    project.train(steps=0)
    project.commit("Do not train at all")
    head, base = project.git("rev-parse", "HEAD"), project.git("rev-parse", "main")
    forge.records.changes[7] = Change(number=7, head_ref="change", head_sha=head, base_sha=base)
    home = tmp_path / "home"
    home.mkdir()
    variables = {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CI": "true",
        "BITBUCKET_BRANCH": "change",
        "BITBUCKET_BUILD_NUMBER": "41",
        "BITBUCKET_COMMIT": head[:12],
        "BITBUCKET_PR_DESTINATION_BRANCH": "main",
        "BITBUCKET_PR_DESTINATION_COMMIT": base[:12],
        "BITBUCKET_PR_ID": "7",
        "BITBUCKET_REPO_SLUG": "flights",
        "BITBUCKET_WORKSPACE": "octo",
        "SEATRIAL_API_URL": forge.api_url,
        "SEATRIAL_TOKEN": TOKEN,
    }
    done = subprocess.run(
        ["bash", "-e", "-c", read_script(product)],
        cwd=project.directory,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    [comment] = forge.comments(7)
    assert "### ❌ Do not merge: 2 of 2 gates failed" in comment.body
    [status] = forge.checks(head)
    assert (status.name, status.state) == ("seatrial", "FAILED")
    cases = ET.parse(project.directory / "test-results/report.junit.xml").findall(".//testcase")
    assert len(cases) == 2
