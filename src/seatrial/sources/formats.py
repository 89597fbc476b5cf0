"""Bytes of a metrics or parameters file -> its values.

The suffix decides, as in DVC: `.json`, `.toml`, `.py` (literals, by `ast`; the file is never imported), and YAML 1.2
for everything else. A file comes from whoever opened the pull request, so size, depth and the number of values are
bounded, and whatever can't be read is a `FormatError` with a reason, never a crash.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from functools import lru_cache

import msgspec

from seatrial.core.metrics import Key, MetricSet, Problem, State, Value

MAX_BYTES = 64 << 20
# Stand for a file that is longer than that, and for one that is too much beside the others of its side. Each is one
# object, so that any number of such files costs nothing.
TOO_LONG, TOO_MUCH = bytes(MAX_BYTES + 1), bytes(MAX_BYTES + 2)
MAX_DEPTH = 100
_KEPT_BYTES = 1 << 12
MAX_LEAVES = 100_000
_MAX_TEXT = 4096
# What the parsers make of a text is far larger than the text, and made before it can be counted. A value costs at least
# one of these signs; YAML's nodes are the largest, and there one sign may stand for two of them (`{a, b}`, `?`).
_MAX_JSON_SIGNS, _MAX_YAML_SIGNS = 2_000_000, 800_000
_JSON_SIGNS = (",", "[", "{")
_YAML_SIGNS = (",", ",", "?", "?", "[", "{", ":", "\n", "- ", "-\t")
_MAX_TOML, _MAX_PYTHON = 4 << 20, 1 << 18
_MAX_DOTS = 1000  # in one dotted key, of which tomllib's cost grows with the square
# Decimal integers are bounded by Python; these are fast to read and can't be written down again.
_HUGE_INTEGER = re.compile(r"\b0[xXoObB][0-9a-fA-F_]{4000}")

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_PICTURES = {b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"GIF8": "a GIF picture"}
_TABLES = (".csv", ".tsv", ".parquet")
_BOM = b"\xef\xbb\xbf"


class FormatError(Exception):
    """A file that can't be read as what its name says; `line` counts from 1 where it is known."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line

    def locate(self, path: str) -> str:
        """The message with the file, and the line where it is known, in front."""
        return f"{path}:{self.line}: {self.message}" if self.line else f"{path}: {self.message}"


def read_values(path: str, data: bytes) -> MetricSet:
    """The leaves of one file, or the problem that keeps them from being read.

    Most files are the same on both sides, and are read once; nobody may change the values. Large ones are not kept.
    """
    return _read_once(path, data) if len(data) <= _KEPT_BYTES else _read(path, data)


@lru_cache(maxsize=1 << 14)
def _read_once(path: str, data: bytes) -> MetricSet:
    return _read(path, data)


def _read(path: str, data: bytes) -> MetricSet:
    try:
        values = flatten(load(path, data))
    except FormatError as error:
        problem = Problem(state=State.UNREADABLE, path=path, message=error.locate(path), hint=_mend(error))
        return MetricSet(path=path, values={}, problem=problem)
    return MetricSet(path=path, values=values)


def load(path: str, data: bytes) -> object:
    """The nested values of a file; FormatError where it can't be read."""
    suffix = path[path.rfind(".") :].lower() if "." in path else ""
    if suffix in _TABLES:
        raise FormatError("is a table, not a file of named values")
    text = _decode(data)
    _refuse_conflict(text)
    if _HUGE_INTEGER.search(text):
        raise FormatError("holds an integer of too many digits")
    parse = _PARSERS.get(suffix, _parse_yaml)
    try:
        return parse(text)
    except RecursionError:
        raise FormatError("is nested too deeply") from None
    except MemoryError:
        raise FormatError("is too complex to be read") from None


def flatten(values: object) -> dict[Key, Value]:
    """The leaves of nested values with the keys that lead to them, in the order of the file.

    Lists are spread by index, keys that are no strings become strings, dates are written as ISO 8601. A value that is
    a scalar itself has the empty key.
    """
    leaves: dict[Key, Value] = {}
    stack: list[tuple[Key, object]] = [((), values)]
    while stack:
        key, value = stack.pop()
        children = None if isinstance(value, (float, int, str)) else _children(value)
        if children is None:
            leaves[key] = _leaf(value)
        elif len(key) >= MAX_DEPTH:
            raise FormatError(f"is nested more than {MAX_DEPTH} levels deep")
        else:
            stack.extend((_extend(key, name), child) for name, child in reversed(children))
        if len(leaves) > MAX_LEAVES:
            raise FormatError(f"has more than {MAX_LEAVES} values")
    return leaves


