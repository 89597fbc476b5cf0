"""All that one revision says of itself, read in a handful of git processes: the entrance to this room."""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from seatrial.core.metrics import Key, MetricSet, Problem, Snapshot, State
from seatrial.core.revision import Revision
from seatrial.errors import CompareError
from seatrial.git import Repository
from seatrial.sources import formats
from seatrial.sources.cache import Cache, CachedFile, CachedOut, hash_file, hash_listing, open_cache
from seatrial.sources.dvcfiles import ParamsFile, Project, is_of_dvc, lies_in, read_project
from seatrial.sources.links import LinkError
from seatrial.sources.remedies import (
    explain_dangling,
    explain_link,
    explain_missing,
    explain_not_cached,
    explain_versioned,
    is_versioned,
)
from seatrial.sources.tree import MAX_TOTAL, Tree, WorkTree, open_tree

_LARGE = 1 << 24  # bytes


class Kind(str, Enum):
    """What a target is taken for, whatever it is declared as: `dvc metrics diff` and `dvc params diff` do so."""

    METRICS = "metrics"
    PARAMS = "params"


def read_snapshot(
    repository: Repository, revision: Revision, targets: Iterable[str] = (), kind: Kind | None = None
) -> Snapshot:
    """What a commit, or the work tree, declares and holds.

    `targets` are files or directories from the repository's root: only those are read, as what `kind` says, else as
    parameters where they are declared as such, else as metrics, declared or not.
    """
    tree, project = open_revision(repository, revision)
    content = _Content(tree, open_cache(repository.root, project.roots), project, revision)
    chosen = tuple(posixpath.normpath(target) for target in targets)
    metrics, params = _choose(project, chosen, tree, kind) if chosen else (project.metrics, project.params)
    content.prefetch([*metrics, *(file.path for file in params)])
    return Snapshot(
        revision=revision,
        metrics=_in_order(_read_metrics(content, path) for path in metrics),
        params=_in_order(_read_params(content, file) for file in params),
        stages=project.stages,
        problems=project.problems,
    )


def read_text(repository: Repository, revision: Revision, path: str) -> bytes | None:
    """The content of one file of a commit or of the work tree, or None where it isn't there."""
    return open_tree(repository, revision).read([path]).get(path)


def follow_link(tree: Tree, path: str) -> str:
    """Where a path leads to; the path itself where that is not to be followed."""
    try:
        return tree.follow(path)
    except LinkError:
        return path


def is_linked(repository: Repository, revision: Revision, path: str) -> bool:
    """Whether a symbolic link lies on the way to a path."""
    try:
        return open_tree(repository, revision).follow(path) != posixpath.normpath(path)
    except LinkError:
        return True


def read_declarations(repository: Repository, revision: Revision) -> Project:
    """What a revision declares, without the values: artifacts, plots, outputs."""
    return open_revision(repository, revision)[1]


class Content(Struct, frozen=True, kw_only=True):
    """The declared files of a revision: what declares them, the files below a path, and what is in one.

    Nothing is held between two calls of `read`, which answers as `_Content.read` does.
    """

    project: Project
    list_files: Callable[[str], tuple[str, ...]]
    read: Callable[[str], Mapping[str, bytes | Problem]]


def open_content(repository: Repository, revision: Revision) -> Content:
    """What a revision declares, with its files to be read one by one: they may be many and large."""
    tree, project = open_revision(repository, revision)
    cache = open_cache(repository.root, project.roots)

    def read(path: str) -> Mapping[str, bytes | Problem]:
        content = _Content(tree, cache, project, revision)
        content.prefetch([path])
        return content.read(path)

    return Content(project=project, list_files=_Content(tree, cache, project, revision).list_files, read=read)


