"""The plots of a report as pictures for a comment: files for a forge to host, named after their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from seatrial.core.document import Block, Folded, Pictures, Plot
from seatrial.core.metrics import State
from seatrial.core.report import Report
from seatrial.render.characters import readable
from seatrial.render.vega import INSTALL, DrawingError, can_draw, draw_alone

# Bytes of one picture: readers of a comment load all of them.
LARGEST = 1 << 20
_TOLD = (State.CHANGED.value, State.ADDED.value)
_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif"}


class PictureFile(Struct, frozen=True, kw_only=True):
    """A picture as a file; its name is the digest of its bytes, its width in CSS pixels."""

    name: str
    content: bytes
    width: int


def draw_pictures(report: Report, *, most: int) -> tuple[Mapping[str, tuple[PictureFile, ...]], tuple[str, ...]]:
    """The first `most` pictures of plots that changed, by the plots' names; and why others are not among them.

    A plot has one, what the project plotted itself one for each side.
    """
    changed = {plot.name for plot in report.facts.plots if plot.state in _TOLD}
    files: dict[str, tuple[PictureFile, ...]] = {}
    refused: list[str] = []
    for block in _list_drawn(report.document.blocks):
        if block.name not in changed or sum(map(len, files.values())) + _count(block) > most:
            continue
        try:
            files[block.name] = _make_files(block)
        except DrawingError as error:
            refused.append(f"{readable(block.name, 200)}: {error}")
    return files, tuple(refused)


def _list_drawn(blocks: Iterable[Block]) -> Iterator[Plot | Pictures]:
    for block in blocks:
        if isinstance(block, Plot | Pictures):
            yield block
        elif isinstance(block, Folded):
            yield from _list_drawn(block.blocks)


def _count(block: Plot | Pictures) -> int:
    return 1 if isinstance(block, Plot) else len(block.labelled)


def _make_files(block: Plot | Pictures) -> tuple[PictureFile, ...]:
    if isinstance(block, Pictures):
        return tuple(
            _as_file(picture.content, _SUFFIXES[picture.media_type], picture.width) for _, picture in block.labelled
        )
    if not can_draw():
        raise DrawingError(f"drawing takes {INSTALL}")
    content = draw_alone(block.still, title=block.title, form="png")
    # The width stands behind the signature and the name of the first part; two pixels are one of CSS.
    return (_as_file(content, "png", int.from_bytes(content[16:20], "big") // 2),)


def _as_file(content: bytes, suffix: str, width: int) -> PictureFile:
    if len(content) > LARGEST:
        raise DrawingError(f"{len(content):,} bytes, and a comment's picture has at most {LARGEST:,}")
    return PictureFile(name=f"{hashlib.sha256(content).hexdigest()}.{suffix}", content=content, width=width)
