"""What people copy from the documentation and the examples is valid, and no file of them goes unchecked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
import yaml

from seatrial.config import parse_config
from seatrial.config.proposal import propose_policy
from seatrial.core.metrics import MetricSet

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/reference/seatrial.schema.json").read_text(encoding="utf-8"))
# Who checks the files of each folder: by GitHub's schema and zizmor, or by the schema of another CI system;
# what is for a cluster is deployed to a stand-in, by tests/conformance.
CHECKED = {"bitbucket", "forgejo", "github", "gitlab", "kubernetes"}
# A page shows how an action is called in a line of its own; what is copied whole is pinned to commits.
_SETTINGS = 'rules: {unpinned-uses: {config: {policies: {"*": ref-pin}}}}\n'
_BLOCK = re.compile(r"^( *)```ya?ml[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


class Snippet(NamedTuple):
    """A block of YAML, and where it stands."""

    place: str
    text: str
    value: Any


def read_snippets() -> Iterator[Snippet]:
    """Every block of YAML in the documentation that is written there, not included from a file."""
    for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))):
        text = page.read_text(encoding="utf-8")
        for found in _BLOCK.finditer(text):
            block = re.sub(f"^{found.group(1)}", "", found.group(2), flags=re.MULTILINE)
            if "--8<--" not in block:
                line = text[: found.start()].count("\n") + 1
                yield Snippet(f"{page.relative_to(ROOT)}:{line}", block, yaml.safe_load(block))


SNIPPETS = {snippet.place: snippet for snippet in read_snippets()}


def choose(*keys: str) -> list[str]:
    """The places of the blocks that have one of these keys at their top."""
    return [one.place for one in SNIPPETS.values() if isinstance(one.value, dict) and set(keys) & set(one.value)]


def run_tool(*command: str) -> None:
    """Run a linter of this environment; its findings are the failure."""
    tool = Path(sys.executable).with_name(command[0])
    assert tool.exists(), f"{command[0]} is not installed: pip install --group test"
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def check_policy(text: str) -> None:
    """It is what seatrial reads, and what editors are told by the published schema."""
    parse_config(text.encode())
    # A date of YAML is text to JSON.
    jsonschema.validate(json.loads(json.dumps(yaml.safe_load(text), default=str)), SCHEMA)


@pytest.mark.parametrize("place", choose("metrics", "evaluations", "tables", "waivers"))
def test_a_policy_of_the_documentation_is_valid(place: str) -> None:
    """Each can be copied as it stands; a part of one needs its version alone."""
    text = SNIPPETS[place].text
    check_policy(text if "version" in SNIPPETS[place].value else f"version: 1\n{text}")


def test_policies_of_our_own_are_valid() -> None:
    """That of the flights pipeline, and a first one as `seatrial init` writes it."""
    check_policy((ROOT / "seatrial.yaml").read_text(encoding="utf-8"))
    values = {("recall",): 0.8, ("latency", "p95_ms"): 41.0, ("log_loss",): 0.4, ("n",): 900}
    check_policy(propose_policy((MetricSet(path="metrics/evaluation.json", values=values),)).text)


@pytest.mark.parametrize("place", choose("steps"))
def test_steps_of_the_documentation_are_clean(place: str, tmp_path: Path) -> None:
    """In a job around them they fit GitHub's schema, and zizmor's strictest persona finds nothing."""
    part = json.loads(json.dumps(SNIPPETS[place].value).replace("https://github.com/", ""))
    job = {"name": "measure", "runs-on": "ubuntu-latest", "timeout-minutes": 30, **part}
    concurrency = {"group": "${{ github.ref }}", "cancel-in-progress": True}
    workflow = {"name": "x", "on": "pull_request", "permissions": {}, "concurrency": concurrency, "jobs": {"x": job}}
    path = tmp_path / ".github/workflows/x.yml"
    path.parent.mkdir(parents=True)
    # A permission that is granted has its reason in a comment, which the page gives in its own words.
    lines = yaml.safe_dump(workflow, sort_keys=False).replace(": write\n", ": write # to report\n")
    path.write_text(lines.replace(": read\n", ": read # to check out\n"), encoding="utf-8")
    run_tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(path))
    settings = tmp_path / "zizmor.yml"
    settings.write_text(_SETTINGS, encoding="utf-8")
    run_tool("zizmor", "--offline", "--no-progress", "--persona=auditor", "--config", str(settings), str(path))


@pytest.mark.parametrize("place", choose("include"))
def test_includes_of_the_documentation_fit_the_schema(place: str, tmp_path: Path) -> None:
    """Each is a pipeline as GitLab describes it."""
    path = tmp_path / "pipeline.yml"
    path.write_text(SNIPPETS[place].text, encoding="utf-8")
    run_tool("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(path))


def test_there_is_something_to_check() -> None:
    """The documentation has blocks of each kind; were none found, all of the above would pass."""
    kinds = [choose("metrics", "evaluations"), choose("steps"), choose("include")]
    assert all(len(places) >= 2 for places in kinds), kinds


def test_no_example_goes_unchecked() -> None:
    """A folder of another CI system needs a linter of its own, in the tests beside this one."""
    folders = {path.parent.name for path in ROOT.glob("examples/**/*") if path.suffix in {".yml", ".yaml"}}
    assert folders == CHECKED
