"""What the report says of the plots of both sides."""

from __future__ import annotations

from seatrial.core.comparison import Side
from seatrial.core.document import (
    Block,
    Code,
    Column,
    Diagram,
    Folded,
    Line,
    Paragraph,
    Pictures,
    Plot,
    Strong,
    Table,
    Text,
)
from seatrial.core.metrics import State
from seatrial.core.phrases import join_names
from seatrial.core.plots import Drawing, PlotChange, PlotData, Plots
from seatrial.core.revision import RevisionRange

# In the order of what a reader wants to know of them.
_ORDER = (State.CHANGED, State.ADDED, State.REMOVED, State.UNCHANGED)


def fold_plots(plots: Plots | None, revisions: RevisionRange) -> list[Block]:
    """One folded part for all plots; nothing where all of them are what they were."""
    if plots is None or all(change.state is State.UNCHANGED and not change.problems for change in plots.changes):
        return []
    blocks: list[Block] = []
    for drawing in plots.draw():
        blocks += _tell_drawing(drawing, revisions)
    still = [Code(change.name) for change in plots.changes if change.state is State.UNCHANGED]
    if still:
        more = f" and {len(still) - 20:,} more" if len(still) > 20 else ""
        named: Line = tuple(part for code in still[:20] for part in (Text(", "), code))[1:]
        blocks.append(Paragraph(line=(Text("Unchanged: "), *named, Text(f"{more}."))))
    blocks += _table_problems(plots.changes)
    return [Folded(summary=(Text(f"Plots: {_tally(plots.changes)}"),), blocks=tuple(blocks))]


def _tally(changes: tuple[PlotChange, ...]) -> str:
    counts = {state: sum(change.state is state for change in changes) for state in _ORDER}
    unread = len(changes) - sum(counts.values())
    parts = [f"{number:,} {state.value}" for state, number in counts.items() if number]
    return ", ".join([*parts, *([f"{unread:,} can't be read"] if unread else [])])


def _tell_drawing(drawing: Drawing, revisions: RevisionRange) -> list[Block]:
    """Its title with what is to be said of it, and the drawing itself."""
    notes = "; ".join(drawing.notes)
    blocks: list[Block] = [Paragraph(line=(Strong(drawing.title), *([Text(f": {notes}")] if notes else [])))]
    if drawing.pictures:
        names = {side: _name_side(side, revisions) for side, _ in drawing.pictures}
        words = f"{drawing.title}: pictures of {' and '.join(names.values())}"
        labelled = tuple(((Text(names[side]),), picture) for side, picture in drawing.pictures)
        blocks.append(Pictures(words=words, labelled=labelled, name=drawing.name))
    if drawing.live:
        diagram = Diagram(title=drawing.title, source=drawing.mermaid) if drawing.mermaid else None
        words = f"{drawing.title}, {drawing.words}" if drawing.words else drawing.title
        blocks.append(
            Plot(
                words=words,
                live=drawing.live,
                still=drawing.still,
                diagram=diagram,
                name=drawing.name,
                title=drawing.title,
            )
        )
    return blocks


def _name_side(side: Side, revisions: RevisionRange) -> str:
    if side is Side.HEAD:
        return str(revisions.head)
    return str(revisions.base) if revisions.base else "baseline"


def _table_problems(changes: tuple[PlotChange, ...]) -> list[Block]:
    rows = tuple(
        (
            (Text("baseline" if side is Side.BASE else "candidate"),),
            (Code(change.name),),
            (Text(problem.message),),
            (Text(problem.hint),),
        )
        for change in changes
        for side, problem in change.problems
    )
    titles = ("side", "plot", "problem", "what mends it")
    return [Table(columns=tuple(Column(title=(Text(title),)) for title in titles), rows=rows)] if rows else []


def describe_plot(data: PlotData) -> str:
    """What is on a plot, for a reader who can't see it."""
    kind = (
        "lines"
        if data.shape.is_line
        else "a matrix"
        if data.shape.is_confusion
        else "bars"
        if "bar" in data.shape.value
        else "points"
    )
    names = [name for name in data.names if name]
    of = f" of {join_names(names)}" if names else ""
    sides = {series.side for series in data.series}
    who = "baseline and candidate" if len(sides) == 2 else "the candidate" if Side.HEAD in sides else "the baseline"
    axes = (
        f"{data.y_label or 'y'} over {data.x_label or 'x'}"
        if data.shape.is_line
        else f"{data.y_label or 'y'} by {data.x_label or 'x'}"
    )
    return f"{kind}{of}, {axes}, {who}"
