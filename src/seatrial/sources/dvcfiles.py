"""What a side's DVC files declare: metrics, parameters, plots, artifacts, stages and outputs.

A file that can't be understood is a problem with its name and line; everything that others declare still counts. DVC
throws the whole revision away instead, so that unchanged metrics look added or removed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from msgspec import Struct

from seatrial.core.metrics import FileRecord, Problem, StageRecord, State
from seatrial.core.stale import list_above
from seatrial.sources import dvcignore, formats
from seatrial.sources.dvcignore import read_ignore
from seatrial.sources.templates import Budget, Instance, Scope, TemplateError, expand_stage, holds_template, is_template
from seatrial.sources.tree import Files

_MAX_ROUNDS = 30_000
DEFAULT_PARAMS = "params.yaml"
_CONFIG = ".dvc/config"
_SUFFIXES = (".dvc", "dvc.yaml", "dvc.lock", "Dvcfile", dvcignore.FILE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class ParamsFile(Struct, frozen=True, kw_only=True):
    """A parameters file; `keys` are the dotted keys that are declared, None where the whole file is."""

    path: str
    keys: tuple[str, ...] | None


class Plot(Struct, frozen=True, kw_only=True):
    """A declared plot: its file or directory, or the name of one that is drawn from several files (`y` names them).

    The files in its properties are seen from `directory`.
    """

    path: str
    properties: Mapping[str, object]
    directory: str = ""


class Artifact(Struct, frozen=True, kw_only=True):
    """An entry of `artifacts:` in the dvc.yaml at `file`; the path is from the repository's root."""

    name: str
    path: str
    type: str
    desc: str
    file: str


