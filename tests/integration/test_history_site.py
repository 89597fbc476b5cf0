"""Where `seatrial history --site` writes, and where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.repositories import Scratch, run_seatrial


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    scratch = Scratch.create(tmp_path / "project")
    scratch.measure(recall=0.8, loss=0.3)
    scratch.measure(recall=0.9, loss=0.2)
    return scratch


def list_files(place: Path) -> set[str]:
    return {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}


def test_a_second_run_leaves_no_page_of_a_metric_that_went(scratch: Scratch, tmp_path: Path) -> None:
    """The directory holds the site of today, whole, and the addresses of what stayed are as they were."""
    place = tmp_path / "public"
    assert run_seatrial(scratch.directory, "history", "--site", str(place)).code == 0
    before = list_files(place)
    assert run_seatrial(scratch.directory, "history", "recall", "--site", str(place)).code == 0
    after = list_files(place)
    assert len(before - after) == 1
    assert after < before
    assert {"index.html", "history.csv", "history.json"} < after


def test_a_directory_of_something_else_is_left_alone(scratch: Scratch, tmp_path: Path) -> None:
    """What is not an earlier site is not written into, not even partly."""
    place = tmp_path / "public"
    place.mkdir()
    (place / "index.html").write_text("<!doctype html><title>mine</title>", encoding="utf-8")
    answer = run_seatrial(scratch.directory, "history", "--site", str(place))
    assert answer.code == 2
    assert "holds files that are not of an earlier site" in answer.err
    assert list_files(place) == {"index.html"}


def test_the_place_is_seen_from_where_the_command_runs(scratch: Scratch) -> None:
    """`-C` moves the site with everything else, and nothing but the page's place is said."""
    answer = run_seatrial(scratch.directory.parent, "-C", "project", "history", "--site", "public")
    assert (answer.code, answer.out) == (0, "")
    assert "wrote 3 pages" in answer.err
    assert (scratch.directory / "public" / "index.html").is_file()