@lru_cache(maxsize=1 << 14)
def _extend(key: Key, name: str) -> Key:
    """A key with one more part; a thousand files of the same shape share theirs."""
    return (*key, name)


def _children(value: object) -> list[tuple[str, object]] | None:
    """The named parts of a container, or None for a leaf."""
    if isinstance(value, dict):
        return [(str(name), child) for name, child in value.items()]
    if isinstance(value, (list, tuple)):
        return [(str(index), child) for index, child in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return [(str(index), child) for index, child in enumerate(sorted(value, key=str))]
    return None


def _leaf(value: object) -> Value:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        if len(value) > _MAX_TEXT:
            raise FormatError("holds a long text where a value was expected")
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)  # a date of TOML


def _decode(data: bytes) -> str:
    if data is TOO_MUCH:
        raise FormatError("is not read: with the smaller files of its side it would be more than is held at once")
    if len(data) > MAX_BYTES:
        raise FormatError(f"is larger than {MAX_BYTES >> 20} MB")
    if data.startswith(LFS_POINTER):
        raise FormatError("is a Git LFS pointer, not the file itself")
    for start, name in _PICTURES.items():
        if data.startswith(start):
            raise FormatError(f"is {name}, not a text file")
    try:
        return data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FormatError("is not UTF-8 text", line=line) from None


def _mend(error: FormatError) -> str:
    if "Git LFS" in error.message:
        return "git lfs pull"
    if "table" in error.message or "picture" in error.message:
        return "move it from metrics: to plots: in dvc.yaml"
    return "run the stage that writes it again, or mend it by hand"


def _parse_json(text: str) -> object:
    _refuse_many(text, _JSON_SIGNS, _MAX_JSON_SIGNS)
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.json.decode(text)
    # Slower, but it reads NaN, which metrics may be, and tells the line of what is wrong.
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        reason = "holds more than one JSON value" if error.msg == "Extra data" else f"is not JSON: {error.msg}"
        reason = reason if text.strip() else "is empty"
        raise FormatError(reason, line=error.lineno) from None
    except ValueError as error:  # an integer of more digits than Python reads
        raise FormatError(f"is not JSON: {error}") from None


def _parse_toml(text: str) -> object:
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]
    _refuse_long(text, _MAX_TOML)
    if any(part.count(".") > _MAX_DOTS for part in re.split(r"[=,\n]", text)):
        raise FormatError("is nested too deeply")
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except ValueError as error:
        raise FormatError(f"is not TOML: {error}") from None


def _parse_yaml(text: str) -> object:
    from seatrial.sources import yaml12

    _refuse_many(text, _YAML_SIGNS, _MAX_YAML_SIGNS)
    try:
        value = yaml12.load(text)
    except yaml12.YAMLError as error:
        raise FormatError(error.message, line=error.line) from None
    # An empty document is an empty mapping, as DVC reads it; `null` said aloud is not told apart from it.
    return {} if value is None else value


def _parse_python(text: str) -> object:
    from seatrial.sources import literals

    _refuse_long(text, _MAX_PYTHON)
    try:
        return literals.load(text)
    except SyntaxError as error:
        raise FormatError(f"is not Python: {error.msg}", line=error.lineno) from None
    except ValueError as error:
        raise FormatError(f"is not Python: {error}") from None


def _refuse_many(text: str, signs: tuple[str, ...], limit: int) -> None:
    """FormatError for a text of which a parser would make too many values."""
    if 2 * len(text) > limit and sum(map(text.count, signs)) > limit:
        raise FormatError(f"has more than {MAX_LEAVES} values")


def _refuse_long(text: str, limit: int) -> None:
    """FormatError for a text of a format that is costly to read."""
    if len(text) > limit:
        raise FormatError(f"is larger than {limit >> 10} KB, the most that is read of this format")


def _refuse_conflict(text: str) -> None:
    """FormatError for a file of a half-finished merge, which YAML might take for a text."""
    if "<<<<<<< " not in text or ">>>>>>> " not in text:
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith("<<<<<<< "):
            raise FormatError("holds conflict markers of a merge", line=number)


_PARSERS: dict[str, Callable[[str], object]] = {".json": _parse_json, ".toml": _parse_toml, ".py": _parse_python}
