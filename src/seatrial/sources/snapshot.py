"""All that one revision says of itself, read in a handful of git processes: the entrance to this room."""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from enum import Enum
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import takewhile

from seatrial.core.metrics import FileRecord, Key, MetricSet, Problem, Snapshot, State
from seatrial.core.revision import Revision
from seatrial.errors import CompareError
from seatrial.git import Repository
from seatrial.sources import formats
from seatrial.sources.cache import Cache, CachedFile, CachedOut, hash_file, hash_listing, open_cache
from seatrial.sources.dvcfiles import ParamsFile, Project, is_of_dvc, read_project
from seatrial.sources.remedies import explain_missing, explain_not_cached, explain_versioned, is_versioned
from seatrial.sources.tree import Tree, WorkTree, open_tree


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


def read_declarations(repository: Repository, revision: Revision) -> Project:
    """What a revision declares, without the values: artifacts, plots, outputs."""
    return open_revision(repository, revision)[1]


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
    return tree, read_project(tree)


@lru_cache(maxsize=8)
def _open_commit(repository: Repository, sha: str) -> tuple[Tree, Project]:
    tree = open_tree(repository, Revision(name=sha, sha=sha))
    return tree, read_project(tree)


class _Content:
    """Finds the bytes of declared files: in the tree, else in DVC's cache."""

    def __init__(self, tree: Tree, cache: Cache, project: Project, revision: Revision) -> None:
        self._tree = tree
        self._cache = cache
        self._project = project
        self._revision = revision
        self._known: dict[str, bytes] = {}
        self._outs = sorted(project.outs)

    def prefetch(self, paths: Iterable[str]) -> None:
        """Reads the tree's files at once, directories included."""
        files = [file for path in paths for file in self._list_files(path)]
        self._known.update(self._tree.read(dict.fromkeys(files)))

    def read(self, path: str) -> Mapping[str, bytes | Problem]:
        """The content of a file, or of all files below a directory, by their paths; or why there is none.

        A directory may hold files of git and outputs of DVC beside each other.
        """
        files = self._list_files(path)
        found: dict[str, bytes | Problem] = {file: self._known[file] for file in files if file in self._known}
        if files != (path,) and self._find_record(path) is None:
            for out in self._list_outs(path):
                if not any(file == out or file.startswith(f"{out}/") for file in files):
                    found.update(self._read_cached(out))
        return found or self._read_cached(path)

    def _list_outs(self, directory: str) -> list[str]:
        """The outputs below a directory."""
        prefix = f"{directory}/" if directory else ""
        return list(takewhile(lambda out: out.startswith(prefix), self._outs[bisect_left(self._outs, prefix) :]))

    def _list_files(self, path: str) -> tuple[str, ...]:
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
        record = self._find_record(path)
        if record is None:
            return None
        out = self._cache.expand(record.path, record.digest)
        return out if out is None or record.path == path else _select_below(out, path)

    def _find_record(self, path: str) -> FileRecord | None:
        """The output that a path is, or lies in."""
        outs = self._project.outs
        parents = (path[:end] for end in range(len(path), 0, -1) if end == len(path) or path[end] == "/")
        return next((outs[parent] for parent in parents if parent in outs), None)

    def _read_cached(self, path: str) -> Mapping[str, bytes | Problem]:
        record = self._find_record(path)
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
        content = self._cache.read(file.digest, limit=formats.MAX_BYTES)
        assert content is not None  # it has a location
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
    params = tuple(file for file in declared if any(_lies_in(file.path, target) for target in targets))
    metrics = [path for target in targets for path in _choose_metrics(project, params, target, tree)]
    return tuple(dict.fromkeys(metrics)), params


def _choose_params(project: Project, target: str, tree: Tree) -> Iterable[str]:
    if tree.expand(target) == (target,):
        return [target]
    return [file.path for file in project.params if _lies_in(file.path, target)]


def _choose_metrics(project: Project, params: tuple[ParamsFile, ...], target: str, tree: Tree) -> Iterable[str]:
    declared = [path for path in project.metrics if _lies_in(path, target)]
    if declared:
        return declared
    if target in project.outs or any(_lies_in(target, path) for path in project.metrics):
        return [target]
    return () if any(_lies_in(file.path, target) for file in params) else tree.expand(target)


def _lies_in(path: str, target: str) -> bool:
    return target in (path, ".") or path.startswith(f"{target}/")


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
        digest = hash_file(top)
        return CachedOut(path=path, digest=digest, files=(CachedFile(path="", digest=digest, location=top),))
    places = [(file[len(path) + 1 :], tree.locate(file)) for file in tree.expand(path)]
    files = tuple(CachedFile(path=name, digest=hash_file(place), location=place) for name, place in places if place)
    return CachedOut(path=path, digest=hash_listing((file.path, file.digest) for file in files), files=files)


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
