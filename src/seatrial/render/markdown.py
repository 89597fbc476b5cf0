"""A report as GitHub's and GitLab's Markdown: a comment, a job summary, a check's text.

Everything that is not ours is escaped here, by the kind of inline and the place where it stands. Ordinary names
stay as they are; what could ping, link, command, draw or hide is written with entities, which Markdown never reads as
structure, and a zero-width space parts what forges look for in the finished text (`@name`, `#12`, addresses).
A report that exceeds its budget shrinks by parts and says what is missing; no text is cut midway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import Enum
from urllib.parse import quote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

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
    Paragraph,
    Pictures,
    Plot,
    Sign,
    Strong,
    Table,
    Text,
)
from seatrial.core.report import Report
from seatrial.render import Flavour, RenderOptions
from seatrial.render.characters import join_ranges, keep_order, readable, shorten_middle
from seatrial.render.plain import leave_out_html
from seatrial.render.signs import SIGNS

_ZERO_WIDTH_SPACE = "\u200b"
_FEWEST_ROWS = 3
_MOST_NAMES = 6
# GitLab draws Mermaid only while the sources of a page stay within 2,000 characters, Bitbucket never.
_DIAGRAM_ROOM: dict[Flavour, int | None] = {"github": None, "gitlab": 2_000, "bitbucket": 0}


_WIDEST = 800  # CSS pixels of a picture, or of those side by side
# What GitLab completes by the project's address wherever it shows the text.
_UPLOAD = re.compile(r"/uploads/[0-9a-f]+/[\w.-]+", re.ASCII)


class Place(Enum):
    """Where an inline stands; the value is the most characters that one inline may have there."""

    HEADING = 300
    RUNNING = 2_000
    CELL = 200
    SUMMARY = 250  # inside <summary>, where Markdown is not read: HTML only


def render(report: Report, options: RenderOptions) -> str:
    """The document within `options.budget` bytes; verdict, first paragraphs and `Table.keep` rows come first."""
    return render_document(report.document, options)


def render_document(document: Document, options: RenderOptions) -> str:
    """Any document in the same way."""
    parts = _Writer(options).write_document(document)
    text = _compose(parts, _Room(), options) if options.budget is None else _fit(parts, options.budget, options)
    return leave_out_html(text) if options.flavour == "bitbucket" else text


# --- Escaping ---------------------------------------------------------------------------------------------------------

_STRUCTURE = {char: f"&#{ord(char)};" for char in "\\`*[]|~#"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Forges look for formulas in the finished text, where an entity is a dollar again: an element keeps two of them apart.
_STRUCTURE |= {"$": "<span>&#36;</span>"}
_OUTER_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
# What forges and Markdown's autolinks look for in text, also after entities were resolved: parted behind the match.
_REFERENCE = re.compile(
    r"""
      @(?=[\w{-])             # people and teams, e-mail addresses
    | [#!&$](?=\d)            # issues, merge requests, epics, snippets
    | [~%](?=[\w"{])          # GitLab's labels, milestones and placeholders
    | [\[{](?=[+-])           # GitLab's coloured changes: [+ added +]
    | (?<=\w/)[\w.-]+(?=>)    # GitLab's projects: group/project>
    | \[(?=\[|\w+:|TOC)       # GitLab's [vulnerability:1], wiki links, tables of contents
    | \*(?=iteration:)
    | (?<![^\W_])GH(?=-\d)    # GitHub's other way to name an issue
    | :(?=//) | www(?=\.)     # addresses
    | :(?=\w*[a-z+][\w+-]*:)  # :emoji:
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LINE_START = re.compile(r"^(?:[-+=/:]|\d+(?=[.)]))")
_TAME_CODE = re.compile(r"[^`|<>\\&]+")
_ADDRESS = re.compile(r":(?=//)|www(?=\.)|@(?=\w)", re.IGNORECASE)
_SAFE_IN_URL = "/:?#@!$&'*+,;=%-._~"


def escape_line(line: Line, place: Place) -> str:
    """A line of inlines, escaped for the place where it will stand."""
    return "".join(_escape_inline(inline, place) for inline in _merge_text(line))


def _merge_text(line: Line) -> Iterable[Inline]:
    """Neighbouring `Text` as one, so that `#` and `12` are not escaped each on its own."""
    pending = ""
    for inline in line:
        if isinstance(inline, Text):
            pending += inline.value
            continue
        if pending:
            yield Text(pending)
            pending = ""
        yield inline
    if pending:
        yield Text(pending)


def _escape_inline(inline: Inline, place: Place) -> str:
    match inline:
        case Text(value=value):
            return escape_text(_set(value, place))
        case Strong(value=value):
            return _escape_strong(_set(value, place).strip(), place)
        case Code(value=value):
            return _escape_code(readable(value).strip(), place)
        case Link(label=label, url=url):
            return _escape_link(_set(label, place).strip(), url, place)
        case Sign(mark=mark):
            return SIGNS[mark].emoji


def _set(value: str, place: Place) -> str:
    """Words as a reader is to see them."""
    return keep_order(join_ranges(readable(value, place.value)))


def escape_text(value: str) -> str:
    """Readable text as Markdown and as HTML at once: nothing in it is structure, a reference or an address."""
    parted = _REFERENCE.sub(rf"\g<0>{_ZERO_WIDTH_SPACE}", value)
    # Within a word an underscore is no emphasis: `train.loss_2` stays as it is.
    outer = {match.start() for match in _OUTER_UNDERSCORE.finditer(parted)}
    return "".join("&#95;" if at in outer else _STRUCTURE.get(char, char) for at, char in enumerate(parted))


def _escape_strong(value: str, place: Place) -> str:
    if not value:
        return ""
    escaped = escape_text(value)
    # `**` opens and closes beside any neighbour only if letters or digits stand at its inner edges.
    if place is not Place.SUMMARY and escaped[0].isalnum() and escaped[-1].isalnum():
        return f"**{escaped}**"
    return f"<strong>{escaped}</strong>"


def _escape_code(value: str, place: Place) -> str:
    value = keep_order(shorten_middle(value, place.value)) or "(empty)"
    if place is not Place.SUMMARY and _TAME_CODE.fullmatch(value):
        return f"`{value}`"
    # Back-ticks do not protect a pipe in a cell, and back-slashes in front of one are read differently by different
    # parsers. In an element, with every sign as an entity, nothing is left to read.
    parted = _ADDRESS.sub(rf"\g<0>{_ZERO_WIDTH_SPACE}", value)
    return "<code>" + "".join(char if _is_plain(char) else f"&#{ord(char)};" for char in parted) + "</code>"


def _is_plain(char: str) -> bool:
    return char.isalnum() or not char.isascii() or char in " .,-"


def _escape_link(label: str, url: str, place: Place) -> str:
    escaped = escape_text(label)
    address = safe_address(url)
    if address is None or not escaped:
        return escaped
    if place is Place.SUMMARY:
        return f'<a href="{address.replace("&", "&amp;")}">{escaped}</a>'
    return f"[{escaped}]({address})"


def safe_address(url: str) -> str | None:
    """A web address whose every other character is percent-encoded, or None for any other scheme."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None
    return quote(url, safe=_SAFE_IN_URL, errors="replace").replace("'", "%27")


def _escape_line_start(line: str) -> str:
    """The first characters as entities where they would begin a list, a rule, a table or a GitLab command."""
    return _LINE_START.sub(_as_line_start, line)


def _as_line_start(match: re.Match[str]) -> str:
    text = match.group()
    return f"{text}{_ZERO_WIDTH_SPACE}" if text.isdigit() else f"&#{ord(text)};"


# --- Writing ----------------------------------------------------------------------------------------------------------


class _Words(Struct, frozen=True, kw_only=True):
    """A part that stays; small print (`spare`) gives way to rows that should be kept."""

    text: str
    spare: bool = False


class _Drawing(Struct, frozen=True, kw_only=True):
    """A part that goes as a whole, before any row of an open table; `instead` says where it is to be seen."""

    text: str
    instead: str


class _Rows(Struct, frozen=True, kw_only=True):
    """A table with its rows apart, so that fewer of them can be written."""

    head: str
    rows: tuple[str, ...]
    keep: int


class _Fold(Struct, frozen=True, kw_only=True):
    """A closed part; `name` is its summary as escaped text."""

    name: str
    parts: tuple[_Part, ...]


_Part = _Words | _Drawing | _Rows | _Fold


class _Writer:
    """Escapes a document once, part by part; how many of the parts are used is decided afterwards."""

    def __init__(self, options: RenderOptions) -> None:
        self._drawing_room = _DIAGRAM_ROOM[options.flavour]
        self._full_report_url = options.full_report_url
        self._pictures = options.pictures

    def write_document(self, document: Document) -> tuple[_Part, ...]:
        title = escape_line(document.title, Place.HEADING).strip()
        heading = _Words(text=f"### {SIGNS[document.mark].emoji} {title}")
        return (heading, *self._write_blocks(document.blocks))

    def _write_blocks(self, blocks: tuple[Block, ...]) -> tuple[_Part, ...]:
        return tuple(part for block in blocks if (part := self._write_block(block)) is not None)

    def _write_block(self, block: Block) -> _Part | None:
        match block:
            case Paragraph(line=line):
                return _Words(text=_escape_line_start(escape_line(line, Place.RUNNING).strip()))
            case Footnote(line=line):
                return _Words(text=f"<sub>{escape_line(line, Place.RUNNING).strip()}</sub>", spare=True)
            case Table():
                return _write_table(block)
            case Diagram():
                return self._write_diagram(block)
            case Plot():
                return self._write_plot(block)
            case Pictures():
                return self._write_pictures(block)
            case Folded(summary=summary, blocks=blocks):
                name = escape_line(summary, Place.SUMMARY).strip()
                return _Fold(name=name, parts=self._write_blocks(blocks))

    def _write_plot(self, plot: Plot) -> _Part | None:
        """Its picture where the forge hosts one, else what Mermaid can draw of it."""
        images = self._write_images(plot.name, plot.words, number=1)
        if images:
            return self._as_drawing(images[0])
        return self._write_diagram(plot.diagram) if plot.diagram else self._point_to_report()

    def _write_pictures(self, pictures: Pictures) -> _Part | None:
        """Side by side, as a table of one row."""
        images = self._write_images(pictures.name, pictures.words, number=len(pictures.labelled))
        if not images:
            return self._point_to_report()
        titles = _write_row((label, Align.LEFT) for label, _ in pictures.labelled)
        return self._as_drawing("\n".join([titles, "|" + ":--|" * len(images), f"| {' | '.join(images)} |"]))

    def _write_images(self, name: str, words: str, *, number: int) -> list[str]:
        """As elements, since Markdown's own images have no width; none unless the forge hosts all of them."""
        hosted = self._pictures.get(name, ())
        found = (one.address if _UPLOAD.fullmatch(one.address) else safe_address(one.address) for one in hosted)
        addresses = [address for address in found if address]
        if not len(addresses) == len(hosted) == number:
            return []
        alt = "".join(char if _is_plain(char) else f"&#{ord(char)};" for char in _set(words, Place.CELL))
        widths = [min(one.width, _WIDEST // number) for one in hosted]
        return [
            f'<img src="{address.replace("&", "&amp;")}" width="{width}" alt="{alt}">'
            for address, width in zip(addresses, widths, strict=True)
        ]

    def _as_drawing(self, text: str) -> _Drawing:
        pointer = self._point_to_report()
        return _Drawing(text=text, instead=pointer.text if pointer else "")

    def _point_to_report(self) -> _Words | None:
        """Where a drawing is to be seen that can't be shown here."""
        address = safe_address(self._full_report_url) if self._full_report_url else None
        return _Words(text=f"<sub>Drawn in the [full report]({address}).</sub>") if address else None

    def _write_diagram(self, diagram: Diagram) -> _Drawing | _Words | None:
        """The drawing, or where to see it once those before it have used up what the forge draws of one page."""
        source = "\n".join(readable(line).strip() for line in diagram.source.splitlines())
        if not source:
            return self._point_to_report()
        if self._drawing_room is not None:
            if len(source) > self._drawing_room:
                return self._point_to_report()
            self._drawing_room -= len(source)
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", source)), default=0))
        return self._as_drawing(f"{fence}mermaid\n{source}\n{fence}")


_RULE = {Align.LEFT: ":--", Align.RIGHT: "--:", Align.CENTRE: ":-:"}


def _write_table(table: Table) -> _Rows:
    titles = _write_row((column.title, Align.LEFT) for column in table.columns)
    rules = "|" + "|".join(_RULE[column.align] for column in table.columns) + "|"
    aligns = [column.align for column in table.columns]
    rows = tuple(_write_row(zip(row, aligns, strict=True)) for row in table.rows)
    return _Rows(head=f"{titles}\n{rules}", rows=rows, keep=table.keep)


def _write_row(cells: Iterable[tuple[Line, Align]]) -> str:
    written = (_write_cell(line, align) for line, align in cells)
    return "|" + "|".join(f" {cell} " if cell else " " for cell in written) + "|"


def _write_cell(line: Line, align: Align) -> str:
    """Numbers (what is set to the right) may break in front of a bracket only: `≥ −0.010` is one thing to the eye."""
    if align is Align.RIGHT:
        line = tuple(Text(_join_number(inline.value)) if isinstance(inline, Text) else inline for inline in line)
    return escape_line(line, Place.CELL).strip()


def _join_number(value: str) -> str:
    return re.sub(r" (?!\()", "\u00a0", value)


# --- Fitting ----------------------------------------------------------------------------------------------------------


class _Room(Struct, frozen=True, kw_only=True):
    """How much of each kind of part is written; None means all of it."""

    fold_rows: int | None = None
    folds: int | None = None
    drawings: bool = True
    rows: int | None = None
    spare_words: bool = True
    names: bool = True
    kept_rows: int | None = None


def _fit(parts: tuple[_Part, ...], budget: int, options: RenderOptions) -> str:
    """The fullest text of at most `budget` bytes.

    Given up, in this order: rows of folded tables (the longest first), folded parts from the last, drawings, rows of
    open tables, small print, names of what was left out, rows that should be kept, all but the verdict.
    """

    def fits(room: _Room) -> bool:
        return len(_compose(parts, room, options).encode()) <= budget

    longest = max((len(part.rows) for part in _walk(parts) if isinstance(part, _Rows)), default=0)
    room = _Room()
    if fits(room):
        return _compose(parts, room, options)
    room = _fold_up(parts, fits)
    if fits(room):
        return _compose(parts, _grow(room, "fold_rows", longest, fits), options)
    room = replace(room, drawings=False)
    for less in ({"rows": 0}, {"spare_words": False}, {"names": False}, {"kept_rows": 0}):
        room = replace(room, **less)
        if fits(room):
            grown = "kept_rows" if room.kept_rows is not None else "rows"
            return _compose(parts, _grow(room, grown, longest, fits), options)
    return f"{_compose(parts[:1], room, options)}\n<sub>The rest is left out for room. {_say_where(options)}</sub>\n"


def _fold_up(parts: tuple[_Part, ...], fits: Callable[[_Room], bool]) -> _Room:
    """The room with the most folded parts, of a few rows each, that fits; with none of them where nothing does."""
    count = sum(isinstance(part, _Fold) for part in parts)
    none = _Room(folds=0, fold_rows=_FEWEST_ROWS)
    return _grow(none, "folds", count, fits) if fits(none) else none


def _grow(room: _Room, field: str, most: int, fits: Callable[[_Room], bool]) -> _Room:
    """The room with the largest value of `field` that still fits, by bisection."""
    low, high = getattr(room, field), most
    while low < high:
        middle = (low + high + 1) // 2
        if fits(replace(room, **{field: middle})):
            low = middle
        else:
            high = middle - 1
    return replace(room, **{field: low})


def _walk(parts: tuple[_Part, ...]) -> Iterable[_Part]:
    for part in parts:
        yield part
        if isinstance(part, _Fold):
            yield from _walk(part.parts)


def _compose(parts: tuple[_Part, ...], room: _Room, options: RenderOptions) -> str:
    written: list[str] = []
    left_out: list[str] = []
    folds = 0
    for part in parts:
        if isinstance(part, _Fold):
            folds += 1
            if room.folds is not None and folds > room.folds:
                left_out.append(part.name)
                continue
        text = _compose_part(part, room, options)
        if text:
            written.append(text)
    left_out += _name_small(parts, room)
    if left_out:
        more = f"; and {len(left_out) - _MOST_NAMES} more" if len(left_out) > _MOST_NAMES else ""
        names = "; ".join(left_out[:_MOST_NAMES]) + more if room.names else f"{len(left_out):,} parts"
        written.append(f"<sub>Left out for room: {names}. {_say_where(options)}</sub>")
    return "\n\n".join(written) + "\n"


def _name_small(parts: tuple[_Part, ...], room: _Room) -> list[str]:
    """What is left out beside rows and folded parts, and has not said where it is by itself."""
    charts = not room.drawings and any(isinstance(part, _Drawing) and not part.instead for part in parts)
    small = not room.spare_words and any(isinstance(part, _Words) and part.spare for part in parts)
    return ["charts"] * charts + ["where the numbers come from"] * small


def _compose_part(part: _Part, room: _Room, options: RenderOptions) -> str:
    match part:
        case _Words(text=text, spare=spare):
            return text if room.spare_words or not spare else ""
        case _Drawing(text=text, instead=instead):
            return text if room.drawings else instead
        case _Rows():
            return _compose_rows(part, room, options)
        case _Fold(name=name, parts=parts):
            inner = replace(room, rows=room.fold_rows)
            body = [text for inside in parts if (text := _compose_part(inside, inner, options))]
            return "\n\n".join([f"<details><summary>{name}</summary>", *body, "</details>"])


def _compose_rows(table: _Rows, room: _Room, options: RenderOptions) -> str:
    keep = table.keep if room.kept_rows is None else min(table.keep, room.kept_rows)
    count = len(table.rows) if room.rows is None else min(len(table.rows), max(keep, room.rows))
    text = "\n".join([table.head, *table.rows[:count]])
    missing = len(table.rows) - count
    if not missing:
        return text
    rows = "1 row" if missing == 1 else f"{missing:,} rows"
    return f"{text}\n\n<sub>… and {rows} more. {_say_where(options)}</sub>"


def _say_where(options: RenderOptions) -> str:
    address = safe_address(options.full_report_url) if options.full_report_url else None
    return f"See the [full report]({address})." if address else "The full report has them."
