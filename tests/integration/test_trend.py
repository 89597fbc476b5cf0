"""The trend of the gated metrics in the report of a comparison."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.repositories import Scratch, run_seatrial

POLICY = "version: 1\nmetrics:\n  recall: {max_decrease: 0.01}\n"


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """Five measurements on main, a change of something else between them, and a branch that measures less."""
    scratch = Scratch.create(tmp_path / "project")
    for at in range(5):
        scratch.measure(recall=0.8 + at / 100, loss=0.3)
        scratch.commit({"notes.md": f"{at}\n"})
    scratch.git("switch", "--quiet", "--create", "change")
    scratch.measure(recall=0.7, loss=0.3)
    return scratch


def compare(scratch: Scratch, *arguments: str) -> str:
    return run_seatrial(scratch.directory, "compare", "main", "change", *arguments).out


def test_the_last_merges_are_told_with_the_change_as_the_last(scratch: Scratch) -> None:
    """One bar for each measurement of main, none for commits that measured nothing, then this change."""
    (scratch.directory / "seatrial.yaml").write_text(POLICY, encoding="utf-8")
    markdown = compare(scratch, "--format", "markdown")
    assert "Trend of recall on main ▆▇▇██▁" in markdown
    assert "line [0.8000, 0.8100, 0.8200, 0.8300, 0.8400, 0.7000]" in markdown
    assert "loss" not in re.findall(r"Trend of.*", markdown)[0]


def test_what_is_not_gated_has_no_trend(scratch: Scratch) -> None:
    """Without gates there is no metric that the trend should be of."""
    assert "Trend of" not in compare(scratch)


def test_a_baseline_with_a_short_past_has_no_trend(scratch: Scratch) -> None:
    """Two values are what the table of gates tells already."""
    (scratch.directory / "seatrial.yaml").write_text(POLICY, encoding="utf-8")
    first = scratch.git("rev-list", "--max-parents=0", "main")
    answer = run_seatrial(scratch.directory, "compare", first, "change")
    assert "Trend of" not in answer.out


def test_a_shallow_clone_tells_what_it_has(scratch: Scratch, tmp_path: Path) -> None:
    """A history that ends early makes a shorter trend, never an error."""
    scratch.git(
        "clone", "--quiet", "--depth", "6", "--no-single-branch", scratch.directory.as_uri(), str(tmp_path / "c")
    )
    (tmp_path / "c" / "seatrial.yaml").write_text(POLICY, encoding="utf-8")
    answer = run_seatrial(tmp_path / "c", "compare", "origin/main", "origin/change")
    assert re.search(r"Trend of recall on origin/main [▁-█]{4} *$", answer.out, re.MULTILINE), answer.out
