"""YAML 1.2 as DVC reads it, by libyaml, within limits.

PyYAML speaks YAML 1.1, where `1e-5` is a string, `010` is 8 and `yes` is true. Here plain scalars are those of 1.2
(`scalars`). Values are built straight from libyaml's events, without PyYAML's graph of nodes and its constructor, and
bounded: an alias counts as often as it would be written out, so that a small file can't unfold into a huge one.
Duplicate keys are an error, as in DVC.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from seatrial.sources.scalars import BUILDERS, MAP, MERGE, SEQ, STR, resolve

MAX_DEPTH = 100
MAX_VALUES = 1_000_000
# Long before Python's own limit, and what libyaml's scanner finds costly; a column or a bracket is at most two levels.
_MAX_COLUMNS = 500
_MAX_KEY = 4096
# Keys so far below others are not located one by one.
_MOST_LOCATED = 30
_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")

# None and "!" are what has no tag of its own: a quoted scalar, a sequence, a mapping.
_TEXT_TAGS = frozenset({None, "!", STR, MERGE, "tag:yaml.org,2002:binary", "tag:yaml.org,2002:timestamp"})
_DEEP_BLOCK = re.compile(rf"\n[ \-?:]{{{_MAX_COLUMNS}}}")

_SET, _OMAP = "tag:yaml.org,2002:set", "tag:yaml.org,2002:omap"
_RARE = frozenset({_SET, _OMAP})
_CONTAINERS = frozenset({None, "!", SEQ, MAP, *_RARE})
_OPEN = object()  # stands for a container that is not complete
_SURROGATES = re.compile(
    r"(?P<before>(?<!\\)(?:\\\\)*)\\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
)


# libyaml's parser, or PyYAML's own where that is missing; of either only the events are used.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
    parser = _Parser(text)
    try:
        value = _Builder(parser.get_event).build_document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "the text makes no sense"
        raise YAMLError(f"is not YAML: {reason}", line=mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise YAMLError(f"is not YAML: {str(error).splitlines()[0]}") from None
    finally:
        parser.dispose()
    if "*" in text and _count(value, {}) > MAX_VALUES:
        raise YAMLError(f"unfolds into more than {MAX_VALUES} values")
    return value


def list_keys(text: str) -> list[tuple[tuple[str, ...], int]]:
    """Every key that is written in a text, containers' before those in them, with its line from 1.

    Keys are spelled as `str` spells what `load` makes of them. Nothing is unfolded: what an alias or a merge brings in
    has no line. YAMLError where the text can't be read.
    """
    _refuse_deep(text)
    parser = _Parser(text)
    found: list[tuple[tuple[str, ...], Any]] = []
    try:
        parser.get_event()  # the start of the stream
        if not isinstance(parser.get_event(), StreamEndEvent):
            _list_keys(parser.get_event(), parser.get_event, (), found)
    except yaml.YAMLError as error:
        raise YAMLError(f"is not YAML: {str(error).splitlines()[0]}") from None
    finally:
        parser.dispose()
    if not _OTHER_BREAKS.search(text):
        return [(key, mark.line + 1) for key, mark in found]
    # YAML ends lines at signs where no editor and no forge does.
    ends = [end.start() for end in re.finditer("\n", text)]
    return [(key, bisect_left(ends, mark.index) + 1) for key, mark in found]


def _list_keys(
    event: Any, next_event: Callable[[], Any], path: tuple[str, ...], found: list[tuple[tuple[str, ...], Any]]
) -> None:
    """What is in a value that begins with an event; a container that is a key is passed over, with its value."""
    if not isinstance(event, CollectionStartEvent):
        return
    if len(path) >= MAX_DEPTH:
        raise _fail(event, f"is nested more than {MAX_DEPTH} levels deep")
    place = 0
    while not isinstance(inner := next_event(), CollectionEndEvent):
        unnamed = False
        if isinstance(event, SequenceStartEvent):
            here = (*path, str(place))
            place += 1
        else:
            unnamed = not isinstance(inner, ScalarEvent)
            here = (*path, "" if unnamed else _name_key(inner))
            if unnamed:
                _list_keys(inner, next_event, here, [])
        if not unnamed and len(here) <= _MOST_LOCATED:
            found.append((here, inner.start_mark))
        value = inner if isinstance(event, SequenceStartEvent) else next_event()
        _list_keys(value, next_event, here, [] if unnamed else found)


def _name_key(event: Any) -> str:
    plain = event.tag is None and event.implicit[0]
    return str(_convert_scalar(event, resolve(event.value)) if plain else event.value)


def _join_surrogates(found: re.Match[str]) -> str:
    """One escape for a character that JSON writes as two, which libyaml refuses."""
    high, low = int(found["high"], 16), int(found["low"], 16)
    return f"{found['before']}\\U{0x10000 + ((high - 0xD800) << 10) + low - 0xDC00:08x}"


class _Builder:
    """Turns the events of one document into values; a node with several aliases becomes one shared value."""

    def __init__(self, next_event: Callable[[], Any]) -> None:
        self._next = next_event
        self._anchored: dict[str, object] = {}
        self._plain: dict[str, object] = {}
        self._merged = 0

    def build_document(self) -> object:
        """The value of the only document, None where there is none."""
        self._next()  # the start of the stream
        if isinstance(self._next(), StreamEndEvent):
            return None
        value = self._build(self._next(), 0)
        self._next()  # the end of the document
        following = self._next()
        if not isinstance(following, StreamEndEvent):
            raise _fail(following, "is not YAML: expected a single document in the stream")
        return value

    def _build(self, event: Any, depth: int) -> object:
        kind = type(event)
        if kind is ScalarEvent:
            value = self._build_scalar(event)
        elif kind is AliasEvent:
            return self._follow(event)
        else:
            value = self._build_container(event, depth)
        if event.anchor is not None:
            self._anchored[event.anchor] = value
        return value

    def _follow(self, event: Any) -> object:
        if event.anchor not in self._anchored:
            raise _fail(event, f"is not YAML: found undefined alias '{event.anchor}'")
        value = self._anchored[event.anchor]
        if value is _OPEN:
            raise _fail(event, "an alias refers to what it is part of")
        return value

    def _build_scalar(self, event: Any) -> object:
        text: str = event.value
        if event.tag is not None or not event.implicit[0]:
            return text if event.tag in _TEXT_TAGS else _convert_scalar(event, event.tag)
        # Most scalars are there many times: names of keys, empty digests, sizes.
        if text not in self._plain:
            self._plain[text] = _convert_scalar(event, resolve(text))
        return self._plain[text]

    def _build_container(self, event: Any, depth: int) -> object:
        tag = event.tag
        if tag not in _CONTAINERS:
            raise _fail(event, f"unknown tag '{tag}'")
        if depth >= MAX_DEPTH:
            raise _fail(event, f"is nested more than {MAX_DEPTH} levels deep")
        if event.anchor is not None:
            self._anchored[event.anchor] = _OPEN
        sequence = type(event) is SequenceStartEvent
        value = self._build_sequence(depth + 1) if sequence else self._build_mapping(depth + 1)
        return _convert(event, value) if tag in _RARE else value

    def _build_sequence(self, depth: int) -> list[object]:
        items = []
        while type(event := self._next()) is not SequenceEndEvent:
            items.append(self._build(event, depth))
        return items

    def _build_mapping(self, depth: int) -> dict[object, object]:
        own: dict[object, object] = {}
        merged: dict[object, object] = {}
        while type(event := self._next()) is not MappingEndEvent:
            key = self._build(event, depth)
            if key == "<<" and _is_merge(event):
                merged = self._merge(self._next(), depth) | merged
                continue
            key = _name_container(event, key) if isinstance(key, (dict, list)) else key
            if key in own:
                raise _fail(event, f"the key '{key}' is there twice")
            own[key] = self._build(self._next(), depth)
        return merged | own if merged else own

    def _merge(self, event: Any, depth: int) -> dict[object, object]:
        """What `<<: *a` or `<<: [*a, *b]` brings in; the first of several wins."""
        value = self._build(event, depth)
        merged: dict[object, object] = {}
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                raise _fail(event, "only mappings can be merged")
            # Every merge copies: a chain of them would grow with the square of its length.
            self._merged += len(source)
            if self._merged > MAX_VALUES:
                raise _fail(event, f"merges more than {MAX_VALUES} values")
            merged = source | merged
        return merged


def _is_merge(event: Any) -> bool:
    return type(event) is ScalarEvent and (
        event.tag == MERGE or (event.value == "<<" and event.tag is None and event.implicit[0])
    )


def _name_container(event: Any, key: object) -> str:
    """A list or mapping that is a key, as text; written within one another such keys would double at every level."""
    name = str(key) if _weigh(key, {}) <= _MAX_KEY else ""
    if not name or len(name) > _MAX_KEY:
        raise _fail(event, "a list or mapping is a key, and too long for one")
    return name


def _convert(event: Any, value: object) -> object:
    """The keys of a `!!set` as a list, the pairs of an `!!omap` as a mapping."""
    if event.tag == _SET and isinstance(value, dict):
        return list(value)
    if event.tag == _OMAP and isinstance(value, list) and all(isinstance(pair, dict) for pair in value):
        return {key: item for pair in value for key, item in pair.items()}
    raise _fail(event, f"'{event.tag}' does not fit what it is said of")


def _convert_scalar(event: Any, tag: str) -> object:
    text: str = event.value
    if tag in _TEXT_TAGS:
        return text
    try:
        return BUILDERS[tag](text)
    except KeyError:
        raise _fail(event, f"unknown tag '{tag}', or a value that does not fit it") from None
    except ValueError as error:
        raise _fail(event, str(error)) from None


def _fail(event: Any, message: str) -> YAMLError:
    return YAMLError(message, line=event.start_mark.line + 1)


def _refuse_deep(text: str) -> None:
    """YAMLError for a text that may be nested so deeply that libyaml's own recursion is in danger."""
    deep = _DEEP_BLOCK.search(f"\n{text}")
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


def _weigh(value: object, known: dict[int, int]) -> int:
    """About how many characters a value has once every alias is written out."""
    if isinstance(value, str):
        return len(value)
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        parts = (part for pair in value.items() for part in pair) if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_weigh(part, known) for part in parts)
    return known[id(value)]
