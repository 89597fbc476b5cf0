"""Projects that nobody thought of: dvc.yaml with templating, the files that it names, and a change of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml
from hypothesis import strategies as st

from seatrial.sources.dvcfiles import read_project
from tests.unit.sources.memory_tree import MemoryTree

Tree = dict[str, object]
Draw = st.DrawFn

DIRECTORIES = ("", "sub", "deep/er")
KEYS = ("auc", "loss", "AA", "UA", "n", "x", "by class", "mAP50-95(B)", "item", "a.b", "ä", "True")
NAMES = ("a", "b", "c d", "e-1", "ü")
TEXTS = ("lstm", "0.5", "1e3", "", "a b", "é", "true", "null", "#1", "x: y", "'q'", '"', "\\n", "2", "{}", "%", "a/b")
# Plain scalars on which readers of YAML disagree.
RAW = (
    "1e-5",
    "1E5",
    "1e+5",
    "010",
    "0o17",
    "0x1F",
    "0b11",
    "yes",
    "No",
    "~",
    "null",
    "Null",
    "1_000",
    "1_0.5",
    ".5",
    "5.",
    "+1",
    "-.5",
    ".nan",
    ".inf",
    "-.Inf",
    "12:30:45",
    "1.2.3",
    "0",
    "-0",
    "=",
    "1e",
    ".e3",
    "1__0",
    "+.inf",
    "._5",
    "0x",
    "08",
    "09.5",
    "-0x1",
    ".5e3",
    ".5e+3",
    "1._5",
    "_1",
    "-",
    "0o8",
    "true",
    "TRUE",
    "tRue",
    "y",
    "123456789012345678901234567890",
    "1e400",
)


@dataclass(frozen=True)
class Raw:
    """A scalar as it stands in a YAML file."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """The files of a project before a change and after it."""

    before: Mapping[str, str]
    after: Mapping[str, str]


_NUMBERS = st.one_of(
    st.integers(-3, 40),
    st.sampled_from((10**25, -(2**63), 0.5, 1e-06, -0.0, 1e308, 12345.6789, math.nan, math.inf, -math.inf)),
)
_SCALARS = st.one_of(_NUMBERS, st.sampled_from(TEXTS), st.booleans(), st.none())
_YAML_SCALARS = st.one_of(_SCALARS, st.sampled_from(RAW).map(Raw))


def _trees(scalars: st.SearchStrategy[object]) -> st.SearchStrategy[Tree]:
    items = st.lists(st.one_of(scalars, st.dictionaries(st.sampled_from(KEYS), scalars, max_size=2)), max_size=3)
    leaves = st.one_of(scalars, scalars, scalars, items)
    inner = st.dictionaries(st.sampled_from(KEYS), leaves, max_size=3)
    middle = st.dictionaries(st.sampled_from(KEYS), st.one_of(leaves, inner), max_size=3)
    return st.dictionaries(st.sampled_from(KEYS), st.one_of(leaves, middle), min_size=1, max_size=4)


_PLAIN_TREES = _trees(_SCALARS)
_YAML_TREES = _trees(_YAML_SCALARS)
_SUFFIXES = (".json", ".yaml", ".toml", ".metric")


@st.composite
def projects(draw: Draw) -> Generated:
    """A project of one to three pipelines, and a change of its values, its vars, or its dvc.yaml."""
    directories = draw(st.lists(st.sampled_from(DIRECTORIES), min_size=1, max_size=2, unique=True))
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for directory in directories:
        sources = draw(_sources())
        changed = draw(_change_values(sources))
        pipeline = draw(_pipelines(sources))
        redrawn = draw(_pipelines(sources)) if draw(st.integers(0, 5)) == 0 else pipeline
        top = f"{directory}/" if directory else ""
        for files, values, text in ((before, sources, pipeline), (after, changed, redrawn)):
            files.update({f"{top}{name}": render(name, tree) for name, tree in values.items() if name})
            files[f"{top}dvc.yaml"] = _dump(text)
    for files in (before, after):
        _place_values(draw, files)
    return Generated(before=before, after=after)


@st.composite
def _sources(draw: Draw) -> dict[str, Tree]:
    """What templates may use, by the file that holds it; the empty name stands for `vars` in dvc.yaml itself.

    Every source has names of its own, and what is text in it can stand in a file's name.
    """
    files = draw(st.lists(st.sampled_from(("params.yaml", "v.yaml", "w.json", "t.toml", "p.py", "")), unique=True))
    sources: dict[str, Tree] = {}
    for number, file in enumerate(files):
        scalars = st.one_of(st.sampled_from(NAMES), st.integers(0, 3), st.booleans(), st.sampled_from((0.5, 1e-06)))
        scalar, items = draw(scalars), draw(st.lists(scalars, min_size=1, max_size=3, unique_by=str))
        records = draw(st.lists(st.fixed_dictionaries({"p": scalars, "q": st.lists(scalars, max_size=2)}), max_size=2))
        named = draw(st.dictionaries(st.sampled_from(NAMES), st.fixed_dictionaries({"p": scalars}), max_size=2))
        sources[file] = {
            f"one{number}": scalar,
            f"list{number}": items,
            f"deep{number}": {"list": [items, {"x": scalar}], "y": {"z": draw(scalars)}},
            f"records{number}": records or [{"p": scalar, "q": []}],
            f"named{number}": named or {"k": {"p": scalar}},
        }
        if draw(st.booleans()):
            sources[file][f"unused{number}"] = draw(scalars)
    return sources


@st.composite
def _change_values(draw: Draw, sources: Mapping[str, Tree]) -> dict[str, Tree]:
    """The same names, some with other values."""
    changed = {file: dict(tree) for file, tree in sources.items()}
    for file, tree in changed.items():
        for name in tree:
            if file and name[:3] in {"one", "unu"} and draw(st.integers(0, 3)) == 0:
                tree[name] = draw(st.sampled_from((*NAMES, 7, 0.25, False)))
    return changed


@st.composite
def _pipelines(draw: Draw, sources: Mapping[str, Tree]) -> Tree:
    """A dvc.yaml over the names of its sources."""
    pipeline: Tree = {}
    entries: list[object] = []
    for file, tree in sources.items():
        if not file:
            entries.append(tree)
        elif file == "params.yaml":
            continue
        elif draw(st.booleans()):
            entries.append(file)
        else:
            entries.append(f"{file}:{','.join(tree)}")
    if entries:
        pipeline["vars"] = draw(st.permutations(entries))
    known = [expression for tree in sources.values() for expression in _expressions(tree)]
    names = draw(st.lists(st.sampled_from(("train", "eval", "pre-pare")), unique=True, max_size=3))
    stages = {name: draw(_stages(known, sources)) for name in names}
    if stages:
        pipeline["stages"] = stages
    files = _file_names(known)
    for key in ("metrics", "params", "plots"):
        if draw(st.integers(0, 2)) == 0:
            pipeline[key] = draw(st.lists(files, min_size=1, max_size=2, unique=True))
    if draw(st.integers(0, 3)) == 0:
        pipeline["artifacts"] = {"model": {"path": draw(files), "type": "model", "desc": "d"}}
    return pipeline


@st.composite
def _stages(draw: Draw, known: list[str], sources: Mapping[str, Tree]) -> Tree:
    """One entry of `stages`: plain, a loop, or a matrix."""
    kind = draw(st.sampled_from(("plain", "plain", "list", "mapping", "records", "template", "matrix")))
    lists = [f"list{number}" for number in range(len(sources))]
    mapped = [f"named{number}" for number in range(len(sources))]
    simple = st.lists(st.one_of(st.sampled_from(NAMES), st.integers(0, 3), _templates(known)), min_size=1, max_size=2)
    if kind == "list" or (kind == "template" and not sources):
        return {"foreach": draw(simple), "do": draw(_bodies([*known, "item"], sources))}
    if kind == "mapping":
        data = draw(
            st.dictionaries(st.sampled_from(NAMES), st.one_of(st.integers(0, 3), _templates(known)), min_size=1)
        )
        return {"foreach": data, "do": draw(_bodies([*known, "item", "key"], sources))}
    if kind == "records":
        record = st.fixed_dictionaries({"p": st.one_of(st.sampled_from(NAMES), _templates(known))})
        return {
            "foreach": draw(st.lists(record, min_size=1, max_size=2)),
            "do": draw(_bodies([*known, "item.p"], sources)),
        }
    if kind == "template":
        chosen = draw(st.sampled_from([*lists, *mapped]))
        inner = ["item", *known] if chosen in lists else ["item.p", "key", *known]
        return {"foreach": f"${{{chosen}}}", "do": draw(_bodies(inner, sources))}
    if kind == "matrix":
        axis = st.one_of(simple, st.sampled_from([f"${{{name}}}" for name in lists])) if lists else simple
        body = draw(_bodies([*known, "item.m", "item.o", "key"], sources))
        return {"matrix": {"m": draw(axis), "o": draw(simple)}, **body}
    return draw(_bodies(known, sources))


@st.composite
def _bodies(draw: Draw, known: list[str], sources: Mapping[str, Tree]) -> Tree:
    """What a stage holds."""
    files = _file_names(known)
    command = st.tuples(st.sampled_from(("run", "run --x=")), _templates(known)).map("".join)
    body: Tree = {"cmd": draw(st.one_of(command, st.lists(command, min_size=1, max_size=2)))}
    if draw(st.integers(0, 3)) == 0:
        body["wdir"] = draw(st.sampled_from(("w", "w/..", ".", "w/v")))
    if draw(st.integers(0, 4)) == 0:
        body["vars"] = [{"own": draw(st.sampled_from(NAMES))}]
        known = [*known, "own"]
        files = _file_names(known)
    properties = st.fixed_dictionaries(
        {}, optional={"cache": st.booleans(), "desc": st.just("d"), "persist": st.just(True)}
    )
    for key in ("metrics", "outs", "plots"):
        if draw(st.integers(0, 5)) < (4 if key == "metrics" else 1):
            entry = st.one_of(files, st.tuples(files, properties).map(lambda pair: {pair[0]: pair[1]}))
            body[key] = draw(st.lists(entry, min_size=1, max_size=2))
    if draw(st.booleans()):
        body["params"] = draw(st.lists(_declared_params(sources), min_size=1, max_size=2))
    for key, value in (("frozen", True), ("always_changed", True), ("meta", {"x": [1]}), ("desc", "d")):
        if draw(st.integers(0, 7)) == 0:
            body[key] = value
    return body


@st.composite
def _declared_params(draw: Draw, sources: Mapping[str, Tree]) -> object:
    """A key of params.yaml, keys of a file, or a whole file."""
    paths = [path for tree in sources.values() for path in _dotted(tree)]
    keys = st.sampled_from([*paths, "gone", "deep0.*.z", "**.z"])
    kind = draw(st.sampled_from(("key", "keys", "file")))
    if kind == "key":
        return draw(keys)
    file = draw(st.sampled_from([*(file for file in sources if file), "other.json"]))
    return {file: draw(st.lists(keys, min_size=1, max_size=2)) if kind == "keys" else None}


def _templates(known: list[str]) -> st.SearchStrategy[str]:
    """A template, or a text where there is nothing to name."""
    if not known:
        return st.just("plain")
    return st.sampled_from(known).map(lambda expression: f"${{{expression}}}")


def _file_names(known: list[str]) -> st.SearchStrategy[str]:
    """A path that may have templates in it.

    They stand in its directories: in a file's name with several dots DVC takes all after the first for its suffix.
    """
    parts = st.one_of(st.sampled_from(("m", "out/n", r"\${x}")), _templates(known), _templates(known))
    joined = st.lists(parts, min_size=1, max_size=2).map("-".join)
    top = st.sampled_from(("", "r/", "up/../", "./"))
    return st.tuples(top, joined, st.just("/m"), st.sampled_from(_SUFFIXES)).map("".join)


def _expressions(tree: Mapping[str, object]) -> Iterator[str]:
    """Every way to a scalar of a source."""
    for name in _dotted(tree):
        yield name
        first, *rest = name.split(".")
        if rest:
            yield first + "".join(f"[{part}]" for part in rest)
            yield f" {name} "


def _dotted(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _dotted(child, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _dotted(child, f"{path}.{index}")
    else:
        yield path


def _place_values(draw: Draw, files: dict[str, str]) -> None:
    """Puts a file at most of the places where metrics and parameters are declared to be."""
    project = read_project(MemoryTree(files))
    for path in (*project.metrics, *(file.path for file in project.params)):
        parents = {path[:end] for end in range(len(path)) if path[end] == "/"}
        blocked = any(file.startswith(f"{path}/") for file in files) or parents & files.keys()
        if path in files or blocked or not path or draw(st.integers(0, 9)) == 0:
            continue
        tree = draw(_PLAIN_TREES if path.endswith((".json", ".toml", ".py")) else _YAML_TREES)
        files[path] = render(path, tree)


def render(path: str, tree: Mapping[str, object]) -> str:
    """A tree as a file of its suffix."""
    if path.endswith(".json"):
        return json.dumps(tree)
    if path.endswith(".toml"):
        return "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in tree.items() if value is not None)
    if path.endswith(".py"):
        return "".join(f"{key} = {value!r}\n" for key, value in tree.items() if key.isidentifier())
    return "".join(f"{json.dumps(key)}: {_flow(value)}\n" for key, value in tree.items())


def _toml(value: object) -> str:
    if isinstance(value, dict):
        inner = (f"{json.dumps(key)} = {_toml(child)}" for key, child in value.items() if child is not None)
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(child) for child in value if child is not None) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def _flow(value: object) -> str:
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_flow(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, float):
        return repr(value).replace("inf", ".inf").replace("nan", ".nan")
    return json.dumps(value)


def _dump(pipeline: Tree) -> str:
    return yaml.safe_dump(pipeline, sort_keys=False, allow_unicode=True, width=1000)
