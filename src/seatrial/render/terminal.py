"""A report for the terminal: aligned, compact, coloured only where that was asked for.

Without colour the text has no escape sequence at all, so that it can be piped, logged and compared. Signs come first
and are characters, not colours. A table that is too wide for the terminal is written record by record.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

from msgspec import Struct
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from rich.text import Text as RichText

from seatrial.core.document import (
    Align,
    Block,
    Code,
    Diagram,
    Document,
    Folded,
    Footnote,
    Inline,
    Line,
    Link,
    Mark,
    Paragraph,
    Pictures,
    Plot,
    Sign,
    Strong,
    Table,
    Text,
)
from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.characters import keep_order, readable
from seatrial.render.signs import SIGNS

_GAP = 3
_LONGEST_WORD = 24
_COMFORTABLE = 15
_INDENT = 2
_NARROWEST = 20
# Nobody reads more, and a change may declare a hundred thousand metrics.
_MOST_ROWS = 10_000
_PLAIN, _BOLD, _DIM, _NAME = Style(), Style(bold=True), Style(dim=True), Style(color="cyan")
# Wide enough for any table: with no width given nothing is wrapped.
_UNBOUNDED = 100_000


def render(report: Report, options: RenderOptions) -> str:
    """A report as text of at most `options.width` cells, ending with a newline."""
    return render_document(report.document, options)


def render_document(document: Document, options: RenderOptions) -> str:
    """Any document in the same way."""
    width = max(options.width, _NARROWEST) if options.width else _UNBOUNDED
    writer = _Writer(width, colour=options.colour)
    lines = writer.write_line(_title(document.mark, document.title))
    for written in writer.write(document.blocks):
        lines += ["", *written]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _title(mark: Mark, title: Line) -> _Cell:
    style = SIGNS[mark]
    sign = _Piece(f"{style.character} ", _BOLD + Style.parse(style.colour))
    return _join((sign, *(piece.add(_BOLD) for piece in _write_line(title).pieces)))


class _Piece(Struct, frozen=True):
    """Text of one style."""

    text: str
    style: Style = _PLAIN

    def add(self, style: Style) -> _Piece:
        """The same with one style more."""
        return _Piece(self.text, style + self.style)


class _Cell(Struct, frozen=True):
    """A line of text, or a part of one; `plain` is the text alone, `width` the room that it takes."""

    pieces: tuple[_Piece, ...] = ()
    plain: str = ""
    width: int = 0

    def add(self, style: Style) -> _Cell:
        """The same with one style more."""
        return _Cell(tuple(piece.add(style) for piece in self.pieces), self.plain, self.width)


def _join(pieces: Iterable[_Piece]) -> _Cell:
    joined = tuple(pieces)
    plain = joined[0].text if len(joined) == 1 else "".join([piece.text for piece in joined])
    return _Cell(joined, plain, _width(plain))


class _Writer:
    """Blocks → lines, for a given width.

    Only what has to be broken is given to rich: its texts, and its tables even more, cost several times what the
    lines of a long table of metrics cost here.
    """

    def __init__(self, width: int, *, colour: bool) -> None:
        self._width = width
        self._colour = colour
        self._console = Console(file=io.StringIO(), width=width, color_system=None, _environ={})

    def write(self, blocks: tuple[Block, ...]) -> list[list[str]]:
        """The lines of every block that is shown."""
        return [written for block in blocks if (written := self._write_block(block))]

    def write_line(self, cell: _Cell) -> list[str]:
        """One line, broken where it is too wide."""
        fitting = [cell] if cell.width <= self._width else self._wrap(cell, self._width)
        return [self._paint(part) for part in fitting]

    def _write_block(self, block: Block) -> list[str]:
        match block:
            case Paragraph(line=line):
                return self.write_line(self._line(line))
            case Footnote(line=line):
                return self.write_line(self._line(line).add(_DIM))
            case Table():
                return self._write_table(block)
            case Folded(summary=summary, blocks=blocks):
                return self._write_folded(summary, blocks)
            case Diagram() | Plot() | Pictures():
                # A drawing's source says nothing in a terminal; its numbers stand in the tables.
                return []

    def _line(self, line: Line) -> _Cell:
        return _write_line(line, links=self._colour)

    def _write_folded(self, summary: Line, blocks: tuple[Block, ...]) -> list[str]:
        lines = self.write_line(self._line(summary).add(_BOLD))
        self._width -= _INDENT
        inside = self.write(blocks)
        self._width += _INDENT
        for at, written in enumerate(inside):
            lines += [""] if at else []
            lines += [f"{' ' * _INDENT}{line}" for line in written]
        return lines

    def _write_table(self, table: Table) -> list[str]:
        titles = [self._line(column.title) for column in table.columns]
        rows = [[self._line(cell) for cell in row] for row in table.rows[:_MOST_ROWS]]
        aligns = [column.align for column in table.columns]
        if len(titles) > 1 and not titles[0].plain:
            _lead_with_sign(titles, rows)
            del aligns[0]
        layout = _choose_layout(aligns, [titles, *rows], self._width)
        if layout is None:
            return self._write_records(titles, rows) + self._tell_rest(table)
        rule = _join((_Piece("─" * (sum(layout.widths) + layout.gap * (len(aligns) - 1)), _DIM),))
        lines = [*self._write_row([title.add(_DIM) for title in titles], aligns, layout, sink=True), self._paint(rule)]
        for row in rows:
            lines += self._write_row(row, aligns, layout)
        return lines + self._tell_rest(table)

    def _tell_rest(self, table: Table) -> list[str]:
        left = len(table.rows) - _MOST_ROWS
        text = f"… and {left:,} more rows: --format json has them all"
        return self.write_line(_join((_Piece(text, _DIM),))) if left > 0 else []

    def _write_row(self, cells: list[_Cell], aligns: list[Align], layout: _Layout, *, sink: bool = False) -> list[str]:
        """Cells beside each other, each broken into lines where it is wider than its column; `sink` sets them low."""
        gap = " " * layout.gap
        if all(cell.width <= width for cell, width in zip(cells, layout.widths, strict=True)):
            return [gap.join(map(self._fill, cells, aligns, layout.widths))]
        columns = [self._break(*column) for column in zip(cells, aligns, layout.widths, strict=True)]
        most = max(len(column) for column in columns)
        for column in columns:
            empty = [_Cell()] * (most - len(column))
            column[: 0 if sink else len(column)] = empty if sink else column + empty
        return [gap.join(map(self._fill, parts, aligns, layout.widths)) for parts in zip(*columns, strict=True)]

    def _fill(self, cell: _Cell, align: Align, width: int) -> str:
        before, after = _pad(width - cell.width, align)
        return f"{before}{self._paint(cell)}{after}"

    def _break(self, cell: _Cell, align: Align, width: int) -> list[_Cell]:
        """A cell's lines; an interval goes to a line of its own, rather than break within it."""
        if cell.width <= width:
            return [cell]
        return self._wrap(cell, width, keep=align is not Align.LEFT)

    def _wrap(self, cell: _Cell, width: int, *, keep: bool = False) -> list[_Cell]:
        """Lines of at most `width`; with `keep`, numbers are broken only in front of a bracket."""
        text = RichText.assemble(*((piece.text, piece.style) for piece in cell.pieces))
        if keep:
            text.plain = text.plain.replace(" (", "\n(")
        lines = text.wrap(self._console, width, overflow="fold")
        return [self._gather(line) for line in lines]

    def _gather(self, line: RichText) -> _Cell:
        """A line of rich's as ours."""
        line.rstrip()
        segments = line.render(self._console, end="")
        return _join(_Piece(part.text, part.style or _PLAIN) for part in segments)

    def _paint(self, cell: _Cell) -> str:
        """The text that a terminal shows."""
        if not self._colour:
            return cell.plain
        return "".join(piece.style.render(piece.text, color_system=ColorSystem.STANDARD) for piece in cell.pieces)

    def _write_records(self, titles: list[_Cell], rows: list[list[_Cell]]) -> list[str]:
        """Row by row, each cell on a line of its own: nothing is cropped in a narrow terminal."""
        lines: list[str] = []
        for row in rows:
            remarks = [cell for title, cell in zip(titles[1:], row[1:], strict=True) if not title.plain and cell.plain]
            lines += [""] if lines else []
            parts = [piece for cell in remarks for piece in (_Piece(": "), *cell.pieces)]
            lines += self.write_line(_join((*row[0].pieces, *parts)))
            for title, cell in zip(titles[1:], row[1:], strict=True):
                if title.plain and cell.plain:
                    label = (_Piece("  "), _Piece(title.plain, _DIM), _Piece("  "))
                    lines += self.write_line(_join((*label, *cell.pieces)))
        return lines


