"""What changed in the data, from the lists that DVC keeps of its directories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.repositories import Scratch, run_seatrial

pytestmark = pytest.mark.slow


def dvc(directory: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "--quiet"], cwd=directory, check=True)


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """A project with a directory of four files, one of which was added, removed and modified each since main."""
    scratch = Scratch(tmp_path / "project")
    scratch.directory.mkdir()
    scratch.git("init", "--quiet", "--initial-branch=main")
    dvc(scratch.directory, "init")
    scratch.write({f"data/{name}.csv": name for name in "abcd"} | {"metrics.json": '{"auc": 1}'})
    scratch.write({"dvc.yaml": "metrics: [metrics.json]\n"})
    dvc(scratch.directory, "add", "data")
    scratch.commit({})
    scratch.git("checkout", "--quiet", "-b", "feature")
    (scratch.directory / "data" / "a.csv").unlink()
    scratch.write({"data/b.csv": "other", "data/e.csv": "new"})
    dvc(scratch.directory, "add", "data")
    scratch.commit({})
    return scratch


def test_a_directory_tells_which_of_its_files_differ(scratch: Scratch) -> None:
    """Counts in the facts, words in the report; the data itself is not read."""
    answer = run_seatrial(scratch.directory, "compare", "main", "HEAD", "--format", "json")
    (changed,) = answer.facts["files"]
    assert (changed["path"], changed["added"], changed["removed"], changed["modified"]) == ("data", 1, 1, 1)
    assert (changed["base_files"], changed["head_files"]) == (4, 4)
    assert "changed: 1 added, 1 removed, 1 modified" in run_seatrial(scratch.directory, "compare", "main", "HEAD").out


def test_without_the_lists_the_change_is_told_all_the_same(scratch: Scratch) -> None:
    """A fresh clone has no cache."""
    for listing in (scratch.directory / ".dvc" / "cache").rglob("*.dir"):
        listing.unlink()
    (changed,) = run_seatrial(scratch.directory, "compare", "main", "HEAD", "--format", "json").facts["files"]
    assert (changed["path"], changed["added"]) == ("data", None)
