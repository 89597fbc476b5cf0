"""Whether the committed metrics were made by the committed code, data and parameters.

Seen without running anything: a stage is stale where a dependency's content, or a parameter's value, is not what
dvc.lock says that the stage ran with. What can't be known from here (data at an address, a directory of which git holds
only a part) is not called stale.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from msgspec import Struct

from seatrial.core.metrics import FileRecord, StageRecord, StaleStage
from seatrial.core.revision import Revision
from seatrial.git import Repository
from seatrial.sources import formats
from seatrial.sources.cache import hash_listing
from seatrial.sources.dvcfiles import Project, spell_value
from seatrial.sources.snapshot import open_revision
from seatrial.sources.tree import Tree

# What is hashed within about a second; a project with more than that in git keeps data there.
MAX_BYTES = 256 << 20


class Staleness(Struct, frozen=True, kw_only=True):
    """The stale stages, and a note on files that were too much to be checked, if there are such."""

    stages: tuple[StaleStage, ...] = ()
    notes: tuple[str, ...] = ()


def find_stale(repository: Repository, revision: Revision) -> Staleness:
    """The stages of a revision whose outputs were not made from its dependencies, or are not those that were made.

    Of the outputs only those are looked at that git tracks, as metrics and plots: DVC's cache goes by content.
    """
    tree, project = open_revision(repository, revision)
    evidence = _Evidence(tree, project)
    found = (
        StaleStage(
            address=stage.address,
            because=tuple(evidence.list_reasons(stage)),
            edited=tuple(out.path for out in stage.outs if evidence.was_edited(out)),
        )
        for stage in project.stages
    )
    stages = tuple(stage for stage in found if stage.because or stage.edited)
    return Staleness(stages=stages, notes=_tell_unchecked(evidence.unchecked))


def _tell_unchecked(paths: tuple[str, ...]) -> tuple[str, ...]:
    if not paths:
        return ()
    named = f"{paths[0]} and {len(paths) - 1} more files in git are" if len(paths) > 1 else f"{paths[0]} in git is"
    return (f"{named} not checked against dvc.lock: {MAX_BYTES >> 20} MB are hashed, small files first",)


class _Evidence:
    """What the dependencies of all stages are like now.

    `unchecked` are the files that were too much to be hashed, in the order of their paths.
    """

    def __init__(self, tree: Tree, project: Project) -> None:
        self._outs = project.outs
        deps = {dep.path for stage in project.stages for dep in stage.deps if dep.path not in project.outs}
        outs = {out.path for stage in project.stages for out in stage.outs}
        self._files = {path: tree.expand(path) for path in deps | outs}
        tracked = set(tree.paths())
        wanted = sorted({file for files in self._files.values() for file in files if file in tracked})
        self._prints = tree.fingerprint(wanted, limit=MAX_BYTES)
        self.unchecked = tuple(path for path, one in sorted(self._prints.items()) if one is None)
        self._digests: dict[str, frozenset[str]] = {}
        params = {_split(name)[0] for stage in project.stages for name in stage.params or {}}
        contents = tree.read(params)
        self._params = {path: _load(path, contents[path]) for path in params if path in contents}

    def list_reasons(self, stage: StageRecord) -> Iterator[str]:
        """The dependencies and parameters that are not what the lock says."""
        for dep in stage.deps:
            if self._differs(dep):
                yield dep.path
        for name, locked in (stage.params or {}).items():
            path, key = _split(name)
            values = self._params.get(path)
            if values is not None and _spell_at(values, key) != locked:
                yield name

    def was_edited(self, out: FileRecord) -> bool:
        """Whether an output that git tracks has another content than dvc.lock says that the stage made."""
        return self._content_differs(out)

    def _differs(self, dep: FileRecord) -> bool:
        out = self._outs.get(dep.path)
        if out is not None:
            return bool(out.digest and dep.digest and out.digest != dep.digest)
        return self._content_differs(dep)

    def _content_differs(self, dep: FileRecord) -> bool:
        files = self._files.get(dep.path, ())
        if not dep.digest or not files:
            return False
        # With another number of files DVC saw some that git ignores, such as compiled code: nothing can be said.
        if files != (dep.path,) and len(files) != dep.files:
            return False
        digests = self._list_digests(dep.path, files)
        return bool(digests) and dep.digest not in digests

    def _list_digests(self, path: str, files: tuple[str, ...]) -> frozenset[str]:
        """What DVC may have recorded for a file or directory as it is now; nothing where that can't be known."""
        if path not in self._digests:
            self._digests[path] = self._compute_digests(path, files)
        return self._digests[path]

    def _compute_digests(self, path: str, files: tuple[str, ...]) -> frozenset[str]:
        prints = [self._prints.get(file) for file in files]
        known = [one for one in prints if one is not None and not one.is_pointer]
        if len(known) < len(files):
            return frozenset()
        if files == (path,):
            return frozenset({known[0].digest, known[0].text_digest})
        names = [posixpath.relpath(file, path) for file in files]
        ways = ((one.digest for one in known), (one.text_digest for one in known))
        return frozenset(hash_listing(zip(names, way, strict=True)) for way in ways)


def _load(path: str, content: bytes) -> object:
    """The values of a parameters file, or None where it can't be read, which is told elsewhere."""
    try:
        return formats.load(path, content)
    except formats.FormatError:
        return None


def _spell_at(values: object, key: str) -> str | None:
    """The value at a dotted key as dvc.lock's record has it, or None where there is none."""
    if isinstance(values, Mapping) and key in values:
        return spell_value(values[key])
    for part in key.split("."):
        if isinstance(values, Mapping) and part in values:
            values = values[part]
        elif isinstance(values, (list, tuple)) and part.isdigit() and int(part) < len(values):
            values = values[int(part)]
        else:
            return None
    return spell_value(values)


def _split(name: str) -> tuple[str, str]:
    path, _, key = name.partition(":")
    return path, key
