"""A report as one HTML file: no network, no fonts or scripts from elsewhere, readable without its own script.

Jinja2 escapes every string. The page's policy (a `Content-Security-Policy` element) lets in exactly the style and the
script that are printed here, by their digests, so that text which slipped through could still load and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from functools import cache
from importlib import resources
from itertools import takewhile

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from msgspec import Struct

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
    Picture,
    Pictures,
    Plot,
    Sign,
    Strong,
    Table,
    Text,
)
from seatrial.core.facts import RevisionFacts
from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.characters import join_ranges, keep_order, readable
from seatrial.render.signs import SIGNS

_TEMPLATES = "templates"
_NOTHING = Markup()
_SHORT = 36  # characters that stay on one line in a cell
_LONGEST_NUMBER, _LONGEST_WORD = 24, 8  # characters that stay together in a column of numbers


def render(report: Report, options: RenderOptions) -> str:
    """The document as a complete page; light or dark as the reader's system is, and fit for print."""
    document = report.document
    views = _split(document)
    style = read_asset("report.css")
    scripts = [read_asset("report.js")]
    kinds = {kind for part in views.values() for view in part for kind in _list_kinds(view)}
    if kinds & {"plot", "pictures", "drawing"}:
        style += read_asset("plots.css")
    if "plot" in kinds:
        from seatrial.render.vega import bundle_script

        scripts += [bundle_script(), read_asset("plots.js")]
    return open_template("report.html.j2").render(
        page_title=f"{SIGNS[document.mark].character} {_plain(document.title)}",
        policy=write_policy(style, *scripts),
        style=Markup(style),  # noqa: S704 - our own file
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files, and Vega's
        mark=document.mark.value,
        word=SIGNS[document.mark].word,
        icon=_icon(document.mark),
        title=_write_line(document.title),
        sides=_name_sides(report),
        **views,
    )