def locate_out(repository: Repository, revision: Revision, path: str) -> CachedOut | None:
    """An output of DVC, or a file or directory below one, with where its bytes are on this machine.

    For a commit the digest of its dvc.lock or .dvc file counts, and the bytes are those in DVC's cache. For the work
    tree the files on disk count, where they are, and the digest is computed from them. None where the path is no
    output at that revision.
    """
    tree, project = open_revision(repository, revision)
    return _Content(tree, open_cache(repository.root, project.roots), project, revision).locate(path)


def open_revision(repository: Repository, revision: Revision) -> tuple[Tree, Project]:
    """The files of a revision, and what they declare; a commit never changes, so it is read once."""
    if revision.sha is not None:
        return _open_commit(repository, revision.sha)
    tree = WorkTree(repository)
    return tree, _read_project(tree)


@lru_cache(maxsize=8)
def _open_commit(repository: Repository, sha: str) -> tuple[Tree, Project]:
    tree = open_tree(repository, Revision(name=sha, sha=sha))
    return tree, _read_project(tree)


def _read_project(tree: Tree) -> Project:
    """What a tree declares; a link that should be one of DVC's files, and leads nowhere, is a problem."""
    project = read_project(tree)
    broken = (_explain_link(tree, path) for path in project.absent)
    return replace(project, problems=(*project.problems, *(problem for problem in broken if problem)))


def _explain_link(tree: Tree, path: str) -> Problem | None:
    """Why there is nothing behind a path that leads over a link; None where it leads over none."""
    try:
        real = tree.follow(path)
    except LinkError as error:
        return explain_link(path, error.reason)
    return explain_dangling(path, real) if real != path else None


class _Content:
    """Finds the bytes of declared files: in the tree, else in DVC's cache."""

    def __init__(self, tree: Tree, cache: Cache, project: Project, revision: Revision) -> None:
        self._tree = tree
        self._cache = cache
        self._project = project
        self._revision = revision
        self._known: dict[str, bytes] = {}
        self._room = MAX_TOTAL
        self._outs = sorted(project.outs)

    def prefetch(self, paths: Iterable[str]) -> None:
        """Reads the tree's files at once, directories included."""
        files = [file for path in paths for file in self.list_files(path)]
        self._known.update(self._tree.read(dict.fromkeys(files)))

    def read(self, path: str) -> Mapping[str, bytes | Problem]:
        """The content of a file, or of all files below a directory, by their paths; or why there is none.

        A directory may hold files of git and outputs of DVC beside each other.
        """
        files = self.list_files(path)
        found: dict[str, bytes | Problem] = {file: self._known[file] for file in files if file in self._known}
        if files != (path,):
            # What is listed and can't be read, such as a link that leads out of the repository, is not passed over.
            lost = (file for file in files if file not in found)
            found.update({file: self._explain_lost(file) for file in lost})
        if files != (path,) and self._project.find_out(path) is None:
            for out in self._list_outs(path):
                if not any(file == out or file.startswith(f"{out}/") for file in files):
                    found.update(self._read_cached(out))
        return found or self._read_cached(path)

    def _explain_lost(self, path: str) -> Problem:
        return _explain_link(self._tree, path) or explain_missing(path, self._project)

    def _list_outs(self, directory: str) -> list[str]:
        """The outputs below a directory."""
        prefix = f"{directory}/" if directory else ""
        return list(takewhile(lambda out: out.startswith(prefix), self._outs[bisect_left(self._outs, prefix) :]))

    def list_files(self, path: str) -> tuple[str, ...]:
        """The file, or the files below a directory without DVC's own and those that it is told not to see.

        A file that is named is read in any case, as by DVC.
        """
        files = self._tree.expand(path)
        if files == (path,):
            return files
        return tuple(file for file in files if not is_of_dvc(file) and not self._project.ignore.hides(file))

    def locate(self, path: str) -> CachedOut | None:
        """Where the bytes of an output are."""
        path = posixpath.normpath(path)
        if isinstance(self._tree, WorkTree):
            on_disk = _hash_out(self._tree, path)
            if on_disk is not None:
                return on_disk
        path = self._find_out(path)
        record = self._project.find_out(path)
        if record is None:
            return None
        out = self._cache.expand(record.path, record.digest)
        return out if out is None or record.path == path else _select_below(out, path)

    def _find_out(self, path: str) -> str:
        """The path itself, or, where a link leads to an output, the one that it leads to."""
        return path if self._project.find_out(path) else follow_link(self._tree, path)

    def _read_cached(self, path: str) -> Mapping[str, bytes | Problem]:
        """The content of an output in DVC's cache; a link may lead to one."""
        if self._project.find_out(path) is None:
            try:
                real = self._tree.follow(path)
            except LinkError as error:
                return {path: explain_link(path, error.reason)}
            if real != path and self._project.find_out(real) is None:
                return {path: explain_dangling(path, real)}
            if real != path:
                return {f"{path}{file[len(real) :]}": content for file, content in self._read_cached_at(real).items()}
        return self._read_cached_at(path)

    def _read_cached_at(self, path: str) -> Mapping[str, bytes | Problem]:
        record = self._project.find_out(path)
        if record and not record.digest and is_versioned(record.path, self._project):
            return {path: explain_versioned(path, self._revision)}
        if record is None or not record.digest or path in self._project.uncached:
            return {path: explain_missing(path, self._project)}
        try:
            out = self.locate(path)
            if out is None or out.missing:
                return {path: explain_not_cached(path, self._revision, self._project)}
            return {f"{path}/{file.path}" if file.path else path: self._cached_bytes(file) for file in out.files} or {
                path: explain_missing(path, self._project)
            }
        except CompareError as error:
            return {path: Problem(state=State.UNREADABLE, path=path, message=error.message, hint=error.hint)}

    def _cached_bytes(self, file: CachedFile) -> bytes:
        """What is in the cache, and fits beside what else of it is read of this side."""
        content = self._cache.read(file.digest, limit=formats.MAX_BYTES)
        assert content is not None  # it has a location
        if len(content) > self._room and len(content) <= formats.MAX_BYTES:
            return formats.TOO_MUCH
        self._room -= len(content) if len(content) <= formats.MAX_BYTES else 0
        return content


