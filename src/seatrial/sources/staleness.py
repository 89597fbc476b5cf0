"""Whether the committed metrics were made by the committed code, data and parameters.

Seen without running anything: a stage is stale where a dependency's content, or a parameter's value, is not what
dvc.lock says that the stage ran with. What can't be known from here (data at an address, a directory of which git holds
only a part) is not called stale.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from seatrial.core.metrics import FileRecord, StageRecord, StaleStage
from seatrial.core.revision import Revision
from seatrial.git import Repository
from seatrial.sources import formats
from seatrial.sources.cache import hash_bytes, hash_listing, hash_text
from seatrial.sources.dvcfiles import Project, spell_value
from seatrial.sources.snapshot import open_revision
from seatrial.sources.tree import Tree

_LFS = b"version https://git-lfs.github.com/spec/"


def find_stale(repository: Repository, revision: Revision) -> tuple[StaleStage, ...]:
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
    return tuple(stage for stage in found if stage.because or stage.edited)


class _Evidence:
    """What the dependencies of all stages are like now."""

    def __init__(self, tree: Tree, project: Project) -> None:
        self._outs = project.outs
        deps = {dep.path for stage in project.stages for dep in stage.deps if dep.path not in project.outs}
        outs = {out.path for stage in project.stages for out in stage.outs}
        self._files = {path: tree.expand(path) for path in deps | outs}
        tracked = set(tree.paths())
        wanted = {file for files in self._files.values() for file in files if file in tracked}
        params = {_split(name)[0] for stage in project.stages for name in stage.params or {}}
        contents = tree.read([*wanted, *params])
        self._contents = {path: contents[path] for path in wanted if path in contents}
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
        if not dep.digest or not files or any(file not in self._contents for file in files):
            return False
        contents = [self._contents[file] for file in files]
        if any(len(content) > formats.MAX_BYTES or content.startswith(_LFS) for content in contents):
            return False
        if files == (dep.path,):
            return dep.digest not in {hash_bytes(contents[0]), hash_text(contents[0])}
        names = [posixpath.relpath(file, dep.path) for file in files]
        # With another number of files DVC saw some that git ignores, such as compiled code: nothing can be said.
        return len(files) == dep.files and all(
            hash_listing(zip(names, map(digest, contents), strict=True)) != dep.digest
            for digest in (hash_bytes, hash_text)
        )


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