@cache
def open_template(name: str) -> Template:
    """One of our pages, in which every string is escaped."""
    environment = Environment(
        loader=PackageLoader("seatrial.render", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


@cache
def read_asset(name: str) -> str:
    """A style or a script of ours."""
    return resources.files("seatrial.render").joinpath(_TEMPLATES).joinpath(name).read_text(encoding="utf-8").strip()


def write_policy(style: str, *scripts: str) -> str:
    """What a page may load and run: this style and these scripts, and nothing from anywhere."""
    allowed = " ".join(f"'{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src {allowed}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _split(document: Document) -> dict[str, list[View]]:
    """The words beside the verdict, the body, and the small print at the foot."""
    lead = list(takewhile(lambda block: isinstance(block, Paragraph), document.blocks))
    rest = document.blocks[len(lead) :]
    return {
        "lead": [view_block(block) for block in lead],
        "body": [view_block(block) for block in rest if not isinstance(block, Footnote)],
        "notes": [view_block(block) for block in rest if isinstance(block, Footnote)],
    }


def _name_sides(report: Report) -> list[tuple[str, str]]:
    sides = [side for side in (report.facts.base, report.facts.head) if side is not None]
    return [(keep_order(readable(side.name, 80)), _short(side)) for side in sides]


def _short(side: RevisionFacts) -> str:
    return readable(side.sha or "")[:7]


# --- Blocks as values that the template shows -------------------------------------------------------------------------


class _Cell(Struct, frozen=True, kw_only=True):
    content: Markup
    label: str
    align: str
    heads_row: bool
    short: bool
    long: bool


class _Row(Struct, frozen=True, kw_only=True):
    mark: str
    cells: tuple[_Cell, ...]

    @property
    def markup(self) -> Markup:
        """The row as it stands in the page. There may be ten thousand, for which a template is too slow."""
        shade = f' class="row-{_escape(self.mark)}"' if self.mark else ""
        cells = "\n".join(map(_write_cell, self.cells))
        return Markup(f'<tr role="row"{shade}>\n{cells}\n</tr>')  # noqa: S704 - its parts are escaped


def _write_cell(cell: _Cell) -> str:
    tag, role = ("th", 'scope="row" role="rowheader"') if cell.heads_row else ("td", 'role="cell"')
    kind = cell.align + " short" * cell.short + " long" * cell.long + " empty" * (not cell.content)
    label = f' data-label="{_escape(cell.label)}"' if cell.label else ""
    return f'<{tag} {role} class="{kind}"{label}>{cell.content}</{tag}>'


class View(Struct, frozen=True, kw_only=True):
    """A block for the template: its kind, and of the rest what that kind has."""

    kind: str
    content: Markup = _NOTHING
    titles: tuple[_Cell, ...] = ()
    rows: tuple[_Row, ...] = ()
    blocks: tuple[View, ...] = ()
    source: str = ""
    words: str = ""


def view_block(block: Block) -> View:
    """A block for the template."""
    match block:
        case Paragraph(line=line):
            return View(kind="paragraph", content=_write_line(line))
        case Footnote(line=line):
            return View(kind="footnote", content=_write_line(line))
        case Table():
            return _view_table(block)
        case Diagram():
            return _view_diagram(block)
        case Plot():
            return _view_plot(block)
        case Pictures(words=words, labelled=labelled):
            views = tuple(_view_picture(label, picture) for label, picture in labelled)
            return View(kind="pictures", words=readable(words), blocks=views)
        case Folded(summary=summary, blocks=blocks):
            return View(kind="folded", content=_write_line(summary), blocks=tuple(view_block(b) for b in blocks))


def _view_diagram(diagram: Diagram) -> View:
    """Drawn where the page can draw it, else its source."""
    from seatrial.render.vega import DrawingError, can_draw, draw_svg

    if diagram.still and can_draw():
        with suppress(DrawingError):
            svg = draw_svg(diagram.still, prefix=f"d{_fingerprint(diagram.still)}-")
            return View(kind="drawing", content=Markup(svg), words=readable(diagram.title))  # noqa: S704 - shapes and words alone
    lines = "\n".join(readable(line) if line.strip() else "" for line in diagram.source.splitlines())
    return View(kind="diagram", content=_write_line((Text(diagram.title),)), source=lines)


def _view_plot(plot: Plot) -> View:
    """The drawing for paper as an element, and the one for screens as data for the script."""
    from seatrial.render.vega import INSTALL, DrawingError, can_draw, draw_svg, spell_json

    if not can_draw():
        return View(
            kind="footnote", content=_write_line((Text("Not drawn. To have plots in this report: "), Code(INSTALL)))
        )
    try:
        svg = draw_svg(plot.still, prefix=f"p{_fingerprint(plot.still)}-")
    except DrawingError as error:
        return View(kind="footnote", content=_write_line((Text(f"Not drawn: {error}"),)))
    return View(kind="plot", content=Markup(svg), source=Markup(spell_json(plot.live)), words=readable(plot.words))  # noqa: S704


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def _view_picture(label: Line, picture: Picture) -> View:
    address = f"data:{picture.media_type};base64,{base64.b64encode(picture.content).decode()}"
    return View(kind="picture", content=_write_line(label), source=address, words=f"{picture.width} {picture.height}")


def _list_kinds(view: View) -> set[str]:
    """The kinds of all blocks in a block."""
    return {view.kind}.union(*(_list_kinds(inner) for inner in view.blocks))


def _is_short(text: str, align: Align) -> bool:
    """Whether a cell needs no room of its own; limits, and a number with its interval, may stand below one another."""
    parted = align is Align.RIGHT and (", " in text or " (" in text)
    return len(text) <= _SHORT and not parted


def _view_table(table: Table) -> View:
    labels = [_plain(column.title) for column in table.columns]
    header = next((at for at, label in enumerate(labels) if label), 0)

    def cells(lines: tuple[Line, ...]) -> tuple[_Cell, ...]:
        return tuple(
            _view_cell(line, label, column.align, heads_row=at == header)
            for at, (line, label, column) in enumerate(zip(lines, labels, table.columns, strict=True))
        )

    return View(
        kind="table",
        titles=cells(tuple(column.title for column in table.columns)),
        rows=tuple(_Row(mark=_row_mark(row), cells=cells(row)) for row in table.rows),
    )


def _view_cell(line: Line, label: str, align: Align, *, heads_row: bool) -> _Cell:
    plain = _plain(line)
    return _Cell(
        content=_write_line(line),
        label=label,
        align=align.value,
        heads_row=heads_row,
        short=_is_short(plain, align),
        long=align is Align.RIGHT and any(map(_may_break, plain.split())),
    )


def _may_break(word: str) -> bool:
    """Whether a word in a column of numbers need not be kept whole on paper: an interval is, a long name is not."""
    if len(word) <= _LONGEST_WORD:
        return False
    return len(word) > _LONGEST_NUMBER or any(map(str.isalpha, word))


def _row_mark(row: tuple[Line, ...]) -> str:
    return next((i.mark.value for cell in row for i in cell if isinstance(i, Sign)), "")


# --- Inlines ----------------------------------------------------------------------------------------------------------


def _write_line(line: Line) -> Markup:
    return Markup("".join([_write_inline(inline) for inline in line]))  # noqa: S704 - each is escaped


def _escape(text: str) -> str:
    """What `Markup.escape` does, at a third of its cost."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("'", "&#39;").replace('"', "&#34;")


def _set(value: str) -> str:
    """Words as a reader is to see them."""
    return keep_order(join_ranges(readable(value)))


def _write_inline(inline: Inline) -> str:
    match inline:
        case Text(value=value):
            return _escape(_set(value))
        case Strong(value=value):
            return f"<strong>{_escape(_set(value))}</strong>"
        case Code(value=value):
            return f"<code>{_escape(keep_order(readable(value)))}</code>"
        case Link(label=label, url=url):
            if not url.startswith(("https://", "http://")):
                return _escape(_set(label))
            return f'<a href="{_escape(readable(url))}" rel="noreferrer noopener">{_escape(_set(label))}</a>'
        case Sign(mark=mark):
            word = SIGNS[mark].word
            return f'<span class="sign {mark.value}">{_icon(mark)}<span class="word">{word}</span></span>'


def _plain(line: Line) -> str:
    """A line without its formatting, for attributes and the window's title."""
    words = (
        inline.label if isinstance(inline, Link) else "" if isinstance(inline, Sign) else inline.value
        for inline in line
    )
    return readable("".join(words)).strip()


# Shapes differ as much as colours do: tick, triangle, cross, question mark, octagon, dot.
_ICONS = {
    Mark.PASSED: '<circle cx="8" cy="8" r="8"/><path class="cut" d="M4.4 8.4l2.4 2.4 4.8-5.2"/>',
    Mark.WARNED: '<path d="M8 .9l7.7 13.6H.3z"/><path class="cut" d="M8 5.6v4M8 12.1v.1"/>',
    Mark.FAILED: '<circle cx="8" cy="8" r="8"/><path class="cut" d="M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6"/>',
    Mark.INCONCLUSIVE: (
        '<circle cx="8" cy="8" r="8"/>'
        '<path class="cut" d="M5.9 6.2c.1-1.4 1-2.1 2.2-2.1s2.1.8 2.1 1.9c0 1.5-2.1 1.6-2.1 3.3M8.1 11.9v.1"/>'
    ),
    Mark.NEUTRAL: '<circle cx="8" cy="8" r="4"/>',
}


@cache
def _icon(mark: Mark) -> Markup:
    return Markup('<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">{}</svg>').format(
        Markup(_ICONS[mark])  # noqa: S704 - our own drawing
    )
