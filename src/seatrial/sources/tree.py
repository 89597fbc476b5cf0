"""The files of one side: a commit's, out of git's objects, or the work tree's, off the disk."""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from seatrial.core.revision import Revision
from seatrial.errors import CompareError
from seatrial.git import Repository
from seatrial.sources import links
from seatrial.sources.fingerprints import Fingerprint
from seatrial.sources.formats import MAX_BYTES, TOO_LONG, TOO_MUCH
from seatrial.sources.links import LinkError

_MAX_PATH = 4096  # what an operating system takes
_BLOCK = 1 << 20
# What is held at once of one side.
MAX_TOTAL = 128 << 20
_MAX_LINKS = 10_000


class Files(Protocol):
    """Files by their path from the repository's root, with `/` between the parts."""

    def paths(self) -> Collection[str]:
        """All files that belong to this side, in the order of their paths."""
        ...

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The content of those that are there.

        `TOO_LONG` stands for what is longer than `MAX_BYTES`, `TOO_MUCH` for what would be more than `MAX_TOTAL` with
        the others; small files come first where not all fit.
        """
        ...


class Tree(Files, Protocol):
    """All that is read of one side."""

    def fingerprint(self, paths: Iterable[str], *, limit: int) -> Mapping[str, Fingerprint | None]:
        """The fingerprints of those that are there; None where they are more than `limit` bytes, small ones first."""
        ...

    def expand(self, path: str) -> tuple[str, ...]:
        """The path itself where it is a file, the files below where it is a directory, else nothing.

        A symbolic link counts as what it leads to; below a directory only those to files do.
        """
        ...

    def follow(self, path: str) -> str:
        """Where a path leads to from the repository's root, whether something is there or not.

        LinkError for one that leads out of the repository or into `.git`, or that does not end.
        """
        ...


def open_tree(repository: Repository, revision: Revision) -> Tree:
    """The tree of a commit, or the work tree where the revision has no commit."""
    return WorkTree(repository) if revision.sha is None else _open_commit(repository, revision.sha)


@lru_cache(maxsize=4)
def _open_commit(repository: Repository, sha: str) -> CommitTree:
    """A commit never changes: its list of files is read once."""
    return CommitTree(repository, sha)


class _Kept(dict[str, bytes]):
    """Blobs by their names, which are digests of what is in them: two commits share most, and each is read twice.

    They are kept while there is room.
    """

    room = 32 << 20

    def keep(self, blobs: Mapping[str, bytes]) -> None:
        """Keep those that there is room for."""
        for oid, content in blobs.items():
            if len(content) <= self.room:
                self.room -= len(content)
                self[oid] = content


_kept = _Kept()


class CommitTree:
    """A commit, whose files are read by the process that answers for its repository.

    A symbolic link counts as what it leads to in the same commit.
    """

    def __init__(self, repository: Repository, sha: str) -> None:
        self._repository = repository
        self._sha = sha
        listing = repository.list_entries(sha)
        self._blobs = listing.files
        self._links = listing.links
        self._targets: Mapping[str, bytes] | None = None
        self._sorted = sorted([*self._blobs, *self._links])
        self._paths = dict.fromkeys(self._sorted)

    def paths(self) -> Collection[str]:
        """All files and symbolic links of the commit; submodules are none."""
        return self._paths.keys()

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The content of those that the commit holds."""
        wanted = self._find_all(paths)
        unread = self._bring_unread(wanted.values())
        contents, left = self._repository.read_some_blobs(unread, limit=MAX_BYTES, total=MAX_TOTAL)
        _kept.keep(contents)
        contents |= {oid: _kept[oid] for oid in wanted.values() if oid in _kept} | dict.fromkeys(left, TOO_MUCH)
        _refuse_lost(wanted, contents)
        return {path: _shorten(contents[oid]) for path, oid in wanted.items()}

    def follow(self, path: str) -> str:
        """Where the path leads to in this commit."""
        return links.follow(path, self._read_link) if self._links else path

    def _find_all(self, paths: Iterable[str]) -> dict[str, str]:
        """Each path's blob, links followed, where there is one."""
        return {path: oid for path in paths if (oid := self._find(path))}

    def _find(self, path: str) -> str | None:
        if path in self._blobs or not self._links:
            return self._blobs.get(path)
        try:
            return self._blobs.get(self.follow(path))
        except LinkError:
            return None

    def _read_link(self, path: str) -> str | None:
        """The text of a link. All of them are read at once, where one is asked for."""
        oid = self._links.get(path)
        if oid is None:
            return None
        if self._targets is None:
            wanted = list(dict.fromkeys(list(self._links.values())[:_MAX_LINKS]))
            self._repository.fetch_missing(self._sha, wanted)
            self._targets = self._repository.read_blobs(wanted, limit=_MAX_PATH)
        if oid not in self._targets:
            raise LinkError(f"is a symbolic link beyond the first {_MAX_LINKS:,}, or git has lost it")
        return os.fsdecode(self._targets[oid])

    def fingerprint(self, paths: Iterable[str], *, limit: int) -> Mapping[str, Fingerprint | None]:
        """The fingerprints of those that the commit holds."""
        wanted = self._find_all(paths)
        unread = self._bring_unread(wanted.values())
        taken = {oid: Fingerprint((_kept[oid],)) for oid in wanted.values() if oid in _kept}

        def take(oid: str, block: bytes) -> None:
            if oid not in taken:
                taken[oid] = Fingerprint()
            taken[oid].feed(block)

        left = self._repository.stream_blobs(unread, take, limit=limit)
        _refuse_lost(wanted, taken.keys() | left)
        return {path: taken.get(oid) for path, oid in wanted.items()}

    def _bring_unread(self, oids: Iterable[str]) -> list[str]:
        """Those that are not kept, in order, after a partial clone has fetched what it lacks of them."""
        unread = [oid for oid in dict.fromkeys(oids) if oid not in _kept]
        self._repository.fetch_missing(self._sha, unread)
        return unread

    def expand(self, path: str) -> tuple[str, ...]:
        """The file, or the files below the directory."""
        if path in self._blobs:
            return (path,)
        if not self._links:
            return _select_below(self._sorted, path)
        try:
            real = self.follow(path)
        except LinkError:
            return ()
        if real in self._blobs:
            return (path,)
        below = (file for file in _select_below(self._sorted, real) if not self._leads_to_directory(file))
        # Spelled as it was asked for, whatever it leads to.
        start = len(real) + 1 if real else 0
        return tuple(f"{path}/{file[start:]}" if path else file for file in below)

    def _leads_to_directory(self, path: str) -> bool:
        if path not in self._links:
            return False
        try:
            real = self.follow(path)
        except LinkError:
            return False
        return real not in self._blobs and bool(_select_below(self._sorted, real))


