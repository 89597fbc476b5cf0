"""The plots of a report as files: for artifacts, slides, chats, and wherever else nobody opens a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from seatrial.core.document import Block, Folded, Plot
from seatrial.core.report import Report
from seatrial.render.characters import readable
from seatrial.render.vega import DrawingError, draw_alone

FORMS: tuple[Literal["svg", "png"], ...] = ("svg", "png")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_LONGEST = 60


def render_plots(report: Report) -> tuple[Mapping[str, bytes], tuple[str, ...]]:
    """Each plot that the report draws, as SVG and as PNG, by the name of its file; and why others are not among them.

    Names come of the plots' own, so that a file keeps its name from run to run.
    """
    files: dict[str, bytes] = {}
    refused: list[str] = []
    for plot in _list_plots(report.document.blocks):
        stem = _choose_stem(plot.name, files)
        try:
            files |= {f"{stem}.{form}": draw_alone(plot.still, title=plot.title, form=form) for form in FORMS}
        except DrawingError as error:
            refused.append(f"{readable(plot.name, 200)} is not drawn: {error}")
    return files, tuple(refused)


def _list_plots(blocks: Iterable[Block]) -> Iterator[Plot]:
    for block in blocks:
        if isinstance(block, Plot):
            yield block
        elif isinstance(block, Folded):
            yield from _list_plots(block.blocks)


def _choose_stem(name: str, taken: Mapping[str, bytes]) -> str:
    """The name in letters that every system has; the second of two that are alike gets a number."""
    stem = _NOT_IN_NAMES.sub("-", name.lower()).strip("-")[-_LONGEST:].strip("-") or "plot"
    numbered = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3)))
    return next(each for each in numbered if f"{each}.{FORMS[0]}" not in taken)
