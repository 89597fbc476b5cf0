"""The plots of both sides for a report: listed at once, read and drawn when a format that shows them asks."""

from __future__ import annotations

from functools import partial

from seatrial.charts import vega
from seatrial.charts.mermaid import overlay_chart
from seatrial.core.comparison import Side
from seatrial.core.metrics import State
from seatrial.core.plots import Drawing, PlotChange, PlotData, Plots, Series
from seatrial.core.plots_wording import describe_plot
from seatrial.core.revision import RevisionRange
from seatrial.git import Repository
from seatrial.sources.formats import FormatError
from seatrial.sources.plots import PlotReader

_MOST_DRAWN = 60
_MOST_BYTES = 12 << 20  # of all pictures together


def gather_plots(repository: Repository, revisions: RevisionRange, *, show_all: bool) -> Plots | None:
    """The plots that either side declares, None where there are none; unchanged ones are drawn with `show_all`."""
    reader = PlotReader(repository, revisions)
    changes = reader.list_changes()
    if not changes:
        return None
    wanted = [change for change in changes if show_all or change.state is not State.UNCHANGED]
    return Plots(changes=changes, draw=partial(_draw_all, reader, tuple(wanted), revisions))


def _draw_all(reader: PlotReader, changes: tuple[PlotChange, ...], revisions: RevisionRange) -> tuple[Drawing, ...]:
    labels = {
        Side.BASE: str(revisions.base) if revisions.base else "baseline",
        Side.HEAD: str(revisions.head),
    }
    drawings: list[Drawing] = []
    room = _MOST_BYTES
    for number, change in enumerate(changes):
        if number >= _MOST_DRAWN:
            drawings.append(_refuse(change, f"not drawn: a report holds {_MOST_DRAWN} plots"))
            continue
        data = reader.read(change.name)
        if isinstance(data, FormatError):
            if not change.problems:  # else they are listed
                drawings.append(_refuse(change, data.message))
            continue
        room -= sum(len(picture.content) for _, picture in data.pictures)
        if data.pictures and room < 0:
            drawings.append(_refuse(change, f"not shown: a report holds {_MOST_BYTES >> 20} MB of pictures"))
            continue
        drawings.append(_draw(change, data, labels))
    return tuple(drawings)


def _refuse(change: PlotChange, reason: str) -> Drawing:
    return Drawing(name=change.name, title=change.title, notes=(reason,))


def _draw(change: PlotChange, data: PlotData, labels: dict[Side, str]) -> Drawing:
    notes = () if change.state is State.CHANGED else (change.state.value,)
    if data.pictures:
        return Drawing(name=data.name, title=data.title, notes=notes, pictures=data.pictures)
    words = describe_plot(data)
    classes = vega.count_classes(data) if data.shape.is_confusion else 0
    if classes > vega.MOST_CLASSES:
        notes = (*notes, f"the {vega.MOST_CLASSES} most frequent of {classes:,} classes are drawn")
    return Drawing(
        name=data.name,
        title=data.title,
        notes=(*notes, *data.notes),
        words=words,
        live=vega.draw(data, labels=labels, words=words, live=True),
        still=vega.draw(data, labels=labels, words=words, live=False),
        mermaid=_draw_mermaid(data) or "",
    )


def _draw_mermaid(data: PlotData) -> str | None:
    """The first series that both sides have, for places where only Mermaid is drawn."""
    if not data.shape.is_line:
        return None
    for name in data.names:
        sides = {series.side: _list_numbers(series) for series in data.series if series.name == name}
        if sides.get(Side.BASE) and sides.get(Side.HEAD):
            title = f"{data.title}: {name}" if name else data.title
            return overlay_chart(
                title=title, x=data.x_label, y=data.y_label, base=sides[Side.BASE], head=sides[Side.HEAD]
            )
    return None


def _list_numbers(series: Series) -> list[tuple[float, float]]:
    return [(x, y) for x, y, _ in series.points if not isinstance(x, str) and not isinstance(y, str)]
