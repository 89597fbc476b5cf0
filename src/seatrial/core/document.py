"""The document model: what a report says, before anybody decides how it looks.

Text is raw here. A renderer escapes it for its own medium, so nothing in this module is markup, and a
plain string is not an `Inline`: it can't be put into a block by accident.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Mark(str, Enum):
    """The sign in front of a line; every renderer shows it with a word or a symbol, never by colour alone."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NEUTRAL = "neutral"


class Align(str, Enum):
    """How a column is set."""

    LEFT = "left"
    RIGHT = "right"
    CENTRE = "centre"


class Text(Struct, frozen=True):
    """Words, ours or a stranger's: always escaped."""

    value: str


class Code(Struct, frozen=True):
    """A name as it stands in a file: metric, path, commit."""

    value: str


class Strong(Struct, frozen=True):
    """Words that the eye should find first."""

    value: str


class Link(Struct, frozen=True):
    """A label with an address. Only addresses of the forge and of the CI job come here, never data."""

    label: str
    url: str


class Sign(Struct, frozen=True):
    """A mark inside a line or a cell."""

    mark: Mark


Inline = Text | Code | Strong | Link | Sign
Line = tuple[Inline, ...]


class Paragraph(Struct, frozen=True, kw_only=True):
    """One line of running text."""

    line: Line


class Column(Struct, frozen=True, kw_only=True):
    """A table's column."""

    title: Line
    align: Align = Align.LEFT


class Table(Struct, frozen=True, kw_only=True):
    """Rows of cells, each as long as `columns`.

    A renderer that runs out of room drops rows from the end and says how many, but never one of the
    first `keep` rows.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Line, ...], ...]
    keep: int = 0


class Diagram(Struct, frozen=True, kw_only=True):
    """Mermaid source, drawn where the medium can and left out where it can't; empty where no forge would draw it.

    `still` is the same as Vega-Lite in JSON, for a page that draws by itself.
    """

    title: str
    source: str
    still: str | None = None


class Plot(Struct, frozen=True, kw_only=True):
    """A chart of both sides as Vega-Lite in JSON: `live` for a screen that answers, `still` for paper.

    Drawn where the medium can; `diagram` stands for it where only Mermaid is drawn, else it is left out. `words` say
    what is on it; `name` and `title` are what it is called where it stands alone.
    """

    words: str
    live: str
    still: str
    diagram: Diagram | None = None
    name: str = ""
    title: str = ""


class Picture(Struct, frozen=True, kw_only=True):
    """A picture that somebody made: its bytes, checked to be what `media_type` says, and its size in pixels."""

    content: bytes
    media_type: str
    width: int
    height: int


class Pictures(Struct, frozen=True, kw_only=True):
    """Pictures side by side, each below its label; shown where the medium can and left out where it can't.

    `name` is the plot's whose they are.
    """

    words: str
    labelled: tuple[tuple[Line, Picture], ...]
    name: str = ""


class Folded(Struct, frozen=True, kw_only=True):
    """A part that is closed until the reader opens it; the first to go when room is short."""

    summary: Line
    blocks: tuple[Block, ...]


class Footnote(Struct, frozen=True, kw_only=True):
    """Small print: where the numbers come from."""

    line: Line


Block = Paragraph | Table | Diagram | Plot | Pictures | Folded | Footnote


class Document(Struct, frozen=True, kw_only=True):
    """A report as a reader meets it: the verdict, what to do next, then everything else."""

    mark: Mark
    title: Line
    blocks: tuple[Block, ...]
