"""What `seatrial init` writes passes what our own files have to pass."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.ci.workflows import Wiring, add_to_gitlab, write_github, write_gitlab

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "examples/github/pull-request.yml").read_text(encoding="utf-8")
WIRINGS = {
    "plain": Wiring(branch="main"),
    "cached": Wiring(branch="master", install="'dvc[s3]'", remote="s3"),
    "computed": Wiring(branch="trunk/x", directory="ml", reproduce="yes", install="-r ml/requirements.txt 'dvc[gs]'"),
}


def run_tool(*command: str) -> None:
    """Run a linter of this environment; its findings are the failure."""
    tool = Path(sys.executable).with_name(command[0])
    assert tool.exists(), f"{command[0]} is not installed: pip install --group test"
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", WIRINGS)
def test_a_written_workflow_is_clean(name: str, tmp_path: Path) -> None:
    """It fits GitHub's schema, and zizmor's strictest persona finds nothing."""
    workflow = tmp_path / ".github/workflows/seatrial.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(write_github(WIRINGS[name]), encoding="utf-8")
    run_tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow))
    settings = ("--config", str(ROOT / ".github/zizmor.yml"))
    run_tool("zizmor", "--offline", "--no-progress", "--persona=auditor", *settings, str(workflow))


@pytest.mark.parametrize("name", WIRINGS)
def test_a_written_pipeline_fits_the_schema(name: str, tmp_path: Path) -> None:
    """A new one, and one that was added to."""
    texts = (
        write_gitlab(WIRINGS[name]),
        add_to_gitlab("stages: [build]\nbuild: {script: x, stage: build}\n", WIRINGS[name]),
    )
    for number, text in enumerate(texts):
        pipeline = tmp_path / f"{number}.yml"
        pipeline.write_text(text, encoding="utf-8")
        run_tool("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(pipeline))


@pytest.mark.parametrize("name", WIRINGS)
def test_written_workflows_use_what_the_example_uses(name: str) -> None:
    """One pin for both: an action that is renewed in the example is renewed here."""
    used = set(re.findall(r"uses: .*", write_github(WIRINGS[name])))
    known = set(re.findall(r"uses: .*", EXAMPLE))
    assert used <= known
    assert name != "cached" or used == known
