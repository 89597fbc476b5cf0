"""A history as people read it: one line for each metric, and the measurements of those that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from seatrial.core.document import (
    Align,
    Block,
    Code,
    Column,
    Diagram,
    Document,
    Folded,
    Footnote,
    Line,
    Mark,
    Paragraph,
    Strong,
    Table,
    Text,
)
from seatrial.core.history import History, Reading, Series
from seatrial.core.metrics import Direction, MetricId
from seatrial.core.naming import label_metrics
from seatrial.core.numbers import choose_series_decimals, spell_step, spell_value
from seatrial.core.phrases import NO_BREAK, count, join_names

_SHORT_SUBJECT = 60
_MOST_ROWS = 30
_BARS = 30


class Drawing(Struct, frozen=True, kw_only=True):
    """How a series is drawn where it is told: a row of bars out of its values, and a chart of it, which may be none.

    `bars` is asked for the latest values, None for a gap.
    """

    bars: Callable[[Sequence[float | None]], str]
    chart: Callable[[History, Series, str], Diagram | None]


def write_history(
    history: History, detailed: Sequence[MetricId], drawing: Drawing, *, every_row: bool = False
) -> Document:
    """All series in one table, and the measurements of the `detailed` ones, the newest first."""
    labels = label_metrics([series.id for series in history.series])
    chosen = [series for series in history.series if series.id in set(detailed)]
    blocks: list[Block] = [
        tell_span(history),
        table_series(history, labels, drawing.bars),
        *(_fold_series(history, series, labels[series.id], drawing, every_row=every_row) for series in chosen),
        *(Footnote(line=(Text(" · ".join(notes)),)) for notes in [tell_notes(history)] if notes),
    ]
    lost = [series for series in history.series if series.readings[-1].value is None]
    return Document(
        mark=Mark.WARNED if lost else Mark.NEUTRAL, title=(Text(headline(history, lost)),), blocks=tuple(blocks)
    )


def headline(history: History, lost: Sequence[Series]) -> str:
    """What there is, and whether the newest commit still has it."""
    measured = sum(len(series.measured) for series in history.series)
    told = f"{count(len(history.series), 'metric')} of {history.branch}: {count(measured, 'measurement')}"
    return f"{told}; {len(lost)} without a value by now" if lost else told


def tell_span(history: History) -> Paragraph:
    """Which commits were read."""
    oldest, newest = history.commits[0], history.commits[-1]
    span = f"{count(len(history.commits), 'commit')} of the branch's own line"
    if len(history.commits) == 1:
        return Paragraph(line=(Text(f"{span}, of {newest.date}."),))
    return Paragraph(line=(Text(f"{span}, from {oldest.date} ({oldest.short}) to {newest.date} ({newest.short})."),))


def table_series(
    history: History, labels: Mapping[MetricId, str], bars: Callable[[Sequence[float | None]], str]
) -> Table:
    """One row for each metric: where it stands, how it came there, and its best."""
    titles = (
        ("metric", Align.LEFT),
        ("trend", Align.LEFT),
        ("latest", Align.RIGHT),
        ("change", Align.RIGHT),
        ("best", Align.RIGHT),
        ("measured", Align.RIGHT),
        ("gaps", Align.RIGHT),
    )
    return Table(
        columns=tuple(Column(title=(Text(title),), align=align) for title, align in titles),
        rows=tuple(_row(history, series, labels[series.id], bars) for series in history.series),
    )


def _row(
    history: History, series: Series, label: str, bars: Callable[[Sequence[float | None]], str]
) -> tuple[Line, ...]:
    decimals = choose_series_decimals(reading.value or 0.0 for reading in series.measured)
    measured, best = series.measured, series.best
    latest = series.readings[-1]
    step = _step(measured[-2], latest, decimals) if len(measured) > 1 else ""
    at_best = f" ({history.commits[best.first].short})" if best and best is not measured[-1] else ""
    return (
        (Code(label), Text(point(series.direction))),
        (Text(bars(series.values[-_BARS:])),),
        (Text(spell(latest, decimals)),),
        (Text(step),),
        (Text(f"{spell(best, decimals)}{at_best}" if best else ""),),
        (Text(f"{len(measured):,}"),),
        (Text(f"{len(series.gaps):,}" if series.gaps else ""),),
    )


def point(direction: Direction | None) -> str:
    """Which way is better, as a sign that stays on the line of the name."""
    return "" if direction is None else f"{NO_BREAK}↑" if direction is Direction.HIGHER else f"{NO_BREAK}↓"


def spell(reading: Reading, decimals: int) -> str:
    """A value, or the state that is there instead of one."""
    if reading.value is None:
        return reading.state.value if reading.state else ""
    return spell_value(reading.value, decimals if isinstance(reading.value, float) else None)


def _step(before: Reading, after: Reading, decimals: int) -> str:
    if before.value is None or after.value is None:
        return ""
    return spell_step(before.value, after.value, decimals)


def _fold_series(history: History, series: Series, label: str, drawing: Drawing, *, every_row: bool) -> Folded:
    told = f"{label}{point(series.direction)} {drawing.bars(series.values[-_BARS:])} "
    counted = count(len(series.measured), "measurement")
    gaps = f", {count(len(series.gaps), 'gap')}" if series.gaps else ""
    table = table_readings(history, series, most=None if every_row else _MOST_ROWS)
    older = len(series.readings) - len(table.rows)
    chart = drawing.chart(history, series, label)
    rest: tuple[Block, ...] = (
        (Footnote(line=(Text(f"{count(older, 'older row')}: --all, or --format csv"),)),) if older else ()
    )
    return Folded(summary=(Text(f"{told}{counted}{gaps}"),), blocks=(*((chart,) if chart else ()), table, *rest))


def table_readings(history: History, series: Series, *, most: int | None = None) -> Table:
    """The measurements of a metric, newest first, each with what changed since the one before."""
    decimals = choose_series_decimals(reading.value or 0.0 for reading in series.measured)
    titles = (
        ("commit", Align.LEFT),
        ("date", Align.LEFT),
        ("value", Align.RIGHT),
        ("change", Align.RIGHT),
        ("", Align.LEFT),
        ("what", Align.LEFT),
    )
    rows: list[tuple[Line, ...]] = []
    before: Reading | None = None
    for reading in series.readings:
        rows.append(_row_of_reading(history, series, before, reading, decimals))
        before = reading if reading.value is not None else before
    newest_first = rows[::-1]
    return Table(
        columns=tuple(Column(title=(Text(title),) if title else (), align=align) for title, align in titles),
        rows=tuple(newest_first if most is None else newest_first[:most]),
    )


def _row_of_reading(
    history: History, series: Series, before: Reading | None, reading: Reading, decimals: int
) -> tuple[Line, ...]:
    commit = history.commits[reading.first]
    value = Strong(spell(reading, decimals)) if reading.value is None else Text(spell(reading, decimals))
    subject = commit.subject if len(commit.subject) <= _SHORT_SUBJECT else f"{commit.subject[: _SHORT_SUBJECT - 1]}…"
    return (
        (Code(commit.short),),
        (Text(commit.date),),
        (value,),
        (Text(_step(before, reading, decimals) if before else ""),),
        (Text(_remark(series, before, reading)),),
        (Text(subject),),
    )


def _remark(series: Series, before: Reading | None, reading: Reading) -> str:
    """Better or worse, or why there is no value; where the file had another name, that too."""
    held = reading.last - reading.first
    if reading.value is None:
        return f"{reading.reason} ({count(held + 1, 'commit')})" if held else reading.reason
    parts = []
    if before and before.value is not None and series.direction and before.value != reading.value:
        rose = reading.value > before.value
        parts.append("better" if rose == (series.direction is Direction.HIGHER) else "worse")
    if reading.file != series.id.file:
        parts.append(f"in {reading.file}")
    return ", ".join(parts)


def tell_standing(history: History, series: Series) -> Paragraph:
    """Where a metric stands, and what its best was."""
    measured, best, latest = series.measured, series.best, series.readings[-1]
    decimals = choose_series_decimals(reading.value or 0.0 for reading in measured)
    parts = []
    if latest.value is None:
        parts.append(f"{spell(latest, decimals)}: {latest.reason}")
    else:
        step = _step(measured[-2], latest, decimals) if len(measured) > 1 else ""
        commit = history.commits[latest.first]
        parts.append(f"{spell(latest, decimals)}{f' ({step})' if step else ''} since {commit.short}, {commit.date}")
    if best and best is not measured[-1]:
        commit = history.commits[best.first]
        parts.append(f"best {spell(best, decimals)} in {commit.short}, {commit.date}")
    counted = count(len(measured), "measurement")
    parts.append(f"{counted}, {count(len(series.gaps), 'gap')}" if series.gaps else counted)
    return Paragraph(line=(Strong(parts[0]), Text("".join(f" · {part}" for part in parts[1:]))))


def tell_chart(series: Series, limits: Sequence[float]) -> str:
    """What is on the chart of a metric, for those who can't see it, too."""
    values = [reading.value for reading in series.measured if reading.value is not None]
    if not values:
        return "no value"
    decimals = choose_series_decimals(values)
    told = [f"{count(len(values), 'value')} from {_spell(min(values), decimals)} to {_spell(max(values), decimals)}"]
    if limits:
        told.append(
            f"dashed: today's {'limits' if len(limits) > 1 else 'limit'}, {join_names([f'{one:g}' for one in limits])}"
        )
    if series.gaps:
        told.append("dotted upright: gaps")
    return "; ".join(told)


def _spell(value: float, decimals: int | None = None) -> str:
    return spell_value(value, decimals if isinstance(value, float) else None)


def tell_notes(history: History) -> list[str]:
    """What could not be read, and what is left out."""
    if not history.words:
        return list(history.notes)
    labels = label_metrics(history.words)
    named = join_names([labels[identity] for identity in history.words])
    return [*history.notes, f"no numbers, so left out: {named}"]
