"""The metrics files of every commit of a branch's own line, found from what each commit changed.

Nothing is listed but the newest commit's files. From there the changes are undone one commit after the other; DVC's
files are read again only where one of them differs, or a file that one of them draws values from.
"""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from seatrial.core.metrics import Problem
from seatrial.git import LineCommit, Repository
from seatrial.sources.cache import Cache, open_cache
from seatrial.sources.dvcfiles import Project, declares, is_of_dvc, lies_in, read_project
from seatrial.sources.formats import MAX_BYTES, TOO_LONG
from seatrial.sources.remedies import explain_missing

_LOCK = "dvc.lock"
_TEMPLATE = b"${"


class Blob(Struct, frozen=True):
    """Content that git holds."""

    oid: str


class Cached(Struct, frozen=True):
    """Content that DVC holds: its md5, `….dir` for a directory whose list of files is not on this machine."""

    digest: str


Source = Blob | Cached | Problem
_Read = Callable[[Iterable[str]], Mapping[str, bytes]]


class Run(Struct, frozen=True, kw_only=True):
    """A metrics file that stayed the same from one commit to another; both count from the newest, which is 0."""

    file: str
    source: Source
    newest: int
    oldest: int


class Turn(Struct, frozen=True, kw_only=True):
    """A commit, counted from the newest, at which metrics files came (`new`) while others went (`gone`)."""

    at: int
    new: tuple[str, ...]
    gone: tuple[str, ...]


class Timeline(Struct, frozen=True, kw_only=True):
    """The runs of every metrics file; `blind` are the commits whose DVC files could not all be read, with the reason.

    `roots` are the directories of the newest commit's DVC projects.
    """

    runs: tuple[Run, ...]
    turns: tuple[Turn, ...]
    blind: Mapping[int, Problem]
    roots: tuple[str, ...]


def follow_metrics(repository: Repository, commits: Sequence[LineCommit], targets: Collection[str] = ()) -> Timeline:
    """Follow the metrics files of a line of commits (newest first, none left out between them) back in time.

    With `targets` only those files, or files below those directories, are followed, declared or not.
    """
    chosen = tuple(posixpath.normpath(target) for target in targets)
    # The root stands for all that is declared, as it does for one commit.
    state = _State(repository, commits[0].sha, () if "." in chosen else chosen)
    runs: list[Run] = []
    turns: list[Turn] = []
    blind: dict[int, Problem] = {}
    roots = state.roots
    opened: dict[str, tuple[Source, int]] = {file: (source, 0) for file, source in state.sources.items()}
    for at, commit in enumerate(commits):
        if state.problems:
            blind[at] = state.problems[0]
        if at == len(commits) - 1:
            break
        changed = state.undo(commit)
        for file, source in changed.items():
            before = opened.pop(file, None)
            if before is not None:
                runs.append(Run(file=file, source=before[0], newest=before[1], oldest=at))
            if source is not None:
                opened[file] = (source, at + 1)
        new = tuple(file for file, source in changed.items() if source is None)
        gone = tuple(file for file in changed if file in opened and file not in state.before)
        if new and gone:
            turns.append(Turn(at=at, new=new, gone=gone))
    last = len(commits) - 1
    runs += [Run(file=file, source=source, newest=at, oldest=last) for file, (source, at) in opened.items()]
    return Timeline(runs=tuple(runs), turns=tuple(turns), blind=blind, roots=roots)


