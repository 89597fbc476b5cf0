"""A report for the terminal: aligned, compact, coloured only where that was asked for.

Without colour the text has no escape sequence at all, so that it can be piped, logged and compared. Signs come first
and are characters, not colours. A table that is too wide for the terminal is written record by record.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import zip_longest

from msgspec import Struct
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.text import Text as RichText

from seatrial.core.document import (
    Align,
    Block,
    Code,
    Diagram,
    Folded,
    Footnote,
    Inline,
    Line,
    Link,
    Mark,
    Paragraph,
    Sign,
    Strong,
    Table,
    Text,
)
from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.characters import readable
from seatrial.render.signs import SIGNS

_GAP = 3
_LONGEST_WORD = 24
_COMFORTABLE = 15
_INDENT = 2
_NARROWEST = 20
# Wide enough for any table: with no width given nothing is wrapped.
_UNBOUNDED = 100_000


def render(report: Report, options: RenderOptions) -> str:
    """The document as text of at most `options.width` cells, ending with a newline."""
    width = max(options.width, _NARROWEST) if options.width else _UNBOUNDED
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=options.colour,
        color_system="standard" if options.colour else None,
        no_color=not options.colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )
    document = report.document
    title = _title(document.mark, document.title)
    with console.capture() as capture:
        console.print(Group(title, *_space_out(_Writer(options, console).write(document.blocks))))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _title(mark: Mark, title: Line) -> RichText:
    style = SIGNS[mark]
    return RichText.assemble((f"{style.character} ", f"bold {style.colour}"), _write_line(title), style="bold")


def _space_out(renderables: Iterable[RenderableType]) -> Iterable[RenderableType]:
    for renderable in renderables:
        yield ""
        yield renderable


class _Writer:
    """Blocks → what rich prints, for a given width."""

    def __init__(self, options: RenderOptions, console: Console) -> None:
        self._colour = options.colour
        self._console = console
        self._width = console.width

    def write(self, blocks: tuple[Block, ...]) -> list[RenderableType]:
        return [written for block in blocks if (written := self._write_block(block)) is not None]

    def _write_block(self, block: Block) -> RenderableType | None:
        match block:
            case Paragraph(line=line):
                return self._line(line)
            case Footnote(line=line):
                text = self._line(line)
                text.stylize("dim")
                return text
            case Table():
                return self._write_table(block)
            case Folded(summary=summary, blocks=blocks):
                return self._write_folded(summary, blocks)
            case Diagram():
                # A drawing's source says nothing in a terminal; its numbers stand in the tables.
                return None

    def _line(self, line: Line) -> RichText:
        return _write_line(line, links=self._colour)

    def _write_folded(self, summary: Line, blocks: tuple[Block, ...]) -> RenderableType:
        title = self._line(summary)
        title.stylize("bold")
        self._width -= _INDENT
        inside = self.write(blocks)
        self._width += _INDENT
        spaced = [part for written in inside for part in (written, "")][:-1]
        return Group(title, Padding(Group(*spaced), (0, 0, 0, _INDENT), expand=False))

    def _write_table(self, table: Table) -> RenderableType:
        titles = [self._line(column.title) for column in table.columns]
        rows = [[self._line(cell) for cell in row] for row in table.rows]
        aligns = [column.align for column in table.columns]
        if len(titles) > 1 and not titles[0].plain:
            _lead_with_sign(titles, rows)
            del aligns[0]
        measures = [_measure(align, titles[at], [row[at] for row in rows]) for at, align in enumerate(aligns)]
        layout = _choose_layout(measures, self._width)
        if layout is None:
            return self._write_records(titles, rows)
        for title in titles:
            title.stylize("dim")
        rule = RichText("─" * (sum(layout.widths) + layout.gap * (len(aligns) - 1)), style="dim")
        head = self._write_row(titles, aligns, layout, sink=True)
        body = [self._write_row(row, aligns, layout) for row in rows]
        return RichText("\n", no_wrap=True, overflow="ignore").join([head, rule, *body])

    def _write_row(
        self, cells: list[RichText], aligns: list[Align], layout: _Layout, *, sink: bool = False
    ) -> RichText:
        """Cells beside each other, each broken into lines where it is wider than its column; `sink` sets them low.

        Rich's own tables do the same at several times the cost, which long tables of metrics would feel.
        """
        columns = [self._break(*column) for column in zip(cells, aligns, layout.widths, strict=True)]
        if sink:
            most = max(len(column) for column in columns)
            columns = [[RichText()] * (most - len(column)) + column for column in columns]
        lines = []
        for parts in zip_longest(*columns, fillvalue=RichText()):
            line = RichText()
            for part, align, width in zip(parts, aligns, layout.widths, strict=True):
                line.append(" " * layout.gap if line else "")
                before, after = _pad(width - cell_len(part.plain), align)
                line.append(before).append_text(part).append(after)
            lines.append(line)
        return RichText("\n").join(lines)

    def _break(self, cell: RichText, align: Align, width: int) -> list[RichText]:
        """A cell's lines; an interval goes to a line of its own, rather than break within it."""
        if cell_len(cell.plain) <= width:
            return [cell]
        if align is not Align.LEFT:
            cell.plain = cell.plain.replace(" (", "\n(")
        lines = cell.wrap(self._console, width, overflow="fold")
        for line in lines:
            line.rstrip()
        return list(lines)

    def _write_records(self, titles: list[RichText], rows: list[list[RichText]]) -> RenderableType:
        """Row by row, each cell on a line of its own: nothing is cropped in a narrow terminal."""
        written: list[RenderableType] = []
        for row in rows:
            remarks = [cell for title, cell in zip(titles[1:], row[1:], strict=True) if not title.plain and cell.plain]
            written += [""] if written else []
            written.append(RichText(": ").join([row[0], *remarks]))
            for title, cell in zip(titles[1:], row[1:], strict=True):
                if title.plain and cell.plain:
                    written.append(RichText.assemble("  ", (title.plain, "dim"), "  ", cell))
        return Group(*written)