class WorkTree:
    """The files on disk: what git tracks or would track, and, when asked for by name, ignored ones too.

    A symbolic link counts as what it leads to while that lies in the repository. A link that leads out of it, or into
    `.git` (where CI keeps tokens), is not there. What a sparse checkout leaves off the disk is as the index has it.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._skipped: Mapping[str, str] | None = None
        self._root = repository.root
        self._real_root = os.path.realpath(repository.root).rstrip(os.sep)
        self._directories: dict[str, str] = {}
        self._sorted = sorted(repository.list_files())
        self._files = dict.fromkeys(self._sorted)

    def paths(self) -> Collection[str]:
        """Tracked files, and untracked ones that are not ignored; those deleted from the disk included."""
        return self._files.keys()

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The content of those that are on disk, ignored by git or not."""
        asked = tuple(dict.fromkeys(paths))
        contents = self._read_all(asked)
        found = {path: content for path, content in contents.items() if content is not None}
        lost = [path for path in asked if path not in found and path in self._files]
        return {**found, **self._read_skipped(lost)} if lost else found

    def _read_all(self, paths: tuple[str, ...]) -> Mapping[str, bytes | None]:
        """The content of each; where all are more than is held, small files come first."""
        contents: dict[str, bytes | None] = {}
        room = MAX_TOTAL
        for number, path in enumerate(paths):
            content = self._read_one(path)
            if content is not TOO_LONG:
                room -= len(content or b"")
            if room < 0:
                return {**contents, **self._read_small(paths[number:], room + len(content or b""))}
            contents[path] = content
        return contents

    def _read_small(self, paths: Iterable[str], room: int) -> Mapping[str, bytes | None]:
        """The content of those that fit into `room` bytes, small ones first."""
        contents: dict[str, bytes | None] = {}
        for path, size in sorted(((path, self._measure(path) or 0) for path in paths), key=lambda item: item[1]):
            held = size if size <= MAX_BYTES else 0
            room -= held
            contents[path] = self._read_one(path) if room >= 0 else TOO_MUCH
        return contents

    def _read_skipped(self, paths: list[str]) -> Mapping[str, bytes]:
        """The content of those that are off the disk because the checkout is sparse, not because they were deleted."""
        skipped = self._list_skipped()
        wanted = {path: skipped[path] for path in paths if path in skipped}
        contents = self._repository.read_blobs(wanted.values(), limit=MAX_BYTES) if wanted else {}
        return {path: _shorten(contents[oid]) for path, oid in wanted.items() if oid in contents}

    def _list_skipped(self) -> Mapping[str, str]:
        if self._skipped is None:
            self._skipped = self._repository.list_skipped()
        return self._skipped

    def fingerprint(self, paths: Iterable[str], *, limit: int) -> Mapping[str, Fingerprint | None]:
        """The fingerprints of those that are on disk."""
        sizes = {path: size for path in paths if (size := self._measure(path)) is not None}
        taken: dict[str, Fingerprint | None] = {}
        for path, size in sorted(sizes.items(), key=lambda item: item[1]):
            limit -= size
            taken[path] = Fingerprint(self._read_blocks(path, size)) if limit >= 0 else None
        return taken

    def expand(self, path: str) -> tuple[str, ...]:
        """The file, or all files on disk below the directory."""
        top = self.locate(path)
        if top is None:
            return self._expand_skipped(path)
        if not top.is_dir():
            return (path,)
        found: list[str] = []
        for directory, names, files in os.walk(top):
            names[:] = [name for name in names if name != ".git"]
            relative = os.path.relpath(directory, top)
            below = path if relative == "." else f"{path}/{relative}"
            found.extend(f"{below}/{name}" if below else name for name in files)
        return tuple(sorted(found))

    def _expand_skipped(self, path: str) -> tuple[str, ...]:
        """The same for what is off the disk; git is only asked about what it tracks."""
        tracked = (path,) if path in self._files else _select_below(self._sorted, path)
        return tuple(file for file in tracked if file in self._list_skipped())

    def locate(self, path: str) -> Path | None:
        """Where a path is on disk, symbolic links followed; None where it isn't, or lies outside of the repository."""
        if "\0" in path or len(path) > _MAX_PATH:
            return None
        real = self._resolve(path)
        top, below = real[: len(self._real_root)], f"{real[len(self._real_root) :]}{os.sep}"
        if top != self._real_root or not below.startswith(os.sep) or f"{os.sep}.git{os.sep}" in below:
            return None
        # No error of a name that is too long: there is no such file.
        return Path(real) if os.path.exists(real) else None  # noqa: PTH110

    def follow(self, path: str) -> str:
        """Where the path leads to on disk."""
        return links.follow(path, self._read_link)

    def _read_link(self, path: str) -> str | None:
        """The text of a link; one that names a place in the repository from the disk's root is made relative."""
        try:
            target = os.readlink(self._root / path)  # noqa: PTH115 - its text as it is
        except OSError:
            return None
        inside = f"{self._real_root}{os.sep}"
        return "../" * path.count("/") + target[len(inside) :] if target.startswith(inside) else target

    def _resolve(self, path: str) -> str:
        """Where a path leads to, links followed. Many files lie in one directory, which is followed once."""
        directory, _, name = path.rpartition("/")
        if name in {"", ".", ".."}:
            return os.path.realpath(self._root / path)
        if directory not in self._directories:
            self._directories[directory] = os.path.realpath(self._root / directory)
        real = f"{self._directories[directory]}{os.sep}{name}"
        return os.path.realpath(real) if os.path.islink(real) else real  # noqa: PTH114 - no error of any name

    def _measure(self, path: str) -> int | None:
        """How long a file is; None where there is none to read."""
        real = self.locate(path)
        try:
            status = None if real is None else real.stat()
        except OSError:
            return None
        return status.st_size if status and stat.S_ISREG(status.st_mode) else None

    def _read_blocks(self, path: str, size: int) -> Iterator[bytes]:
        """A file by blocks; what is appended meanwhile is left out."""
        try:
            with (self._root / path).open("rb") as file:
                while size > 0 and (block := file.read(min(size, _BLOCK))):
                    size -= len(block)
                    yield block
        except OSError as error:
            raise _explain_unreadable(path, error) from None

    def _read_one(self, path: str) -> bytes | None:
        real = self.locate(path)
        if real is None:
            return None
        try:
            status = real.stat()
            if not stat.S_ISREG(status.st_mode):
                return None
            if status.st_size > MAX_BYTES:
                return TOO_LONG
            with real.open("rb") as file:
                return _shorten(file.read(MAX_BYTES + 1))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _explain_unreadable(path, error) from None


def _explain_unreadable(path: str, error: OSError) -> CompareError:
    return CompareError(f"{path} can't be read: {error.strerror}", hint=f"ls -l {path}")


def _refuse_lost(wanted: Mapping[str, str], found: Container[str]) -> None:
    """CompareError where git has not given an object that a commit names."""
    lost = next((path for path, oid in wanted.items() if oid not in found), None)
    if lost is not None:
        raise CompareError(
            f"git has lost the content of {lost}",
            hint="git fsck tells what is missing; a partial clone needs its remote: git fetch --refetch",
        )


def _shorten(content: bytes) -> bytes:
    return TOO_LONG if len(content) > MAX_BYTES and content is not TOO_MUCH else content


def _select_below(ordered: list[str], directory: str) -> tuple[str, ...]:
    prefix = f"{directory}/" if directory else ""
    start = bisect_left(ordered, prefix)
    end = bisect_left(ordered, prefix[:-1] + "0") if prefix else len(ordered)  # "0" follows "/"
    return tuple(ordered[start:end])
