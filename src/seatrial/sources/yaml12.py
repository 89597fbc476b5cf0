"""YAML 1.2 as DVC reads it, by libyaml, within limits.

PyYAML speaks YAML 1.1, where `1e-5` is a string, `010` is 8 and `yes` is true. Here plain scalars are those of 1.2
(`scalars`). Values are built straight from libyaml's nodes, which is faster than PyYAML's constructor, and bounded: an
alias counts as often as it would be written out, so that a small file can't unfold into a huge one. Duplicate keys are
an error, as in DVC.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from seatrial.sources.scalars import BUILDERS, MAP, MERGE, SEQ, STR, resolve

MAX_DEPTH = 100
MAX_VALUES = 1_000_000
# libyaml recurses in C and would end the process; a column or a bracket is at most two levels.
_MAX_COLUMNS = 500

_TEXT_TAGS = frozenset({STR, "tag:yaml.org,2002:binary", "tag:yaml.org,2002:timestamp"})
_DEEP_BLOCK = re.compile(rf"^[ \-?:]{{{_MAX_COLUMNS}}}", re.MULTILINE)

_SET, _OMAP = "tag:yaml.org,2002:set", "tag:yaml.org,2002:omap"
_CONTAINERS = frozenset({SEQ, MAP, _SET, _OMAP})
_SURROGATES = re.compile(
    r"(?P<before>(?<!\\)(?:\\\\)*)\\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
)


class YAMLError(Exception):
    """A text that is no YAML, or more than we are willing to read; `line` counts from 1."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def load(text: str) -> object:
    """The values of the only document of a text, None for an empty one; YAMLError where it can't be read."""
    _refuse_deep(text)
    text = _SURROGATES.sub(_join_surrogates, text) if "\\ud" in text or "\\uD" in text else text
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        value = None if node is None else _Builder().build(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "the text makes no sense"
        raise YAMLError(f"is not YAML: {reason}", line=mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise YAMLError(f"is not YAML: {str(error).splitlines()[0]}") from None
    finally:
        loader.dispose()
    if "*" in text and _count(value, {}) > MAX_VALUES:
        raise YAMLError(f"unfolds into more than {MAX_VALUES} values")
    return value


def _join_surrogates(found: re.Match[str]) -> str:
    """One escape for a character that JSON writes as two, which libyaml refuses."""
    high, low = int(found["high"], 16), int(found["low"], 16)
    return f"{found['before']}\\U{0x10000 + ((high - 0xD800) << 10) + low - 0xDC00:08x}"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's parser (PyYAML's where that is missing) with the plain scalars of YAML 1.2."""

    def resolve(self, kind: type, value: str | None, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return resolve(value or "") if implicit[0] else STR
        return SEQ if kind is yaml.SequenceNode else MAP


class _Builder:
    """Turns the nodes of one document into values; a node with several aliases becomes one shared value."""

    def __init__(self) -> None:
        self._built: dict[int, object] = {}
        self._open: set[int] = set()
        self._merged = 0

    def build(self, node: yaml.Node, depth: int = 0) -> object:
        """The value of a node."""
        if isinstance(node, yaml.ScalarNode):
            return _build_scalar(node)
        identity = id(node)
        if identity in self._built:
            return self._built[identity]
        if identity in self._open:
            raise _fail(node, "an alias refers to what it is part of")
        if node.tag not in _CONTAINERS:
            raise _fail(node, f"unknown tag '{node.tag}'")
        if depth >= MAX_DEPTH:
            raise _fail(node, f"is nested more than {MAX_DEPTH} levels deep")
        self._open.add(identity)
        value: object
        if isinstance(node, yaml.SequenceNode):
            value = [self.build(item, depth + 1) for item in node.value]
        else:
            value = self._build_mapping(node, depth)
        if node.tag not in {SEQ, MAP}:
            value = _convert(node, value)
        self._open.discard(identity)
        self._built[identity] = value
        return value

    def _build_mapping(self, node: yaml.Node, depth: int) -> dict[object, object]:
        own: dict[object, object] = {}
        merged: dict[object, object] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                merged = self._merge(value_node, depth) | merged
                continue
            key = self.build(key_node, depth + 1)
            key = str(key) if isinstance(key, (dict, list)) else key
            if key in own:
                raise _fail(key_node, f"the key '{key}' is there twice")
            own[key] = self.build(value_node, depth + 1)
        return merged | own if merged else own

    def _merge(self, node: yaml.Node, depth: int) -> dict[object, object]:
        """What `<<: *a` or `<<: [*a, *b]` brings in; the first of several wins."""
        value = self.build(node, depth + 1)
        merged: dict[object, object] = {}
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                raise _fail(node, "only mappings can be merged")
            # Every merge copies: a chain of them would grow with the square of its length.
            self._merged += len(source)
            if self._merged > MAX_VALUES:
                raise _fail(node, f"merges more than {MAX_VALUES} values")
            merged = source | merged
        return merged


def _convert(node: yaml.Node, value: object) -> object:
    """The keys of a `!!set` as a list, the pairs of an `!!omap` as a mapping."""
    if node.tag == _SET and isinstance(value, dict):
        return list(value)
    if node.tag == _OMAP and isinstance(value, list) and all(isinstance(pair, dict) for pair in value):
        return {key: item for pair in value for key, item in pair.items()}
    raise _fail(node, f"'{node.tag}' does not fit what it is said of")


def _build_scalar(node: yaml.ScalarNode) -> object:
    tag, text = node.tag, str(node.value)
    if tag in _TEXT_TAGS or tag == MERGE:
        return text
    try:
        return BUILDERS[tag](text)
    except KeyError:
        raise _fail(node, f"unknown tag '{tag}', or a value that does not fit it") from None
    except ValueError as error:
        raise _fail(node, str(error)) from None


def _fail(node: yaml.Node, message: str) -> YAMLError:
    return YAMLError(message, line=node.start_mark.line + 1)


def _refuse_deep(text: str) -> None:
    """YAMLError for a text that may be nested so deeply that libyaml's own recursion is in danger."""
    deep = _DEEP_BLOCK.search(text)
    if not deep and text.count("[") + text.count("{") > _MAX_COLUMNS:
        level = 0
        for bracket in re.finditer(r"[\[\]{}]", text):
            level += 1 if bracket.group() in "[{" else -1
            if level > _MAX_COLUMNS:
                deep = bracket
                break
    if deep:
        raise YAMLError("is nested too deeply", line=text.count("\n", 0, deep.start()) + 1)


def _count(value: object, known: dict[int, int]) -> int:
    """How many values there are once every alias is written out."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count(part, known) for part in parts)
    return known[id(value)]