def _pad(spare: int, align: Align) -> tuple[str, str]:
    """The spaces in front of and behind a cell."""
    before = {Align.LEFT: 0, Align.RIGHT: spare, Align.CENTRE: spare // 2}[align]
    return " " * before, " " * (spare - before)


def _lead_with_sign(titles: list[RichText], rows: list[list[RichText]]) -> None:
    """Join the first column, which has no title, to the second: `✗ recall` is one thing to the eye."""
    width = max(cell_len(row[0].plain) for row in rows) if rows else 0
    for cells in (titles, *rows):
        sign = cells.pop(0)
        sign.append(" " * (width + 1 - cell_len(sign.plain)))
        cells[0] = sign.append_text(cells[0])


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


def _measure(align: Align, title: RichText, cells: list[RichText]) -> _Measure:
    """Names break at spaces and, if they are very long, within words; numbers only in front of a bracket."""
    body = [cell.plain for cell in cells]
    title_word = _longest(title.plain.split(" "))
    if align is Align.LEFT:
        least = max(title_word, _longest(word[:_LONGEST_WORD] for text in body for word in text.split(" ")))
    else:
        least = max(title_word, _longest(part for text in body for part in text.replace(" (", "\n(").split("\n")))
    return _Measure(
        align=align,
        natural=max(cell_len(title.plain), _longest(body)),
        broken_title=max(title_word, _longest(body)),
        least=least,
    )


def _longest(texts: Iterable[str]) -> int:
    return max((cell_len(text) for text in texts), default=0)


def _choose_layout(columns: list[_Measure], width: int) -> _Layout | None:
    """Nothing broken if there is room, else titles, then intervals, then remarks to shreds; None if nothing fits."""
    if sum(column.natural for column in columns) + _GAP * (len(columns) - 1) <= width:
        return _Layout(widths=[column.natural for column in columns], gap=_GAP)
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


def _write_line(line: Line, *, links: bool = False) -> RichText:
    text = RichText()
    for inline in line:
        text.append_text(_write_inline(inline, links))
    return text


def _write_inline(inline: Inline, links: bool) -> RichText:
    match inline:
        case Text(value=value):
            return RichText(readable(value))
        case Strong(value=value):
            return RichText(readable(value), style="bold")
        case Code(value=value):
            return RichText(readable(value), style="cyan")
        case Link(label=label, url=url):
            return _write_link(readable(label), readable(url), links)
        case Sign(mark=mark):
            return RichText(SIGNS[mark].character, style=f"bold {SIGNS[mark].colour}")


def _write_link(label: str, url: str, links: bool) -> RichText:
    if links and url.startswith(("https://", "http://")):
        return RichText(label, style=Style(link=url))
    return RichText(f"{label} ({url})")
