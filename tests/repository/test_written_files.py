"""What `seatrial init` writes passes what our own files have to pass."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from seatrial import __version__
from seatrial.ci.workflows import Wiring, add_to_gitlab, write_bitbucket, write_gitea, write_github, write_gitlab

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "examples/github/pull-request.yml").read_text(encoding="utf-8")
FORGEJO_FILE = ROOT / "examples/forgejo/pull-request.yml"
BITBUCKET_FILE = ROOT / "examples/bitbucket/bitbucket-pipelines.yml"
FORGEJO_EXAMPLE = FORGEJO_FILE.read_text(encoding="utf-8")
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


@pytest.mark.parametrize("text", [FORGEJO_EXAMPLE, *map(write_gitea, WIRINGS.values())], ids=["example", *WIRINGS])
def test_a_workflow_for_forgejo_is_clean(text: str, tmp_path: Path) -> None:
    """It fits the schema and the strictest persona, but for the whole addresses, which only Gitea and Forgejo read."""
    assert set(re.findall(r"uses: (https://github\.com/)?", text)) == {"https://github.com/"}
    workflow = tmp_path / ".github/workflows/seatrial.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(text.replace("uses: https://github.com/", "uses: "), encoding="utf-8")
    run_tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow))
    settings = ("--config", str(ROOT / ".github/zizmor.yml"))
    run_tool("zizmor", "--offline", "--no-progress", "--persona=auditor", *settings, str(workflow))


@pytest.mark.parametrize("name", WIRINGS)
def test_written_workflows_for_forgejo_use_what_the_example_uses(name: str) -> None:
    """One pin for both here too, each to a commit."""
    used = set(re.findall(r"uses: .*", write_gitea(WIRINGS[name])))
    known = set(re.findall(r"uses: .*", FORGEJO_EXAMPLE))
    assert used <= known
    assert name != "cached" or used == known
    others = [line for line in known if "/seatrial/seatrial@" not in line]
    assert all(re.fullmatch(r"uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line) for line in others)


@pytest.mark.parametrize("name", ["example", *WIRINGS])
def test_a_pipeline_for_bitbucket_fits_the_schema(name: str, tmp_path: Path) -> None:
    """The example and what is written, which runs the same command on the same release."""
    example = BITBUCKET_FILE.read_text(encoding="utf-8")
    text = example if name == "example" else write_bitbucket(WIRINGS[name])
    pipeline = tmp_path / "bitbucket-pipelines.yml"
    pipeline.write_text(text, encoding="utf-8")
    run_tool("check-jsonschema", "--builtin-schema", "vendor.bitbucket-pipelines", str(pipeline))
    installs = re.findall(r'"seatrial\[.*"', text)
    assert len(installs) == 1
    assert installs == re.findall(r'"seatrial\[.*"', example)
    (step,) = yaml.safe_load(text)["pipelines"]["pull-requests"]["**"]
    assert "-m seatrial" in step["step"]["script"][-1]
    assert re.search(r"seatrial@v([\w.]+\w)", text)[1] == __version__  # type: ignore[index]
