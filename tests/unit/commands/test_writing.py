"""Files that are written together, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.commands.writing import FileChange, write_changes
from seatrial.errors import UsageError


def list_files(root: Path) -> dict[str, str]:
    """Everything below a directory."""
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def test_all_files_are_written_with_their_directories(tmp_path: Path) -> None:
    """New ones and changed ones, letter by letter, the mode of a changed one kept."""
    (tmp_path / "old.yml").write_text("a\n")
    (tmp_path / "old.yml").chmod(0o600)
    changes = (
        FileChange(path="deep/er/new.yml", before=None, after="x\r\ny\n"),
        FileChange(path="old.yml", before="a\n", after="a\nb\n"),
    )
    write_changes(tmp_path, changes)
    assert (tmp_path / "deep/er/new.yml").read_bytes() == b"x\r\ny\n"
    assert (tmp_path / "old.yml").read_text() == "a\nb\n"
    assert (tmp_path / "old.yml").stat().st_mode & 0o777 == 0o600


def test_one_that_can_not_be_written_leaves_all_as_they_were(tmp_path: Path) -> None:
    """A file in the place of a directory: nothing is written, no directory and no leftover stays."""
    (tmp_path / "taken").write_text("in the way\n")
    changes = (
        FileChange(path="deep/new.yml", before=None, after="x\n"),
        FileChange(path="taken/new.yml", before=None, after="x\n"),
    )
    with pytest.raises(UsageError, match="can't be written"):
        write_changes(tmp_path, changes)
    assert list_files(tmp_path) == {"taken": "in the way\n"}
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_rename_that_fails_takes_those_before_it_back(tmp_path: Path) -> None:
    """The last of two has become a directory: the first is as it was."""
    (tmp_path / "a.yml").write_text("a\n")
    changes = (FileChange(path="a.yml", before="a\n", after="b\n"), FileChange(path="b.yml", before=None, after="x\n"))
    replaced = Path.replace

    def replace_one(self: Path, target: Path) -> Path:
        if target.name == "b.yml":
            raise OSError(28, "No space left on device", str(target))
        return replaced(self, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", replace_one)
        with pytest.raises(UsageError, match="No space left"):
            write_changes(tmp_path, changes)
    assert list_files(tmp_path) == {"a.yml": "a\n"}


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """What somebody wrote since the diff was shown stays."""
    (tmp_path / "a.yml").write_text("mine\n")
    with pytest.raises(UsageError, match="has changed meanwhile"):
        write_changes(tmp_path, (FileChange(path="a.yml", before=None, after="theirs\n"),))
    assert list_files(tmp_path) == {"a.yml": "mine\n"}


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    """A symbolic link may lead out of the repository."""
    outside = tmp_path / "outside.yml"
    outside.write_text("a\n")
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/a.yml").symlink_to(outside)
    with pytest.raises(UsageError, match="is a symbolic link"):
        write_changes(tmp_path / "repo", (FileChange(path="a.yml", before="a\n", after="b\n"),))
    assert outside.read_text() == "a\n"


def test_a_diff_says_where_a_line_has_no_end() -> None:
    """As git writes it."""
    change = FileChange(path="a.yml", before="x", after="x\ny\n")
    assert change.diff().splitlines() == [
        "--- a/a.yml",
        "+++ b/a.yml",
        "@@ -1 +1,2 @@",
        "-x",
        "\\ No newline at end of file",
        "+x",
        "+y",
    ]
