"""What a plain `seatrial compare` may import: its speed is that of its imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.repositories import Scratch

HEAVY = (
    "dvc",
    "github",
    "gitlab",
    "jinja2",
    "numpy",
    "polars",
    "requests",
    "rich",
    "seatrial.ci",
    "seatrial.commands.ci",
    "seatrial.commands.deploy",
    "seatrial.deploy",
    "seatrial.forges",
    "seatrial.publish",
    "seatrial.serving",
    "seatrial.stats",
    "tensorflow",
)
# Cheaper ones that a comparison has no use for unless something is wrong, or is written to a file.
SPARE = ("_hashlib", "asyncio", "difflib", "http", "random", "shutil", "tempfile")
PROGRAM = """\
import sys
from seatrial.cli import main
try:
    main()
except SystemExit as end:
    print(end.code, *sorted(sys.modules), file=sys.stderr)
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    scratch = Scratch.create(tmp_path / "project")
    scratch.measure(recall=0.8, loss=0.3)
    scratch.measure(recall=0.9, loss=0.2)
    return scratch


def list_modules(directory: Path, *arguments: str) -> set[str]:
    """All modules that are there after a comparison that passed."""
    program = [sys.executable, "-c", PROGRAM, "compare", "HEAD~1", "HEAD", *arguments]
    done = subprocess.run(program, cwd=directory, capture_output=True, text=True, check=True)
    code, *modules = done.stderr.split()
    assert code == "0"
    if "json" in arguments:
        assert len(json.loads(done.stdout)["metrics"]) == 2
    return set(modules)


def test_compare_imports_nothing_heavy(scratch: Scratch) -> None:
    """Two revisions are compared without any library that is slow to import."""
    assert not list_modules(scratch.directory, "--format", "json") & {*HEAVY, *SPARE}


def test_a_policy_costs_nothing_heavy(scratch: Scratch) -> None:
    """Gates are judged without statistics, where no predictions are named."""
    policy = "version: 1\nmetrics:\n  recall: {max_decrease: 0.01}\n"
    (scratch.directory / "seatrial.yaml").write_text(policy, encoding="utf-8")
    assert not list_modules(scratch.directory, "--format", "json") & set(HEAVY)


def test_only_a_terminal_needs_rich(scratch: Scratch) -> None:
    """A renderer's library is imported by that renderer alone."""
    terminal = list_modules(scratch.directory, "--format", "terminal")
    assert "rich" in terminal
    assert not terminal & (set(HEAVY) - {"rich"})
