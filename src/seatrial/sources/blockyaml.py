"""The YAML that programs write and most people too: block mappings and lists of plain and simply quoted scalars.

libyaml makes several objects of every scalar, and a dvc.lock holds tens of thousands. Such files are read here line by
line, several times faster and without importing PyYAML. Whatever is not plainly understood (nested flow style, anchors,
tags, block scalars, escapes, anything beyond ASCII, every fault) is `NotPlainError`: `yaml12` reads it, or says what is
wrong. Where this reader has an answer it is that of `yaml12`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from seatrial.sources import scalars

_MAX_DEPTH = 50
# A simple key of YAML has at most 1,024 characters.
_MAX_KEY = 1000
_MAX_FOLDED = 10_000

# Spaces, dashes of list items, then `key:` with or without a value, or something else.
_LINE = re.compile(r"( *)((?:- )*)(?:([A-Za-z0-9_./][!-9;-~]*):(?: +(.+)|)|(.*))")
# No space before a `#`, none behind a `:`, and a start that nothing else begins with.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_./~+$]|-(?=[!-~]))(?:[!-9;-~]| +(?![# ])|:(?=[!-~]))*")
_QUOTED = re.compile(r"""'[ -&(-~]*'|"[ !#-\[\]-~]*\"""")
_ITEM = r"""(?:[A-Za-z0-9_./][A-Za-z0-9_./@+-]*|'[ -&(-~]*'|"[ !#-\[\]-~]*")"""
_FLOW_LIST = re.compile(rf"\[(?:{_ITEM}(?:, {_ITEM})*)?\]")
_FLOW_MAPPING = re.compile(rf"\{{(?:{_ITEM}: {_ITEM}(?:, {_ITEM}: {_ITEM})*)?\}}")
_ITEMS = re.compile(_ITEM)
_FOLDED = re.compile(r"(?:[!-9;-~]| +(?![# ])|:(?=[!-~]))+")

_Container = dict[Any, Any] | list[Any]


class NotPlainError(Exception):
    """A text that is for `yaml12`."""


def load(text: str) -> object:
    """The values of a text, exactly as `yaml12.load` gives them; NotPlainError where that has to read it."""
    if not text.isascii() or not text.replace("\n", "").isprintable():
        raise NotPlainError
    reader = _Reader()
    for line in text.split("\n"):
        reader.feed(line)
    return reader.finish()


class _Reader:
    """The containers that are open, from the outermost to the one that the next line may add to."""

    def __init__(self) -> None:
        root: list[object] = [None]
        self._root = root
        self._open: list[tuple[int, _Container]] = []
        # Where a value is still to come: the container, its key or index, and the column that it must be right of.
        self._awaited: tuple[_Container, Any, int] | None = (root, 0, -1)
        # The same for the last plain text, which deeper lines may go on with.
        self._unfolded: tuple[_Container, Any, int, str] | None = None

    def feed(self, line: str) -> None:
        """Reads one line."""
        found = _LINE.fullmatch(line)
        if found is None:
            raise NotPlainError
        indent, dashes, key, value, other = found.groups()
        column = len(indent)
        if other is not None and not dashes:
            self._go_on(column, other.rstrip(" "))
            return
        self._unfolded = None
        for _ in range(len(dashes) // 2):
            self._add_item(column)
            column += 2
        if key is None:
            self._set(other)
        else:
            self._add_key(column, key, value)

    def finish(self) -> object:
        """The value of the document."""
        if self._awaited is not None and self._awaited[0] is self._root:
            raise NotPlainError  # nothing at all
        return self._root[0]

    def _go_on(self, column: int, text: str) -> None:
        """A line that is neither a key nor an item: empty, a remark, or more of a text."""
        unfolded, self._unfolded = self._unfolded, None
        if not text or text.startswith("#"):
            return
        if unfolded is None or column <= unfolded[2] or not _FOLDED.fullmatch(text):
            raise NotPlainError
        container, key, left, begun = unfolded
        folded = f"{begun} {text}"
        if len(folded) > _MAX_FOLDED:
            raise NotPlainError  # every line copies the text anew
        container[key] = folded
        self._unfolded = (container, key, left, folded)

    def _add_item(self, column: int) -> None:
        items = self._enter(column, list)
        items.append(None)
        self._awaited = (items, len(items) - 1, column)

    def _add_key(self, column: int, name: str, value: str | None) -> None:
        if len(name) > _MAX_KEY:
            raise NotPlainError
        mapping = self._enter(column, dict)
        key, plain = _read_scalar(name)
        if key in mapping or not plain:
            raise NotPlainError
        mapping[key] = None
        self._awaited = (mapping, key, column)
        if value is not None:
            self._set(value)

    def _set(self, text: str) -> None:
        """The awaited value."""
        if self._awaited is None:
            raise NotPlainError
        if text.startswith("#"):
            return  # a remark, and the value may come below
        remark = ""
        if not text.startswith(("'", '"')):
            text, remark, _ = text.partition(" #")
        container, key, column = self._awaited
        text = text.rstrip(" ")
        value, plain = (_read_flow(text), False) if text.startswith(("[", "{")) else _read_scalar(text)
        container[key] = value
        self._awaited = None
        self._unfolded = (container, key, column, text) if plain and not remark else None

    def _enter(self, column: int, kind: type[Any]) -> Any:
        """The container that starts at a column: the awaited value, or one that is open."""
        if self._awaited is not None:
            container, key, left = self._awaited
            self._awaited = None
            # A list may stand right below the key that it belongs to.
            if column > left or (column == left and kind is list and isinstance(container, dict)):
                container[key] = made = kind()
                self._open.append((column, made))
                if len(self._open) > _MAX_DEPTH:
                    raise NotPlainError
                return made
        while self._open:
            left, opened = self._open[-1]
            if left == column and isinstance(opened, kind):
                return opened
            if left < column or (isinstance(opened, dict) and left == column):
                break
            self._open.pop()
        raise NotPlainError


def _read_flow(text: str) -> object:
    """A list or mapping of scalars on one line: `[train.py, 1]`, `{cache: false}`."""
    items = [_read_scalar(item)[0] for item in _ITEMS.findall(text)]
    if _FLOW_LIST.fullmatch(text):
        return items
    values = dict(zip(items[::2], items[1::2], strict=False))
    if _FLOW_MAPPING.fullmatch(text) is None or len(values) * 2 != len(items):
        raise NotPlainError
    return values


@lru_cache(maxsize=1 << 16)
def _read_scalar(text: str) -> tuple[object, bool]:
    """The value of a scalar that stands on one line, and whether it is plain, rather than quoted."""
    if _QUOTED.fullmatch(text):
        return text[1:-1], False
    if not _PLAIN.fullmatch(text):
        raise NotPlainError
    tag = scalars.resolve(text)
    if tag == scalars.STR:
        return text, True
    try:
        return scalars.BUILDERS[tag](text), True
    except (KeyError, ValueError):
        raise NotPlainError from None