class Project(Struct, frozen=True, kw_only=True):
    """Everything that one side declares. Paths are from the repository's root.

    `metrics` may name files and directories; those in `uncached` are declared with `cache: false` and belong in git.
    `roots` are the directories of DVC projects (empty text: the repository's root). `locked` are the outputs as
    they are written in dvc.lock and .dvc files, with the directory that they are seen from; `remotes` names the remote
    of those that dvc.yaml keeps in one of their own. `ignore` says what DVC does not see in a directory. `absent` are
    DVC's files that the tree names and does not hold.
    """

    metrics: tuple[str, ...] = ()
    params: tuple[ParamsFile, ...] = ()
    plots: tuple[Plot, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    stages: tuple[StageRecord, ...] = ()
    outs: Mapping[str, FileRecord]
    locked: tuple[tuple[object, str], ...] = ()
    remotes: Mapping[str, str] = {}
    uncached: frozenset[str] = frozenset()
    roots: tuple[str, ...] = ("",)
    ignore: dvcignore.Ignore = dvcignore.Ignore()
    problems: tuple[Problem, ...] = ()
    absent: tuple[str, ...] = ()

    def find_out(self, path: str) -> FileRecord | None:
        """The output that a path is, or else the innermost that it lies in."""
        return next((self.outs[above] for above in list_above(path) if above in self.outs), None)


def lies_in(path: str, target: str) -> bool:
    """Whether a path is the target, or lies below it; `.` is the repository's root."""
    return target in {path, "."} or path.startswith(f"{target}/")


def read_project(tree: Files) -> Project:
    """What all DVC files of a tree declare."""
    return _Reader(tree).read()


class _Reader:
    """Collects the declarations of one tree."""

    def __init__(self, tree: Files) -> None:
        self._tree = tree
        self._contents: dict[str, bytes | None] = {}
        self._metrics: dict[str, None] = {}
        self._params: dict[str, dict[str, None] | None] = {}
        self._used: dict[str, dict[str, None]] = {}
        self._plots: dict[str, Plot] = {}
        self._artifacts: list[Artifact] = []
        self._stages: list[StageRecord] = []
        self._outs: dict[str, FileRecord] = {}
        self._locked: list[tuple[object, str]] = []
        self._remotes: dict[str, str] = {}
        self._uncached: set[str] = set()
        self._problems: dict[tuple[str, str], Problem] = {}
        self._lines: dict[tuple[str, str], str] = {}
        self._indexed: set[str] = set()
        self._ignore = dvcignore.Ignore()
        # Many small files may stand for as much work as a large one: what they may spend is for all of them together.
        self._rounds = 0
        self._budget = Budget()
        self._absent: tuple[str, ...] = ()

    def read(self) -> Project:
        """Reads every DVC file; the order of the paths is the order of what they declare."""
        files = [path for path in self._tree.paths() if _is_dvc_file(path)]
        roots = sorted({path[: -len(_CONFIG)].rstrip("/") for path in files if path.endswith(_CONFIG)} | {""})
        defaults = [_join(root, DEFAULT_PARAMS) for root in (*roots, *(posixpath.dirname(path) for path in files))]
        self._fetch([*files, *(path for path in defaults if path)])
        ignore = read_ignore({path: self._contents[path] or b"" for path in files if path.endswith(dvcignore.FILE)})
        self._ignore = ignore
        self._absent = tuple(path for path in files if self._contents[path] is None and not ignore.hides(path))
        if ignore.cut:
            self._note(ignore.cut, f"{ignore.cut}: more than {dvcignore.MAX_RULES} patterns are not heeded")
        for path in files:
            if ignore.hides(path):
                continue
            if posixpath.basename(path) == "dvc.yaml":
                self._read_pipeline(path)
            elif path.endswith(".dvc") or posixpath.basename(path) == "Dvcfile":
                self._read_tracked(path)
        self._add_default_params(roots)
        return self._build(tuple(roots))

    def _build(self, roots: tuple[str, ...]) -> Project:
        # A value of a vars file that a stage uses is a parameter, unless its file is declared anyway.
        params = {**{path: keys for path, keys in self._used.items() if path not in self._params}, **self._params}
        return Project(
            metrics=tuple(sorted(self._metrics)),
            params=tuple(
                ParamsFile(path=path, keys=None if keys is None else tuple(keys))
                for path, keys in sorted(params.items())
            ),
            plots=tuple(self._plots[path] for path in sorted(self._plots)),
            artifacts=tuple(self._artifacts),
            stages=tuple(self._stages),
            outs=self._outs,
            locked=tuple(self._locked),
            remotes=self._remotes,
            uncached=frozenset(self._uncached),
            roots=roots,
            ignore=self._ignore,
            problems=tuple(self._problems.values()),
            absent=self._absent,
        )

    # -- files

    def _fetch(self, paths: Iterable[str]) -> None:
        wanted = [path for path in dict.fromkeys(paths) if path not in self._contents]
        found = self._tree.read(wanted)
        self._contents.update({path: found.get(path) for path in wanted})

    def _content(self, path: str) -> bytes | None:
        if path not in self._contents:
            self._fetch([path])
        return self._contents[path]

    def _load(self, path: str) -> Mapping[object, object] | None:
        """The mapping in a DVC file; None where there is no such file, or it is a problem, which is noted."""
        data = self._content(path)
        if data is None:
            return None
        try:
            values = _parse(data)
        except formats.FormatError as error:
            self._note(path, error.locate(path))
            return None
        if not isinstance(values, dict):
            self._note(path, f"{path}: is not a mapping")
            return None
        return values

    def _note(self, path: str, message: str, hint: str = "") -> None:
        hint = hint or f"mend {path}; what other files declare is compared all the same"
        self._problems.setdefault(
            (path, message), Problem(state=State.UNREADABLE, path=path, message=message, hint=hint)
        )

    # -- dvc.yaml

    def _read_pipeline(self, path: str) -> None:
        lock_path = posixpath.splitext(path)[0] + ".lock"
        lock = _stages_of_lock(self._load(lock_path) or {})
        values = self._load(path)
        if values is None:
            if self._content(path) is not None:
                self._read_locked(path, {name: posixpath.dirname(path) for name in map(str, lock)}, lock)
            return
        scope = self._load_vars(path, values.get("vars"), posixpath.dirname(path), self._default_scope(path))
        directories: dict[str, str] = {}
        for name, definition in _items(values.get("stages")):
            directories |= self._read_stages(path, str(name), definition, scope)
        if values.get("stages") is not None and not isinstance(values["stages"], dict):
            self._note(path, f"{path}: 'stages' is not a mapping")
        self._read_top_level(path, values, scope.forget())
        self._read_locked(path, directories, lock)
        self._note_used(scope)

    def _default_scope(self, path: str) -> Scope:
        """The names that a dvc.yaml may use without `vars`: those of the params.yaml beside it."""
        default = _join(posixpath.dirname(path), DEFAULT_PARAMS)
        if default is None or self._content(default) is None:
            return Scope(used={}, budget=self._budget)
        return self._extend(path, Scope(used={}, budget=self._budget), default, ())

    def _load_vars(self, path: str, entries: object, directory: str, scope: Scope) -> Scope:
        """A scope with what `vars` brings in: inline values, files, or chosen keys of files."""
        for entry in _list(entries):
            if isinstance(entry, dict):
                if holds_template(entry):
                    self._note(path, f"{self._locate(path, 'vars')}: vars: a template can't stand in vars themselves")
                scope = self._try_extend(path, scope, entry, None)
            elif isinstance(entry, str) and not is_template(entry):
                name, _, keys = entry.partition(":")
                file = _join(directory, name)
                if file is None or (file in scope.files and not keys):
                    continue  # a file may be named twice, and again by a stage
                scope = self._extend(path, scope, file, tuple(key for key in keys.split(",") if key))
            else:
                self._note(path, f"{self._locate(path, 'vars')}: vars: {entry!r} is neither a file nor a mapping")
        return scope

    def _extend(self, path: str, scope: Scope, file: str, keys: tuple[str, ...]) -> Scope:
        data = self._content(file)
        if data is None:
            self._note(path, f"{self._locate(path, 'vars')}: vars: {file} does not exist")
            return scope
        try:
            values = _load_variables(file, data)
        except formats.FormatError as error:
            self._note(file, error.locate(file))
            return scope
        if not isinstance(values, dict):
            self._note(path, f"{self._locate(path, 'vars')}: vars: {file} is not a mapping")
            return scope
        absent = [key for key in keys if key not in values]
        if absent:
            self._note(path, f"{self._locate(path, 'vars')}: vars: {file} has no '{absent[0]}'")
        chosen = {key: values[key] for key in keys if key in values} if keys else values
        return self._try_extend(path, scope, chosen, file, whole=not keys)

    def _try_extend(
        self, path: str, scope: Scope, values: Mapping[object, object], file: str | None, *, whole: bool = False
    ) -> Scope:
        try:
            return scope.extend(values, file, whole=whole)
        except TemplateError as error:
            self._note(path, f"{self._locate(path, 'vars')}: vars: {error}")
            return scope

    def _read_stages(self, path: str, name: str, definition: object, scope: Scope) -> dict[str, str]:
        """Reads the stages of one entry; their names with their working directories."""
        directories: dict[str, str] = {}
        if self._rounds > _MAX_ROUNDS:  # every loop by itself may be within its limit
            self._note(path, f"{path}: has, with others, more than {_MAX_ROUNDS} stages: the rest is not read")
            return directories
        if not isinstance(definition, dict):
            self._note(path, f"{self._locate(path, name)}: stage '{name}' is not a mapping")
            return directories
        try:
            for instance in expand_stage(name, definition, scope):
                self._rounds += 1
                if self._rounds > _MAX_ROUNDS:
                    self._note(path, f"{path}: has, with others, more than {_MAX_ROUNDS} stages: the rest is not read")
                    break
                directories[instance.name] = self._read_stage(path, name, instance)
        except TemplateError as error:
            self._note(path, f"{self._locate(path, name)}: stage '{name}': {error}")
        return directories

    def _read_stage(self, path: str, group: str, stage: Instance) -> str:
        where = f"{self._locate(path, group)}: stage '{group}'"
        top = posixpath.dirname(path)
        directory = top
        scope = stage.scope
        if "wdir" in stage.definition:
            directory = _join(top, self._resolve(path, where, scope, stage.definition["wdir"], "wdir")) or top
        if "vars" in stage.definition:
            scope = self._load_vars(path, stage.definition["vars"], directory, scope)
        keys = [str(key) for key in stage.definition if key not in {"vars", "wdir"}]
        resolved = {key: self._resolve(path, where, scope, stage.definition[key], key) for key in keys}
        self._add_outs(path, f"{where}: metrics", resolved.get("metrics"), directory, metrics=True)
        self._add_outs(path, f"{where}: outs", resolved.get("outs"), directory, metrics=False)
        self._add_live(resolved.get("live"), directory)
        self._add_plots(resolved.get("plots"), directory, stage_level=True)
        self._add_params(path, f"{where}: params", resolved.get("params"), directory)
        return directory

    def _resolve(self, path: str, where: str, scope: Scope, data: object, key: str) -> object:
        try:
            return scope.resolve(data, key)
        except TemplateError as error:
            self._note(path, f"{where}: {key}: {error}")
            return None

    def _read_top_level(self, path: str, values: Mapping[object, object], scope: Scope) -> None:
        directory = posixpath.dirname(path)
        where = self._locate(path, "metrics")
        metrics = self._resolve(path, where, scope, values.get("metrics"), "")
        self._add_outs(path, f"{where}: metrics", metrics, directory, metrics=True)
        for name in _list(self._resolve(path, self._locate(path, "params"), scope, values.get("params"), "")):
            file = _join(directory, name)
            if file is None:
                self._note(path, f"{self._locate(path, 'params')}: params: {name!r} is not a path in the repository")
            else:
                self._params[file] = None
        plots = self._resolve(path, self._locate(path, "plots"), scope, values.get("plots"), "")
        self._add_plots(plots, directory, stage_level=False)
        artifacts = self._resolve(path, self._locate(path, "artifacts"), scope, values.get("artifacts"), "")
        for name, entry in _items(artifacts):
            self._add_artifact(path, str(name), entry)

    # -- what is declared

    def _add_outs(self, path: str, where: str, entries: object, directory: str, *, metrics: bool) -> None:
        if entries is not None and not isinstance(entries, (list, str)):
            self._note(path, f"{where}: is not a list")
        for name, properties in _declared(entries):
            file = _join(directory, name)
            if file is None:
                if metrics:
                    self._note(path, f"{where}: {name!r} is not a path in the repository")
                continue
            if metrics:
                self._metrics[file] = None
            if properties.get("cache") is False:
                self._uncached.add(file)
            if isinstance(remote := properties.get("remote"), str):
                self._remotes[file] = remote

    def _add_live(self, entries: object, directory: str) -> None:
        """`live:` of DVC 2 wrote its summary beside its directory."""
        for name, properties in _items(entries):
            file = _join(directory, f"{name}.json")
            if file and not (isinstance(properties, dict) and properties.get("summary") is False):
                self._metrics[file] = None

    def _add_plots(self, entries: object, directory: str, *, stage_level: bool) -> None:
        named = [entries] if isinstance(entries, dict) and not stage_level else entries
        for name, properties in _declared(named):
            file = _join(directory, name)
            if file:
                # What stands at the top of dvc.yaml adds to what its stage says of the same file.
                known = self._plots[file].properties if file in self._plots else {}
                self._plots[file] = Plot(path=file, properties={**known, **properties}, directory=directory)

    def _add_params(self, path: str, where: str, entries: object, directory: str) -> None:
        if entries is not None and not isinstance(entries, list):
            self._note(path, f"{where}: is not a list")
        for entry in _list(entries):
            if isinstance(entry, dict):
                for name, keys in entry.items():
                    self._track(path, where, _join(directory, name), _list(keys))
            else:
                self._track(path, where, _join(directory, DEFAULT_PARAMS), [entry])

    def _track(self, path: str, where: str, file: str | None, keys: list[object]) -> None:
        if file is None:
            self._note(path, f"{where}: names a file outside of the repository")
            return
        tracked = self._params.setdefault(file, {})
        if not keys:
            self._params[file] = None
        elif tracked is not None:
            tracked.update(dict.fromkeys(str(key) for key in keys))

    def _add_default_params(self, roots: Iterable[str]) -> None:
        for root in roots:
            file = _join(root, DEFAULT_PARAMS)
            if file and self._content(file) is not None:
                self._params[file] = None

    def _add_artifact(self, path: str, name: str, entry: object) -> None:
        properties = entry if isinstance(entry, dict) else {}
        file = _join(posixpath.dirname(path), properties.get("path"))
        if file is None:
            self._note(path, f"{self._locate(path, name)}: artifact '{name}' has no path in the repository")
            return
        kind, desc = str(properties.get("type") or ""), str(properties.get("desc") or "")
        self._artifacts.append(Artifact(name=name, path=file, type=kind, desc=desc, file=path))

    def _note_used(self, scope: Scope) -> None:
        for file, keys in scope.used.items():
            self._used.setdefault(file, {}).update(dict.fromkeys(".".join(key) for key in keys))

    # -- dvc.lock and .dvc

    def _read_locked(self, path: str, directories: Mapping[str, str], lock: Mapping[object, object]) -> None:
        top = posixpath.dirname(path)
        for name, directory in directories.items():
            entry = lock.get(name)
            if not isinstance(entry, dict):
                continue
            address = f"{path}:{name}" if top else name
            outs = _read_records(entry.get("outs"), directory)
            self._outs.update({record.path: record for record in outs})
            self._locked.append((entry.get("outs"), directory))
            self._stages.append(
                StageRecord(
                    address=address,
                    command=_join_commands(entry.get("cmd")),
                    deps=_read_records(entry.get("deps"), directory),
                    outs=outs,
                    params=_read_locked_params(entry.get("params"), directory),
                )
            )

    def _read_tracked(self, path: str) -> None:
        """A `.dvc` file: data that is tracked without a stage. DVC 0.x declared metrics there too."""
        values = self._load(path)
        if values is None:
            return
        directory = _join(posixpath.dirname(path), values.get("wdir") or ".") or posixpath.dirname(path)
        outs = _read_records(values.get("outs"), directory)
        self._outs.update({record.path: record for record in outs})
        self._locked.append((values.get("outs"), directory))
        for entry in _list(values.get("outs")):
            if not isinstance(entry, dict):
                continue
            file = _join(directory, entry.get("path"))
            if file and entry.get("cache") is False:
                self._uncached.add(file)
            if file and entry.get("metric"):
                self._metrics[file] = None
        command = _join_commands(values.get("cmd"))
        deps = _read_records(values.get("deps"), directory)
        self._stages.append(StageRecord(address=path, command=command, deps=deps, outs=outs))

    def _locate(self, path: str, name: str) -> str:
        """`FILE:LINE` of the first line that starts with a key of that name, or the file alone."""
        if path not in self._indexed:
            self._indexed.add(path)
            text = (self._contents.get(path) or b"").decode("utf-8", "replace")
            for number, line in enumerate(text.split("\n"), start=1):
                key, colon, _ = line.partition(":")
                if colon:
                    self._lines.setdefault((path, key.strip(" \t'\"")), f"{path}:{number}")
        return self._lines.get((path, name), path)


@lru_cache(maxsize=512)
def _parse(data: bytes) -> object:
    """The values of a DVC file. Most are the same on both sides, and are read once; nobody may change them."""
    return formats.load("dvc.yaml", data)


@lru_cache(maxsize=4)
def _load_variables(path: str, data: bytes) -> object:
    """The values of a file of `vars`, which every round of a loop may name again; nobody may change them."""
    return formats.load(path, data)


def is_of_dvc(path: str) -> bool:
    """Whether a file is DVC's own: what lies beside data, but is none."""
    return path.startswith(".dvc/") or "/.dvc/" in path or _is_dvc_file(path)


def declares(path: str) -> bool:
    """Whether a file is one that DVC reads declarations from."""
    return _is_dvc_file(path)


def _is_dvc_file(path: str) -> bool:
    if path.endswith(_CONFIG):
        return path == _CONFIG or path.endswith(f"/{_CONFIG}")
    if path.startswith(".dvc/") or "/.dvc/" in path:
        return False
    return path.endswith(_SUFFIXES) and (path.endswith(".dvc") or posixpath.basename(path) in _SUFFIXES)


def _join(directory: str, name: object) -> str | None:
    """A path from the repository's root; None where that is no text, an address, or leads out of the repository."""
    return _join_text(directory, name) if isinstance(name, str) else None


@lru_cache(maxsize=1 << 14)
def _join_text(directory: str, name: str) -> str | None:
    """The same of a text; a lock and its dvc.yaml have the same ones, on both sides."""
    if not name or name.startswith("/") or _URL.match(name) or "\0" in name:
        return None
    path = posixpath.normpath(posixpath.join(directory, name))
    return None if path == ".." or path.startswith("../") else "" if path == "." else path


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _items(value: object) -> Iterator[tuple[object, object]]:
    return iter(value.items()) if isinstance(value, dict) else iter(())


def _declared(entries: object) -> Iterator[tuple[object, Mapping[str, object]]]:
    """Names and properties of `[path, {path: {cache: false}}, …]`."""
    for entry in [entries] if isinstance(entries, str) else _list(entries):
        if not isinstance(entry, dict):
            yield entry, {}
            continue
        for name, properties in entry.items():
            yield name, {str(key): value for key, value in _items(properties)}


def _stages_of_lock(lock: Mapping[object, object]) -> Mapping[object, object]:
    """The stages of a dvc.lock; before DVC 2 they were its top level."""
    stages = lock.get("stages") if "schema" in lock else lock
    return stages if isinstance(stages, dict) else {}


def _read_records(entries: object, directory: str) -> tuple[FileRecord, ...]:
    """Files of a lock that lie in the repository; data at addresses is DVC's own affair."""
    records: list[FileRecord] = []
    for entry in _list(entries):
        if not isinstance(entry, dict):
            continue
        path = _join(directory, entry.get("path"))
        digest = entry.get("md5") or entry.get("etag") or entry.get("checksum") or ""
        if path is not None:
            size, files = _count(entry.get("size")), _count(entry.get("nfiles"))
            records.append(FileRecord(path=path, digest=str(digest), size=size, files=files))
    return tuple(records)


def list_entries(project: Project) -> Iterator[tuple[str, Mapping[object, object]]]:
    """Every output that DVC has recorded: its path, and what dvc.lock or a .dvc file writes of it."""
    for entries, directory in project.locked:
        for entry in _list(entries):
            if not isinstance(entry, Mapping):
                continue
            path = _join(directory, entry.get("path"))
            if path is not None:
                yield path, entry


def list_digests(lock: bytes, directory: str) -> dict[str, str]:
    """The digest of every output by its path, as a dvc.lock in `directory` records it; empty for what is no lock."""
    try:
        stages = _stages_of_lock(values) if isinstance(values := _parse(lock), dict) else {}
    except formats.FormatError:
        return {}
    outs = (stage.get("outs") for stage in stages.values() if isinstance(stage, dict))
    return {record.path: record.digest for entries in outs for record in _read_records(entries, directory)}


def _read_locked_params(entries: object, directory: str) -> dict[str, str]:
    """Parameters of a lock: `FILE:KEY` with the value as JSON."""
    return {
        f"{_join(directory, file) or file}:{key}": spell_value(value)
        for file, values in _items(entries)
        for key, value in _items(values)
    }


def spell_value(value: object) -> str:
    """A parameter's value as text: itself where it is text, else JSON that does not depend on the order of keys."""
    import json

    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return json.dumps(value)
    return json.dumps(_name_keys(value), sort_keys=True, default=str)


def _name_keys(value: object) -> object:
    """The value with every key as text: YAML has keys of any kind, JSON sorts only those of one."""
    if isinstance(value, dict):
        return {str(name): _name_keys(child) for name, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_name_keys(child) for child in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    return value


def _join_commands(value: object) -> str:
    return "\n".join(str(line) for line in value) if isinstance(value, list) else str(value or "")


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
