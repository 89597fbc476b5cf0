"""DVC's local cache: content by its digest, verified when it is read.

Layouts: `files/md5/ab/cdef…` of DVC 3, `ab/cdef…` of DVC 1 and 2. A directory is an object `….dir`, a JSON list
of `{md5, relpath}`. `.dvc/config`, `.dvc/config.local` and the user's own configuration say where the cache lies.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from msgspec import Struct

from seatrial.errors import CompareError
from seatrial.sources.md5 import md5

_DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")
_DEFAULT = "cache"
_BLOCK = 1 << 20
_MAX_CONFIG = 1 << 20
_MAX_TEXT = 64 << 20  # beyond, DVC 2 did not look whether a file is text


class CachedFile(Struct, frozen=True, kw_only=True):
    """One file of an output: its path below the output (empty where it is the output), its md5, and where it lies."""

    path: str
    digest: str
    location: Path | None


class CachedOut(Struct, frozen=True, kw_only=True):
    """An output as its digest names it; files without a location are not on this machine."""

    path: str
    digest: str
    files: tuple[CachedFile, ...]

    @property
    def missing(self) -> tuple[CachedFile, ...]:
        """The files whose bytes are not on this machine."""
        return tuple(file for file in self.files if file.location is None)


class Cache(Struct, frozen=True):
    """The caches of a repository's DVC projects; content is the same wherever it lies."""

    directories: tuple[Path, ...]

    def find(self, digest: str) -> Path | None:
        """Where the bytes of a digest are, unverified, or None."""
        if not _DIGEST.fullmatch(digest):
            return None
        below = PurePosixPath(digest[:2], digest[2:])
        places = (place for top in self.directories for place in (top / "files" / "md5" / below, top / below))
        return next((place for place in places if os.path.isfile(place)), None)  # noqa: PTH113 - no error of any name

    def read(self, digest: str, *, limit: int) -> bytes | None:
        """The bytes of a digest, None where they aren't here; CompareError where they are not what the digest says.

        Something longer than `limit` bytes is not looked at: `limit` + 1 zeros stand for it.
        """
        place = self.find(digest)
        if place is None:
            return None
        if place.stat().st_size > limit:
            return bytes(limit + 1)
        verify(place, digest)
        return place.read_bytes()

    def list_directory(self, digest: str) -> tuple[tuple[str, str], ...] | None:
        """Path and md5 of every file of a directory's digest, by path; None where the list isn't here."""
        import json

        data = self.read(digest, limit=_BLOCK << 9)
        if data is None:
            return None
        try:
            entries = [(str(entry["relpath"]), str(entry["md5"])) for entry in json.loads(data)]
        except (ValueError, TypeError, KeyError):
            raise _explain_damage(digest, "its list of files is unreadable") from None
        for path, _ in entries:
            if path.startswith("/") or ".." in path.split("/"):
                raise _explain_damage(digest, f"it names a file outside of itself: {path}")
        return tuple(sorted(entries))

    def expand(self, path: str, digest: str) -> CachedOut | None:
        """An output with all its files; None where a directory's list isn't here."""
        if not digest.endswith(".dir"):
            file = CachedFile(path="", digest=digest, location=self.find(digest))
            return CachedOut(path=path, digest=digest, files=(file,))
        entries = self.list_directory(digest)
        if entries is None:
            return None
        files = tuple(CachedFile(path=name, digest=md5, location=self.find(md5)) for name, md5 in entries)
        return CachedOut(path=path, digest=digest, files=files)


def open_cache(root: Path, projects: Iterable[str] = ("",)) -> Cache:
    """The caches of the DVC projects in `projects` (directories from `root`, which is one in any case)."""
    found = [_locate_cache(root / project) for project in dict.fromkeys(("", *projects))]
    return Cache(tuple(dict.fromkeys(found)))


def verify(place: Path, digest: str) -> None:
    """CompareError where a file's md5 is not its digest (of its text with Unix line ends, as DVC 2 counted)."""
    wanted = digest.removesuffix(".dir")
    if hash_file(place) == wanted:
        return
    if place.stat().st_size > _MAX_TEXT or hash_text(place.read_bytes()) != wanted:
        raise _explain_damage(digest, "its bytes have another digest")


def hash_file(place: Path) -> str:
    """The md5 of a file, in hexadecimal digits."""
    digest = md5(usedforsecurity=False)
    with place.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def hash_listing(files: Iterable[tuple[str, str]]) -> str:
    """DVC's digest of a directory: the md5 of its list of (path, md5), and `.dir`."""
    import json

    entries = [{"md5": md5, "relpath": path} for path, md5 in sorted(files)]
    return hash_bytes(json.dumps(entries, sort_keys=True).encode()) + ".dir"


def hash_bytes(data: bytes) -> str:
    """The md5 of a file's content."""
    return md5(data, usedforsecurity=False).hexdigest()


def hash_text(data: bytes) -> str:
    """The md5 with Windows line ends counted as Unix ones: DVC 1 and 2 did so for text."""
    return hash_bytes(data.replace(b"\r\n", b"\n"))


def _locate_cache(project: Path) -> Path:
    """The cache directory of one DVC project; the most particular configuration wins."""
    dvc = project / ".dvc"
    for file in (dvc / "config.local", dvc / "config", Path.home() / ".config" / "dvc" / "config"):
        written = _read_cache_dir(file)
        if written:
            return Path(os.path.realpath(dvc / os.path.expanduser(written)))  # noqa: PTH111 - no error of any name
    return dvc / _DEFAULT


def _read_cache_dir(file: Path) -> str:
    """`dir` in the section `[cache]` of a DVC configuration, or empty."""
    try:
        # A change may have put a pipe or a device there, which has no end.
        if not stat.S_ISREG(file.stat().st_mode):
            return ""
        with file.open("rb") as opened:
            text = opened.read(_MAX_CONFIG).decode("utf-8").replace("\0", "")
    except (OSError, UnicodeDecodeError):
        return ""
    section = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            section = stripped.strip("[]'\" ")
        elif section == "cache" and (found := re.match(r"dir\s*=\s*(.+)", stripped)):
            return found.group(1).strip().strip("'\"")
    return ""


def _explain_damage(digest: str, reason: str) -> CompareError:
    return CompareError(f"DVC's cache is damaged at {digest}: {reason}", hint="delete that object, then: dvc fetch")