def _choose(
    project: Project, targets: tuple[str, ...], tree: Tree, kind: Kind | None
) -> tuple[tuple[str, ...], tuple[ParamsFile, ...]]:
    """The metrics and parameters files that the targets mean: what is declared there, else what is there."""
    if kind is Kind.PARAMS:
        # All keys of a file that is named, whichever of them are declared.
        paths = dict.fromkeys(path for target in targets for path in _choose_params(project, target, tree))
        return (), tuple(ParamsFile(path=path, keys=None) for path in paths)
    declared = () if kind is Kind.METRICS else project.params
    params = tuple(file for file in declared if any(lies_in(file.path, target) for target in targets))
    metrics = [path for target in targets for path in _choose_metrics(project, params, target, tree)]
    return tuple(dict.fromkeys(metrics)), params


def _choose_params(project: Project, target: str, tree: Tree) -> Iterable[str]:
    if tree.expand(target) == (target,):
        return [target]
    return [file.path for file in project.params if lies_in(file.path, target)]


def _choose_metrics(project: Project, params: tuple[ParamsFile, ...], target: str, tree: Tree) -> Iterable[str]:
    declared = [path for path in project.metrics if lies_in(path, target)]
    if declared:
        return declared
    if target in project.outs or any(lies_in(target, path) for path in project.metrics):
        return [target]
    return () if any(lies_in(file.path, target) for file in params) else tree.expand(target)


def _read_metrics(content: _Content, path: str) -> list[MetricSet]:
    return [_refuse_empty(_read_values(file, data)) for file, data in content.read(path).items()]


def _read_values(path: str, content: bytes | Problem) -> MetricSet:
    if isinstance(content, Problem):
        return MetricSet(path=path, values={}, problem=content)
    return formats.read_values(path, content)


