"""Files that belong together are written together: a site, the drawings of a report."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.commands.compare import write_together
from seatrial.errors import UsageError


def test_files_appear_with_the_directories_that_they_need(tmp_path: Path) -> None:
    """Text and bytes, each at its place, and nothing beside them."""
    place = tmp_path / "new" / "site"
    write_together({place / "index.html": "é", place / "pages" / "a.png": b"\x89"}, option="--site")
    found = {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert found == {"index.html": "é".encode(), "pages/a.png": b"\x89"}


def test_where_one_can_not_be_written_none_is(tmp_path: Path) -> None:
    """What was there stays as it was, no new directory is left, and the option that chose the place is named."""
    (tmp_path / "old.html").write_text("old")
    (tmp_path / "taken").write_text("a file")
    files = {tmp_path / "old.html": "new", tmp_path / "a" / "b" / "c": "c", tmp_path / "taken" / "d": "d"}
    with pytest.raises(UsageError, match="taken/d can't be written") as caught:
        write_together(files, option="--site")
    assert caught.value.hint == "choose another --site"
    assert {path.name for path in tmp_path.rglob("*")} == {"old.html", "taken"}
    assert (tmp_path / "old.html").read_text() == "old"