class _State:
    """The files of one commit, and where the content of its metrics is."""

    def __init__(self, repository: Repository, sha: str, targets: tuple[str, ...]) -> None:
        self._repository = repository
        self._targets = targets
        self._files = dict(repository.list_tree(sha))
        self._dvc_files = {path for path in self._files if declares(path)}
        self._blobs: dict[str, bytes] = {}
        self._sorted: list[str] | None = None
        self._project = Project(outs={})
        self._declared: frozenset[str] = frozenset()
        self._depends: frozenset[str] = frozenset()
        self._reads_locks = False
        self._cache: Cache | None = None
        self.sources: dict[str, Source] = {}
        self.before: Collection[str] = ()
        self._declare()
        self._locate()

    @property
    def roots(self) -> tuple[str, ...]:
        """The directories of DVC projects."""
        return self._project.roots

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be read of DVC's files."""
        return self._project.problems

    def undo(self, commit: LineCommit) -> Mapping[str, Source | None]:
        """Go back behind a commit; the metrics files that differ there, with what they were (None: not there).

        `before` are the files that there were on the commit's own side.
        """
        for step in commit.steps:
            self._set(step.path, step.before)
        changed = [step.path for step in commit.steps]
        self.before = self.sources
        if any(self._is_declaration(path) for path in changed):
            self._declare()
        else:
            concerned = [path for path in changed if self._concerns(path)]
            if not self._reads_locks and all(path in self._files and path in self.sources for path in concerned):
                return self._replace(concerned)
        self._locate()
        old, new = self.before, self.sources
        assert isinstance(old, dict)
        return {file: new.get(file) for file in dict.fromkeys([*old, *new]) if old.get(file) != new.get(file)}

    def _replace(self, paths: Iterable[str]) -> Mapping[str, Source | None]:
        """The common case: files that were there before as well."""
        changed: dict[str, Source | None] = {path: Blob(self._files[path]) for path in paths}
        self.sources.update({path: source for path, source in changed.items() if source})
        return changed

    def _set(self, path: str, oid: str | None) -> None:
        if (path in self._files) != (oid is not None):
            self._sorted = None
            if declares(path):
                (self._dvc_files.discard if oid is None else self._dvc_files.add)(path)
        if oid is None:
            self._files.pop(path, None)
        else:
            self._files[path] = oid

    def _is_declaration(self, path: str) -> bool:
        if path in self._depends:
            return True
        return declares(path) and (self._reads_locks or posixpath.basename(path) != _LOCK)

    def _concerns(self, path: str) -> bool:
        """Whether a file is a metrics file, or lies in a directory of them, or is one that was asked for."""
        if path in self.sources or path in self._declared:
            return True
        ends = (end for end, letter in enumerate(path) if letter == "/")
        return any(path[:end] in self._declared for end in ends)

    # -- declarations

    def _declare(self) -> None:
        """Read what is declared; dvc.lock only where a metrics file is not in git, since it changes all the time."""
        self._reads_locks = False
        self._read_project()
        if any(path not in self._project.uncached and not self._expand(path) for path in self._declared):
            self._reads_locks = True
            self._read_project()

    def _read_project(self) -> None:
        seen = _Seen(self._dvc_files, self._read, locks=self._reads_locks)
        self._project = read_project(seen)
        self._declared = frozenset(self._choose())
        # Without a template in any dvc.yaml no other file has a say in what is declared.
        templated = any(_TEMPLATE in self._read([path])[path] for path in seen.asked & self._dvc_files)
        self._depends = frozenset(seen.asked) if templated else frozenset()

    def _choose(self) -> Iterable[str]:
        if not self._targets:
            return self._project.metrics
        chosen = [path for path in self._project.metrics if any(lies_in(path, target) for target in self._targets)]
        return (*chosen, *(target for target in self._targets if not any(lies_in(path, target) for path in chosen)))

    def _read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        wanted = {path: self._files[path] for path in paths if path in self._files}
        unread = [oid for oid in wanted.values() if oid not in self._blobs]
        self._blobs.update(self._repository.read_blobs(unread, limit=MAX_BYTES))
        return {
            path: TOO_LONG if len(found := self._blobs.get(oid, b"")) > MAX_BYTES else found
            for path, oid in wanted.items()
        }

    # -- metrics

    def _locate(self) -> None:
        found: dict[str, Source] = {}
        for path in sorted(self._declared):
            files = self._expand(path)
            found.update({file: Blob(self._files[file]) for file in files})
            if not files:
                found.update(self._find_cached(path))
        self.sources = found

    def _expand(self, path: str) -> tuple[str, ...]:
        """The file, or the files below the directory: those that DVC sees, or all where nobody declares it."""
        if path in self._files:
            return (path,)
        if self._sorted is None:
            self._sorted = sorted(self._files)
        prefix = "" if path == "." else f"{path}/"
        start = bisect_left(self._sorted, prefix)
        end = bisect_left(self._sorted, f"{path}0") if prefix else len(self._sorted)  # "0" follows "/"
        below = self._sorted[start:end]
        if not any(lies_in(path, declared) for declared in self._project.metrics):
            return tuple(below)
        ignore = self._project.ignore
        return tuple(file for file in below if not is_of_dvc(file) and not ignore.hides(file))

    def _find_cached(self, path: str) -> Mapping[str, Source]:
        record = self._project.find_out(path)
        if record is None or not record.digest or path in self._project.uncached:
            # What was only asked for is no gap before somebody wrote it.
            return {path: explain_missing(path, self._project)} if path in self._project.metrics else {}
        if not record.digest.endswith(".dir"):
            return {path: Cached(record.digest)}
        self._cache = self._cache or open_cache(self._repository.root, self._project.roots)
        entries = self._cache.list_directory(record.digest)
        if entries is None:
            return {path: Cached(record.digest)}
        files = {posixpath.join(record.path, name): Cached(digest) for name, digest in entries}
        return {file: source for file, source in files.items() if lies_in(file, path)}


class _Seen:
    """The files that declare metrics, with a record of which were asked for."""

    def __init__(self, dvc_files: Collection[str], read: _Read, *, locks: bool) -> None:
        self._paths = sorted(path for path in dvc_files if locks or posixpath.basename(path) != _LOCK)
        self._locks = locks
        self._reader = read
        self.asked: set[str] = set()

    def paths(self) -> Collection[str]:
        """All files that DVC reads declarations from."""
        return self._paths

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The content of those that are there."""
        wanted = [path for path in paths if self._locks or posixpath.basename(path) != _LOCK]
        self.asked.update(wanted)
        return self._reader(wanted)