def _pad(spare: int, align: Align) -> tuple[str, str]:
    """The spaces in front of and behind a cell."""
    before = 0 if align is Align.LEFT else spare if align is Align.RIGHT else spare // 2
    return " " * before, " " * (spare - before)


def _lead_with_sign(titles: list[_Cell], rows: list[list[_Cell]]) -> None:
    """Join the first column, which has no title, to the second: `✗ recall` is one thing to the eye."""
    width = max((row[0].width for row in rows), default=0)
    for cells in (titles, *rows):
        sign = cells.pop(0)
        spare = _Piece(" " * (width + 1 - sign.width))
        cells[0] = _join((*sign.pieces, spare, *cells[0].pieces))


class _Measure(Struct, frozen=True, kw_only=True):
    """The cells a column takes: with nothing broken, with its title broken, and at the very least."""

    align: Align
    natural: int
    broken_title: int
    least: int


class _Layout(Struct, frozen=True, kw_only=True):
    """How wide each column is, and how many cells are between two."""

    widths: list[int]
    gap: int


def _measure(align: Align, texts: list[str]) -> _Measure:
    """Names break at spaces and, if they are very long, within words; numbers only in front of a bracket."""
    title, *body = texts
    title_word = _longest(title.split(" "))
    if align is Align.LEFT:
        least = max(title_word, _longest(word[:_LONGEST_WORD] for text in body for word in text.split(" ")))
    else:
        least = max(title_word, _longest(part for text in body for part in text.replace(" (", "\n(").split("\n")))
    return _Measure(align=align, natural=_longest(texts), broken_title=max(title_word, _longest(body)), least=least)