def _refuse_empty(metrics: MetricSet) -> MetricSet:
    """A metrics file without a single value says nothing, and must not look like "no change"."""
    if metrics.values or metrics.problem:
        return metrics
    message = f"{metrics.path}: holds no values"
    problem = Problem(
        state=State.UNREADABLE, path=metrics.path, message=message, hint="run the stage that writes it again"
    )
    return MetricSet(path=metrics.path, values={}, problem=problem)


def _read_params(content: _Content, file: ParamsFile) -> list[MetricSet]:
    return [_select_keys(_read_values(path, data), file.keys) for path, data in content.read(file.path).items()]


def _select_keys(params: MetricSet, keys: tuple[str, ...] | None) -> MetricSet:
    """The values under the declared keys, which may hold `*` in a part, as in DVC."""
    if keys is None or params.problem:
        return params
    values = {key: value for key, value in params.values.items() if any(_matches(key, wanted) for wanted in keys)}
    return MetricSet(path=params.path, values=values)


def _matches(key: Key, wanted: str) -> bool:
    """Whether a declared key is this one, or a mapping above it.

    It is compared part by part, where `**` stands for any number of parts, and as a whole for keys that have dots.
    """
    dotted = ".".join(key)
    if dotted == wanted or dotted.startswith(f"{wanted}."):
        return True
    parts = wanted.lstrip(".").split(".")
    if "**" not in parts:
        return len(parts) <= len(key) and all(map(fnmatchcase, key, parts))
    before = parts.index("**")
    spread = (parts[:before] + ["*"] * number + parts[before + 1 :] for number in range(len(key) + 1))
    return any(len(several) <= len(key) and all(map(fnmatchcase, key, several)) for several in spread)


def _in_order(sets: Iterable[list[MetricSet]]) -> tuple[MetricSet, ...]:
    by_path = {one.path: one for several in sets for one in several}
    return tuple(by_path[path] for path in sorted(by_path))


def _hash_out(tree: WorkTree, path: str) -> CachedOut | None:
    """An output as it lies on disk, its digest computed as DVC computes it."""
    top = tree.locate(path)
    if top is None:
        return None
    if not top.is_dir():
        digest = _hash_file(top, path)
        return CachedOut(path=path, digest=digest, files=(CachedFile(path="", digest=digest, location=top),))
    places = [(file[len(path) + 1 :], tree.locate(file)) for file in tree.expand(path)]
    files = tuple(
        CachedFile(path=name, digest=_hash_file(place, f"{path}/{name}"), location=place)
        for name, place in places
        if place
    )
    return CachedOut(path=path, digest=hash_listing((file.path, file.digest) for file in files), files=files)


def _hash_file(place: Path, path: str) -> str:
    # A pipe would be waited for, without end.
    if not place.is_file():
        raise CompareError(f"{path} is no file, but a pipe, a socket or a device", hint="run the stage that writes it")
    found = place.stat()
    if found.st_size < _LARGE:
        return hash_file(place)
    return _hash_once(place, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


@lru_cache(maxsize=64)
def _hash_once(place: Path, state: tuple[int, ...]) -> str:
    """The digest of a file as long as it stays in this state: one run asks for that of its predictions several times.

    A small one is read again instead: it could be written anew within one tick of the clock that dates files.
    """
    del state
    return hash_file(place)


def _select_below(out: CachedOut, path: str) -> CachedOut | None:
    """The part of a directory that a path below it names."""
    below = path[len(out.path) + 1 :]
    exact = tuple(file for file in out.files if file.path == below)
    if exact:
        file = CachedFile(path="", digest=exact[0].digest, location=exact[0].location)
        return CachedOut(path=path, digest=file.digest, files=(file,))
    inner = tuple(
        CachedFile(path=file.path[len(below) + 1 :], digest=file.digest, location=file.location)
        for file in out.files
        if file.path.startswith(f"{below}/")
    )
    digest = hash_listing((file.path, file.digest) for file in inner)
    return CachedOut(path=path, digest=digest, files=inner) if inner else None
