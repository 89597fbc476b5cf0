"""A history as a static site: an index and a page for each metric, each complete in itself.

No page asks for anything but what lies beside it, and every one can be read without its script.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from seatrial.core.document import Block, Footnote, Table
from seatrial.core.metrics import MetricId
from seatrial.render.characters import readable
from seatrial.render.html import View, open_template, read_asset, view_block, write_policy

INDEX = "index.html"
METRICS = "metrics"
# In the head of every page of ours: where it is not, a directory is somebody else's.
SIGNATURE = '<meta name="generator" content="seatrial history">'
_NAME = re.compile(r"[^a-z0-9]+")


class MetricPage(Struct, frozen=True, kw_only=True):
    """What the page of one metric says: its name, where it stands, its chart as SVG of ours, its measurements."""

    id: MetricId
    label: str
    lead: tuple[Block, ...]
    chart: str | None
    chart_words: str
    table: Table
    notes: tuple[str, ...] = ()


class Site(Struct, frozen=True, kw_only=True):
    """The whole site: `overview` has one row for each page, in the order of the pages."""

    name: str
    title: str
    lead: tuple[Block, ...]
    overview: Table
    pages: tuple[MetricPage, ...]
    notes: tuple[Footnote, ...]
    csv: str
    json: str


def render_site(site: Site) -> Mapping[str, str]:
    """Every file of the site by its path below the site's directory; the index comes last."""
    pages = {f"{METRICS}/{name_page(page.id)}": _render_page(site, page) for page in site.pages}
    return {**pages, "history.csv": site.csv, "history.json": site.json, INDEX: _render_index(site)}


def name_page(identity: MetricId) -> str:
    """The name of a metric's page, which never changes with the other metrics: `recall-0a1b2c3d.html`."""
    words = _NAME.sub("-", str(identity).lower()).strip("-")[-60:].strip("-") or "metric"
    return f"{words}-{hashlib.sha256(_encode(str(identity))).hexdigest()[:8]}.html"


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _render_index(site: Site) -> str:
    return _render(
        "index.html.j2",
        top="",
        page_title=f"{site.title} · {site.name}",
        site=site.name,
        title=site.title,
        lead=[view_block(block) for block in site.lead],
        overview=_link_rows(view_block(site.overview), [f"{METRICS}/{name_page(page.id)}" for page in site.pages]),
        notes=[view_block(note) for note in site.notes],
    )


def _link_rows(table: View, addresses: list[str]) -> View:
    """A table whose rows lead to pages of their own."""
    rows = []
    for row, address in zip(table.rows, addresses, strict=True):
        first, *rest = row.cells
        linked = Markup('<a href="{}">{}</a>').format(address, first.content)
        rows.append(replace(row, cells=(replace(first, content=linked), *rest)))
    return replace(table, rows=tuple(rows))


def _render_page(site: Site, page: MetricPage) -> str:
    return _render(
        "metric.html.j2",
        top="../",
        page_title=f"{readable(page.label)} · {site.name}",
        site=site.name,
        title=readable(page.label),
        address=readable(str(page.id)),
        lead=[view_block(block) for block in page.lead],
        chart=Markup(page.chart) if page.chart else None,  # noqa: S704 - drawn from numbers alone
        chart_words=readable(page.chart_words),
        table=view_block(page.table),
        notes=[readable(note) for note in page.notes],
    )


def _render(template: str, **values: object) -> str:
    style, script = f"{read_asset('report.css')}\n{read_asset('site.css')}", read_asset("report.js")
    return open_template(template).render(
        policy=write_policy(style, script),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        signature=Markup(SIGNATURE),  # noqa: S704 - ours
        **values,
    )
