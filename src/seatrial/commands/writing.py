"""Several files of a work tree, written together or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path

from msgspec import Struct

from seatrial.errors import UsageError


class FileChange(Struct, frozen=True, kw_only=True):
    """A file as it is to be, by its path from the repository's root; `before` is None for a new one."""

    path: str
    before: str | None
    after: str

    def diff(self) -> str:
        """The change as a unified diff."""
        before = (self.before or "").splitlines(keepends=True)
        old = "/dev/null" if self.before is None else f"a/{self.path}"
        lines = unified_diff(before, self.after.splitlines(keepends=True), old, f"b/{self.path}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def write_changes(root: Path, changes: Sequence[FileChange]) -> None:
    """Write every file beside its place, then rename all; where one can't be, none is left changed."""
    staged: list[tuple[Path, Path, FileChange]] = []
    made: list[Path] = []
    try:
        for change in changes:
            target = root / change.path
            _refuse_moved(target, change)
            made += _make_parents(target.parent)
            staged.append((_stage(target, change), target, change))
        for beside, target, _ in staged:
            beside.replace(target)
    except OSError as error:
        _undo([one for one in staged if not one[0].exists()])
        for beside, _, _ in staged:
            beside.unlink(missing_ok=True)
        for directory in reversed(made):
            directory.rmdir()
        raise UsageError(f"{error.filename} can't be written: {error.strerror}", hint="nothing was changed") from None


def _refuse_moved(target: Path, change: FileChange) -> None:
    """UsageError where a file is not what the diff was made from, or only a link to one."""
    if target.is_symlink():
        raise UsageError(f"{change.path} is a symbolic link", hint="put the text into the file that it leads to")
    there = target.read_bytes().decode("utf-8", "replace") if target.exists() else None
    if there != change.before:
        raise UsageError(f"{change.path} has changed meanwhile", hint="run seatrial init again")


def _make_parents(directory: Path) -> list[Path]:
    missing = [one for one in (directory, *directory.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir()
    return list(reversed(missing))


def _stage(target: Path, change: FileChange) -> Path:
    import tempfile

    descriptor, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(change.after)
    Path(beside).chmod(target.stat().st_mode & 0o777 if target.exists() else 0o644)
    return Path(beside)


def _undo(done: list[tuple[Path, Path, FileChange]]) -> None:
    for _, target, change in done:
        if change.before is None:
            target.unlink()
        else:
            target.write_text(change.before, encoding="utf-8", newline="")