def _longest(texts: Iterable[str]) -> int:
    return max(map(_width, texts), default=0)


def _width(text: str) -> int:
    """The cells that a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def _choose_layout(aligns: list[Align], rows: list[list[_Cell]], width: int) -> _Layout | None:
    """Nothing broken if there is room, else titles, then intervals, then remarks to shreds; None if nothing fits."""
    cells = list(zip(*rows, strict=True))
    natural = [max(cell.width for cell in column) for column in cells]
    if sum(natural) + _GAP * (len(natural) - 1) <= width:
        return _Layout(widths=natural, gap=_GAP)
    columns = [_measure(align, [cell.plain for cell in column]) for align, column in zip(aligns, cells, strict=True)]
    gap = _GAP - 1
    room = width - gap * (len(columns) - 1)
    for attempt in ("broken_title", "least", "shreds"):
        widths = [_narrow(column, attempt) for column in columns]
        spare = room - sum(widths)
        if spare < 0:
            continue
        for at, column in enumerate(columns):
            more = min(spare, column.natural - widths[at]) if column.align is Align.LEFT else 0
            widths[at] += more
            spare -= more
        return _Layout(widths=widths, gap=gap)
    return None


def _narrow(column: _Measure, attempt: str) -> int:
    if column.align is not Align.LEFT:
        return column.broken_title if attempt == "broken_title" else column.least
    return column.least if attempt == "shreds" else max(column.least, min(column.natural, _COMFORTABLE))


def _write_line(line: Line, *, links: bool = False) -> _Cell:
    return _join([_write_inline(inline, links) for inline in line])


def _write_inline(inline: Inline, links: bool) -> _Piece:
    match inline:
        case Text(value=value):
            return _Piece(keep_order(readable(value)))
        case Strong(value=value):
            return _Piece(keep_order(readable(value)), _BOLD)
        case Code(value=value):
            return _Piece(keep_order(readable(value)), _NAME)
        case Link(label=label, url=url):
            return _write_link(keep_order(readable(label)), readable(url), links)
        case Sign(mark=mark):
            return _Piece(SIGNS[mark].character, _BOLD + Style.parse(SIGNS[mark].colour))


def _write_link(label: str, url: str, links: bool) -> _Piece:
    if links and url.startswith(("https://", "http://")):
        return _Piece(label, Style(link=url))
    return _Piece(f"{label} ({url})")
