"""Verified copies of releases on this machine, for targets whose files are elsewhere.

    $XDG_CACHE_HOME/seatrial/releases/SHA-256/…     or ~/.cache/seatrial/releases/…

A copy is named by what its manifest, and a signature beside it, say; it is made beside its place, held against the
manifest, and renamed. One that was altered since is made anew.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from seatrial.core.release import Release, diff_release
from seatrial.deploy.packing import list_files
from seatrial.errors import ReleaseError

_DRAFT = ".draft-"


def find_cache() -> Path:
    """Where this machine keeps copies."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "seatrial" / "releases"


class Copies(Struct, frozen=True, kw_only=True):
    """Copies below a directory, of which the `keep` that were asked for last stay."""

    root: Path
    keep: int = 10

    def provide(self, release: Release, beside: Mapping[str, bytes], write: Callable[[Path], None]) -> Path:
        """The directory of a copy; `write` fills an empty directory where there is none yet.

        `beside` are the files that a manifest does not list, itself among them. ReleaseError where what was written is
        not what the manifest says.
        """
        place = self.root / _name(beside)
        with _explaining(self.root):
            if not _is_whole(release, place):
                self._make(release, beside, write, place)
            os.utime(place)
            self._forget()
        return place

    def _make(self, release: Release, beside: Mapping[str, bytes], write: Callable[[Path], None], place: Path) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        draft = self.root / f"{_DRAFT}{secrets.token_hex(8)}"
        try:
            draft.mkdir()
            write(draft)
            for name, content in beside.items():
                (draft / name).write_bytes(content)
            if differences := diff_release(release, list_files(draft)):
                raise ReleaseError(f"{release.name} {release.version}: {'; '.join(differences)}", hint="deploy again")
            self._put(release, draft, place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _put(self, release: Release, draft: Path, place: Path) -> None:
        """Rename a draft to its place, unless somebody else has made the same copy meanwhile; an altered one goes."""
        if _rename(draft, place) or _is_whole(release, place):
            return
        altered = self.root / f"{_DRAFT}{secrets.token_hex(8)}"
        with suppress(FileNotFoundError):
            place.rename(altered)
        shutil.rmtree(altered, ignore_errors=True)
        _rename(draft, place)

    def _forget(self) -> None:
        """Take away the copies that were not asked for in a long time, and drafts that somebody left behind."""
        found = sorted(self.root.iterdir(), key=_get_time, reverse=True)
        drafts = [entry for entry in found if entry.name.startswith(_DRAFT)]
        for entry in [*[entry for entry in found if entry not in drafts][self.keep :], *drafts[self.keep :]]:
            shutil.rmtree(entry, ignore_errors=True)


def _name(beside: Mapping[str, bytes]) -> str:
    """The hash over names and contents, by which copies of different releases have different names."""
    lines = (f"{name}\0{hashlib.sha256(content).hexdigest()}\n" for name, content in sorted(beside.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _rename(draft: Path, place: Path) -> bool:
    """Whether a directory could be renamed, which it can't where another one is there."""
    try:
        draft.rename(place)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False
        raise
    return True


def _is_whole(release: Release, place: Path) -> bool:
    try:
        return place.is_dir() and not diff_release(release, list_files(place))
    except FileNotFoundError:  # somebody else takes it away
        return False


def _get_time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # somebody else took it away
        return 0.0


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReleaseError(
            f"{error.filename or path}: {error.strerror or error}",
            hint="copies of releases are kept there; XDG_CACHE_HOME names another place",
        ) from error
