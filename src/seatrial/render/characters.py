"""Which characters may leave: what every renderer does to a string before it escapes it for its medium."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Spaces that are only spaces; no-break, narrow and thin ones (U+00A0, U+202F, U+2009) are typography and stay.
_SPACES = re.compile("[ \t-\r\x1c-\x1f\x85\u1680\u2000-\u2008\u200a\u2028\u2029\u205f\u3000]+")
# Letters and marks without a shape, which Unicode does not count as format characters.
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# What our own wording sets numbers with: nothing in it is hidden, or composed.
_TYPESET = re.compile("[ -~\u00a0\u2013\u2026\u2190-\u2193\u2212\u2264\u2265\u0394\u00b1\u00b7\u00d7]*")
_RANGE = re.compile(r"(?<=\d)…(?=[−+\d])")
_LEFT_TO_RIGHT_MARK = "\u200e"
# Blocks of the scripts that are written from right to left: Hebrew, Arabic, Syriac, N'Ko, Adlam and their like.
_RIGHT_TO_LEFT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff"
_TURNED = re.compile(f"[{_RIGHT_TO_LEFT}]+(?: +[{_RIGHT_TO_LEFT}]+)*")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co"})
_MOST_MARKS = 4
_MOST_READ = 20_000
_SHORT = 200


def readable(value: str, limit: int | None = None) -> str:
    """One line of visible characters in NFC, at most `limit` long (the end gives way to `…`).

    Control, format (zero width, bidirectional), private and surrogate code points are dropped, white space is
    folded, towers of combining marks are cut: two names that look alike after this are shown alike in every format.
    """
    if (value.isascii() and value.isprintable()) or _TYPESET.fullmatch(value):
        value = _SPACES.sub(" ", value[:_MOST_READ]) if "  " in value else value[:_MOST_READ]
    else:
        # Most texts that are not plain are short, and are there many times: signs, numbers, reasons.
        value = (_clean_short if len(value) <= _SHORT else _clean)(value)
    return value if limit is None or len(value) <= limit else value[: limit - 1].rstrip() + "…"


def _clean(value: str) -> str:
    value = unicodedata.normalize("NFC", _SPACES.sub(" ", value[:_MOST_READ]))
    return _SPACES.sub(" ", _without_towers("".join(char for char in value if _is_visible(char))))


_clean_short = lru_cache(maxsize=1 << 12)(_clean)


def shorten_middle(value: str, limit: int) -> str:
    """A name that keeps its beginning and its end: paths and keys differ mostly at the end."""
    if len(value) <= limit:
        return value
    tail = (limit - 1) * 2 // 3
    return value[: limit - 1 - tail] + "…" + value[len(value) - tail :]


def join_ranges(value: str) -> str:
    """Text in which no line ends within a range of numbers: `−0.049…−0.012` is one thing to the eye."""
    return _RANGE.sub("…\u2060", value)


def keep_order(value: str) -> str:
    """Text in which words of right-to-left scripts turn nobody round but themselves.

    After such a word `0.9 → 0.1` would be shown as `0.1 → 0.9`, and a line that begins with one from the right.
    """
    if value.isascii():
        return value
    return _TURNED.sub(rf"{_LEFT_TO_RIGHT_MARK}\g<0>{_LEFT_TO_RIGHT_MARK}", value)


def _is_visible(char: str) -> bool:
    code = ord(char)
    noncharacter = 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
    tag = 0xE0000 <= code <= 0xE0FFF
    return not (noncharacter or tag or char in _BLANKS or unicodedata.category(char) in _HIDDEN)


def _without_towers(value: str) -> str:
    kept: list[str] = []
    marks = 0
    for char in value:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if marks <= _MOST_MARKS:
            kept.append(char)
    return "".join(kept)
