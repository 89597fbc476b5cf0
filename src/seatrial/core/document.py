"""The document model: what a report says, before anybody decides how it looks.

Text is raw here. A renderer escapes it for its own medium, so nothing in this module is markup, and a
plain string is not an `Inline`: it can't be put into a block by accident.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Mark(str, Enum):
    """The sign in front of a line; every renderer shows it with a word or a symbol, never by colour alone."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    NEUTRAL = "neutral"


class Align(str, Enum):
    """How a column is set."""

    LEFT = "left"
    RIGHT = "right"
    CENTRE = "centre"


@dataclass(frozen=True, slots=True)
class Text:
    """Words, ours or a stranger's: always escaped."""

    value: str


@dataclass(frozen=True, slots=True)
class Code:
    """A name as it stands in a file: metric, path, commit."""

    value: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Words that the eye should find first."""

    value: str


@dataclass(frozen=True, slots=True)
class Link:
    """A label with an address. Only addresses of the forge and of the CI job come here, never data."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Sign:
    """A mark inside a line or a cell."""

    mark: Mark


Inline = Text | Code | Strong | Link | Sign
Line = tuple[Inline, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """One line of running text."""

    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A table's column."""

    title: Line
    align: Align = Align.LEFT


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells, each as long as `columns`.

    A renderer that runs out of room drops rows from the end and says how many, but never one of the
    first `keep` rows.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Line, ...], ...]
    keep: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """Mermaid source, drawn where the medium can and left out where it can't."""

    title: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A part that is closed until the reader opens it; the first to go when room is short."""

    summary: Line
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Footnote:
    """Small print: where the numbers come from."""

    line: Line


Block = Paragraph | Table | Diagram | Folded | Footnote


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A report as a reader meets it: the verdict, what to do next, then everything else."""

    mark: Mark
    title: Line
    blocks: tuple[Block, ...]
